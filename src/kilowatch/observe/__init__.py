"""What an instance tells of itself: log lines and figures."""

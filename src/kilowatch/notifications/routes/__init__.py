"""HTTP for notifications, channels and preferences."""

"""Rules: conditions that people set on what devices report, and what comes of them."""

"""Alerts: what is wrong, since when, who looks after it, and how it is told."""

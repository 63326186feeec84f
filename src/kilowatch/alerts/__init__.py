"""Alerts: what people are told about, how it is said, and how it ends."""

"""Alerts in PostgreSQL."""

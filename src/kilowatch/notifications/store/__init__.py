"""Notifications, channels, preferences and deliveries in PostgreSQL."""

"""Notifications: who is told what, when and by which channel, and the deliveries that carry it out."""

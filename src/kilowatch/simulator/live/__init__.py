"""Worlds as they go on: what each stream tells next, and what comes of what happened."""

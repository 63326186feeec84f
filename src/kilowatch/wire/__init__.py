"""Versioned messages between processes. Nothing here knows an engine."""

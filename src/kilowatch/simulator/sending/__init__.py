"""Sending what a fleet reports over the public doors of an instance."""

"""Worlds on a stage: what is played for each organisation, and the way to the server that asks about it."""

"""Kilowatch: readings of meters, homes, machines and microgrids, kept for ever and shown live."""

__version__ = "0.1.0"

"""HTTP for people, organisations and keys."""

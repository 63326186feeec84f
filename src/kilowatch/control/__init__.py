"""Commands: what people tell devices to do, and what becomes of it."""

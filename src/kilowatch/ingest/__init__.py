"""The front doors: how readings come in, are decoded into columns, checked, and handed to the log."""

"""What all processes put on the wire alike: versioned messages, headers. Nothing here knows an engine."""

"""The live feed: what a client sees while it happens, over WebSocket and SSE."""

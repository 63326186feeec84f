"""`kw bench`: measures a temporary instance of its own from outside, over HTTP, MQTT and WebSocket."""

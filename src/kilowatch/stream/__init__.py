"""NATS: its embedded server, the durable log, the inbox of devices, live fan-out. Nobody else speaks it."""

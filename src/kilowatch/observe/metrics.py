"""Every figure that a process counts, by name; `render` gives them as Prometheus reads them.

One registry per process and one place for the names, so that a figure is called the same on every page.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

REGISTRY = CollectorRegistry()
CONTENT_TYPE = CONTENT_TYPE_LATEST

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _counter(name: str, sentence: str, *labels: str) -> Counter:
    return Counter(f"kilowatch_{name}", sentence, labels, registry=REGISTRY)


def _gauge(name: str, sentence: str, *labels: str) -> Gauge:
    return Gauge(f"kilowatch_{name}", sentence, labels, registry=REGISTRY)


def _histogram(name: str, sentence: str, *labels: str) -> Histogram:
    return Histogram(f"kilowatch_{name}", sentence, labels, registry=REGISTRY, buckets=FAST)


# The doors
READINGS_ACCEPTED = _counter("readings_accepted", "Readings acknowledged, in the log on disk.", "door")
READINGS_REJECTED = _counter("readings_rejected", "Readings refused one by one, by code.", "code")
REQUESTS_REFUSED = _counter("requests_refused", "Requests refused as a whole, by code.", "code")
ACKNOWLEDGEMENT_SECONDS = _histogram(
    "acknowledgement_seconds", "From the request's last byte to the answer.", "door"
)
MQTT_DROPPED = _counter("mqtt_dropped", "QoS 0 messages dropped because nobody took them in time.")

# The log
LOG_MESSAGES = _gauge("log_messages", "Frames that wait in the log.")
LOG_BYTES = _gauge("log_bytes", "Bytes that wait in the log.")
WORKER_LAG_SECONDS = _gauge("worker_lag_seconds", "Age of the oldest frame that waits in the log.")

# The worker
COMMITS = _counter("commits", "Commits to the lake.")
COMMIT_SECONDS = _histogram("commit_seconds", "From the first statement of a commit to its fsync.")
SAMPLES_STORED = _counter("samples_stored", "Samples written to the lake.")
SAMPLES_REPEATED = _counter("samples_repeated", "Samples that were stored already.")
DEAD_LETTERS = _counter("dead_letters", "Readings set aside, by code.", "code")
SHIFTS_BROKEN = _counter("shifts_broken", "Times that the worker had to start anew.")

# Live
LIVE_CLIENTS = _gauge("live_clients", "WebSocket and SSE clients that are connected.")
LIVE_LAGGED = _counter("live_lagged", "Times that a client was told that it had lagged.")


def render() -> bytes:
    """All figures of this process in the text form of Prometheus."""
    return generate_latest(REGISTRY)

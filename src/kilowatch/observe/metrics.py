"""Every figure that a process counts, by name; `render` gives them as Prometheus reads them.

One place for the names, so that a figure is called the same on every page. The worker's figures have a
registry of their own: it is another process than the one that is asked, and tells them (see `workers.py`).
"""

from collections import Counter as Counted
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from kilowatch.observe.workers import Workers

REGISTRY = CollectorRegistry()
WORKERS_OWN = CollectorRegistry()
"""What a worker's process counts."""
WORKERS = Workers(WORKERS_OWN)
"""What workers have told this process."""
REGISTRY.register(WORKERS)
CONTENT_TYPE = CONTENT_TYPE_LATEST

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _counter(name: str, sentence: str, *labels: str, registry: CollectorRegistry = REGISTRY) -> Counter:
    return Counter(f"kilowatch_{name}", sentence, labels, registry=registry)


def _gauge(name: str, sentence: str, *labels: str) -> Gauge:
    return Gauge(f"kilowatch_{name}", sentence, labels, registry=REGISTRY)


def _histogram(name: str, sentence: str, *labels: str, registry: CollectorRegistry = REGISTRY) -> Histogram:
    return Histogram(f"kilowatch_{name}", sentence, labels, registry=registry, buckets=FAST)


# The doors
DEAD_LETTERS_HANDLED = _counter(
    "dead_letters_handled", "Dead letters that people replayed or discarded.", "act"
)
for _act in ("discarded", "replayed"):
    DEAD_LETTERS_HANDLED.labels(_act)
READINGS_ACCEPTED = _counter("readings_accepted", "Readings acknowledged, in the log on disk.", "door")
READINGS_REJECTED = _counter("readings_rejected", "Readings refused one by one, by code.", "door", "code")
REQUESTS_REFUSED = _counter("requests_refused", "Requests refused as a whole, by code.", "code")
TAKING_SECONDS = _histogram(
    "taking_seconds", "From decoded readings to their place in the log on disk, by message.", "door"
)
HELD_BACK_SECONDS = _gauge("held_back_seconds", "How long answers are held back, the worker being behind.")

# The inbox of devices
MQTT_MESSAGES = _gauge("mqtt_messages", "Messages of devices that wait to be put into the log.")
MQTT_OLDEST_SECONDS = _gauge("mqtt_oldest_seconds", "Age of the oldest message of a device that waits.")
MQTT_DROPPED = _counter("mqtt_dropped", "QoS 0 messages dropped because nobody took them in time.")

# The log
LOG_MESSAGES = _gauge("log_messages", "Frames that wait in the log.")
LOG_BYTES = _gauge("log_bytes", "Bytes that wait in the log.")
WORKER_LAG_SECONDS = _gauge("worker_lag_seconds", "Age of the oldest frame that waits in the log.")

# The worker
COMMITS = _counter("commits", "Commits to the lake.", registry=WORKERS_OWN)
COMMIT_SECONDS = _histogram(
    "commit_seconds", "From the first statement of a commit to its place on disk.", registry=WORKERS_OWN
)
SAMPLES_STORED = _counter("samples_stored", "Samples written to the lake.", registry=WORKERS_OWN)
SAMPLES_REPEATED = _counter("samples_repeated", "Samples that were stored already.", registry=WORKERS_OWN)
DEAD_LETTERS = _counter(
    "dead_letters", "Dead letters that the worker wrote, by code.", "code", registry=WORKERS_OWN
)
SHIFTS_BROKEN = _counter("shifts_broken", "Times that the worker had to start anew.", registry=WORKERS_OWN)
LOOKOUT_SECONDS = _counter(
    "lookout_seconds", "Processor time spent on looking at readings with rules.", registry=WORKERS_OWN
)
LOOKOUT_FAULTS = _counter(
    "lookout_faults", "Looks at readings that failed; these were stored all the same.", registry=WORKERS_OWN
)
FINDINGS = _counter(
    "findings", "What rules found: breaches that were raised or cleared.", "change", registry=WORKERS_OWN
)

# Commands
COMMANDS_SENT = _counter(
    "commands_sent", "Times that a command was sent to its device.", registry=WORKERS_OWN
)
COMMANDS_ENDED = _counter("commands_ended", "Commands that ended, by status.", "status", registry=WORKERS_OWN)
COMMAND_SECONDS = _histogram(
    "command_seconds", "From a command's place on disk to its device's answer.", registry=WORKERS_OWN
)
COMMAND_ANSWERS_REFUSED = _counter(
    "command_answers_refused",
    "Answers of devices that changed nothing: unreadable, to no command of theirs, or late.",
    "reason",
    registry=WORKERS_OWN,
)

# Notifications
DELIVERY_ATTEMPTS = _counter(
    "delivery_attempts", "Messages given to a channel, by outcome.", "outcome", registry=WORKERS_OWN
)

# Live
LIVE_CLIENTS = _gauge("live_clients", "WebSocket and SSE clients that are connected.")
LIVE_LAGGED = _counter("live_lagged", "Times that a client was told that it had lagged.")

# Health
PART_ABLE = _gauge("part_able", "1 when a part did its work as it was last asked, else 0.", "part")


def count_readings(door: str, accepted: int, rejected_codes: Iterable[str], seconds: float) -> None:
    """Counts the readings of a message that a door has taken in, which took so long."""
    if accepted:
        READINGS_ACCEPTED.labels(door).inc(accepted)
    for code, count in Counted(rejected_codes).items():
        READINGS_REJECTED.labels(door, code).inc(count)
    TAKING_SECONDS.labels(door).observe(seconds)


def render() -> bytes:
    """All figures of this process, and of the workers that it hears, in the text form of Prometheus."""
    return generate_latest(REGISTRY)

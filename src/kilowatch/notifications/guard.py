"""Where a sending thread may connect to: the internet, and not this machine or its network.

The addresses of channels are given by people, who must not reach with them what only this machine reaches
(server-side request forgery). Keeps true for every connection of a watched thread, whatever name it was
resolved from and whatever redirected it: it goes to a public address, or is refused.
"""

import contextlib
import ipaddress
import sys
import threading
from collections.abc import Iterator
from functools import lru_cache

NAT64 = ipaddress.ip_network("64:ff9b::/96")
LOCAL = tuple(map(ipaddress.ip_network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10")))
"""Of IPv6, what leads to IPv4 addresses in old or local ways, or stays in a site; Python takes them for
addresses of the internet."""
EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg", "subprocess.Popen", "os.exec")

_thread = threading.local()


class AddressRefused(OSError):
    """A watched thread wanted to connect to an address that is not public."""


def is_public(host: str) -> bool:
    """Whether an IP address is one of the internet; False for what is no IP address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        if any(address in network for network in LOCAL):
            return False
    return address.is_global and not address.is_multicast


@contextlib.contextmanager
def only_public() -> Iterator[None]:
    """Watches the calling thread."""
    _install()
    _thread.watched = True
    try:
        yield
    finally:
        _thread.watched = False


@lru_cache(maxsize=1)
def _install() -> None:
    sys.addaudithook(_check)


def _check(event: str, arguments: tuple[object, ...]) -> None:
    if not getattr(_thread, "watched", False) or event not in EVENTS:
        return
    target = arguments[1] if len(arguments) > 1 else None
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        if target is None or (isinstance(target, tuple) and target and is_public(str(target[0]))):
            return
        raise AddressRefused(f"{target[0] if isinstance(target, tuple) and target else target} is not public")
    raise AddressRefused("channels start no programs")

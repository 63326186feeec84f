"""The request that is being answered: its id and its sender's address, for whoever writes down what happens.

Keeps true that both are those of the present task's request, and empty outside of any.
"""

import ipaddress
from contextvars import ContextVar
from dataclasses import dataclass

NETWORK_BITS = 64
"""One household has an IPv6 network of this size at least."""


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Where a request came from; both None for what nobody asked for over HTTP."""

    request_id: str | None = None
    address: str | None = None

    @property
    def network(self) -> str:
        """By what senders are told apart: an IPv4 address, or the network of an IPv6 address, of which one
        sender has as many as they like. Empty for what is no address."""
        try:
            place = ipaddress.ip_address(self.address or "")
        except ValueError:
            return ""
        if place.version == 4:
            return str(place)
        mapped = place.ipv4_mapped
        return str(mapped or ipaddress.ip_network((place, NETWORK_BITS), strict=False).network_address)


NOWHERE = RequestOrigin()
ORIGIN: ContextVar[RequestOrigin] = ContextVar("origin", default=NOWHERE)

"""Whether the host of an address that somebody gives is a public one, as far as can be said beforehand.

What counts is `guard`, which watches each connection; this tells people at once instead of at the first
alert.
"""

import asyncio
import socket
from urllib.parse import urlsplit

from kilowatch.errors import Fault, Problem
from kilowatch.notifications.address import HOSTS_SHOWN, is_own_mail, kind_of
from kilowatch.notifications.guard import is_public

RESOLVED_WITHIN_S = 5.0


async def refuse_private_host(address: str) -> None:
    """Lets addresses pass whose host is public, is not known now, or is none.

    Raises:
        Problem: 422 `private_host`.
    """
    if is_own_mail(address) or kind_of(address) not in HOSTS_SHOWN:
        return
    host = urlsplit(address).hostname
    if host is None or ("." not in host and ":" not in host and kind_of(address).startswith("ntfy")):
        return  # a topic at the public ntfy.sh
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVED_WITHIN_S):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return
    if not all(is_public(str(one[4][0])) for one in found):
        detail = "The host is on this machine or a private network, which channels may not reach here."
        raise Problem(422, "private_host", detail, [Fault("private_host", detail, pointer="/address")])

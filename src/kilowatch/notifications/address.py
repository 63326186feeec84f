"""The address of a channel: any that Apprise knows, except those that would stay on this machine.

`mailto:ada@example.org` (without slashes) is the person's own mail, which this instance's mail server takes.
Keeps true: an address is never shown again but masked, and nothing that is kept or logged holds a secret
of it.
"""

import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from kilowatch.errors import Fault, Problem

LONGEST = 2000
OWN_MAIL = "mailto:"
OWN_MAIL_KIND = "mail"
SCHEME = re.compile(r"([A-Za-z0-9]{1,20})://.")
REFUSED = frozenset(
    (
        *("fcm", "vapid", "macosx", "windows", "blink1", "matrix", "matrixs"),
        *("emby", "embys", "jellyfin", "jellyfins"),
    )
)
"""Read files of this machine, keep state on it, or take their leave of a host once nothing watches any more.
What speaks another protocol than HTTP or SMTP is refused as well, because nothing watches where it connects
to."""
WITHOUT = frozenset(
    ("keyfile", "subfile", "pgp", "pgpkey", "template", "attach", "retry", "wait", "optional", "cto", "rto")
)
"""Options that read files of this machine, or take from this program the say over waiting and failing."""
HOSTS_SHOWN = frozenset(
    name + secure
    for name in ("json", "xml", "form", "mailto", "ntfy", "gotify", "mmost", "rocket", "nctalk", "apprise")
    for secure in ("", "s")
)
"""Kinds whose host is a host; in others a token may stand at its place."""
SECRET_MIN = 4

_loading = threading.Lock()


def kind_of(address: str) -> str:
    """The kind of an address that was accepted: its scheme."""
    scheme, _, _ = address.partition(":")
    return OWN_MAIL_KIND if is_own_mail(address) else scheme.lower()


def is_own_mail(address: str) -> bool:
    """Whether this instance's mail server takes what goes there."""
    return address.lower().startswith(OWN_MAIL) and not address.lower().startswith(OWN_MAIL + "//")


def own_mail_to(address: str) -> str:
    """To whom such an address is."""
    return unquote(address[len(OWN_MAIL) :]).strip().lower()


def mask(address: str) -> str:
    """The address as it may be shown: its kind, and the host where that is surely one."""
    if is_own_mail(address):
        name, _, domain = own_mail_to(address).partition("@")
        return f"{OWN_MAIL}{name[:1]}...@{domain}"
    kind = kind_of(address)
    host = _host(address) if kind in HOSTS_SHOWN else None
    return f"{kind}://{host}/..." if host and "." in host else f"{kind}://..."


def redact(text: str, address: str) -> str:
    """`text` without anything of the address that may be secret."""
    shown = _host(address) if kind_of(address) in HOSTS_SHOWN else None
    for secret in sorted(set(_parts(address)), key=len, reverse=True):
        if len(secret) >= SECRET_MIN and secret != shown:
            text = text.replace(secret, "...")
    return text


def check_address(address: str, own: str | None) -> str:
    """The address, when it may be a channel's; `own` is the mail address of whose channel it is to be. May
    take a second at first: call it in a thread.

    Raises:
        Problem: 422 `bad_address`, which says what is wrong.
    """
    if len(address) > LONGEST or not address.isprintable():
        raise _bad(f"An address is at most {LONGEST} printable characters.")
    if is_own_mail(address):
        if own is None or own_mail_to(address) != own.lower():
            raise _bad(
                "mailto:<address> is for your own address only; for others give a mail server: "
                "mailto://user:password@host?to=address."
            )
        return OWN_MAIL + own.lower()
    if not SCHEME.match(address):
        raise _bad("An address looks like ntfys://ntfy.example.org/topic; see docs/operate/notifications.md.")
    try:
        urlsplit(address)
    except ValueError as error:
        raise _bad(f"This is no address: {error}.") from error
    if taken := _options(address) & WITHOUT:
        raise _bad(f"Leave these options out: {', '.join(sorted(taken))}.")
    if find_plugin(address) is None:
        raise _bad(f"{kind_of(address)}:// is no address that Kilowatch can send to, or lacks a part.")
    return address


def find_plugin(address: str) -> Any | None:
    """What Apprise sends with to an address; None where it knows none or we refuse it."""
    if kind_of(address) in REFUSED:
        return None
    apprise = load_apprise()
    try:
        plugin = apprise.Apprise.instantiate(
            address, asset=apprise.AppriseAsset(**_ASSET), suppress_exceptions=True
        )
    except (TypeError, ValueError, AttributeError):  # some plugins stumble over odd addresses
        return None
    return plugin if plugin is not None and _is_watched(plugin) else None


_ASSET = {
    "app_id": "Kilowatch",
    "app_desc": "Kilowatch",
    "app_url": "",
    "storage_mode": "memory",
    "pgp_autogen": False,
    "secure_logging": True,
}


@lru_cache(maxsize=1)
def _apprise() -> Any:
    logger = logging.getLogger("apprise")  # it names parts of addresses, secret ones too
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it loads modules that Python is about to give up
        import apprise

        apprise.Apprise.instantiate("json://localhost")  # loads its plugins
    return apprise


def load_apprise() -> Any:
    """Apprise, loaded when it is first needed, with its log silenced: it takes a while and 40 MB."""
    with _loading:
        return _apprise()


def _is_watched(plugin: Any) -> bool:
    """Whether it speaks HTTP or SMTP in the thread that calls it, where `guard` watches."""
    modules = [sys.modules[one.__module__] for one in type(plugin).__mro__ if "plugins" in one.__module__]
    own = [module for module in modules if module.__name__ not in ("apprise.plugins.base", "apprise.url")]
    return any(hasattr(module, "requests") or hasattr(module, "smtplib") for module in own)


def _options(address: str) -> set[str]:
    """The names of its options as Apprise reads them: behind the first question mark, whatever follows a `#`
    among them, cut at `;` as well, and without blanks around."""
    parts = re.split("[&;]", address.partition("?")[2])
    names = (unquote(part.partition("=")[0]) for part in parts)
    return {name.strip().lstrip("+-:").strip().lower() for name in names}


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _parts(address: str) -> Iterator[str]:
    """Everything in an address that is not its scheme, as it stands and decoded."""
    rest = address.partition(":")[2]
    yield rest.strip("/")
    for part in re.split(r"[/?&=:@,;#]", rest):
        yield part
        yield unquote(part)


def _bad(detail: str) -> Problem:
    return Problem(422, "bad_address", detail, [Fault("bad_address", detail, pointer="/address")])

"""The headers that every HTTP answer carries for the safety of browsers, whichever room gives it.

Keeps true that a page of somebody else can neither frame, sniff nor script what this instance answers, and
that our own page loads nothing from elsewhere.
"""

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
PAGE_POLICY = POLICY | {"style-src": "'self' 'unsafe-inline'"}
"""For the shell of the web app, whose parts write styles into the page."""


def _write(policy: dict[str, str]) -> str:
    return "; ".join(f"{name} {sources}" for name, sources in policy.items())


CONTENT_SECURITY_POLICY = _write(POLICY)
PAGE_SECURITY_POLICY = _write(PAGE_POLICY)

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)

STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
"""For answers over TLS: a browser comes back in no other way for a year."""

NO_STORE = (b"cache-control", b"no-store")
"""For answers that no cache may keep."""

"""The forms that bodies come in, by Content-Type, and where credentials stand in them.

Keeps true that a body is read as what its sender called it, never guessed.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping

from kilowatch.errors import Problem
from kilowatch.ingest.batch import Batch, Limits
from kilowatch.ingest.decode_arrow import decode_arrow
from kilowatch.ingest.decode_json import decode_json, decode_ndjson
from kilowatch.ingest.directory import Known

Decode = Callable[[bytes, Limits, Known], Batch]


def decoder_of(media_type: bytes) -> Decode:
    """How to read a body of this Content-Type; one without a type counts as JSON.

    Raises:
        Problem: 415 for a form that is not taken.
    """
    decode = DECODERS.get(media_type)
    if decode is None:
        name = media_type.decode("latin-1")[:80]
        taken = "application/json, application/x-ndjson or application/vnd.apache.arrow.stream"
        raise Problem(415, "unsupported_form", f"Content-Type {name!r} is not taken; send {taken}")
    return decode


def _decode_json(body: bytes, limits: Limits, known: Known) -> Batch:
    return decode_json(body, limits, known.devices)


def _decode_ndjson(body: bytes, limits: Limits, known: Known) -> Batch:
    return decode_ndjson(body, limits, known.devices)


def _decode_arrow(body: bytes, limits: Limits, known: Known) -> Batch:
    return decode_arrow(body, limits, known.devices)


def influx_credentials(header: str, wishes: dict[str, str]) -> str:
    """The header as the authenticator takes it. Clients of version 1 put the key where a password goes: into
    Basic credentials or the parameter `p`."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            secret = b64decode(rest, validate=True).decode("latin-1").partition(":")[2]
        except ValueError:
            secret = ""
        return f"Token {secret}"
    return f"Token {wishes['p']}" if not header and wishes.get("p") else header


JSON_TYPES = frozenset((b"application/json", b"", b"text/json"))
DECODERS: Mapping[bytes, Decode] = {
    **dict.fromkeys(JSON_TYPES, _decode_json),
    b"application/x-ndjson": _decode_ndjson,
    b"application/ndjson": _decode_ndjson,
    b"application/jsonl": _decode_ndjson,
    b"application/vnd.apache.arrow.stream": _decode_arrow,
}

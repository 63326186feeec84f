"""What server and simulator say to each other about worlds: questions, answers, and what streams tell.

The simulator opens a WebSocket at `STAGE_PATH`, shows its token, says hello, and from then on answers
whatever it is asked. Messages are JSON, told apart by `type`. Between servers the same questions travel on
the subject of `ask_subject`, answers compressed.

What streams tell is numbered without a hole by the simulator that tells it, and it tells the same words again
until they are heard. So whoever listens knows a word that comes twice.
"""

from typing import Any, Literal

import msgspec

from kilowatch.wire.address import API

STAGE_PATH = f"{API}/simulation/stage"
ANYBODY = "any"
LATEST = "latest"
"""A question of servers: what each stream of an organisation told last, as a list of `StreamTold`."""
PART_LENGTH = 24_000
"""Servers take frames of 64 KiB; a piece may need twice its length as JSON."""

Frequency = Literal["high", "medium", "low"]
Flag = Literal["normal", "warning", "critical"]


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """For which organisations (UUIDs) worlds are played; None: for whichever asks."""

    organisations: list[str] | None = None


class Ask(msgspec.Struct, tag="ask", frozen=True):
    """A question or a wish of somebody who may. id: repeated in the answer; given: its arguments."""

    id: int
    organisation: str
    question: str
    given: dict[str, Any] = {}


class Answer(msgspec.Struct, tag="answer", frozen=True):
    """The answer; from status 400 on `body` has `code`, `detail` and maybe `errors`, as a problem has."""

    id: int
    status: int
    body: msgspec.Raw


class StreamTold(msgspec.Struct, frozen=True):
    """What a stream says. ts_us: when it was told, epoch microseconds UTC; `data` has the simulated time."""

    organisation: str
    stream: str
    ts_us: int
    frequency: Frequency
    flag: Flag
    data: dict[str, Any]


class Tell(msgspec.Struct, tag="tell", frozen=True):
    """What streams say, in causal order. source: who tells it; first: the number of the first of them."""

    events: list[StreamTold]
    source: str = ""
    first: int = 1


class Telling(msgspec.Struct, tag="tell", frozen=True):
    """The same as it is sent: each word is JSON already."""

    events: list[msgspec.Raw]
    source: str
    first: int


class Heard(msgspec.Struct, tag="heard", frozen=True):
    """Says that all words up to this number have been passed on."""

    until: int


class Part(msgspec.Struct, tag="part", frozen=True):
    """A piece of a message that is too long for one frame; the whole stands in the pieces up to the last."""

    text: str
    is_last: bool


FromSimulator = Hello | Answer | Tell | Part
FromServer = Ask | Heard


def ask_subject(organisation: str) -> str:
    """Where questions of an organisation are asked."""
    return f"simulation.ask.{organisation}"


def frames_of(message: Hello | Answer | Tell | Telling) -> list[str]:
    """What is to be sent for a message of the simulator, in order, with nothing between."""
    text = msgspec.json.encode(message).decode()
    if len(text) <= PART_LENGTH:
        return [text]
    starts = range(0, len(text), PART_LENGTH)
    pieces = [Part(text[at : at + PART_LENGTH], at + PART_LENGTH >= len(text)) for at in starts]
    return [msgspec.json.encode(one).decode() for one in pieces]


def decode_from_simulator(message: bytes | str) -> FromSimulator:
    """What the simulator says.

    Raises:
        msgspec.MsgspecError: if it is none of these.
    """
    said: FromSimulator = _FROM_SIMULATOR.decode(message)
    return said


def decode_from_server(message: bytes | str) -> FromServer:
    """What the server says.

    Raises:
        msgspec.MsgspecError: if it is none of these.
    """
    said: FromServer = _FROM_SERVER.decode(message)
    return said


def decode_ask(message: bytes | str) -> Ask:
    """A question.

    Raises:
        msgspec.MsgspecError: if it is none.
    """
    return _ASK.decode(message)


_FROM_SIMULATOR = msgspec.json.Decoder(FromSimulator)
_FROM_SERVER = msgspec.json.Decoder(FromServer)
_ASK = msgspec.json.Decoder(Ask)

"""Where messages go that no version of this program can read: a stream of their own, kept until looked at.

Keeps true that such a message is on disk here before it leaves the log.
"""

from kilowatch.stream.client import Client
from kilowatch.stream.log import LogMessage, ensure_stream

STREAM = "POISON"


async def keep_unreadable(client: Client, message: LogMessage, reason: str) -> None:
    """Keeps the message with the reason; a message that is kept already is not kept twice.

    Raises:
        EngineUnavailable: if the log does not answer.
    """
    await ensure_stream(
        client,
        {
            "name": STREAM,
            "subjects": ["poison.*"],
            "retention": "limits",
            "storage": "file",
            "max_bytes": 256 * 1024 * 1024,
            "discard": "old",
        },
    )
    headers = {
        "Nats-Msg-Id": f"{message.subject}-{message.sequence}",
        "Kilowatch-Reason": reason.replace("\r", " ").replace("\n", " "),
    }
    await client.request_json(f"poison.{message.sequence}", message.data, headers)

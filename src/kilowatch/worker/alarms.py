"""Where findings go: what begins and ends becomes known here.

Keeps true: `take` returns once what it was given cannot be lost any more; readings are committed after that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.stream.client import Client
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent

log = structlog.get_logger()


@dataclass(slots=True)
class Alarms:
    """Tells whoever listens live."""

    client: Client

    async def living(self) -> Sequence[Finding]:
        """What was found and is not over yet, as it is known when work begins."""
        return ()

    async def take(self, findings: Sequence[Finding], clearings: Sequence[Clearing]) -> None:
        """Takes what began and what is over.

        Raises:
            EngineUnavailable: if it cannot be told now.
        """
        for finding in findings:
            log.info("something was found", kind=finding.key.kind, alert=str(finding.alert_id))
            data: dict[str, object] = {
                "id": str(finding.alert_id),
                "status": "open",
                "severity": finding.severity,
            }
            data |= {"metric": finding.metric, "value": finding.value, "limit": finding.limit}
            await self._tell(finding.key, finding.ts_us, data)
        for clearing in clearings:
            over: dict[str, object] = {"status": "resolved", "value": clearing.value}
            await self._tell(clearing.key, clearing.ts_us, over)

    async def _tell(self, key: Key, ts_us: int, data: dict[str, object]) -> None:
        told = data | {"kind": key.kind, "rule_id": None if key.rule_id is None else str(key.rule_id)}
        event = LiveEvent(str(key.organisation_id), "alerts", ts_us, "alert", told, key.device_no)
        await self.client.publish(EVENTS_SUBJECT, event.encode())

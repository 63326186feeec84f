"""Sending over MQTT, as a gateway that speaks for all of its devices, at QoS 1.

Keeps true: of a parcel whose connection broke only those messages are sent again that nobody acknowledged. An
acknowledgement says that a message lies in the instance's inbox on disk; what is refused there becomes a dead
letter, and no publisher is told.
"""

import asyncio
import logging
from collections.abc import Iterable

import aiomqtt

from kilowatch.simulator.sending.door import Away, Find, Told, TurnedAway
from kilowatch.simulator.sending.parcel import Parcel

ACKNOWLEDGED_WITHIN_S = 10.0
UNDER_WAY_MOST = 64
REFUSED = (4, 5, 134, 135)
"""Codes of a CONNACK: bad user name or password, or not authorised."""
REFUSALS_BORNE = 20
"""So many refusals in a row are borne: while the instance starts it lets nobody in."""
_quiet = logging.getLogger(__name__)
"""The MQTT library tells of every connection that breaks; the summary tells that as well."""
_quiet.disabled = True


class MqttSender:
    """A connection that stays open, and goes where the instance is."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._mqtt: aiomqtt.Client | None = None
        self._organisation = ""
        self._refusals = 0

    async def send(self, parcel: Parcel) -> Told:
        """See `Sender`."""
        mqtt = self._mqtt or await self._connect()
        left = [place for place in range(len(parcel.messages)) if place not in parcel.done]
        try:
            async with asyncio.TaskGroup() as group:
                for lane in range(min(UNDER_WAY_MOST, len(left))):
                    group.create_task(self._publish(mqtt, parcel, left[lane::UNDER_WAY_MOST]))
        except* (aiomqtt.MqttError, OSError) as broken:
            await self.close()
            raise Away from broken
        return Told(parcel.readings)

    async def close(self) -> None:
        """Ends the connection."""
        mqtt, self._mqtt = self._mqtt, None
        if mqtt is not None:
            try:
                await mqtt.__aexit__(None, None, None)
            except aiomqtt.MqttError:
                return

    async def _publish(self, mqtt: aiomqtt.Client, parcel: Parcel, places: Iterable[int]) -> None:
        for place in places:
            device, payload = parcel.messages[place]
            await mqtt.publish(f"{self._organisation}/devices/{device}/telemetry", payload, qos=1)
            parcel.done.add(place)

    async def _connect(self) -> aiomqtt.Client:
        place = self._find()
        if place is None:
            raise Away
        if place.mqtt_port is None:
            raise TurnedAway("the instance has no MQTT door of its own; send over HTTP")
        mqtt = aiomqtt.Client(
            place.mqtt_host,
            place.mqtt_port,
            username=place.organisation,
            password=place.key,
            timeout=ACKNOWLEDGED_WITHIN_S,
            logger=_quiet,
        )
        try:
            await mqtt.__aenter__()
        except aiomqtt.MqttCodeError as error:
            self._refusals += getattr(error.rc, "value", error.rc) in REFUSED
            if self._refusals > REFUSALS_BORNE:
                raise TurnedAway(
                    f"the MQTT door refuses the key of {place.organisation!r}: {error}"
                ) from error
            raise Away from error
        except (aiomqtt.MqttError, OSError) as error:
            raise Away from error
        self._mqtt, self._organisation, self._refusals = mqtt, place.organisation, 0
        return mqtt

"""What alerts say to people: who is told, by which channel and when; and that it stops.

Keeps true: whoever may see the site or device and wants the severity is told once of each alert and severity,
however often it is said, and nobody else is; all of it stands or falls with the transaction of the alert.
What was told live is only a hint: tell the events that come back once the transaction has ended.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from kilowatch.clock import rfc3339, to_datetime, to_us
from kilowatch.ids import new_id
from kilowatch.notifications.escalation import plan
from kilowatch.notifications.preference import Place, Preferences, place
from kilowatch.notifications.severity import Severity, reaches
from kilowatch.notifications.store.audience import Audience, Listener, OpenChannel, find_audience
from kilowatch.notifications.store.deliveries import (
    NewDelivery,
    add_deliveries,
    end_deliveries,
    find_last_steps,
    resume_deliveries,
)
from kilowatch.notifications.store.escalations import (
    DueEscalation,
    NewEscalation,
    add_escalations,
    end_escalations,
    resume_escalations,
    take_escalations,
)
from kilowatch.notifications.store.notifications import NewNotification, add_notifications
from kilowatch.notifications.storm import Flow
from kilowatch.period import time_zone
from kilowatch.postgres.engine import Connection
from kilowatch.wire.live import LiveEvent

NAMESPACE = uuid.UUID("8d3f3b62-0b0e-4f0c-9d43-6d4f1f2a9c55")
TOPIC = "notifications"
ESCALATIONS_MOST = 500
KINDS_BY_WORD: Mapping[str, frozenset[str]] = {
    "email": frozenset(("mail", "mailto", "mailtos")),
    "telegram": frozenset(("tgram",)),
    "whatsapp": frozenset(("whatsapp",)),
    "sms": frozenset(("twilio", "clicksend", "d7sms", "sinch", "vonage", "msgbird", "plivo", "sns")),
    "webhook": frozenset(("json", "jsons", "xml", "xmls", "form", "forms")),
}
"""Words for several kinds of channels at once; other kinds are named as their addresses begin."""
UNZONED = "UTC"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people are to be told. site_id, device_no: where it happened, which decides who may
    know; ts_us: when; rule_channels: where the rule wants it told (ids, names, kinds of channels or words
    for these); without any, or where none of these is there any more, wherever its severity is wanted;
    looked_after: by somebody who acknowledged the alert, so that nothing is escalated."""

    organisation_id: uuid.UUID
    alert_id: uuid.UUID
    site_id: uuid.UUID | None
    severity: Severity
    title: str
    body: str
    remedy: str
    ts_us: int
    rule_channels: Sequence[str] = ()
    device_no: int | None = None
    looked_after: bool = False


@dataclass(slots=True)
class _Outgoing:
    """What one call writes."""

    notifications: list[NewNotification] = field(default_factory=list)
    deliveries: list[NewDelivery] = field(default_factory=list)
    escalations: list[NewEscalation] = field(default_factory=list)


async def tell(connection: Connection, notices: Sequence[Notice], now_us: int) -> list[LiveEvent]:
    """Writes a notification for each member whom a notice concerns, and what is to be delivered; returns the
    events to be told live after the transaction. Under the worker's role only, which sees every member."""
    if not notices:
        return []
    audience = await _find_audience(connection, notices, now_us)
    wanted: list[tuple[Notice, Listener | None, NewNotification]] = []
    for notice in notices:
        if _is_gone(notice, audience):
            continue
        wanted += [
            (notice, member, _notification(notice, member.user_id))
            for member in audience.members.get(notice.organisation_id, [])
            if _may_know(notice, member, audience) and reaches(notice.severity, member.preferences.severity)
        ]
        if _channels(notice, None, audience):
            wanted.append((notice, None, _notification(notice, None)))
    at = to_datetime(now_us)
    added = await add_notifications(connection, [one for _, _, one in wanted], at)
    out = _Outgoing()
    for notice, listener, notification in wanted:
        if notification.id not in added:
            continue
        added.discard(notification.id)  # a notice that is given twice at once is one
        out.notifications.append(notification)
        out.deliveries += [
            _delivery(notification, notice, listener, channel, audience, now_us)
            for channel in _channels(notice, listener, audience)
        ]
        if not notice.looked_after:
            out.escalations += _escalations(notification, listener, now_us)
    await add_deliveries(connection, out.deliveries, at)
    await add_escalations(connection, out.escalations)
    return [_event(one, now_us) for one in out.notifications if one.user_id is not None]


async def settle(connection: Connection, alert_ids: Collection[uuid.UUID], now_us: int) -> None:
    """Stops the escalation of alerts that were acknowledged or resolved, and what is still to be sent."""
    if alert_ids:
        await end_escalations(connection, alert_ids, to_datetime(now_us))
        await end_deliveries(connection, alert_ids, to_datetime(now_us))


async def resume(connection: Connection, alert_ids: Collection[uuid.UUID], now_us: int) -> None:
    """Goes on with what `settle` stopped, of alerts that were hidden for a time: what was not sent is due
    again, and the steps of escalations come as much later as it lasted."""
    if alert_ids:
        await resume_escalations(connection, alert_ids, to_datetime(now_us))
        await resume_deliveries(connection, alert_ids, to_datetime(now_us))


async def escalate(connection: Connection, now_us: int) -> list[LiveEvent]:
    """Takes the steps of escalations that have come; returns the events as `tell` does."""
    due = await take_escalations(connection, to_datetime(now_us), ESCALATIONS_MOST)
    if not due:
        return []
    notices = [_notice_of(one) for one in due]
    audience = await _find_audience(connection, notices, now_us)
    out = _Outgoing()
    steps: list[tuple[DueEscalation, Notice, Listener, NewNotification]] = []
    for step, notice in zip(due, notices, strict=True):
        target = step.target_id or step.user_id
        member = next(
            (one for one in audience.members.get(step.organisation_id, []) if one.user_id == target), None
        )
        if member is None or _is_gone(notice, audience) or not _may_know(notice, member, audience):
            continue
        notification = _notification(notice, member.user_id)
        steps.append((step, notice, member, notification))
    at = to_datetime(now_us)
    added = await add_notifications(connection, [one[3] for one in steps], at)
    last = await find_last_steps(connection, {one[3].id for one in steps})
    for step, notice, member, notification in steps:
        channels = audience.channels.get((notice.organisation_id, member.user_id), [])
        chosen = [one for one in channels if step.channel_id in (None, one.id)]
        for channel in chosen:
            # Several people may escalate to the same one, each with steps from 1.
            way = notification.id, channel.id
            last[way] = max(step.step, last.get(way, 0) + 1)
            out.deliveries.append(
                _delivery(notification, notice, member, channel, audience, now_us, last[way])
            )
    await add_deliveries(connection, out.deliveries, at)
    return [_event(one[3], now_us) for one in steps if one[3].id in added]


def _notice_of(due: DueEscalation) -> Notice:
    return Notice(
        due.organisation_id,
        due.alert_id,
        due.site_id,
        due.severity,
        due.title,
        due.body,
        due.remedy,
        to_us(due.happened_at),
        device_no=due.device_no,
    )


async def _find_audience(connection: Connection, notices: Sequence[Notice], now_us: int) -> Audience:
    return await find_audience(
        connection,
        {one.organisation_id for one in notices},
        {one.site_id for one in notices if one.site_id is not None},
        {one.device_no for one in notices if one.device_no is not None},
        now_us,
    )


def _is_gone(notice: Notice, audience: Audience) -> bool:
    """Whether the place was deleted meanwhile."""
    if notice.site_id is not None and notice.site_id not in audience.zones:
        return True
    return notice.device_no is not None and notice.device_no not in audience.devices


def _may_know(notice: Notice, member: Listener, audience: Audience) -> bool:
    if member.role != "customer":
        return True
    return (notice.site_id is not None and (member.user_id, notice.site_id) in audience.assigned_sites) or (
        notice.device_no is not None and (member.user_id, notice.device_no) in audience.assigned_devices
    )


def _channels(notice: Notice, member: Listener | None, audience: Audience) -> list[OpenChannel]:
    """The channels by which somebody (or the organisation) is to be told."""
    user_id = None if member is None else member.user_id
    channels = audience.channels.get((notice.organisation_id, user_id), [])
    named = set(notice.rule_channels)
    if any(named & _names(channel) for channel in audience.known.get(notice.organisation_id, [])):
        return [channel for channel in channels if named & _names(channel)]
    return [channel for channel in channels if reaches(notice.severity, channel.severity)]


def _names(channel: OpenChannel) -> set[str]:
    words = {word for word, kinds in KINDS_BY_WORD.items() if channel.kind in kinds}
    return {str(channel.id), channel.name, channel.kind, *words}


def _notification(notice: Notice, user_id: uuid.UUID | None) -> NewNotification:
    name = f"{notice.organisation_id} {notice.alert_id} {notice.severity} {user_id}"
    return NewNotification(
        uuid.uuid5(NAMESPACE, name),
        notice.organisation_id,
        user_id,
        notice.alert_id,
        notice.site_id,
        notice.device_no,
        notice.severity,
        notice.title,
        notice.body,
        notice.remedy,
        to_datetime(notice.ts_us),
    )


def _delivery(
    notification: NewNotification,
    notice: Notice,
    member: Listener | None,
    channel: OpenChannel,
    audience: Audience,
    now_us: int,
    step: int = 0,
) -> NewDelivery:
    preferences = Preferences() if member is None else member.preferences
    placed = _place(preferences, notice, channel, audience, now_us)
    return NewDelivery(
        new_id(),
        notice.organisation_id,
        notification.user_id,
        channel.id,
        notification.id,
        notice.alert_id,
        step,
        placed.bundle,
        to_datetime(placed.due_us),
    )


def _place(
    preferences: Preferences, notice: Notice, channel: OpenChannel, audience: Audience, now_us: int
) -> Place:
    zone_of_site = UNZONED if notice.site_id is None else audience.zones.get(notice.site_id, UNZONED)
    zone = time_zone(preferences.time_zone or zone_of_site)
    placed = place(preferences, notice.severity, zone, now_us)
    if placed.bundle is not None:
        return placed
    flow = audience.flows.setdefault(channel.id, Flow())
    held_until_us = flow.hold(preferences.storm, now_us)
    return placed if held_until_us is None else Place(held_until_us, "storm")


def _escalations(notification: NewNotification, member: Listener | None, now_us: int) -> list[NewEscalation]:
    if member is None:
        return []
    return [
        NewEscalation(
            notification.organisation_id,
            member.user_id,
            notification.id,
            notification.alert_id,
            planned.number,
            planned.step.channel_id,
            planned.step.user_id,
            to_datetime(planned.due_us),
        )
        for planned in plan(member.preferences.escalation, now_us)
    ]


def _event(notification: NewNotification, now_us: int) -> LiveEvent:
    return LiveEvent(
        str(notification.organisation_id),
        TOPIC,
        now_us,
        "notification",
        {
            "id": str(notification.id),
            "alert_id": str(notification.alert_id),
            "site_id": None if notification.site_id is None else str(notification.site_id),
            "severity": notification.severity,
            "title": notification.title,
            "body": notification.body,
            "remedy": notification.remedy,
            "created_at": rfc3339(now_us),
        },
        user=str(notification.user_id),
    )

"""Nobody sees, changes or deletes what belongs to another organisation: shown for every store function.

Each function is called by a stranger with the owner's own numbers and ids; it must answer as if these did
not exist, and afterwards every row of the owner is as it was. A new store function must take its place here.
"""

import inspect
import uuid
from collections.abc import Awaitable, Callable
from decimal import Decimal
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import kilowatch.rules.store as rules
import kilowatch.sites.store as sites
import kilowatch.telemetry.store as telemetry
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store import (
    api_keys,
    assignments,
    audit,
    device_tokens,
    invitations,
    members,
    organisations,
    second_factors,
    sessions,
    users,
)
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.alerts.finding import Clearing
from kilowatch.alerts.store import alerts, detectors, raising, windows
from kilowatch.clock import to_us
from kilowatch.control.command import Answer, NewCommand
from kilowatch.control.store import commands, sending, turns
from kilowatch.errors import Problem
from kilowatch.ids import new_id
from kilowatch.notifications.breaker import Breaker
from kilowatch.notifications.preference import Preferences
from kilowatch.notifications.store import (
    audience,
    channels,
    deliveries,
    escalations,
    notifications,
    preferences,
    trials,
)
from kilowatch.postgres.engine import Connection, Database
from kilowatch.postgres.schema import metadata
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.telemetry.metric import Metric
from kilowatch.telemetry.store import letters
from tests.postgres.possessions import LATER, NOW, RULE, Owned, possess


@pytest.fixture
async def owned(database: Database, organisation: Organisation, other_organisation: Organisation) -> Owned:
    return await possess(database, organisation, other_organisation)


Attempt = Callable[[Connection, Owned], Awaitable[Any]]


async def create_command(connection: Connection, owned: Owned) -> Any:
    """What becomes of one command; a refusal is raised, as it is to whoever asks."""
    line = audit.new_line("command.created", actor="nobody", organisation_id=owned.me)
    command = NewCommand(new_id(), owned.device, "toggle", {}, NOW, 60, None, "nobody", owned.myself)
    (answer,) = await commands.create_commands(connection, owned.owner.id, [command], [line])
    if isinstance(answer, Problem):
        raise answer
    return answer


# What a stranger gets: 404 or 422 as a Problem, or an answer without anything of the owner's.
ATTEMPTS: dict[str, Attempt] = {
    "members.add_member": lambda c, o: members.add_member(c, o.owner.id, o.myself, "admin"),
    "sessions.add_refresh_token": lambda c, o: sessions.add_refresh_token(
        c, o.user_id, o.session_id, "kwr_mine"
    ),
    "users.change_user": lambda c, o: users.change_user(c, o.user_id, name="Mine"),
    "api_keys.create_api_key": lambda c, o: api_keys.create_api_key(c, o.owner.id, "Mine", ["read"]),
    "organisations.create_organisation": lambda c, o: organisations.create_organisation(
        c, o.owner.id, "mine", "Mine"
    ),
    "users.create_user": lambda c, o: users.create_user(c, o.user_id, "me@example.org", "Me", "hash"),
    "sessions.end_sessions": lambda c, o: sessions.end_sessions(c, o.user_id),
    "second_factors.begin_second_factor": lambda c, o: second_factors.begin_second_factor(
        c, o.user_id, b"mine"
    ),
    "second_factors.confirm_second_factor": lambda c, o: second_factors.confirm_second_factor(
        c, o.user_id, ["mine"]
    ),
    "second_factors.count_recovery_codes": lambda c, o: second_factors.count_recovery_codes(c, o.user_id),
    "second_factors.find_second_factor": lambda c, o: second_factors.find_second_factor(c, o.user_id),
    "second_factors.has_second_factor": lambda c, o: second_factors.has_second_factor(c, o.user_id),
    "second_factors.remove_second_factor": lambda c, o: second_factors.remove_second_factor(c, o.user_id),
    "second_factors.use_recovery_code": lambda c, o: second_factors.use_recovery_code(c, o.user_id, "code"),
    "second_factors.use_step": lambda c, o: second_factors.use_step(c, o.user_id, 1),
    "audit.has_signed_in": lambda c, o: audit.has_signed_in(c, o.user_id, "192.0.2.1"),
    "assignments.assign_device": lambda c, o: assignments.assign_device(c, o.owner.id, o.user_id, o.device),
    "assignments.assign_site": lambda c, o: assignments.assign_site(c, o.owner.id, o.user_id, o.site_id),
    "assignments.list_assignments": lambda c, o: assignments.list_assignments(c, o.user_id),
    "assignments.withdraw_device": lambda c, o: assignments.withdraw_device(
        c, o.owner.id, o.user_id, o.device
    ),
    "assignments.withdraw_site": lambda c, o: assignments.withdraw_site(c, o.owner.id, o.user_id, o.site_id),
    "invitations.find_invitation": lambda c, _: invitations.find_invitation(c, email="x@example.org"),
    "invitations.invite": lambda c, o: invitations.invite(
        c, o.owner.id, "me@example.org", "admin", invited_by=o.myself
    ),
    "invitations.list_invitations": lambda c, _: invitations.list_invitations(c),
    "invitations.list_own_invitations": lambda c, _: invitations.list_own_invitations(c),
    "invitations.withdraw_beyond": lambda c, o: invitations.withdraw_beyond(c, o.user_id, None),
    "invitations.use_invitation": lambda c, o: invitations.use_invitation(c, o.user_id),
    "members.change_member": lambda c, o: members.change_member(c, o.owner.id, o.user_id, role="viewer"),
    "members.count_admin_places": lambda c, o: members.count_admin_places(c, o.user_id),
    "members.get_member": lambda c, o: members.get_member(c, o.user_id),
    "members.is_member": lambda c, o: members.is_member(c, f"{o.user_id.hex}@example.org"),
    "members.list_members": lambda c, _: members.list_members(c),
    "members.remove_member": lambda c, o: members.remove_member(c, o.owner.id, o.user_id),
    "organisations.delete_organisation": lambda c, o: organisations.delete_organisation(c, o.owner.id),
    "organisations.is_there": lambda c, o: organisations.is_there(c, o.owner.id),
    "organisations.lock_organisation": lambda c, o: organisations.lock_organisation(c, o.owner.id),
    "organisations.update_organisation": lambda c, o: organisations.update_organisation(
        c, o.owner.id, {"name": "Mine"}
    ),
    "users.disable": lambda c, o: users.disable(c, o.user_id),
    "users.forget_person": lambda c, _: users.forget_person(c),
    "users.list_users": lambda c, o: users.list_users(c, o.owner.slug),
    "users.lock_user": lambda c, o: users.lock_user(c, o.user_id),
    "audit.list_audit_log": lambda c, _: audit.list_audit_log(c),
    "audit.record": lambda c, o: audit.record(c, "thing.mine", actor="nobody", organisation_id=o.owner.id),
    "audit.record_by": lambda c, o: audit.record_by(
        c, Caller(o.owner.id, "mine", 0, frozenset(), False), "thing.mine"
    ),
    "api_keys.find_key_owners": lambda c, o: api_keys.find_key_owners(c, [o.key_no]),
    "organisations.get_organisation": lambda c, o: organisations.get_organisation(c, o.owner.id),
    "users.get_user": lambda c, o: users.get_user(c, o.user_id),
    "users.drop_code": lambda c, o: users.drop_code(c, o.user_id, "verify", "123456"),
    "users.has_young_code": lambda c, o: users.has_young_code(c, o.user_id, "verify"),
    "users.drop_codes": lambda c, o: users.drop_codes(c, o.user_id),
    "users.verify_user": lambda c, o: users.verify_user(c, o.user_id),
    "users.has_code": lambda c, o: users.has_code(c, o.user_id, "verify"),
    "sessions.is_session_open": lambda c, o: sessions.is_session_open(c, o.session_id),
    "api_keys.list_api_keys": lambda c, _: api_keys.list_api_keys(c),
    "members.list_memberships": lambda c, _: members.list_memberships(c),
    "organisations.list_organisations": lambda c, _: organisations.list_organisations(c),
    "api_keys.delete_api_key": lambda c, o: api_keys.delete_api_key(c, o.key_no),
    "api_keys.revoke_api_key": lambda c, o: api_keys.revoke_api_key(c, o.key_id),
    "users.set_code": lambda c, o: users.set_code(c, o.user_id, "reset", "654321"),
    "sessions.start_session": lambda c, o: sessions.start_session(c, o.user_id, new_id(), 30, "kwr_mine"),
    "users.use_code": lambda c, o: users.use_code(c, o.user_id, "verify", "123456"),
    "sessions.use_refresh_token": lambda c, o: sessions.use_refresh_token(c, o.token),
    "device_tokens.end_device_token": lambda c, o: device_tokens.end_device_token(c, o.device),
    "device_tokens.ensure_counting_key": lambda c, o: device_tokens.ensure_counting_key(c, o.owner.id, "K"),
    "device_tokens.find_good_keys": lambda c, o: device_tokens.find_good_keys(c, [o.key_no]),
    "device_tokens.find_good_tokens": lambda c, o: device_tokens.find_good_tokens(c, [o.device]),
    "device_tokens.make_device_token": lambda c, o: device_tokens.make_device_token(c, o.device),
    "rules.archive_rule": lambda c, o: rules.archive_rule(c, o.rule_id),
    "rules.check_rule": lambda c, o: rules.check_rule(
        c, o.owner.id, {**rules.DEFAULTS, **RULE, "site_id": o.site_id}
    ),
    "rules.create_rule": lambda c, o: rules.create_rule(c, o.owner.id, RULE),
    "rules.get_rule": lambda c, o: rules.get_rule(c, o.rule_id),
    "rules.list_rules": lambda c, _: rules.list_rules(c),
    "rules.list_watched": lambda c, o: rules.list_watched(
        c, o.owner.id, {**rules.DEFAULTS, "device_no": o.device_no}, 10
    ),
    "rules.update_rule": lambda c, o: rules.update_rule(c, o.rule_id, {"name": "Mine"}),
    "audience.find_audience": lambda c, o: audience.find_audience(
        c, [o.owner.id], [o.site_id], [o.device_no], 0
    ),
    "channels.change_channel": lambda c, o: channels.change_channel(
        c, o.channel_id, {"name": "Mine", "enabled": False}, NOW
    ),
    "channels.create_channel": lambda c, o: channels.create_channel(
        c,
        channels.NewChannel(new_id(), o.owner.id, o.user_id, "Mine", "json", b"", "", "low", True),
    ),
    "channels.delete_channel": lambda c, o: channels.delete_channel(c, o.channel_id),
    "channels.find_address": lambda c, o: channels.find_address(c, o.channel_id),
    "channels.get_channel": lambda c, o: channels.get_channel(c, o.channel_id),
    "channels.list_channels": lambda c, _: channels.list_channels(c),
    "channels.set_breaker": lambda c, o: channels.set_breaker(c, o.channel_id, Breaker(3)),
    "deliveries.add_deliveries": lambda c, o: deliveries.add_deliveries(
        c,
        [
            deliveries.NewDelivery(
                new_id(), o.owner.id, o.user_id, o.channel_id, o.notification_id, o.alert_id, 1, None, NOW
            )
        ],
        NOW,
    ),
    "trials.add_trial": lambda c, o: trials.add_trial(c, o.channel_id, NOW),
    "deliveries.end_deliveries": lambda c, o: deliveries.end_deliveries(c, [o.alert_id], NOW),
    "trials.end_trial": lambda c, o: trials.end_trial(c, o.delivery_id, True, "", NOW),
    "deliveries.find_last_steps": lambda c, o: deliveries.find_last_steps(c, [o.notification_id]),
    "deliveries.forget_deliveries": lambda c, _: deliveries.forget_deliveries(c, LATER),
    "deliveries.list_deliveries": lambda c, o: deliveries.list_deliveries(c, o.channel_id),
    "deliveries.list_due_channels": lambda c, _: deliveries.list_due_channels(c, LATER, [], 10),
    "deliveries.note_outcome": lambda c, o: deliveries.note_outcome(
        c, {o.delivery_id: 1}, ok=False, detail="", now_us=0
    ),
    "deliveries.resume_deliveries": lambda c, o: deliveries.resume_deliveries(c, [o.alert_id], NOW),
    "deliveries.take_parcel": lambda c, o: deliveries.take_parcel(c, o.channel_id, LATER, LATER),
    "escalations.add_escalations": lambda c, o: escalations.add_escalations(
        c,
        [
            escalations.NewEscalation(
                o.owner.id, o.user_id, o.notification_id, o.alert_id, 1, None, o.myself, NOW
            )
        ],
    ),
    "escalations.end_escalations": lambda c, o: escalations.end_escalations(c, [o.alert_id], NOW),
    "escalations.resume_escalations": lambda c, o: escalations.resume_escalations(c, [o.alert_id], NOW),
    "escalations.take_escalations": lambda c, _: escalations.take_escalations(c, LATER, 10),
    "notifications.add_notifications": lambda c, o: notifications.add_notifications(
        c,
        [
            notifications.NewNotification(
                new_id(), o.owner.id, o.user_id, o.alert_id, None, None, "low", "Mine", "", "", NOW
            )
        ],
        NOW,
    ),
    "notifications.count_unread": lambda c, o: notifications.count_unread(c, o.user_id),
    "notifications.dismiss": lambda c, o: notifications.dismiss(c, o.user_id, o.notification_id, NOW),
    "notifications.forget_notifications": lambda c, _: notifications.forget_notifications(c, LATER),
    "notifications.list_notifications": lambda c, o: notifications.list_notifications(c, o.user_id),
    "notifications.mark_all_read": lambda c, o: notifications.mark_all_read(c, o.user_id, NOW),
    "notifications.mark_read": lambda c, o: notifications.mark_read(c, o.user_id, o.notification_id, NOW),
    "preferences.get_preferences": lambda c, o: preferences.get_preferences(c, o.owner.id, o.user_id),
    "preferences.set_preferences": lambda c, o: preferences.set_preferences(
        c, o.owner.id, o.user_id, Preferences("high")
    ),
    "sites.create_device": lambda c, o: sites.create_device(c, o.me, "D1", o.site_id),
    "sites.create_organisation_with_home": lambda c, o: sites.create_organisation_with_home(
        c, o.owner.id, "mine", "Mine"
    ),
    "sites.create_site": lambda c, o: sites.create_site(c, o.owner.id, "home", "Mine"),
    "sites.delete_device": lambda c, o: sites.delete_device(c, o.device),
    "sites.delete_site": lambda c, o: sites.delete_site(c, o.site_id),
    "sites.find_devices": lambda c, o: sites.find_devices(c, o.owner.id, [o.device]),
    "sites.get_device": lambda c, o: sites.get_device(c, o.device),
    "sites.get_site": lambda c, o: sites.get_site(c, o.site_id),
    "sites.list_devices": lambda c, _: sites.list_devices(c),
    "sites.list_sites": lambda c, _: sites.list_sites(c),
    "sites.lock_sites": lambda c, o: sites.lock_sites(c, o.owner.id),
    "sites.set_demo_key": lambda c, o: sites.set_demo_key(c, o.site_id, o.key_no),
    "sites.register_devices": lambda c, o: sites.register_devices(c, o.owner.id, [o.device, "mine"]),
    "sites.set_state": lambda c, o: sites.set_state(c, o.device, "off"),
    "sites.update_device": lambda c, o: sites.update_device(c, o.device, {"name": "Mine"}),
    "sites.update_site": lambda c, o: sites.update_site(c, o.site_id, {"name": "Mine"}),
    "audit.record_lines": lambda c, o: audit.record_lines(
        c, [audit.new_line("thing.mine", actor="nobody", organisation_id=o.owner.id)]
    ),
    "commands.cancel_command": lambda c, o: commands.cancel_command(c, o.command_id, LATER),
    "commands.create_commands": create_command,
    "sending.forget_commands": lambda c, _: sending.forget_commands(c, LATER, 10),
    "sending.deliver": lambda c, _: sending.deliver(c, NOW, 10),
    "commands.get_command": lambda c, o: commands.get_command(c, o.command_id),
    "commands.list_commands": lambda c, _: commands.list_commands(c),
    "sending.next_due": lambda c, _: sending.next_due(c),
    "sending.settle": lambda c, o: sending.settle(
        c, [Answer(o.owner.slug, o.device, o.command_id, True, None)], LATER, 10
    ),
    "turns.end_commands": lambda c, o: turns.end_commands(
        c, "cancel", LATER, "c.id = :id", {"id": o.command_id}
    ),
    "turns.lock_devices": lambda c, o: turns.lock_devices(c, [o.device_no]),
    "turns.pass_turns": lambda c, o: turns.pass_turns(c, [o.device_no], LATER),
    "alerts.acknowledge_alert": lambda c, o: alerts.acknowledge_alert(c, o.alert_id, "me", NOW),
    "alerts.add_comment": lambda c, o: alerts.add_comment(c, o.alert_id, "me", NOW, "mine"),
    "alerts.count_alerts": lambda c, _: alerts.count_alerts(c, alerts.Wanted()),
    "alerts.find_alerts": lambda c, o: alerts.find_alerts(c, [o.alert_id]),
    "alerts.find_rule_channels": lambda c, o: alerts.find_rule_channels(c, [o.rule_id]),
    "alerts.get_alert": lambda c, o: alerts.get_alert(c, o.alert_id),
    "alerts.lift_alert": lambda c, o: alerts.lift_alert(c, o.alert_id),
    "alerts.list_alerts": lambda c, _: alerts.list_alerts(c, alerts.Wanted()),
    "alerts.list_comments": lambda c, o: alerts.list_comments(c, o.alert_id),
    "alerts.resolve_alert": lambda c, o: alerts.resolve_alert(c, o.alert_id, "me", NOW),
    "alerts.suppress_alert": lambda c, o: alerts.suppress_alert(c, o.alert_id, "me", NOW, None),
    "raising.clear_alerts": lambda c, o: raising.clear_alerts(
        c, [Clearing(o.key, to_us(LATER))], to_us(LATER)
    ),
    "raising.hide_alerts": lambda c, _: raising.hide_alerts(c, 0, to_us(LATER)),
    "raising.lift_alerts": lambda c, _: raising.lift_alerts(c, to_us(LATER)),
    "raising.list_dismissed": lambda c, _: raising.list_dismissed(c, ["spike"], to_us(LATER)),
    "raising.list_living": lambda c, _: raising.list_living(c, ["spike"]),
    "raising.list_resting": lambda c, _: raising.list_resting(c, to_us(LATER)),
    "raising.raise_alerts": lambda c, o: raising.raise_alerts(
        c, [o.finding(to_us(LATER))], to_us(LATER), Decimal(1)
    ),
    "windows.list_hidden": lambda c, o: windows.list_hidden(c, o.window_id),
    "windows.apply_window": lambda c, o: windows.apply_window(c, o.window_id, LATER),
    "windows.create_window": lambda c, o: windows.create_window(
        c, o.me, "me", NOW, starts_at=NOW, ends_at=LATER, device=o.device
    ),
    "windows.delete_window": lambda c, o: windows.delete_window(c, o.window_id, NOW),
    "windows.get_window": lambda c, o: windows.get_window(c, o.window_id),
    "windows.list_windows": lambda c, _: windows.list_windows(c),
    "windows.update_window": lambda c, o: windows.update_window(c, o.window_id, {"reason": "mine"}, NOW),
    "detectors.keep_pauses": lambda c, o: detectors.keep_pauses(c, np.array([o.device_no]), np.array([7])),
    "detectors.keep_profiles": lambda c, o: detectors.keep_profiles(
        c, np.array([o.device_no]), np.zeros((1, 24)), np.zeros((1, 24)), 0
    ),
    "detectors.list_profiles": lambda c, _: detectors.list_profiles(c, 1, [0]),
    "detectors.list_settings": lambda c, _: detectors.list_settings(c),
    "detectors.set_detector": lambda c, o: detectors.set_detector(
        c, o.owner.id, None, "spike", {"is_on": True}
    ),
    "telemetry.change_metric": lambda c, o: telemetry.change_metric(c, o.owner.id, Metric("power", "kW")),
    "letters.count_dead_letters": lambda c, o: letters.count_dead_letters(c, o.device, NOW),
    "telemetry.define_metrics": lambda c, o: telemetry.define_metrics(c, o.owner.id, [Metric("mine")]),
    "letters.discard_dead_letters": lambda c, o: letters.discard_dead_letters(c, 10, device=o.device),
    "letters.summarise_dead_letters": lambda c, _: letters.summarise_dead_letters(c),
    "letters.delete_dead_letter": lambda c, o: letters.delete_dead_letter(c, o.letter_id),
    "telemetry.device_sources": lambda c, o: telemetry.device_sources(c, [o.device_no]),
    "telemetry.ensure_metrics": lambda c, o: telemetry.ensure_metrics(c, o.owner.id, ["voltage"]),
    "telemetry.ensure_series": lambda c, o: telemetry.ensure_series(c, [o.device_no], [o.metric_no]),
    "telemetry.find_metrics": lambda c, o: telemetry.find_metrics(c, o.owner.id),
    "telemetry.find_response": lambda c, o: telemetry.find_response(c, o.key_no, "request"),
    "telemetry.forget_responses": lambda c, _: telemetry.forget_responses(c, LATER),
    "letters.get_dead_letter": lambda c, o: letters.get_dead_letter(c, o.letter_id),
    "letters.keep_dead_letters": lambda c, o: letters.keep_dead_letters(
        c, [NewDeadLetter(o.owner.id, o.device, "http", "conflict", "", {}, NOW)]
    ),
    "letters.list_dead_letters": lambda c, _: letters.list_dead_letters(c),
    "telemetry.list_series": lambda c, o: telemetry.list_series(c, [o.device_no]),
    "letters.mark_replayed": lambda c, o: letters.mark_replayed(c, o.letter_id),
    "telemetry.remember_response": lambda c, o: telemetry.remember_response(
        c, o.me, o.key_no, "request", b"mine", {}
    ),
}
ROOMS = (
    letters,
    alerts, api_keys, assignments, audience, audit, channels, commands, deliveries, detectors, device_tokens,
    escalations, invitations, members, notifications, organisations, preferences, raising, second_factors,
    sending, sessions, trials, turns, users, windows,
)  # fmt: skip
# Made to look before organisation or person is known; each needs the hash, the exact slug, the address or the
# secret that keys were derived from.
LOOK_UPS = {
    "api_keys.find_api_key",
    "device_tokens.find_device_login",
    "device_tokens.find_device_token",
    "organisations.find_organisation",
    "sites.list_demo_devices",
    "sessions.find_refresh_token",
    "users.find_user",
}


def store_functions(*rooms: ModuleType) -> set[str]:
    return {
        f"{room.__name__.removesuffix('.store').rpartition('.')[2]}.{name}"
        for room in rooms
        for name, function in inspect.getmembers(room, inspect.iscoroutinefunction)
        if function.__module__ == room.__name__ and not name.startswith("_")
    }


def test_every_store_function_has_its_attempt() -> None:
    assert store_functions(*ROOMS, rules, sites, telemetry) == set(ATTEMPTS) | LOOK_UPS


async def rows_of(worker: Database, owner: uuid.UUID) -> dict[str, list[str]]:
    """Every row of an organisation, as text, by table."""
    async with worker.scope(owner) as connection:
        return {
            table.name: sorted(
                (await connection.execute(text(f"SELECT t::text FROM {table.fullname} t"))).scalars()  # noqa: S608
            )
            for table in metadata.sorted_tables
        }


async def answer_to(database: Database, attempt: Attempt, owned: Owned) -> str:
    """What the stranger gets, as text; a refusal must be one that says "not there" or "not allowed"."""
    try:
        async with database.person(owned.myself, owned.me) as connection:
            return repr(await attempt(connection, owned))
    except Problem as refused:
        return "" if refused.status in (404, 409, 422) else f"unexpected: {refused}"
    except DBAPIError as refused:
        expected = "row-level security" in str(refused) or "foreign key" in str(refused)
        return "" if expected else f"unexpected: {refused}"


@pytest.mark.parametrize("name", sorted(ATTEMPTS))
async def test_a_stranger_gets_and_changes_nothing(
    database: Database, worker_database: Database, owned: Owned, name: str
) -> None:
    before = await rows_of(worker_database, owned.owner.id)
    assert all(before[table.name] for table in metadata.sorted_tables), "the owner has one of everything"
    shown = await answer_to(database, ATTEMPTS[name], owned)
    ids = (owned.owner.id, owned.site_id, owned.key_id, owned.letter_id, owned.user_id, owned.command_id)
    told = (owned.alert_id, owned.window_id, "secret-comment", f"device_no={owned.device_no}")
    sent = (owned.notification_id, owned.channel_id, owned.delivery_id)
    for secret in (*ids, *told, *sent, owned.device, owned.rule_id, owned.session_id, "unexpected", "True"):
        assert str(secret) not in shown
    assert await rows_of(worker_database, owned.owner.id) == before

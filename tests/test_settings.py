"""Settings: what a production start refuses, all at once, and what is no value at all."""

import secrets
from typing import Any

import pytest

from kilowatch.errors import StartRefused
from kilowatch.settings import load_settings, refuse_insecure
from tests.cli.conftest import run_kw

SAFE: dict[str, Any] = {
    "env": "production",
    "token_key": secrets.token_hex(32),
    "smtp_url": "smtps://kw:Zq8vN3xT@mail.example.org:465",
    "mail_from": "Kilowatch <kw@example.org>",
}
UNSAFE = [
    ("KILOWATCH_TOKEN_KEY", {"token_key": None}),
    ("KILOWATCH_TOKEN_KEY", {"token_key": "change-me-change-me-change-me-change-me"}),
    ("KILOWATCH_TOKEN_KEY", {"token_key": "k" * 40}),
    ("KILOWATCH_SIMULATOR_KEY", {"simulator_key": "change-me-change-me-change-me-change-me"}),
    ("KILOWATCH_MQTT_SYSTEM_URL", {"mqtt_system_url": "nats://sys:sys@n1:4222"}),
    ("KILOWATCH_SMTP_URL", {"smtp_url": None}),
    ("KILOWATCH_SMTP_URL", {"smtp_url": "smtp://kw:password@mail.example.org"}),
    ("KILOWATCH_MAIL_FROM", {"mail_from": None}),
    ("KILOWATCH_POSTGRES_URL", {"postgres_url": "postgresql://postgres:postgres@db/kw"}),
    ("KILOWATCH_POSTGRES_URL", {"postgres_url": "postgresql://owner:ChangeMe@db/kw"}),
    ("KILOWATCH_POSTGRES_APP_URL", {"postgres_app_url": "postgresql://app:app@db/kw"}),
    ("KILOWATCH_NATS_URL", {"nats_url": "nats://a:Zq8vN3xT@n1:4222,nats://a:kilowatch@n2:4222"}),
    ("KILOWATCH_MQTT_NATS_URL", {"mqtt_nats_url": "nats://a:@n1:4222"}),
    ("KILOWATCH_CORS_ORIGINS", {"cors_origins": "*"}),
]


def test_safe_settings_start() -> None:
    refuse_insecure(load_settings(**SAFE))
    external = {"postgres_url": "postgresql://o:Zq8vN3xT@db/kw", "nats_url": "nats://n:Zq8vN3xT@n:4222"}
    refuse_insecure(load_settings(**SAFE, **external, cors_origins="https://app.example.org"))


@pytest.mark.parametrize(("name", "changed"), UNSAFE)
def test_production_refuses_and_says_which(name: str, changed: dict[str, Any]) -> None:
    with pytest.raises(StartRefused) as refused:
        refuse_insecure(load_settings(**{**SAFE, **changed}))
    assert name in str(refused.value)
    assert str(refused.value).count("\n") == 1
    for value in changed.values():
        assert value is None or value == "*" or value not in str(refused.value)
    refuse_insecure(load_settings(**{**SAFE, **changed, "env": "development"}))


def test_production_tells_all_at_once_and_refuses_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILOWATCH_ENV", "production")
    with pytest.raises(StartRefused) as refused:
        refuse_insecure(load_settings(), demo=True)
    for name in ("--demo", "KILOWATCH_TOKEN_KEY", "KILOWATCH_SMTP_URL", "KILOWATCH_MAIL_FROM"):
        assert name in str(refused.value)


@pytest.mark.parametrize("command", [["up"], ["serve"], ["ingest"], ["worker"], ["jobs"]])
def test_no_process_starts_unsafe_in_production(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILOWATCH_ENV", "production")
    monkeypatch.setenv("KILOWATCH_PORT", "0")
    refused = run_kw(*command)
    assert refused.returncode == 1
    assert "KILOWATCH_TOKEN_KEY" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_key", "short"),
        ("smtp_url", "mail.example.org"),
        ("smtp_url", "http://mail.example.org"),
        ("mail_from", "nobody"),
        ("mail_from", "Eve <eve@example.org>\nBcc: all@example.org"),
        ("trusted_proxies", "10.0.0.0/8,the proxy"),
        ("cors_origins", "https://example.org/path"),
        ("cors_origins", "example.org"),
        ("login_tries", "0"),
    ],
)
def test_what_is_no_value_is_named(name: str, value: str) -> None:
    with pytest.raises(StartRefused, match=f"KILOWATCH_{name.upper()}"):
        load_settings(**{name: value})


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILOWATCH_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")
    monkeypatch.setenv("KILOWATCH_CORS_ORIGINS", "")
    settings = load_settings()
    assert settings.trusted_proxies == ("127.0.0.1", "10.0.0.0/8")
    assert settings.cors_origins == ()

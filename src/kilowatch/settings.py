"""Every setting of an instance: its name, default, unit and one sentence.

Built by the process that starts (never at import) from environment variables `KILOWATCH_*`; a wrong value
is refused at start with all problems at once. Holds values only: nothing here opens, creates or connects.
"""

import ipaddress
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kilowatch.errors import StartRefused

Places = Annotated[tuple[str, ...], NoDecode]
"""Several texts, with commas between."""
Port = Annotated[int, Field(ge=0, le=65_535)]
MIB = 1024 * 1024
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
SMTP = re.compile(r"smtps?://([^\s/@]+@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?/?")
SENDER = re.compile(r"([^<>@\r\n]*<)?[^\s<>@]+@[^\s<>@]+>?")


class Settings(BaseSettings):
    """All settings, one environment variable each: `KILOWATCH_` and the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix="KILOWATCH_", extra="ignore", frozen=True)

    # Where things are
    data: Path = Field(Path("data"), description="Folder that holds everything an instance keeps.")
    host: str = Field("127.0.0.1", description="Address the HTTP server listens on.")
    port: Port = Field(8000, description="Port of the HTTP server; 0 takes any free one.")
    mqtt_host: str = Field("127.0.0.1", description="Address the MQTT door listens on, without encryption.")
    mqtt_port: Port = Field(1883, description="Port of the MQTT door; 0 takes any free one.")
    postgres_url: SecretStr | None = Field(
        None, description="An external PostgreSQL (owner's login); without it an embedded one is started."
    )
    postgres_app_url: SecretStr | None = Field(
        None, description="Login of the application role; without it the owner's login takes that role."
    )
    nats_url: SecretStr | None = Field(
        None, description="An external NATS; without it an embedded one is started."
    )
    mqtt_nats_url: SecretStr | None = Field(
        None, description="The external NATS that serves MQTT, where it is not the one that keeps the log."
    )
    mqtt_system_url: SecretStr | None = Field(
        None, description="Login to that NATS's system account; with it, logins of devices are decided here."
    )
    mqtt_issuer_seed: SecretStr | None = Field(
        None,
        description="Seed of the account key (SA...) that answers to logins are signed with; "
        "without it one is made in the data folder.",
    )
    lake_path: str | None = Field(
        None, description="Folder or s3:// address of the Parquet files; without it `<data>/lake`."
    )
    worlds: Path | None = Field(
        None, description="Folder of worlds of your own for the simulator; without it `<data>/worlds`."
    )
    env: Literal["development", "production"] = Field(
        "development", description="A production start refuses insecure defaults."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line that is written."
    )

    # People
    token_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Key that signs access tokens; without it one is made in the data folder.",
    )
    simulator_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Secret between server and simulator; without it one is made in the data folder.",
    )
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server, smtp(s)://user:password@host:port; without it mail is kept as files.",
    )
    mail_from: str = Field("Kilowatch <kilowatch@localhost>", description="Sender of the mail to people.")
    notify_private_hosts: bool = Field(
        False, description="Whether channels of notifications may reach this machine and private networks."
    )
    session_days: int = Field(30, ge=1, le=366, description="How long somebody stays signed in, in days.")
    login_tries: int = Field(
        10,
        ge=1,
        description="Wrong passwords and codes per account and address in 15 minutes, then it waits.",
    )
    price_per_kwh: Decimal = Field(
        Decimal("0.30"),
        ge=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="What a kWh costs at sites that say nothing of it, in the site's currency.",
    )

    # Who may ask, and how often
    user_requests_per_minute: int = Field(
        100, ge=0, description="Requests of one person, or of one address without credentials; 0: any number."
    )
    key_requests_per_minute: int = Field(
        6_000, ge=0, description="Requests of one API key, readings that come in not counted; 0: any number."
    )
    auth_requests_per_minute: int = Field(
        20,
        ge=0,
        description="Requests to /auth for one account from one address, ten times as many for all accounts;"
        " 0: any number.",
    )
    trusted_proxies: Places = Field(
        (),
        description="Addresses or networks (10.0.0.0/8) whose X-Forwarded-For and -Proto count, with commas.",
    )
    cors_origins: Places = Field(
        (), description="Other sites (https://example.org) whose pages may use the API, with commas."
    )

    # The doors
    body_max_bytes: int = Field(32 * MIB, ge=1024, description="Largest request body, in bytes, unpacked.")
    gather_ms: float = Field(
        3.0, ge=0, le=1000, description="How long single readings wait for company, in ms."
    )
    reading_max_metrics: int = Field(256, ge=1, description="Most metrics that one reading may carry.")
    too_old_days: int = Field(3660, ge=1, description="Readings older than this many days are refused.")
    in_future_s: int = Field(
        600, ge=0, description="Readings further ahead than this many seconds are refused."
    )
    disk_full_percent: float = Field(
        95.0, gt=0, le=100, description="From this much disk in use on, readings are refused."
    )
    idempotency_hours: int = Field(
        24, ge=1, description="How long an Idempotency-Key is remembered, in hours."
    )

    # The log and the worker
    partitions: int = Field(
        1, ge=1, le=256, description="Partitions of the log; each has one worker at a time."
    )
    log_max_bytes: int = Field(4096 * MIB, ge=16 * MIB, description="Most bytes that wait in the log.")
    lag_max_s: float = Field(
        60.0, gt=0, description="Readings are refused while the worker is this far behind, in s."
    )
    commit_s: float = Field(1.0, gt=0, le=60, description="Longest time between commits to the lake, in s.")
    commit_rows: int = Field(
        1_000_000, ge=1000, description="Readings after which a commit does not wait longer."
    )
    gap_max_s: int = Field(
        3600, ge=1, description="Power is not integrated over gaps longer than this many seconds."
    )

    # The lake's upkeep
    snapshot_keep_minutes: int = Field(
        60, ge=1, description="How long superseded lake snapshots are kept, in minutes."
    )
    query_threads: int = Field(
        2, ge=1, le=256, description="Threads that one process uses for queries of the lake."
    )
    lake_memory_mb: int = Field(
        1024, ge=64, description="Memory that one process may use for the lake, in MB."
    )

    @field_validator("trusted_proxies", "cors_origins", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return (
            [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given
        )

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for place in given:
            ipaddress.ip_network(place)
        return given

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for origin in given:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin; one looks like https://example.org")
        return given

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not SMTP.fullmatch(given.get_secret_value()):
            raise ValueError("an address of a mail server looks like smtps://user:password@host:465")
        return given

    @field_validator("mail_from")
    @classmethod
    def _check_sender(cls, given: str) -> str:
        if not SENDER.fullmatch(given):
            raise ValueError("a sender looks like Name <name@example.org>")
        return given

    @property
    def lake_folder(self) -> str:
        """Where the Parquet files lie: a folder or an `s3://` address."""
        return self.lake_path or str(self.data.absolute() / "lake")

    @property
    def worlds_folder(self) -> Path:
        """Where worlds of one's own lie, each in a folder of its own; it need not be there."""
        return (self.worlds or self.data / "worlds").absolute()


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment; `overrides` (from command-line options) win where they are not None.

    Raises:
        StartRefused: with every wrong setting, one a line.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"KILOWATCH_{'_'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise StartRefused("These settings are wrong:\n  " + "\n  ".join(lines)) from error


def refuse_insecure(settings: Settings, *, demo: bool = False) -> None:
    """Lets nothing start in production with a secret that everybody knows, or none.

    Raises:
        StartRefused: with every insecure setting, one a line.
    """
    if settings.env == "production" and (lines := list(_insecure(settings, demo))):
        raise StartRefused("These settings are not safe in production:\n  " + "\n  ".join(lines))


WELL_KNOWN = re.compile(
    "admin|change-?me|default|example|guest|kilowatch|letmein|minioadmin|nats|pass|passwd|password|postgres"
    "|root|secret|test|user|123456|12345678|",
    re.IGNORECASE,
)
"""Passwords that stand in examples and images."""
KEY_SIGNS = 8
"""A random key of 32 characters, hexadecimal ones too, has more different ones than this."""


ADDRESSES = ("postgres_url", "postgres_app_url", "nats_url", "mqtt_nats_url", "mqtt_system_url", "smtp_url")


def _insecure(settings: Settings, demo: bool) -> Iterator[str]:
    if demo:
        yield "--demo: it signs in every browser of this machine; start without it"
    if settings.token_key is None:
        yield "KILOWATCH_TOKEN_KEY: not set; set a random one, which every process shares"
    elif _is_example(settings.token_key.get_secret_value()):
        yield "KILOWATCH_TOKEN_KEY: looks like an example; set a random one"
    if settings.smtp_url is None:
        yield "KILOWATCH_SMTP_URL: not set, so codes for people would stay in files"
    if settings.mail_from == Settings.model_fields["mail_from"].default:
        yield "KILOWATCH_MAIL_FROM: still the default; set an address of yours"
    if settings.simulator_key is not None and _is_example(settings.simulator_key.get_secret_value()):
        yield "KILOWATCH_SIMULATOR_KEY: looks like an example; set a random one"
    for name in ADDRESSES:
        address = getattr(settings, name)
        if address is not None and _is_well_known(address.get_secret_value()):
            yield f"KILOWATCH_{name.upper()}: has a password that everybody knows"
    if "*" in settings.cors_origins:
        yield "KILOWATCH_CORS_ORIGINS: * lets every site in; name them"


def _is_example(key: str) -> bool:
    words = ("change", "example", "secret", "kilowatch", "password", "default", "0123456789", "abcdefgh")
    return len(set(key)) <= KEY_SIGNS or any(word in key.lower() for word in words)


def _is_well_known(address: str) -> bool:
    """Whether the password of an address is one of examples; several addresses may stand with commas."""
    found = (urlsplit(part.strip()) for part in address.split(","))
    return any(
        WELL_KNOWN.fullmatch(unquote(one.password)) or one.password == one.username
        for one in found
        if one.password is not None
    )

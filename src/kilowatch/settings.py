"""Every setting of an instance: its name, default, unit and one sentence.

Built by the process that starts (never at import) from environment variables `KILOWATCH_*`; a wrong value
is refused at start with all problems at once. Holds values only: nothing here opens, creates or connects.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from kilowatch.errors import StartRefused

Port = Annotated[int, Field(ge=0, le=65_535)]
MIB = 1024 * 1024


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
    session_days: int = Field(30, ge=1, le=366, description="How long somebody stays signed in, in days.")

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

    @property
    def lake_folder(self) -> str:
        """Where the Parquet files lie: a folder or an `s3://` address."""
        return self.lake_path or str(self.data.absolute() / "lake")


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

"""Every setting of the service: one frozen object, read once, from `SARK_*` variables or keyword arguments.

Nothing else of the service reads the environment. `sark-opa settings` prints the fields below, and
docs/reference/settings.md lists them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sark_opa.errors import ConfigurationError
from sark_opa.sandbox.contract import WALLS


class Settings(BaseSettings):
    """Settings of one service process. Secrets print as `**********`."""

    model_config = SettingsConfigDict(env_prefix="SARK_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: SecretStr = Field(
        description="PostgreSQL 13 or newer, as a libpq URL. No default: without a ledger nothing can be decided."
    )
    cells_file: Path | None = Field(
        default=None,
        description="YAML file: organisation to its own database; all others live in SARK_DATABASE_URL's. Unset: none.",
    )
    pool_size_max: int = Field(
        default=8, ge=1, le=16, description="Connections of one service process; twice the database's cores is enough."
    )
    statement_timeout_ms: int = Field(
        default=5_000, ge=10, le=600_000, description="The database gives a statement up after this many milliseconds."
    )
    report_timeout_ms: int = Field(
        default=30_000,
        ge=100,
        le=600_000,
        description="The database gives a report of costs up after this many milliseconds.",
    )
    batch_size_max: int = Field(
        default=64, ge=1, le=128, description="Most holds or settlements that share one database round trip."
    )
    ledger_queue_max: int = Field(
        default=4_096, ge=1, description="Most requests that may wait for the database; more are refused (overloaded)."
    )
    spool_dir: Path | None = Field(
        default=None,
        description="Folder of this process alone for settlements the database cannot take now; unset: refused.",
    )
    spool_bytes_max: int = Field(
        default=256 * 2**20,
        ge=2**20,
        description="Largest size of the spool in bytes; what does not fit is refused (503, spool_full).",
    )

    host: str = Field(default="127.0.0.1", description="Address of the TCP listener.")
    port: int = Field(default=8088, ge=0, le=65_535, description="Port of the TCP listener; 0 takes a free one.")
    socket_path: Path | None = Field(
        default=None, description="Also listen on this unix socket: the fast way for an OPA on the same host."
    )
    socket_mode: str = Field(
        default="0600",
        pattern=r"^0?[0-7]{3}$",
        description="File mode of the unix socket, octal. Who may open it may ask for facts without a token.",
    )

    body_bytes_max: int = Field(
        default=4 * 2**20, ge=1_024, description="Largest request body in bytes; larger ones are refused (413)."
    )
    tokenize_chars_max: int = Field(
        default=2_000_000,
        ge=0,
        description="Prompts longer than this many characters are bounded by their bytes instead of being tokenized.",
    )
    requests_in_flight_max: int = Field(
        default=512, ge=1, description="Most requests answered at once; more are refused at once (503, overloaded)."
    )
    facts_deadline_ms: int = Field(
        default=1_500, ge=10, le=60_000, description="Longest time for one /facts answer, shared by all its parts."
    )

    hold_ttl_s: int = Field(default=600, ge=1, description="Seconds a hold lives unless the caller says otherwise.")
    hold_ttl_s_max: int = Field(default=86_400, ge=1, description="Longest life of a hold a caller may ask for.")
    expire_interval_s: float = Field(
        default=1.0, gt=0, le=3_600, description="Seconds between two sweeps of holds that are past their time."
    )
    fold_interval_s: float = Field(
        default=2.0,
        gt=0,
        le=3_600,
        description="Seconds between two times that new charges are added to the summaries.",
    )
    unknown_orgs: Literal["deny", "create"] = Field(
        default="deny",
        description="What happens to a call of an org nobody registered: refused, or created without limits.",
    )

    prices_file: Path | None = Field(
        default=None, description="YAML overlay with own prices, contracts, free and flat-priced resources."
    )
    plugins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Plugins to run, comma separated: names of bundled ones or folders. None by default."
    )
    plugins_config_file: Path | None = Field(
        default=None, description="YAML file: plugin name to its configuration, over the defaults of plugin.yaml."
    )
    plugin_refresh_s: float = Field(
        default=2.0, gt=0, le=3_600, description="Seconds until a plugin another process has changed is followed."
    )
    plugin_keys: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Ed25519 public keys that uploads may be signed with, comma separated: PEM files or folders.",
    )
    plugin_unsigned: Literal["allow", "refuse"] | None = Field(
        default=None,
        description="Unsigned uploads: allow or refuse. Unless set: refuse with SARK_PLUGIN_KEYS, else allow.",
    )
    rate_window_url: SecretStr | None = Field(
        default=None,
        description="Redis or Valkey URL of rate windows all replicas share; unset: each process has its own.",
    )

    federation_file: Path | None = Field(
        default=None, description="YAML file: which member of a federation this is, its key and its peers; unset: none."
    )

    sandbox_min_level: int = Field(
        default=2,
        ge=0,
        le=4,
        description="Least sandbox level at which plugins are loaded: 4 has user namespaces, 3 Landlock, 2 seccomp.",
    )
    sandbox_require: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Sandbox layers without which no plugin is loaded, comma separated, such as namespaces."
    )

    export_url: str | None = Field(
        default=None,
        description="Publish FOCUS exports here: file:///folder or s3://bucket/prefix?endpoint=https://…&region=…",
    )
    export_format: Literal["csv", "csv.gz", "parquet"] = Field(
        default="csv.gz", description="Format of the files that are published."
    )
    export_period: Literal["day", "month"] = Field(
        default="day", description="What a published file holds, in its org's time zone."
    )
    export_focus_version: Literal["1.2", "1.4"] = Field(
        default="1.2", description="FOCUS version whose columns are published."
    )
    export_interval_s: float = Field(
        default=300.0, gt=0, le=86_400, description="Seconds between two looks for charges to publish."
    )
    export_delay_s: float = Field(
        default=3_600.0, ge=0, le=864_000, description="Seconds after its end until a day or month is published."
    )

    token_refresh_s: float = Field(
        default=5.0, gt=0, le=3_600, description="Seconds until a token that was added or revoked is noticed."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log line that is written."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="json: one object a line; console: for a terminal."
    )

    @field_validator("plugins", "plugin_keys", "sandbox_require", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("sandbox_require")
    @classmethod
    def _known_layers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(value) - set(WALLS))
        if unknown:
            raise ValueError(f"there is no layer {', '.join(unknown)}; there are {', '.join(WALLS)}")
        return value

    @model_validator(mode="after")
    def _lives_fit(self) -> Self:
        if self.hold_ttl_s > self.hold_ttl_s_max:
            raise ValueError(f"SARK_HOLD_TTL_S is {self.hold_ttl_s}, above SARK_HOLD_TTL_S_MAX, {self.hold_ttl_s_max}")
        return self


def load(**overrides: object) -> Settings:
    """Settings from the environment, `overrides` on top; values of None are left out.

    Raises:
        ConfigurationError: a value is missing or wrong; the message names its variable.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]  # validated by pydantic
    except ValidationError as error:
        faults = "; ".join(
            ": ".join((*(f"SARK_{part}".upper() for part in fault["loc"][:1]), fault["msg"]))
            for fault in error.errors(include_input=False)
        )
        raise ConfigurationError(f"settings: {faults}") from error

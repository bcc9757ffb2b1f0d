"""Settings: `ATELIER_*` variables, else a `.env` file, else `atelier.toml`, else the defaults here.

A variable that is empty is as good as none.
Nested names use two underscores: `ATELIER_WEB__PORT=8080` is `[web] port = 8080` in the file.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bot.errors import BadConfiguration
from engine.api import EngineConfig

PREFIX = "ATELIER_"
TOML_FILE = "atelier.toml"
TEXT = "utf-8-sig"  # editors on Windows begin a file with a mark

_T = TypeVar("_T")


def _parts(value: object) -> object:
    """What a variable lists: as JSON, or with commas between."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",") if part.strip()]
    try:
        return json.loads(value)
    except ValueError:
        msg = 'is no list; write a, b or ["a", "b"]'
        raise ValueError(msg) from None


_Listed: TypeAlias = Annotated[tuple[_T, ...], NoDecode, BeforeValidator(_parts)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebSettings(_Section):
    """The web studio. Any address but loopback demands a token."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    token: SecretStr = SecretStr("")
    public_url: str = ""  # of links sent to chats; empty: none are sent

    @field_validator("token")
    @classmethod
    def _as_it_is_typed(cls, token: SecretStr) -> SecretStr:
        """Without the spaces or the end of a line around it, which no login sends."""
        return SecretStr(token.get_secret_value().strip())

    @field_validator("public_url")
    @classmethod
    def _has_a_host(cls, url: str) -> str:
        """Links begin with it, and requests are let in by the host that it names."""
        parts = urlsplit(url)
        if url and not (parts.scheme in ("http", "https") and parts.hostname):
            place = url.rpartition("//")[2] or "atelier.example.com"
            msg = f"must begin with http:// or https:// and name a host: write https://{place}"
            raise ValueError(msg)
        return url


class DiscordSettings(_Section):
    """The connection to Discord; without a token the bot runs without it."""

    test_guild_id: int | None = None  # commands appear there at once
    sync_commands: bool = True
    age_restricted_only: bool = False  # pictures are made in age-restricted channels alone
    servers_only: bool = False  # neither in direct messages nor where a member brings the bot along
    announce_after_s: float = Field(default=60.0, ge=0, le=900)  # 0: results edit the answer


class EngineSettings(_Section):
    """The engine; see `engine.config.EngineConfig` for the meaning of each."""

    fleet: Literal["local"] = "local"
    devices: _Listed[str] = Field(default=("auto",), min_length=1)
    catalogue_files: _Listed[Path] = ()
    memory_budget_mb: int = Field(default=0, ge=0)
    slots: int = Field(default=4, ge=1, le=64)  # jobs that each device is given at once
    max_rows: int = Field(default=0, ge=0, le=256)
    profile_s: float = Field(default=1.5, ge=0, le=60)
    exact: bool = False
    threads: int = Field(default=0, ge=0, le=256)
    silence_timeout_s: float = Field(default=120.0, gt=1)
    stuck_timeout_s: float = Field(default=1800.0, gt=1)
    preview_interval_s: float = Field(default=0.7, ge=0.1)
    vgg19_file: Path | None = None
    allow_downloads: bool = False


class LimitSettings(_Section):
    """Caps where neither guild nor role says otherwise."""

    running: int = Field(default=2, ge=1)
    waiting: int = Field(default=20, ge=1)
    guild_running: int = Field(default=8, ge=1)
    guild_waiting: int = Field(default=200, ge=1)
    permutations: int = Field(default=10, ge=1, le=100)


class ModerationSettings(_Section):
    """What is forbidden everywhere, beside what the admins of a server forbid in it."""

    blocked_members: _Listed[int] = ()  # ids of accounts
    forbidden_words: _Listed[str] = ()  # in prompts; whole words

    @field_validator("forbidden_words")
    @classmethod
    def _are_words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        """A sign or an emoji alone would be found in whatever has no prompt."""
        for word in words:
            if not any(map(str.isalnum, word)):
                msg = f"{word!r} is no word of letters or digits"
                raise ValueError(msg)
        return words


class _EnvFile(DotEnvSettingsSource):
    """`.env`, in which other programs may have their own variables."""

    def __call__(self) -> dict[str, Any]:
        """Those that are read alone, as from the environment."""
        return EnvSettingsSource.__call__(self)


class _TomlFile(TomlConfigSettingsSource):
    """`atelier.toml`."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        return tomllib.loads(file_path.read_text(encoding=TEXT))


class Settings(BaseSettings):
    """Everything an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,  # compose.yaml hands some on, whether or not they are set
        env_file=".env",
        env_file_encoding=TEXT,
        toml_file=TOML_FILE,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
    )

    data_dir: Path = Path("data")
    database_url: str = ""  # empty: SQLite in data_dir
    wildcards_dir: Path | None = None  # None: `wildcards` in data_dir
    discord_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("DISCORD_TOKEN", "ATELIER_DISCORD_TOKEN", "discord_token"),
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    style_training_steps: int = Field(default=200, ge=0, le=5000)  # 0: styles are not trained
    gan_training_minutes: float = Field(default=20.0, ge=0, le=24 * 60)  # 0: none are trained
    gan_training_by: Literal["admins", "members"] = "admins"
    forget_jobs_after_days: int = Field(default=90, ge=0, le=36500)  # no picture left; 0: never
    upload_max_mb: int = Field(default=25, ge=1, le=512)
    web: WebSettings = WebSettings()
    discord: DiscordSettings = DiscordSettings()
    engine: EngineSettings = EngineSettings()
    limits: LimitSettings = LimitSettings()
    moderation: ModerationSettings = ModerationSettings()

    @field_validator("database_url")
    @classmethod
    def _use_async_drivers(cls, url: str) -> str:
        """Take the addresses that hosting services hand out."""
        for plain in ("postgres://", "postgresql://"):
            if url.startswith(plain):
                return "postgresql+asyncpg://" + url.removeprefix(plain)
        if url.startswith("sqlite://"):
            return "sqlite+aiosqlite://" + url.removeprefix("sqlite://")
        if url and not url.startswith(("postgresql+asyncpg://", "sqlite+aiosqlite://")):
            msg = "must begin with postgresql:// or sqlite://"
            raise ValueError(msg)
        return url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence, strongest first."""
        toml = _TomlFile(settings_cls)
        return init_settings, env_settings, _EnvFile(settings_cls), toml, file_secret_settings

    @property
    def resolved_database_url(self) -> str:
        """With the async driver named; SQLite in `data_dir` unless told otherwise."""
        file = str(self.data_dir.resolve() / "atelier.db")
        return self.database_url or f"sqlite+aiosqlite:///{_in_address(file)}"

    @property
    def resolved_wildcards_dir(self) -> Path:
        """Where the lists for `__name__` in prompts are."""
        return self.wildcards_dir or self.data_dir / "wildcards"

    def engine_config(self) -> EngineConfig:
        """What the engine needs to know."""
        section = self.engine
        return EngineConfig(
            devices=section.devices,
            catalogue_files=section.catalogue_files,
            models_dir=self.data_dir / "models",
            memory_budget_bytes=section.memory_budget_mb * 2**20,
            max_rows=section.max_rows,
            profile_s=section.profile_s,
            exact=section.exact,
            threads=section.threads,
            silence_timeout_s=section.silence_timeout_s,
            stuck_timeout_s=section.stuck_timeout_s,
            preview_interval_s=section.preview_interval_s,
            notes_dir=self.data_dir / "notes",
            vgg19_file=section.vgg19_file,
            allow_downloads=section.allow_downloads,
        )


def _in_address(file: str) -> str:
    """A file's name as an address has it, where these two mean something else."""
    return file.replace("%", "%25").replace("?", "%3F")


def read_settings(overrides: Mapping[str, object] | None = None) -> Settings:
    """Read and check all settings.

    Raises:
        BadConfiguration: names the setting as the operator wrote it, and what is wrong with it.
    """
    try:
        return Settings(**dict(overrides or {}))  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        places = [place for place in first["loc"] if isinstance(place, str)]
        name = PREFIX + "__".join(places).upper()
        name = name.replace("ATELIER_DISCORD_TOKEN", "DISCORD_TOKEN")
        is_unknown = first["type"] == "extra_forbidden"
        if is_unknown and len(places) == 1:  # of variables those that are read are taken alone
            reason = no_such_setting(places[0], Settings.model_fields)
            raise BadConfiguration(f"{places[0]} in {TOML_FILE}", reason) from None
        if is_unknown:
            raise BadConfiguration(name, no_such_setting(name)) from None
        raise BadConfiguration(name, first["msg"].removeprefix("Value error, ")) from None
    except ValueError as error:  # a broken TOML file or an unparsable section
        raise BadConfiguration(f"{TOML_FILE} or .env", str(error)) from None
    except OSError as error:  # a file of another user's, for one
        reason = f"can't be read: {error.strerror}"
        raise BadConfiguration(error.filename or f"{TOML_FILE} or .env", reason) from None


def setting_names() -> tuple[str, ...]:
    """All variables that are read."""
    names = []
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            names += [f"{PREFIX}{name}__{inner}".upper() for inner in section.model_fields]
        else:
            names.append(f"{PREFIX}{name}".upper())
    return tuple(names)


def no_such_setting(name: str, known: Iterable[str] | None = None) -> str:
    """What is wrong with a name that is not read, and the one that may be meant."""
    near = difflib.get_close_matches(name, known or setting_names(), n=1, cutoff=0.8)
    return f"there is no such setting; did you mean {near[0]}?" if near else "is no setting"


def given_variables() -> frozenset[str]:
    """The names of all that are given, in the environment or in `.env`."""
    return frozenset(os.environ).union(_EnvFile(Settings, case_sensitive=True).env_vars)


def misspelt(variables: Iterable[str]) -> tuple[str, ...]:
    """Those of some variables that look like settings, but are not read."""
    sections = (f"{PREFIX}{name}" for name in Settings.model_fields)
    known = {name.casefold() for name in (*setting_names(), *sections)}
    ours = (name for name in variables if name.upper().startswith(PREFIX))
    return tuple(sorted(name for name in ours if name.casefold() not in known))


def shown_database_url(settings: Settings) -> str:
    """The database's address without password and options, for logs and terminals."""
    url = settings.resolved_database_url
    scheme, _, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}://{credentials.partition(':')[0]}{at}{place.partition('?')[0]}"

"""What a home's `gridkeeper.toml` says: one model a table; everything has a default, and unknown keys are refused."""

from __future__ import annotations

import tomllib
from datetime import time as TimeOfDay  # noqa: N812 (a field below is called time)
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gridkeeper.errors import BadConfiguration
from gridkeeper.feed_settings import Apel
from gridkeeper.login_settings import Address, Login, PublicUrl

MIB = 1024 * 1024
GIB = 1024 * MIB

Network = IPv4Network | IPv6Network
DAYS_OF_A_WEEK = 7
MOST_PORT = 65_535


def _utc(moment: TimeOfDay) -> TimeOfDay:
    if moment.tzinfo is not None:
        raise ValueError("times are in UTC; write HH:MM without an offset")
    return moment


def _database(text: str) -> str:
    known = text.startswith(("postgresql://", "postgresql+psycopg://", "sqlite:////"))
    if not known:
        scheme = text.partition(":")[0][:20] if "://" in text else "no kind of database"
        raise ValueError(
            f"it names {scheme}, where SQLite and PostgreSQL are understood; write postgresql://USER@HOST/NAME, "
            "or leave it out for SQLite in the home"
        )
    from sqlalchemy import make_url  # takes long, and most homes name no database
    from sqlalchemy.exc import ArgumentError

    try:
        port = make_url(text).port
    except (ValueError, ArgumentError):  # its words may hold the password
        port = 0
    if port is not None and not 1 <= port <= MOST_PORT:
        raise ValueError("the port is no number from 1 to 65535; write postgresql://USER@HOST:5432/NAME")
    return text


_AnyTable = TypeVar("_AnyTable", bound=BaseModel)


_HOURS_AND_MINUTES = Field(description="due at this time, as HH:MM, in UTC")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(_Table):
    """`[server]`: where it listens, and who stands before it."""

    host: str = Field(default="127.0.0.1", description="the address to listen on")
    port: int = Field(default=8080, ge=0, le=65535, description="the port to listen on; 0 takes a free one")
    tls_certificate: Path | None = Field(
        default=None,
        description="certificate chain (PEM), in the home or absolute; with it the server speaks TLS itself",
    )
    tls_key: Path | None = Field(default=None, description="its private key (PEM), in the home or absolute")
    proxies: tuple[Network, ...] = Field(
        default=(),
        description="reverse proxies whose headers (client address, certificate subject) are believed",
    )
    certificate_header: str = Field(
        default="X-SSL-Client-S-DN",
        description="the header in which a proxy of the list passes the client certificate's subject",
    )
    public_url: PublicUrl | None = Field(
        default=None,
        description="the address at which people see the pages, such as https://accounting.example.org; login needs it",
    )


class Intake(_Table):
    """`[intake]`: how much is taken in, and how soon it is in the books."""

    commit_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        description="what was answered with OK is in the books after at most so long",
    )
    body_bytes: int = Field(default=64 * MIB, ge=1024, description="the largest body of one request, as sent")
    plain_bytes: int = Field(default=2 * GIB, ge=1024, description="the largest batch after decompression")
    post_bytes: int = Field(
        default=8 * MIB,
        ge=1024,
        description="the largest post of a Gratia probe; above it the answer is `Post too large`",
    )
    members: int = Field(default=10_000, ge=1, description="the most records in one post of a Gratia probe")
    member_bytes: int = Field(
        default=512 * 1024, ge=1024, description="the largest record in a post of a Gratia probe"
    )
    requests_per_minute: int = Field(
        default=6_000, ge=1, description="the most requests of one sender in a minute"
    )
    inbox_bytes: int = Field(
        default=4 * GIB,
        ge=MIB,
        description="above so many bytes that wait or were set aside the answer is 503",
    )
    inbox_age_s: int = Field(
        default=6 * 3600, ge=60, description="where the oldest waiting batch is older, the answer is 503"
    )
    free_disk_bytes: int = Field(
        default=1 * GIB, ge=0, description="below so much free disk the answer is 503"
    )
    idle_seconds: int = Field(
        default=30, ge=1, description="a sender that sends nothing for so long is cut off"
    )
    kept_days: int = Field(default=90, ge=1, description="how long it is remembered what became of a batch")


class Probes(_Table):
    """`[probes]`: how long what probes say of themselves is kept."""

    samples_days: int = Field(
        default=30,
        ge=1,
        description="after so many days of what ran and waited in a pool only sums of each hour are kept, over all accounts and VOs",
    )
    hours_days: int = Field(
        default=1100,
        ge=28,
        description="how long the hours are kept in which a probe was heard, and those sums",
    )


class Archive(_Table):
    """`[archive]`: how long the text as received is kept."""

    keep_days: int | None = Field(default=None, ge=1, description="days; nothing: for ever")


class Database(_Table):
    """`[database]`: where the operational database is."""

    url: Annotated[str, AfterValidator(_database)] | None = Field(
        default=None, description="postgresql://USER@HOST/NAME; nothing: SQLite files in the home"
    )


class Issuer(_Table):
    """`[[trust.issuers]]`: an issuer of tokens (WLCG profile, SciTokens) that is believed."""

    issuer: str = Field(description="the `iss` of its tokens, exactly")
    audience: tuple[str, ...] = Field(description="the `aud` that names this collector")
    jwks_url: str | None = Field(
        default=None, description="where its keys are; nothing: found by its openid-configuration"
    )
    jwks_file: Path | None = Field(
        default=None, description="its keys in a file instead, in the home or absolute"
    )
    scope: str = Field(default="accounting.write", description="the scope that a sender must have")
    subjects: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="`sub` → resources that it may send for; patterns with * allowed"
    )


class Trust(_Table):
    """`[trust]`: who may send without a token of this home."""

    addresses: tuple[Network, ...] = Field(
        default=(), description="senders at these addresses need no credentials (old probes); off by default"
    )
    certificates: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="certificate subject → resources that it may send for; needs `server.proxies`",
    )
    issuers: tuple[Issuer, ...] = Field(default=(), description="believed issuers of tokens")


class Mail(_Table):
    """`[mail]`: how reports leave the house."""

    host: str | None = Field(default=None, description="the SMTP server; nothing: no mail is sent")
    port: int = Field(default=25, ge=1, le=65535, description="its port")
    sender: Address = Field(default="gridkeeper@localhost", description="the sender's address")
    starttls: bool = Field(default=False, description="whether to encrypt with STARTTLS")
    ca_file: Path | None = Field(
        default=None,
        description="certificates (PEM) of who signed the server's, in the home or absolute; nothing: those that the system believes",
    )
    user: str | None = Field(default=None, description="the account at the server")
    password_file: Path | None = Field(
        default=None, description="a file with its password, in the home or absolute"
    )

    @model_validator(mode="after")
    def _keeps_its_password(self) -> Mail:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("an account needs both user and password_file")
        if self.user is not None and not self.starttls:
            raise ValueError("a password is sent only over TLS; set starttls = true")
        return self


class Schedule(_Table):
    """`[[schedule]]`: a report that is made in time."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40, description="its name in addresses and lists"
    )
    report: Literal["production", "site-vo", "trends"] = Field(description="which report")
    period: Literal["week", "month"] = Field(description="of the last full week or month")
    day: int = Field(
        default=1, ge=1, le=28, description="due on this day: of the week (1 is Monday) or of the month"
    )
    time: Annotated[TimeOfDay, AfterValidator(_utc), _HOURS_AND_MINUTES] = TimeOfDay(6, 0)
    formats: tuple[str, ...] = Field(default=("html",), min_length=1, description="which renderings")
    directory: Path | None = Field(
        default=None, description="where to write them, in the home or absolute; nothing: its reports/"
    )
    recipients: tuple[Address, ...] = Field(default=(), description="to whom to mail them")
    grace_minutes: int = Field(
        default=60, ge=1, description="so long after the due time a missing report turns the badge red"
    )

    @model_validator(mode="after")
    def _has_such_a_day(self) -> Schedule:
        if self.period == "week" and self.day > DAYS_OF_A_WEEK:
            raise ValueError(f"a week has no day {self.day}; 1 is Monday, {DAYS_OF_A_WEEK} is Sunday")
        return self


class Silence(_Table):
    """`[silence]`: when a source is called silent."""

    history_days: int = Field(default=56, ge=7, description="the days from which a source's rhythm is learnt")


class Coverage(_Table):
    """`[coverage]`: when a published figure is marked as badly covered."""

    floor: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="the share of expected source-days with records below which a figure is marked",
    )


class Settings(_Table):
    """Everything that `gridkeeper.toml` may say."""

    server: Server = Server()
    intake: Intake = Intake()
    probes: Probes = Probes()
    archive: Archive = Archive()
    database: Database = Database()
    trust: Trust = Trust()
    login: Login = Login()
    mail: Mail = Mail()
    silence: Silence = Silence()
    coverage: Coverage = Coverage()
    apel: Apel = Apel()
    schedule: tuple[Schedule, ...] = ()

    @model_validator(mode="after")
    def _says_where_people_return_to(self) -> Settings:
        if self.login.oidc is not None and self.server.public_url is None:
            raise ValueError(
                "login.oidc needs server.public_url: the provider sends people back to that address"
            )
        return self

    @model_validator(mode="after")
    def _names_each_schedule_once(self) -> Settings:
        names = [entry.name for entry in self.schedule]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two schedules are called {twice[0]}; give each its own name")
        return self


def read_settings(path: Path) -> Settings:
    """Read the settings; all defaults where there is no file. A file named without its whole path is one of the home.

    Raises: BadConfiguration (permanent) with every fault and its place.
    """
    if not path.exists():
        return Settings()
    try:
        with path.open("rb") as stream:
            return _at_home(Settings.model_validate(tomllib.load(stream)), path.parent.absolute())
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(f"{path}: this is no TOML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(_said(fault["loc"], fault["msg"]) for fault in error.errors())
    # Not `from error`: pydantic's error holds on to frames in a way that Python cannot collect.
    raise BadConfiguration(f"{path}: {faults}; docs/settings.md names what there is")


def _at_home(table: _AnyTable, home: Path) -> _AnyTable:
    """The settings with every relative path made one of the home, wherever the command was typed."""
    changes: dict[str, object] = {}
    for name, value in table:
        if isinstance(value, Path):
            changes[name] = home / value
        elif isinstance(value, BaseModel):
            changes[name] = _at_home(value, home)
        elif isinstance(value, tuple):
            changes[name] = tuple(_at_home(one, home) if isinstance(one, BaseModel) else one for one in value)
    return table.model_copy(update=changes)


def _said(place: tuple[int | str, ...], message: str) -> str:
    sentence = message.removeprefix("Value error, ")
    return ": ".join(filter(None, (".".join(map(str, place)), sentence[:1].lower() + sentence[1:])))

"""What `gridkeeper.toml` says of feeds for other accounting systems."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Those of which the Open Science Grid reports to the WLCG.
WLCG_VOS = ("alice", "atlas", "belle", "cms", "enmr.eu", "lhcb")

Dialect = Literal["v0.4", "gracc"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MessageService(_Table):
    """`[apel.ams]`: the ARGO Messaging Service that takes the messages."""

    url: str = Field(
        pattern=r"^https?://[^\s/]+$", description="its address, as https://messages.example.org"
    )
    project: str = Field(pattern=r"^[\w.-]+$", description="the project in it")
    topic: str = Field(pattern=r"^[\w.-]+$", description="the topic to publish to")
    token_file: Path = Field(description="a file with the token, in the home or absolute")
    certificate: Path | None = Field(
        default=None,
        description="certificate (PEM) to sign messages with, in the home or absolute; nothing: not signed",
    )
    key: Path | None = Field(default=None, description="its private key (PEM), in the home or absolute")
    ca_file: Path | None = Field(
        default=None,
        description="certificates (PEM) of who signed the service's, in the home or absolute; nothing: those that the system believes",
    )

    @model_validator(mode="after")
    def _signs_with_both(self) -> MessageService:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("to sign needs both certificate and key")
        return self


class Apel(_Table):
    """`[apel]`: the monthly feed for APEL."""

    vos: tuple[str, ...] = Field(default=WLCG_VOS, min_length=1, description="of which VOs it tells")
    users: Literal["generic", "dn"] = Field(
        default="generic",
        description="`generic`: users are told as `generic cms user`; `dn`: by their certificates' names",
    )
    grid: str | None = Field(
        default=None, description="a grid's name, or `any`; nothing: the federation's, without Local"
    )
    infrastructure: str = Field(
        default="grid",
        pattern=r"^[!-~]{1,20}$",
        description="what messages of version 0.4 call what ran the jobs; those of grid Local are `local`",
    )
    dialect: Dialect = Field(default="v0.4", description="`v0.4`, or `gracc` for what GRACC sends")
    queue: Path | None = Field(
        default=None,
        description="directory queue from which an SSM sends them, in the home or absolute; nothing: none",
    )
    ams: MessageService | None = Field(
        default=None, description="the messaging service that they are published to"
    )
    late_day: int = Field(
        default=6,
        ge=2,
        le=8,
        description="from this day on (00:00 UTC) the badge is red where the month before has not gone; on the 8th the WLCG takes its copy",
    )

    @property
    def destinations(self) -> tuple[Literal["queue", "ams"], ...]:
        """Where a month must have gone; nothing: it is fetched by hand, or not at all."""
        return (*(("queue",) if self.queue is not None else ()), *(("ams",) if self.ams is not None else ()))

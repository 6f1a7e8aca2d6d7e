"""`gridkeeper serve`, `collect` and `drain`; what they do is in serving.py, which takes long to import."""

from __future__ import annotations

from typing import Annotated

import typer

from gridkeeper.cli.wiring import HomeOption, wired

HostOption = Annotated[
    str | None, typer.Option("--host", help="The address to listen on. Else server.host (127.0.0.1).")
]
PortOption = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one. Else server.port (8080)."),
]
TrustOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-address",
        metavar="CIDR",
        help="Senders at these addresses need no credentials (old probes). May be repeated.",
    ),
]
CommitOption = Annotated[
    int | None,
    typer.Option(
        "--commit-seconds",
        min=1,
        max=3600,
        help="What was received is in the books after at most so long. Else intake.commit_seconds (60).",
    ),
]


def serve(
    host: HostOption = None,
    port: PortOption = None,
    trust_address: TrustOption = None,
    commit_seconds: CommitOption = None,
    home: HomeOption = None,
) -> None:
    """Run the collector, its loader and the scheduler of reports until told to stop (Ctrl-C, SIGTERM).

    [bold]Examples[/]

        gridkeeper --home HOME serve

        gridkeeper --home HOME serve --host 0.0.0.0 --port 8443 --trust-address 192.0.2.0/24
    """
    from gridkeeper.cli import serving

    serving.collect(wired(home), host, port, trust_address, commit_seconds, scheduling=True)


def collect(
    host: HostOption = None,
    port: PortOption = None,
    trust_address: TrustOption = None,
    commit_seconds: CommitOption = None,
    home: HomeOption = None,
) -> None:
    """Run the collector and its loader alone; several may stand before one home.

    [bold]Example[/]

        gridkeeper --home HOME collect --port 8081
    """
    from gridkeeper.cli import serving

    serving.collect(wired(home), host, port, trust_address, commit_seconds)


def drain(
    once: Annotated[bool, typer.Option("--once", help="Load what waits now, and end.")] = False,
    commit_seconds: CommitOption = None,
    follow_stdin: Annotated[bool, typer.Option("--follow-stdin", hidden=True)] = False,
    home: HomeOption = None,
) -> None:
    """Load what waits in the inbox; `serve` and `collect` run this as their loader.

    [bold]Example[/]

        gridkeeper --home HOME drain --once
    """
    from gridkeeper.cli import serving

    if done := serving.load_waiting(wired(home), commit_seconds, once, follow_stdin):
        print(done)

"""The command `gridkeeper`: its nouns, and one way to fail: a sentence and an exit code, never a traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gridkeeper import __version__
from gridkeeper.cli import (
    audit,
    corrections,
    downtimes,
    editions,
    export,
    federation,
    figures,
    lake,
    load,
    probes,
    publish,
    quarantine,
    replay,
    report,
    restate,
    sample,
    schedule,
    serve,
    token,
    usage,
)
from gridkeeper.cli.output import complaints
from gridkeeper.cli.wiring import choose_home
from gridkeeper.errors import GridkeeperError

EXIT_MISTAKE = 2
EXIT_RETRY = 3

app = typer.Typer(
    name="gridkeeper",
    help="Keeps the books of a computing federation: from batch logs to the weekly production report.",
    epilog="Exit codes: 0 done; 1 something was refused, damaged or wrong (load --strict, lake verify, compare, federation check, export check) or a file was unreadable; "
    "2 the command or the home is wrong; 3 not possible now, try again; 130 stopped by Ctrl-C: what was committed is kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("init")(load.init)
app.command("load")(load.load)
app.command("usage")(usage.usage)
app.command("probes")(probes.probes)
app.add_typer(report.app, name="report")
app.add_typer(publish.app, name="publish")
app.command("editions")(editions.editions)
app.command("restate")(restate.restate)
app.add_typer(federation.app, name="federation")
app.add_typer(downtimes.app, name="downtimes")
app.add_typer(figures.app, name="figures")
app.add_typer(export.app, name="export")
app.add_typer(corrections.app, name="corrections")
app.add_typer(lake.app, name="lake")
app.add_typer(schedule.app, name="schedule")
app.add_typer(token.app, name="token")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(audit.app, name="audit")
app.command("serve")(serve.serve)
app.command("collect")(serve.collect)
app.command("drain")(serve.drain)
app.command("replay")(replay.replay)
app.command("demo")(sample.demo)


def _version(asked: bool) -> None:
    if asked:
        print(f"gridkeeper {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    home: Annotated[
        Path | None,
        typer.Option(
            "--home", help="The home; every command takes it, too. Else GRIDKEEPER_HOME.", show_default=False
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    choose_home(home)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except GridkeeperError as error:
        complaints.print(f"[bold red]gridkeeper:[/] {_escaped(str(error))}", soft_wrap=True)
        sys.exit(EXIT_MISTAKE if error.permanent else EXIT_RETRY)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        complaints.print("stopped; what was committed is kept, and the same command may be repeated")
        sys.exit(130)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")

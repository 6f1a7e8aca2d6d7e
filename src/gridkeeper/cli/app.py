"""The command `gridkeeper`: its nouns, and one way to fail: a sentence and an exit code, never a traceback.

A noun is imported when somebody asks for it: what some of them need takes a second to import, and who asks for help,
or for the version, or for a noun that there is not, need not wait for that.
"""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from gridkeeper import __version__
from gridkeeper.cli.output import complaints
from gridkeeper.cli.wiring import choose_home
from gridkeeper.errors import GridkeeperError

EXIT_MISTAKE = 2
EXIT_RETRY = 3

# Each noun: the function or the application of its own that it stands for, and the first line of what that says of itself.
NOUNS = {
    "init": ("load:init", "Make a home: the folder that holds the books of one federation."),
    "load": ("load:load", "Load usage records. What was loaded before changes nothing; what is refused is kept, with the reason."),
    "usage": ("usage:usage", "Say how much was used, by whom, where and when."),
    "report": ("report:app", "Make a report; plots and tables, every number traceable."),
    "publish": ("publish:app", "Publish a report: freeze its bytes, its plots and all that it was made of, under a number and a checksum."),
    "editions": ("editions:editions", "List the published reports, each held to its checksum. Exit code 1 where one is damaged."),
    "restate": ("restate:restate", "Say what today's books hold for an edition's period, what they held then, and why they differ."),
    "probes": ("probes:probes", "Say which sources report and which need care: silent, late or never seen; since when, what is missing, and who to ask."),
    "federation": ("federation:app", "The registry: facilities, sites, resource groups, resources, VOs, projects and downtimes, and what is wrong with them."),
    "downtimes": ("downtimes:app", "Announce, extend and cancel downtimes; import, export and compare them in the forms of OSG, GOCDB, AGIS and CRIC."),
    "figures": ("figures:app", "Figures from elsewhere (a dashboard's, a paper's), shown beside ours with the ratio, never mixed in."),
    "export": ("export:app", "Feeds for other accounting systems."),
    "corrections": ("corrections:app", "Corrections: rules in the home's folder corrections that change what summaries make of records, and never the records."),
    "lake": ("lake:app", "What lies in the lake, and its upkeep."),
    "schedule": ("schedule:app", "Reports on time: what is due, what was made, what is late."),
    "token": ("token:app", "Tokens by which sites send and people work: made, listed, revoked. docs/trust.md says how they are used."),
    "quarantine": ("quarantine:app", "See what was refused and why; read it again, or discard it with a reason."),
    "audit": ("audit:app", "What changed the state of this home: when, who, from where, what. Rows are only ever added."),
    "serve": ("serve:serve", "Run the collector, its loader and the scheduler of reports until told to stop (Ctrl-C, SIGTERM)."),
    "collect": ("serve:collect", "Run the collector and its loader alone; several may stand before one home."),
    "drain": ("serve:drain", "Load what waits in the inbox; `serve` and `collect` run this as their loader."),
    "replay": ("replay:replay", "Read archived text again, after a parser was mended; what reads differently becomes a revision."),
    "demo": ("sample:demo", "Make a sample federation, load its raw logs, write all reports, and compare with its ledger. All data are invented."),
}  # fmt: skip


class Noun(TyperCommand):
    """A noun by its line of help alone, until somebody asks for more of it."""

    def __init__(self, name: str, place: str, line: str) -> None:
        super().__init__(name, help=line)
        self._place = place

    @cached_property
    def whole(self) -> Any:
        """The command itself, with what stands below it: its module is imported for that."""
        found = resolve_name(f"gridkeeper.cli.{self._place}")
        alone = typer.Typer()
        if isinstance(found, typer.Typer):
            alone.add_typer(found, name=self.name)
        else:
            alone.command(self.name)(found)
        return typer.main.get_group(alone).commands[str(self.name)]

    def make_context(self, *words: Any, **extra: Any) -> Any:
        """Where a command line goes on behind the noun, to be run or to be completed: there the command itself takes over."""
        return self.whole.make_context(*words, **extra)


class _Nouns(TyperGroup):
    def __init__(self, **said: Any) -> None:
        super().__init__(**said)
        for name, (place, line) in NOUNS.items():
            self.add_command(Noun(name, place, line))


app = typer.Typer(
    name="gridkeeper",
    cls=_Nouns,
    help="Keeps the books of a computing federation: from batch logs to the weekly production report.",
    epilog="Exit codes: 0 done; 1 something was refused, damaged or wrong (load --strict, lake verify, compare, federation check, export check) or a file was unreadable; "
    "2 the command or the home is wrong; 3 not possible now, try again; 130 stopped by Ctrl-C: what was committed is kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


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

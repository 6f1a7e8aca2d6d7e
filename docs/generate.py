"""Makes the reference pages from the code: `python -m docs.generate` writes them, a test holds them to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import typer.main
from pydantic import BaseModel

from gridkeeper.cli.app import app
from gridkeeper.formats.registry import formats
from gridkeeper.queries.measures import MEASURES
from gridkeeper.records.rules import MEANING, REMEDY, Rule
from gridkeeper.records.tables import RECORD_TABLES
from gridkeeper.settings import Settings
from gridkeeper.summaries.tables import SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from gridkeeper.records.columns import Table

HERE = Path(__file__).parent
NOTE = "<!-- made by `make docs` from the code; edit the code -->\n\n"


def pages() -> dict[str, Callable[[], str]]:
    """The generated pages by file name."""
    return {
        "records.md": records,
        "usage_records.schema.json": lambda: (
            json.dumps(json_schema(RECORD_TABLES["usage_records"]), indent=2) + "\n"
        ),
        "summaries.md": summaries,
        "measures-reference.md": measures,
        "formats.md": format_index,
        "cli.md": command_line,
        "settings.md": settings,
    }


def records() -> str:
    """Every table of records, column by column."""
    text = (
        NOTE
        + "# The record schema\n\nTimes are UTC with microseconds. An unknown value is null, never 0 or an empty text. Columns marked ◆ can name a person.\n"
    )
    for table in RECORD_TABLES.values():
        text += f"\n## `{table.name}`\n\n{table.meaning}\n\n| column | type | unit | meaning | source terms |\n|---|---|---|---|---|\n"
        for column in table.columns:
            mark = " ◆" if column.personal else ""
            text += f"| `{column.name}`{mark} | {_type(column.type)} | {column.unit} | {column.meaning} | {column.source} |\n".replace(
                "|  |", "| |"
            ).replace("|  |", "| |")
    text += "\n## The rules a record must keep\n\nA record that breaks one is refused, and kept with its original text in the quarantine (`gridkeeper quarantine list`).\n\n| rule | meaning | remedy |\n|---|---|---|\n"
    return text + "".join(f"| `{rule.value}` | {MEANING[rule]} | {REMEDY[rule]} |\n" for rule in Rule)


def _type(kind: pa.DataType) -> str:
    return {
        "timestamp[us, tz=UTC]": "timestamp",
        "date32[day]": "date",
        "string": "text",
        "bool": "boolean",
        "double": "float64",
    }.get(str(kind), str(kind))


def json_schema(table: Table) -> dict[str, Any]:
    """One record as JSON Schema (2020-12)."""
    kinds: dict[str, dict[str, Any]] = {
        "string": {"type": "string"}, "int64": {"type": "integer"}, "int32": {"type": "integer"}, "double": {"type": "number"},
        "bool": {"type": "boolean"}, "date32[day]": {"type": "string", "format": "date"},
        "timestamp[us, tz=UTC]": {"type": "string", "format": "date-time"}, "binary": {"type": "string", "contentEncoding": "base16"},
    }  # fmt: skip
    properties = {
        column.name: {
            "anyOf": [kinds[str(column.type)], {"type": "null"}],
            "description": f"{column.meaning}{f' [{column.unit}]' if column.unit else ''}",
        }
        for column in table.columns
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": table.name, "description": table.meaning,
        "type": "object", "properties": properties, "required": ["identity"], "additionalProperties": False,
    }  # fmt: skip


def settings() -> str:
    """Every key of gridkeeper.toml."""
    text = (
        NOTE
        + "# The settings: `gridkeeper.toml` in the home\n\nEverything has a default; a home needs no such file. An unknown key is refused with its place.\n"
    )
    for name, field in Settings.model_fields.items():
        inner = [
            kind
            for kind in (field.annotation, *get_args(field.annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        model = inner[0]
        text += f"\n## `{_heading(name, is_list=model is not field.annotation)}`\n\n{_after_colon(model)}\n\n| key | default | meaning |\n|---|---|---|\n"
        for key, inside in model.model_fields.items():
            if nested := [
                kind
                for kind in get_args(inside.annotation)
                if isinstance(kind, type) and issubclass(kind, BaseModel)
            ]:
                rows = ", ".join(
                    f"`{each}` ({found.description})" for each, found in nested[0].model_fields.items()
                )
                heading = _heading(f"{name}.{key}", is_list=get_origin(inside.annotation) is tuple)
                text += f"| `{heading}` | | {inside.description}; its keys: {rows} |\n"
                continue
            default = (
                "required"
                if inside.is_required()
                else _default(inside.get_default(call_default_factory=True))
            )
            text += f"| `{key}` | {default} | {inside.description} |\n"
    return text


def _heading(name: str, *, is_list: bool) -> str:
    return f"[[{name}]]" if is_list else f"[{name}]"


def _after_colon(model: type[BaseModel]) -> str:
    said = (model.__doc__ or "").split(": ", 1)[-1].strip()
    return said[:1].upper() + said[1:]


def _default(value: object) -> str:
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def summaries() -> str:
    """Every summary table."""
    text = (
        NOTE
        + "# The summaries\n\nMade of the records, the registry and the corrections in force alone, and always recomputable. Sums are whole numbers; unknown keys are null. While an estimate is in force ([corrections.md](corrections.md)), each but that of transfers has a column `estimated`, too.\n"
    )
    for summary in SUMMARIES.values():
        keys = ", ".join(f"`{name}`" for name in summary.keys)
        sums = ", ".join(f"`{name}`" for name in summary.measures)
        text += f"\n## `{summary.name}`\n\n{summary.meaning}\n\n- one row for each: {keys}\n- sums: {sums}\n"
    return text


def measures() -> str:
    """Every measure of `gridkeeper usage`."""
    text = NOTE + "# Measures of `gridkeeper usage`\n\n| measure | unit | meaning |\n|---|---|---|\n"
    return text + "".join(
        f"| `{measure.name}` | {measure.unit} | {measure.meaning} |\n" for measure in MEASURES.values()
    )


def format_index() -> str:
    """All formats with a link each."""
    text = (
        NOTE
        + "# Formats\n\n`gridkeeper load --format auto` recognises them all.\n\n| format | what it is |\n|---|---|\n"
    )
    return text + "".join(
        f"| [`{name}`](formats/{name}.md) | {plugin.describes} |\n" for name, plugin in formats().items()
    )


def command_line() -> str:
    """The whole command line, as its own help says it."""
    text = NOTE + "# The command line\n"
    return text + "".join(_help("gridkeeper", whole_command()))


def whole_command() -> Any:
    """`gridkeeper` with all that stands below it, every noun imported."""
    command: Any = typer.main.get_command(app)
    for name, noun in command.commands.items():
        command.commands[name] = noun.whole
    return command


def _help(path: str, command: Any) -> list[str]:
    lines = [f"\n## `{path}`\n\n{_plain(command.help)}\n"]
    if command.epilog:
        lines.append(f"\n{_plain(command.epilog)}\n")
    rows = [
        _parameter(parameter)
        for parameter in command.params
        if parameter.name not in ("install_completion", "show_completion")
        and not getattr(parameter, "hidden", False)
    ]
    if rows:
        lines += ["\n| option | meaning |\n|---|---|\n", *rows]
    for name, sub in sorted(getattr(command, "commands", {}).items()):
        lines += _help(f"{path} {name}", sub)
    return lines


def _plain(help_text: str | None) -> str:
    """A help text as Markdown: what stands on its own in bold for the terminal is a line that ends in a colon here."""
    said = re.sub(r"^\[bold\](.*?)\[/(?:bold)?\]$", r"\1:", (help_text or "").strip(), flags=re.MULTILINE)
    return re.sub(r"\[bold\](.*?)\[/(?:bold)?\]", r"**\1**", said)


def _parameter(parameter: Any) -> str:
    names = (
        ", ".join(f"`{name}`" for name in parameter.opts)
        if parameter.param_type_name == "option"
        else f"`{parameter.name.upper()}`"
    )
    shown = (
        ""
        if parameter.default in (None, False) or callable(parameter.default)
        else f" Default: `{getattr(parameter.default, 'value', parameter.default)}`."
    )
    return f"| {names} | {_plain(getattr(parameter, 'help', None))}{shown} |\n"


if __name__ == "__main__":
    for page, make in pages().items():
        (HERE / page).write_text(make(), encoding="utf-8")

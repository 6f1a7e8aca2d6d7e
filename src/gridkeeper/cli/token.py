"""`gridkeeper token`: gives sites and people their tokens, lists them, and takes them back."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from gridkeeper import clock
from gridkeeper.cli.output import Shape, as_json, complaints, print_rows
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.errors import UserMistake
from gridkeeper.federation.model import Experiment, Registry
from gridkeeper.federation.near_names import nearest
from gridkeeper.trust import tokens
from gridkeeper.trust.audit import local_user
from gridkeeper.trust.senders import fits

app = typer.Typer(
    help="Tokens by which sites send and people work: made, listed, revoked. docs/trust.md says how they are used.",
    no_args_is_help=True,
)
COLUMNS = (
    "id",
    "state",
    "role",
    "name",
    "resources",
    "vos",
    "sites",
    "users",
    "created_at",
    "created_by",
    "expires_at",
    "last_used_at",
    "last_used_from",
    "revoked_at",
    "revoked_because",
)
TABLE_COLUMNS = ("id", "state", "role", "name", "bound_to", "created", "expires", "last_used")


class RoleOption(StrEnum):
    """The roles of people; a probe's has an option of its own."""

    VIEWER = "viewer"
    SITE_CONTACT = "site-contact"
    VO_CONTACT = "vo-contact"
    OPERATOR = "operator"
    ADMIN = "admin"


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


RoleChoice = Annotated[
    RoleOption | None,
    typer.Option("--role", help="For people or programs that read or change.", show_default=False),
]
ResourceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--resource",
        help="What the probe may send for, or the contact speaks for; again for more; * for any letters.",
        show_default=False,
    ),
]
SiteOption = Annotated[
    list[str] | None,
    typer.Option("--site", help="What the site contact speaks for; again for more.", show_default=False),
]
VoOption = Annotated[
    list[str] | None,
    typer.Option(
        "--vo",
        help="The VOs whose records the probe may send, or the contact speaks for; again for more.",
        show_default=False,
    ),
]
UserOption = Annotated[
    list[str] | None,
    typer.Option(
        "--user",
        help="A name in which the reader's own jobs run, as records have it; again for more.",
        show_default=False,
    ),
]


@app.command()
def create(
    probe: Annotated[
        bool, typer.Option("--probe", help="For a probe, which sends and reads nothing.")
    ] = False,
    role: RoleChoice = None,
    resource: ResourceOption = None,
    site: SiteOption = None,
    vo: VoOption = None,
    user: UserOption = None,
    name: Annotated[str | None, typer.Option(help="Whose it is, in words.", show_default=False)] = None,
    days: Annotated[int, typer.Option(help="How long it is good.")] = tokens.DEFAULT_DAYS,
    even_unknown: Annotated[
        bool, typer.Option("--even-unknown", help="Take names that federation.yaml does not have.")
    ] = False,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make a token and print it, this once; only a hash of it is kept.

    [bold]Examples[/]

        gridkeeper token create --probe --resource Utah-Kingspeak --name "Utah CE"

        gridkeeper token create --role site-contact --site Utah --name alice

        gridkeeper token create --role vo-contact --vo cms --user bob --name bob
    """
    place = wired(home)
    if probe == (role is not None):
        raise UserMistake(f"say for whom the token is: --probe, or --role {', '.join(RoleOption)}")
    if not even_unknown:
        _must_be_known("resource", resource or [], resource_names(place.registry))
        _must_be_known("site", site or [], {each.site for each in place.registry.resources if each.site})
        _must_be_known("VO", vo or [], vo_names(place.registry))
    created = tokens.create(
        place.database(),
        role="probe" if role is None else role.value,
        who=local_user(),
        name=name,
        resources=resource or [],
        vos=vo or [],
        sites=site or [],
        users=user or [],
        days=days,
    )
    # The text stands alone on standard output, so that it can go into a file with the right mode.
    print(as_json({**_row(created.token), "token": created.text}) if json else created.text)
    token = created.token
    bound = ", ".join(token.bound_to)
    complaints.print(
        f"{token.label}, role {token.role}{f', for {bound}' if bound else ''}, good until {token.expires_at:%Y-%m-%d}; "
        "it is shown this once, and nobody can ask for it again",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


@app.command("list")
def list_tokens(json: JsonOption = False, home: HomeOption = None) -> None:
    """List all tokens with what they are bound to and their state: good, expired or revoked.

    Example: gridkeeper token list
    """
    rows = [_row(token) for token in tokens.list_(wired(home).database())]
    if json:
        print(as_json(rows))
        return
    for row in rows:
        row["bound_to"] = ", ".join((*row["sites"], *row["resources"], *row["vos"], *row["users"])) or None
        for column in ("created", "expires", "last_used"):
            moment = row[f"{column}_at"]
            row[column] = None if moment is None else f"{moment:%Y-%m-%d}"
    print_rows(rows, TABLE_COLUMNS, Shape.TABLE, free=("bound_to",))


@app.command()
def revoke(
    token: Annotated[
        str, typer.Argument(help="Its id, or the whole token as it was found.", show_default=False)
    ],
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit.", show_default=False)],
    home: HomeOption = None,
) -> None:
    """Revoke a token. A running server refuses it within seconds.

    Example: gridkeeper token revoke 3f2a9c81 --reason "found in a ticket"
    """
    revoked, now = tokens.revoke(wired(home).database(), token, reason, local_user())
    when = "is revoked" if now else f"was revoked already, on {revoked.revoked_at:%Y-%m-%d}"
    complaints.print(f"{revoked.label} {when}", soft_wrap=True, highlight=False, markup=False)


def resource_names(registry: Registry) -> set[str]:
    """All names that a resource can be asked for by: its own, its aliases, its probes."""
    return {name for resource in registry.resources for name in (*resource.names, *resource.probes)}


def vo_names(registry: Registry) -> set[str]:
    """All names of VOs and of the experiments below them."""
    names: set[str] = set()
    below: list[Experiment] = list(registry.vos)
    while below:
        experiment = below.pop()
        names.update((experiment.name, *experiment.aliases))
        below.extend(experiment.experiments)
    return names


def _must_be_known(kind: str, wanted: list[str], known: set[str]) -> None:
    """Refuse a name that the registry does not have: a token bound to a misspelt name is of no use, and looks good."""
    if not known:
        return
    for name in wanted:
        if not any(fits(name.strip(), other) for other in known):
            close = nearest(name, known, 3)
            hint = f"; do you mean {' or '.join(close)}?" if close else ""
            raise UserMistake(
                f"federation.yaml has no {kind} {name!r}{hint} (--even-unknown takes it as it is)"
            )


def _row(token: tokens.Token) -> dict[str, Any]:
    values = asdict(token) | {"state": token.state(clock.now())}
    return {column: values[column] for column in COLUMNS}

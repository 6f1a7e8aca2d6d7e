"""`gridkeeper token` as carol uses it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app, main
from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.database import reading
from gridkeeper.errors import UserMistake
from gridkeeper.settings import Server, Trust
from gridkeeper.trust import audit
from gridkeeper.trust.door import Door
from gridkeeper.trust.refusals import NotRecognised
from tests.databases import settle

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from gridkeeper.trust.senders import Sender

pytestmark = pytest.mark.usefixtures("on_each_engine")
FEDERATION = """\
vos:
  - {name: cms, aliases: [uscms]}
  - {name: fermilab, experiments: [{name: nova}]}
resources:
  - {name: Utah-Kingspeak, site: Utah, aliases: [kingspeak.example.edu], probes: ["slurm:kingspeak.example.edu"]}
  - {name: Utah-Notchpeak, site: Utah}
  - {name: Nebraska, site: Nebraska}
"""


class Carol:
    """The operator at her console."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        Home(folder).create()
        settle(folder)
        Home(folder).federation.write_text(FEDERATION, encoding="utf-8")

    def types(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["token", *words, "--home", str(self.folder)])

    def gives(self, *words: str) -> str:
        outcome = self.types("create", *words)
        assert outcome.exit_code == 0, outcome.output
        return outcome.stdout.strip()

    def door(self, token: str) -> Sender:
        engine = wired(self.folder).database()
        try:
            return Door(engine, Server(), Trust()).recognise(
                [(b"authorization", f"Bearer {token}".encode())], "10.1.2.3"
            )
        finally:
            engine.dispose()


@pytest.fixture
def carol(tmp_path: Path) -> Carol:
    return Carol(tmp_path / "home")


def test_carol_gives_alice_a_token_and_it_is_shown_once(carol: Carol) -> None:
    outcome = carol.types("create", "--probe", "--resource", "Utah-Kingspeak", "--name", "Utah CE")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.count("\n") == 1
    assert outcome.stdout.startswith("gk_")
    assert "(Utah CE), role probe, for Utah-Kingspeak, good until" in outcome.stderr
    assert "shown this once" in outcome.stderr
    secret = outcome.stdout.strip().rpartition("_")[2]
    assert secret not in outcome.stderr
    alice = carol.door(outcome.stdout.strip())
    assert alice.may_send_for("Utah-Kingspeak")
    assert not alice.may_send_for("Nebraska")
    listed = carol.types("list")
    assert "Utah CE" in listed.stdout
    assert secret not in listed.output + carol.types("list", "--json").output


def test_the_token_comes_as_json_too(carol: Carol) -> None:
    made = json.loads(carol.gives("--probe", "--vo", "uscms", "--days", "30", "--json"))
    assert made["vos"] == ["uscms"]
    assert made["state"] == "good"
    assert carol.door(made["token"]).name == f"token {made['id']} (uscms)"


def test_the_list_says_who_used_what(carol: Carol) -> None:
    token = carol.gives("--probe", "--resource", "Utah-*")
    carol.door(token)
    [row] = json.loads(carol.types("list", "--json").stdout)
    assert row["last_used_from"] == "10.1.2.3"
    assert row["resources"] == ["Utah-*"]
    assert row["created_by"].startswith("local ")
    assert not {"secret_hash", "token"} & set(row)


def test_carol_revokes_a_token_by_id_or_whole(carol: Carol) -> None:
    token = carol.gives("--probe", "--resource", "Nebraska")
    outcome = carol.types("revoke", token, "--reason", "found in a ticket")
    assert outcome.exit_code == 0, outcome.output
    assert "(Nebraska) is revoked" in outcome.stderr
    with pytest.raises(NotRecognised, match="was revoked"):
        carol.door(token)
    again = carol.types("revoke", token.split("_")[1], "--reason", "again")
    assert again.exit_code == 0
    assert "was revoked already" in again.stderr
    [row] = json.loads(carol.types("list", "--json").stdout)
    assert (row["state"], row["revoked_because"]) == ("revoked", "found in a ticket")


def test_all_of_it_is_in_the_audit(carol: Carol) -> None:
    token = carol.gives("--probe", "--resource", "Nebraska", "--name", "Red")
    carol.types("revoke", token, "--reason", "lost")
    engine = wired(carol.folder).database()
    with reading(engine) as connection:
        found = audit.entries(connection)
    engine.dispose()
    assert [entry.act for entry in found] == ["token.revoke", "token.create"]
    assert {entry.who for entry in found} == {audit.local_user()}
    assert token.rpartition("_")[2] not in repr(found)


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_people_get_roles(carol: Carol, role: str) -> None:
    assert carol.door(carol.gives("--role", role, "--name", "dan")).role == role


def test_a_name_that_the_registry_does_not_have_is_refused_with_those_close_to_it(carol: Carol) -> None:
    outcome = carol.types("create", "--probe", "--resource", "Utah-Kingpeak")
    assert isinstance(outcome.exception, UserMistake)
    assert str(outcome.exception).startswith(
        "federation.yaml has no resource 'Utah-Kingpeak'; do you mean Utah-Kingspeak or "
    )
    assert carol.types("create", "--probe", "--vo", "cmss").exit_code != 0
    assert json.loads(carol.types("list", "--json").stdout) == []
    assert carol.gives("--probe", "--resource", "Utah-Kingpeak", "--even-unknown")


@pytest.mark.parametrize(
    "words",
    [
        ("--resource", "utah-kingspeak"),
        ("--resource", "kingspeak.example.edu"),
        ("--resource", "slurm:kingspeak.example.edu"),
        ("--resource", "Utah-*"),
        ("--vo", "nova"),
        ("--vo", "USCMS"),
    ],
)
def test_names_aliases_probes_and_patterns_are_known(carol: Carol, words: tuple[str, str]) -> None:
    assert carol.gives("--probe", *words)


def test_a_registry_without_resources_knows_any(carol: Carol) -> None:
    Home(carol.folder).federation.write_text("resources: []\n", encoding="utf-8")
    assert carol.gives("--probe", "--resource", "anything")


@pytest.mark.parametrize(
    "words",
    [
        ("create",),
        ("create", "--probe"),
        ("create", "--probe", "--role", "admin", "--resource", "Nebraska"),
        ("create", "--role", "operator", "--resource", "Nebraska"),
        ("create", "--role", "king"),
        ("create", "--probe", "--resource", "Nebraska", "--days", "0"),
        ("revoke", "00000000"),
        ("revoke", "00000000", "--reason", "lost"),
    ],
)
def test_what_makes_no_sense_is_refused(carol: Carol, words: tuple[str, ...]) -> None:
    assert carol.types(*words).exit_code != 0
    assert json.loads(carol.types("list", "--json").stdout) == []


def test_a_mistake_is_a_sentence(
    carol: Carol, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gridkeeper", "--home", str(carol.folder), "token", "create"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "say for whom the token is" in capsys.readouterr().err


def test_contacts_get_what_they_speak_for(tmp_path: Path) -> None:
    carol = Carol(tmp_path)
    token = carol.gives(
        "--role", "site-contact", "--site", "Utah", "--resource", "Nebraska", "--user", "alice"
    )
    alice = carol.door(token)
    assert alice.role == "site-contact"
    assert alice.sites == {"Utah"}
    assert list(alice.resources or ()) == ["Nebraska"]
    assert alice.users == {"alice"}
    assert not alice.may_send_for("Nebraska"), "who speaks for a resource does not send for it"
    bob = carol.door(carol.gives("--role", "vo-contact", "--vo", "cms"))
    assert not bob.may_send_for("Nebraska")
    listed = json.loads(carol.types("list", "--json").stdout)
    assert {row["role"]: (row["sites"], row["vos"], row["users"]) for row in listed} == {
        "site-contact": (["Utah"], [], ["alice"]),
        "vo-contact": ([], ["cms"], []),
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--role", "site-contact"], "must say what it is for; name sites or resources"),
        (["--role", "vo-contact", "--site", "Utah"], "is not bound to sites"),
        (["--role", "site-contact", "--site", "Uta"], "no site 'Uta'; do you mean Utah?"),
        (["--role", "viewer", "--user", "*"], "a user is named whole"),
        (["--probe", "--resource", "Nebraska", "--user", "alice"], "a probe's token is not bound to users"),
        (["--role", "operator", "--vo", "cms"], "bound to nothing: it is for everything"),
    ],
)
def test_a_contact_that_makes_no_sense_is_not_made(tmp_path: Path, words: list[str], sentence: str) -> None:
    outcome = Carol(tmp_path).types("create", *words)
    assert isinstance(outcome.exception, UserMistake)
    assert sentence in str(outcome.exception)

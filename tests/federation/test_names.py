"""A name in `federation.yaml` means one thing; what means two is refused with both places, what may be a slip is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.errors import BadConfiguration
from gridkeeper.federation.bounded_yaml import MOST_DEPTH
from gridkeeper.federation.model import Registry, read_registry
from gridkeeper.federation.names import doubts

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str) -> Registry:
    (folder / "federation.yaml").write_text(text, encoding="utf-8")
    return read_registry(folder / "federation.yaml")


def refused(folder: Path, text: str) -> str:
    with pytest.raises(BadConfiguration) as caught:
        read(folder, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("vos: [{name: cms}, {name: CMS}]", "vos › 1 (CMS)", "vos › 0 (cms)"),
        ("vos: [{name: a, aliases: [b]}, {name: b}]", "vos › 1 (b)", "vos › 0 (a) › aliases"),
        ("vos: [{name: a, aliases: [x]}, {name: b, aliases: [X]}]", "vos › 1 (b) › aliases", "vos › 0 (a) › aliases"),
        ("vos: [{name: nova}, {name: fermilab, experiments: [{name: nova}]}]", "vos › 1 (fermilab) › experiments › 0 (nova)", "vos › 0 (nova)"),
        ("vos: [{name: a, fqan: /a/b}, {name: c, experiments: [{name: b, fqan: /a/b/}]}]", "experiments › 0 (b) › fqan", "vos › 0 (a) › fqan"),
        ("resources: [{name: A}, {name: B, aliases: [a]}]", "resources › 1 (B) › aliases", "resources › 0 (A)"),
        ("resources: [{name: A, aliases: [h]}, {name: B, aliases: [h]}]", "resources › 1 (B) › aliases", "resources › 0 (A) › aliases"),
        ("resources: [{name: A, probes: [p]}, {name: B, probes: [P]}]", "resources › 1 (B) › probes", "resources › 0 (A) › probes"),
        ("sites: [{name: A}, {name: a}]", "sites › 1 (a)", "sites › 0 (A)"),
    ],
)  # fmt: skip
def test_a_name_that_means_two_things_is_refused_with_both_places(
    tmp_path: Path, text: str, first: str, second: str
) -> None:
    sentence = refused(tmp_path, text)
    assert str(tmp_path / "federation.yaml") in sentence
    assert first in sentence
    assert second in sentence
    assert "Value error" not in sentence


def test_names_that_mean_one_thing_are_not_refused(tmp_path: Path) -> None:
    read(
        tmp_path,
        """
        vos:
          - {name: cms, aliases: [CMS], experiments: [{name: cms}, {name: production, fqan: /cms/production}]}
          - {name: atlas, experiments: [{name: production, fqan: /atlas/production}]}
        resources: [{name: A, aliases: [A], probes: [p, p]}]
        """,
    )


def test_owners_and_lists_that_name_no_vo_of_the_file_are_told_and_not_refused(tmp_path: Path) -> None:
    registry = read(
        tmp_path,
        """
        vos: [{name: cms, aliases: [uscms]}]
        vo_lists: {opportunistic: [osg, glow]}
        resources: [{name: Utah, owners: {USCMS: 50, utah: 20, atlsa: 30}}]
        mapping: [{when: {account: "*"}, vo: utah}, {when: {account: "osg-*"}, vo: osg}]
        """,
    )
    told = list(doubts(registry))
    assert [sentence.split(" is no VO")[0] for sentence in told] == [
        "resources › 0 (Utah) › owners: atlsa",
        "vo_lists › opportunistic: glow",
    ]
    assert not list(doubts(read(tmp_path, "resources: [{name: Utah, owners: {utah: 100}}]")))


def test_a_load_tells_such_doubts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    CliRunner().invoke(app, ["init", str(home)])
    (home / "federation.yaml").write_text("vos: [{name: cms}]\nresources: [{name: A, owners: {csm: 100}}]\n")
    (tmp_path / "a.psv").write_text("JobID|Start|End|State\n")
    outcome = CliRunner().invoke(app, ["--home", str(home), "load", "--json", str(tmp_path / "a.psv")])
    assert any("csm is no VO of this file" in warning for warning in json.loads(outcome.stdout)["warnings"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, f"line 1: lists and mappings nested more than {MOST_DEPTH} deep"),
        ("vos: " + "[" * 5_000 + "]" * 5_000, f"line 1: lists and mappings nested more than {MOST_DEPTH} deep"),
        ("".join(" " * level + "a:\n" for level in range(3_000)), f"nested more than {MOST_DEPTH} deep"),
        ("vos:\n- &a {name: a, experiments: [*a]}", "line 2: an alias inside of what it names"),
        (
            "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
            "aliases that grow to more than",
        ),
        ("expected: [{resource: A, since: 2017-13-45}]", "holds a value that cannot be"),
        ("vos: [{name: \x00}]", "is no YAML"),
        ("vos: [", "is no YAML"),
        ("- 1", "the file"),
    ],
)  # fmt: skip
def test_what_no_reader_should_have_to_read_is_refused_in_a_sentence(
    tmp_path: Path, text: str, says: str
) -> None:
    sentence = refused(tmp_path, text)
    assert says in sentence
    assert str(tmp_path / "federation.yaml") in sentence


def test_a_byte_order_mark_and_anchors_are_fine(tmp_path: Path) -> None:
    found = read(tmp_path, "\ufeffvo_lists: {opportunistic: &some [glow, osg], others: *some}")
    assert found.vo_lists["others"] == ("glow", "osg")

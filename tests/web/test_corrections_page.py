"""Corrections: what is in force, what each changes, and who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.summaries.corrections import keeping
from gridkeeper.summaries.corrections.reading import files_of, read_corrections
from tests.collectors import Collector, collector
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HALF = """
corrections:
  - id: alpha-half
    reason: The node counts every core twice.
    author: carol
    ticket: GGUS-1
    period: {first: 2020-01-01, last: 2030-12-31}
    match: {resource: alpha}
    set: {processors: 1}
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(
        tmp_path / "home",
        federation="vos: [{name: cms}]\nresources: [{name: alpha, site: Springfield}]\nmapping: [{when: {account: cms}, vo: cms}]\n",
    )
    with made.client(made.token("alpha")) as client:
        assert (
            client.post("/api/v1/batches?format=sacct&resource=alpha", content=sacct(1, 2, 3)).status_code
            == 202
        )
    made.load()
    yield made
    made.close()


def apply(gate: Collector, text: str = HALF) -> None:
    folder = gate.place.home.corrections
    folder.mkdir(exist_ok=True)
    (folder / "alpha.yaml").write_text(text, encoding="utf-8")
    keeping.apply(gate.services.engine, read_corrections(files_of(folder)), "carol")


def test_where_none_was_ever_in_force_the_page_says_how_one_comes_about(gate: Collector) -> None:
    page = gate.browser(gate.token(role="viewer")).get("/corrections").text
    assert "No correction was ever in force here." in page
    assert "gridkeeper corrections preview" in page


def test_what_a_correction_changes_stands_on_its_page(gate: Collector) -> None:
    apply(gate)
    browser = gate.browser(gate.token(role="viewer"))
    assert 'href="/correction/alpha-half"' in browser.get("/corrections").text
    page = browser.get("/correction/alpha-half").text
    assert "The node counts every core twice." in page
    assert "3 records fit" in page
    assert "Springfield" in page
    assert "in force" in page


def test_who_did_it_is_told_to_operators_alone(gate: Collector) -> None:
    apply(gate)
    assert "by carol" not in gate.browser(gate.token(role="viewer")).get("/correction/alpha-half").text
    assert "by carol" in gate.browser(gate.token(role="operator")).get("/correction/alpha-half").text


def test_a_revoked_one_stays_with_its_reason(gate: Collector) -> None:
    apply(gate)
    keeping.revoke(gate.services.engine, ["alpha-half"], "bob", "the site mended it")
    page = gate.browser(gate.token(role="viewer")).get("/correction/alpha-half").text
    assert "Nothing: it is not in force." in page
    assert "the site mended it" in page


def test_the_public_and_unknown_names_are_refused_in_words(gate: Collector) -> None:
    assert gate.browser().get("/corrections").url.path == "/login"
    answer = gate.browser(gate.token(role="viewer")).get("/correction/nothing")
    assert answer.status_code == 404
    assert "/corrections names those there are" in answer.text

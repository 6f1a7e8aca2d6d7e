"""What words name depends on the day: names, hosts and sites have their times."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.config import Home
from gridkeeper.errors import BadConfiguration
from gridkeeper.federation.accounting_names import AccountingNames
from gridkeeper.federation.mapping import Mapper, count_levels
from gridkeeper.federation.model import Registry
from gridkeeper.federation.reading import read_home
from gridkeeper.federation.watching import Watch
from tests.federation import invented_topology as invented
from tests.federation.test_topology_history import GROUP, Repository

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2019, 5, 1)
RENAMED: dict[str, Any] = {
    "name": "Utah-New", "site": "Utah", "count_level": "payload", "aliases": ["utah-too"], "accounting_name": "EX-Utah",
    "former": [{"until": "2019-05-01", "name": "Utah-Old", "site": "Salt Lake", "hosts": ["old.example.org"]}],
}  # fmt: skip


def registry(*resources: dict[str, Any], **more: Any) -> Registry:
    return Registry.model_validate({"resources": resources, **more})


def where(mapper: Mapper, day: date | None, **words: str) -> tuple[str | None, str | None, bool]:
    meaning = mapper.meaning(dict(words), day)
    return meaning.resource, meaning.site, meaning.registered


def test_a_record_has_the_name_and_the_site_of_its_day() -> None:
    mapper = Mapper(registry(RENAMED))
    assert mapper.changes == (DAY,)
    before, after = date(2019, 4, 30), DAY
    for word in ("Utah-Old", "utah-too"):
        assert where(mapper, before, resource=word) == ("Utah-Old", "Salt Lake", True)
        assert where(mapper, after, resource=word) == ("Utah-New", "Utah", True)
    assert where(mapper, None, resource="Utah-Old") == ("Utah-New", "Utah", True)
    assert where(mapper, before, resource="Utah-New") == ("Utah-New", "Utah-New", False)
    probe = "htcondor-ce:old.example.org"
    assert where(mapper, before, probe=probe, resource="x") == ("Utah-Old", "Salt Lake", True)
    assert where(mapper, after, probe=probe, resource="x")[2] is False


def test_a_match_says_from_when_until_when_it_holds() -> None:
    mapper = Mapper(registry(RENAMED, {"name": "Other"}))
    match = mapper.match({"resource": "utah-old"}, date(2018, 1, 1))
    assert (match.first, match.until) == (date.min, DAY)
    match = mapper.match({"resource": "Other"}, date(2018, 1, 1))
    assert (match.first, match.until) == (date.min, date.max)


def test_a_host_that_two_had_at_one_time_names_the_one_that_had_it_alone() -> None:
    one = {"name": "One", "former": [{"until": "2018-01-01", "hosts": ["ce.example.org"]}, {"from": "2018-01-01", "until": "2019-01-01", "hosts": []}], "hosts": ["ce.example.org"]}  # fmt: skip
    other = {"name": "Other", "former": [{"from": "2017-01-01", "until": "2020-01-01", "hosts": ["ce.example.org"]}], "valid_from": "2020-01-01"}  # fmt: skip
    mapper = Mapper(registry(one, other))
    named = {
        year: mapper.match({"resource": "ce.example.org"}, date(year, 6, 1)).name
        for year in (2016, 2017, 2018, 2019, 2020)
    }
    assert named == {
        2016: "One",
        2017: "ce.example.org",
        2018: "Other",
        2019: "ce.example.org",
        2020: "One",
    }


def test_what_is_known_of_a_resource_is_known_under_its_former_name() -> None:
    known = registry(RENAMED)
    assert count_levels(known) == {"Utah-Old": [(date.min, "payload")], "Utah-New": [(date.min, "payload")]}
    assert AccountingNames(known).on("Utah-Old", "Salt Lake", date(2018, 1, 1)) == "EX-Utah"


@pytest.mark.parametrize(
    "said",
    [
        {"former": [{"from": "2019-02-01", "until": "2019-01-01"}]},
        {"former": [{"until": "2019-02-01"}, {"from": "2019-01-01", "until": "2020-01-01"}]},
        {"former": [{"until": "2019-02-01"}], "valid_from": "2019-01-01"},
        {"valid_from": "2019-02-01", "valid_until": "2019-02-01"},
    ],
)
def test_times_that_contradict_one_another_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="2019"):
        registry({"name": "Utah"} | said)


def test_the_revision_changes_with_what_was_and_not_with_former_owners() -> None:
    plain = registry({"name": "Utah-New", "site": "Utah"})
    dated = registry({"name": "Utah-New", "site": "Utah", "former": [{"until": "2019-05-01", "name": "Old"}]})
    owned = registry({"name": "Utah-New", "site": "Utah", "former": [{"until": "2019-05-01", "name": "Old", "owners": {"cms": 1}}]})  # fmt: skip
    assert plain.revision != dated.revision == owned.revision


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose registry was renamed on 2019-05-01, moved on 2020-01-01, and lost its storage on 2021-01-01."""
    (tmp_path / "registry").mkdir()
    repository = Repository(tmp_path / "registry")
    repository.commit("2018-04-06T12:00:00Z", dict(invented.FILES))
    group = invented.GROUP.replace("Springfield-CE:", "Springfield-CE1:")
    repository.commit("2019-05-01T12:00:00Z", {GROUP: group})
    moved = "topology/Springfield University/Shelbyville/SPR.yaml"
    site = {"topology/Springfield University/Shelbyville/SITE.yaml": "ID: 201\n"}
    repository.commit("2020-01-01T12:00:00Z", {GROUP: None, moved: group, **site})
    without = group[: group.index("  Springfield-SE:")]
    repository.commit("2021-01-01T12:00:00Z", {moved: without})
    home = Home(tmp_path / "home")
    home.create()
    home.federation.write_text("{}")
    for name in ("topology", "virtual-organizations", "projects"):
        (home.path / name).symlink_to(tmp_path / "registry" / name)
    return home


def written(home: Home) -> Registry:
    done = CliRunner().invoke(app, ["--home", str(home.path), "federation", "history", "--write"])
    assert done.exit_code == 0, done.output
    return read_home(home)


def test_the_history_of_the_registry_dates_it(home: Home) -> None:
    watch = Watch(home)
    before = watch.registry()
    mapper = Mapper(written(home))
    assert watch.registry() != before
    days = [date(2017, 1, 1), date(2019, 5, 1), date(2020, 1, 1), None]
    assert [where(mapper, day, resource="Springfield-CE") for day in days] == [
        ("Springfield-CE", "Springfield", True),
        ("Springfield-CE1", "Springfield", True),
        ("Springfield-CE1", "Shelbyville", True),
        ("Springfield-CE1", "Shelbyville", True),
    ]
    assert [
        where(mapper, day, resource="Springfield-SE")[2] for day in (date(2020, 12, 31), date(2021, 1, 1))
    ] == [True, False]
    pilot = {"resource": "pool", "resource_type": "Payload", "host_description": "SPR"}
    assert [where(mapper, day, **pilot)[1] for day in (date(2018, 1, 1), date(2020, 1, 1))] == ["Springfield", "Shelbyville"]  # fmt: skip


def test_what_federation_yaml_says_counts_on_all_days(home: Home) -> None:
    home.federation.write_text(
        json.dumps(
            {"resources": [{"name": "Springfield-CE1", "site": "Here", "aliases": ["Springfield-CE"]}]}
        )
    )
    mapper = Mapper(written(home))
    for day in (date(2017, 1, 1), date(2019, 5, 1), date(2020, 1, 1)):
        assert where(mapper, day, resource="Springfield-CE") == ("Springfield-CE1", "Here", True)


def test_a_damaged_history_is_refused_with_the_remedy(home: Home) -> None:
    home.registry_history.write_text('{"resources": [{"name": "x"}]}')
    with pytest.raises(BadConfiguration, match="federation history --write"):
        read_home(home)

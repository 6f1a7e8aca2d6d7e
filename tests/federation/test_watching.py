"""The federation as its files say it now: read again when one changes, and not before; a mistake in one takes nothing away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.config import Home
from gridkeeper.errors import BadConfiguration
from gridkeeper.federation import watching
from gridkeeper.federation.watching import Watch
from tests.federation import invented_topology as invented

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.create()
    made.federation.write_text("vos: [{name: x}]", encoding="utf-8")
    invented.write(tmp_path)
    return made


def names(watch: Watch) -> list[str]:
    return [vo.name for vo in watch.registry().vos]


def test_what_did_not_change_is_not_read_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)
    watch = Watch(home)
    assert watch.registry() is watch.registry()
    assert watch.known().loaded is watch.loaded()


def test_a_change_of_either_file_is_seen(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)
    watch = Watch(home)
    assert names(watch) == ["x", "Biology", "Physics"]
    home.federation.write_text("vos: [{name: other}]", encoding="utf-8")
    assert names(watch) == ["other", "Biology", "Physics"]
    (home.path / "virtual-organizations" / "Biology.yaml").unlink()
    assert names(watch) == ["other", "Physics"]
    home.federation.unlink()
    assert names(watch) == ["Physics"]


def test_the_many_files_of_a_topology_are_looked_at_now_and_then_federation_yaml_each_time(
    home: Home,
) -> None:
    watch = Watch(home)
    names(watch)
    (home.path / "virtual-organizations" / "Biology.yaml").unlink()
    home.federation.write_text("vos: [{name: other}]", encoding="utf-8")
    assert names(watch) == ["other", "Biology", "Physics"]


def test_a_mistake_is_told_and_what_was_known_goes_on(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(home)
    before = watch.registry()
    home.federation.write_text("vos: [{nome: x}]", encoding="utf-8")
    for _ in range(2):
        assert watch.registry() is before
        with pytest.raises(BadConfiguration, match=r"federation\.yaml: vos › 0"):
            watch.known()
    assert [one.getMessage().partition(":")[0] for one in caplog.records] == [
        "the registry goes on as it was"
    ]
    home.federation.write_text("vos: [{name: mended}]", encoding="utf-8")
    assert names(watch) == ["mended", "Biology", "Physics"]


def test_a_home_whose_federation_yaml_never_was_right_has_no_registry(home: Home) -> None:
    home.federation.write_text("vos: 1", encoding="utf-8")
    watch = Watch(home)
    for _ in range(2):
        with pytest.raises(BadConfiguration):
            watch.registry()
    assert len(watch.loaded().topology.vos) == 2

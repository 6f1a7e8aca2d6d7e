"""What each answer of the collector does to what waits."""

from __future__ import annotations

import gzip
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from gridkeeper.probes import cli
from tests.probes.fake_collector import TOKEN, FakeCollector, Reply, fake_collector, listening
from tests.probes.fake_site import Site, json_of

if TYPE_CHECKING:
    from pathlib import Path

BATCHES, BEATS = "/api/v1/batches", "/api/v1/heartbeats"


@pytest.fixture
def site(tmp_path: Path, collector: FakeCollector) -> Site:
    """A site with ten batches of one line each."""
    site = Site(tmp_path, collector.url, "file")
    site.set("file", paths=tmp_path / "a.swf", format="swf")
    site.set("outbox", batch_kb=1)
    (tmp_path / "a.swf").write_text("".join(f"{line} {'x' * 600}\n" for line in range(10)))
    return site


def waiting(site: Site) -> int:
    return len(list((site.state / "outbox").iterdir()))


def order(collector: FakeCollector) -> list[int]:
    return [int(line.split()[0]) for line in collector.lines()]


def test_the_oldest_goes_first_and_every_fifth_time_the_newest(site: Site, collector: FakeCollector) -> None:
    site.once()
    assert order(collector) == [0, 1, 2, 3, 9, 4, 5, 6, 7, 8]


def test_what_the_collector_wants_to_know_stands_in_the_request(site: Site, collector: FakeCollector) -> None:
    site.set("probe", resource="Zürich & Co")
    site.once()
    target, headers = collector.requests[0]
    assert target == f"{BATCHES}?format=swf&resource=Z%C3%BCrich%20%26%20Co&probe=utah-probe"
    assert headers["content-encoding"] == "gzip"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["idempotency-key"].startswith("utah-probe.1.")
    assert headers["user-agent"] == "gridkeeper-probe/0.1.0"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_critical_and_keeps_everything(
    site: Site, collector: FakeCollector, status: int
) -> None:
    sentence = f"this token {TOKEN} may send for Nebraska only"
    collector.difficult = lambda path, body: Reply(status, {"error": sentence})
    verdict = site.once()
    assert verdict.level == 2
    assert f"answers {status}: this token (token) may send for Nebraska only" in verdict.line
    assert waiting(site) == 10
    assert TOKEN not in verdict.line + "".join(site.said) + (site.state / "status.json").read_text()
    collector.difficult = lambda path, body: None
    site.clock.advance(3600)
    assert site.once().level == 0
    assert sorted(order(collector)) == list(range(10))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500), Reply(502, b"<html>bad gateway</html>"), Reply(200, b"OK"), Reply(202, {}), Reply(202, {"batch": "b1"}),
        Reply(202, {"batch": "b1", "sha256": "0" * 64}), Reply(404), Reply(202, b"[1]"), Reply(201, {}),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_receipt_deletes_nothing(
    site: Site, collector: FakeCollector, reply: Reply
) -> None:
    collector.difficult = lambda path, body: reply if path == BATCHES else None
    assert site.once().level == 1
    assert waiting(site) == 10


def test_waits_double_from_half_a_minute_to_a_quarter_of_an_hour(
    site: Site, collector: FakeCollector
) -> None:
    collector.difficult = lambda path, body: Reply(500) if path == BATCHES else None
    site.set("probe", interval_s=86_400, heartbeat_s=86_400)
    rounds = iter(range(12))
    site.probe().run(lambda: next(rounds, None) is not None)
    waits = [slept for slept in site.clock.slept if slept > 1]
    expected = [30, 60, 120, 240, 480, 900, 900, 900, 900]
    assert all(0.74 * want < slept < 1.26 * want for slept, want in zip(waits, expected, strict=False))
    assert len({round(slept, 3) for slept in waits[5:]}) > 3  # jitter


def test_retry_after_is_honoured_by_this_run_and_the_next(site: Site, collector: FakeCollector) -> None:
    collector.difficult = lambda path, body: (
        Reply(503, {"error": "busy"}, {"Retry-After": "600"}) if path == BATCHES else None
    )
    site.once()
    collector.difficult = lambda path, body: None
    site.clock.advance(590)
    site.once()
    assert collector.deliveries == []
    site.clock.advance(200)
    site.once()
    assert len(collector.deliveries) == 10


def test_a_retry_after_of_years_or_a_clock_set_back_does_not_stop_the_probe(
    site: Site, collector: FakeCollector
) -> None:
    collector.difficult = lambda path, body: (
        Reply(429, {}, {"Retry-After": "999999999"}) if path == BATCHES else None
    )
    site.once()
    collector.difficult = lambda path, body: None
    site.clock.step(-100 * 86_400)
    site.once()
    assert len(collector.deliveries) == 10


def test_retry_after_may_be_a_date(site: Site, collector: FakeCollector) -> None:
    date = {"Retry-After": "Mon, 23 Nov 2026 12:10:00 GMT"}
    collector.difficult = lambda path, body: Reply(503, {}, date) if path == BATCHES else None
    site.once()
    assert "2026-11-23T12:1" in json_of(site.state / "status.json")["retry_at"]


def test_a_batch_that_is_too_large_is_split_where_records_end(
    tmp_path: Path, collector: FakeCollector
) -> None:
    site = Site(tmp_path, collector.url, "file")
    site.set("file", paths=tmp_path / "a.psv", format="sacct")
    header = "JobID|End|State|Start\n"
    lines = [f"{line}|x|y|z" for line in range(100)]
    (tmp_path / "a.psv").write_text(header + "\n".join(lines) + "\n")
    collector.difficult = lambda path, body: Reply(413) if path == BATCHES and len(body) > 120 else None
    assert site.once().level == 0
    assert len(collector.deliveries) == 4
    assert all(delivery.text.startswith(header) for delivery in collector.deliveries)
    assert collector.lines() == lines
    assert len({delivery.key for delivery in collector.deliveries}) == len(collector.deliveries)


def test_one_record_that_is_too_large_is_kept_and_the_others_go(site: Site, collector: FakeCollector) -> None:
    def difficult(path: str, body: bytes) -> Reply | None:
        return Reply(413) if path == BATCHES and gzip.decompress(body).startswith(b"0 ") else None

    collector.difficult = difficult
    verdict = site.once()
    assert verdict.level == 1
    assert "000000000001.batch is too large and cannot be split" in verdict.line
    assert sorted(order(collector)) == list(range(1, 10))
    assert waiting(site) == 1


@pytest.mark.parametrize("status", [400, 409, 415, 422])
def test_one_batch_that_is_not_wanted_holds_up_no_other(
    site: Site, collector: FakeCollector, status: int
) -> None:
    def difficult(path: str, body: bytes) -> Reply | None:
        bad = path == BATCHES and gzip.decompress(body).startswith(b"3 ")
        return Reply(status, {"error": "no swf"}) if bad else None

    collector.difficult = difficult
    verdict = site.once()
    assert "is not wanted: 127.0.0.1" in verdict.line
    assert sorted(order(collector)) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert waiting(site) == 1


def test_a_key_is_for_the_same_bytes_however_they_were_packed(site: Site, collector: FakeCollector) -> None:
    """A probe that lost its state reads all again, perhaps on a host whose zlib packs otherwise: then the key is another."""
    site.once()
    shutil.rmtree(site.state)
    pack = gzip.compress
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "gridkeeper.probes.outbox.gzip.compress", lambda text, _, mtime: pack(text, 1, mtime=mtime)
        )
        assert site.once().level == 0
    assert collector.mistakes == []
    assert sorted(order(collector)) == sorted([*range(10), *range(10)]), "as records, they count once"


def test_a_collector_that_wants_nothing_is_not_asked_for_ever(site: Site, collector: FakeCollector) -> None:
    collector.difficult = lambda path, body: Reply(400, {"error": "no"}) if path == BATCHES else None
    site.once()
    assert len([target for target, _ in collector.requests if target.startswith(BATCHES)]) == 3


def test_a_lost_answer_is_sent_again_with_the_same_key_and_bytes(
    site: Site, collector: FakeCollector
) -> None:
    lost = iter([True, True])

    take = collector._take

    def take_and_lose(target: str, headers: dict[str, str], body: bytes) -> Reply:
        reply = take(target, headers, body)
        return Reply(500) if next(lost, False) else reply

    collector._take = take_and_lose  # type: ignore[method-assign]
    for _ in range(3):
        site.once()
        site.clock.advance(3600)
    assert sorted(order(collector)) == list(range(10))
    assert len(collector.resent) == 2
    assert collector.mistakes == []


def test_the_token_follows_no_redirect(site: Site, collector: FakeCollector) -> None:
    with fake_collector() as other:
        there = {"Location": f"{other.url}/api/v1/batches"}
        for status in (301, 307):
            collector.difficult = lambda path, body, status=status: Reply(status, {}, there)  # type: ignore[misc]
            verdict = site.once()
            site.clock.advance(3600)
        assert f"points to {other.url}/api/v1/batches; the token goes to no other address" in verdict.line
        assert other.requests == []
    assert waiting(site) == 10


def test_a_collector_that_moved_gets_what_was_meant_for_the_old_one(
    site: Site, collector: FakeCollector
) -> None:
    collector.difficult = lambda path, body: Reply(503)
    site.once()
    with fake_collector() as moved:
        site.set("collector", url=moved.url)
        site.clock.advance(3600)
        site.once()
        assert sorted(order(moved)) == list(range(10))


def test_no_collector_at_all_keeps_everything_and_says_where_it_looked(
    site: Site, collector: FakeCollector
) -> None:
    site.set("collector", url="http://127.0.0.1:9")
    verdict = site.once()
    assert verdict.level == 1
    assert "127.0.0.1:9 does not answer" in verdict.line
    assert waiting(site) == 10
    site.clock.advance(25 * 3600)
    verdict = site.once()
    assert verdict.level == 2
    assert "10 batches wait, the oldest for 25 hours" in verdict.line


def test_a_renewed_token_holds_at_once(site: Site, collector: FakeCollector) -> None:
    (site.folder / "token").write_text("old-token")
    probe = site.probe()
    assert probe.once().level == 2
    (site.folder / "token").write_text(TOKEN)
    site.clock.advance(3600)
    assert probe.once().level == 0


def test_the_token_may_stand_in_the_environment(
    site: Site, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    del site.sections["collector"]["token_file"]
    assert "the environment's GRIDKEEPER_PROBE_TOKEN holds no token" in site.once().line
    monkeypatch.setenv("GRIDKEEPER_PROBE_TOKEN", TOKEN)
    assert site.once().level == 0


@pytest.mark.parametrize(("name", "limit"), [("limit_files", 4), ("keep_free_mb", 9_000_000)])
def test_a_full_outbox_stops_the_reading_and_says_so(
    site: Site, collector: FakeCollector, name: str, limit: int
) -> None:
    collector.difficult = lambda path, body: Reply(503) if path == BATCHES else None
    site.set("outbox", **{name: limit})
    verdict = site.once()
    assert "reading has stopped" in verdict.line
    assert f"[outbox] {name}" in collector.heartbeats[-1]["problem"]
    assert waiting(site) <= 4
    collector.difficult = lambda path, body: None
    site.set("outbox", **{name: 20})
    site.clock.advance(3600)
    for _ in range(3):
        site.once()
    assert sorted(order(collector)) == list(range(10))


def test_the_limit_in_bytes_holds(
    site: Site, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridkeeper.probes.outbox.MEGABYTE", 1000)
    collector.difficult = lambda path, body: Reply(503) if path == BATCHES else None
    site.set("outbox", limit_mb=2)
    assert "its limit is 2 MB ([outbox] limit_mb)" in site.once().line
    assert 2 <= waiting(site) <= 5


def test_heartbeats_come_while_batches_are_not_taken(site: Site, collector: FakeCollector) -> None:
    collector.difficult = lambda path, body: Reply(503, {"error": "inbox full"}) if path == BATCHES else None
    site.once()
    (beat,) = collector.heartbeats
    assert beat["backlog_batches"] == 10
    assert beat["backlog_bytes"] > 1000
    assert beat["oldest_waiting_at"] == "2026-11-23T12:00:00Z"
    assert "answers 503: inbox full" in beat["problem"]


def test_receipts_are_kept_for_the_doctor(site: Site) -> None:
    site.once()
    status = json_of(site.state / "status.json")
    assert status["last_receipt"] == "b10"
    assert status["last_receipt_at"] == "2026-11-23T12:00:00Z"


def test_the_loop_reads_sends_and_beats(site: Site, collector: FakeCollector) -> None:
    site.set("probe", interval_s=600, heartbeat_s=120)
    end = site.clock.monotonic() + 3600

    def keep_on() -> bool:
        with (site.folder / "a.swf").open("a") as stream:
            stream.write(f"{int(site.clock.monotonic())} x\n")
        return site.clock.monotonic() < end

    site.probe().run(keep_on)
    assert 25 <= len(collector.heartbeats) <= 32
    assert len(collector.lines()) > 30


def test_the_collector_may_go_and_come_back(site: Site) -> None:
    collector = FakeCollector()
    with listening(collector):
        site.set("collector", url=collector.url)
        probe = site.probe()
    assert probe.once().level == 1
    site.clock.advance(3600)
    with listening(collector):
        assert probe.once().level == 0
    assert len(collector.deliveries) == 10


def test_status_lines_hold_one_bar_at_most(
    site: Site, collector: FakeCollector, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.difficult = lambda path, body: Reply(500, {"error": "a | b\nc"})
    code = cli.main(["run", "--once", "--config", str(site.write_config())])
    line = capsys.readouterr().out
    assert code == 1
    assert line.count("|") == 1
    assert line.count("\n") == 1
    assert "a / b c" in line


def test_quiet_says_nothing_when_all_is_well(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--once", "--quiet", "--config", str(site.write_config())]) == 0
    assert capsys.readouterr().out == ""


def test_heartbeats_are_json_of_the_agreed_form(site: Site, collector: FakeCollector) -> None:
    site.once()
    assert set(json.loads(json.dumps(collector.heartbeats[0]))) == {
        "probe", "resource", "format", "version", "at", "backlog_batches", "backlog_bytes", "oldest_waiting_at",
        "newest_record_at", "problem", "samples",
    }  # fmt: skip

"""Alice finds why three of Utah's records were refused and reads them again; Bob, of Nebraska, sees none of it; Carol sees all."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest

from gridkeeper.database import reading
from gridkeeper.intake import quarantine, retrying
from gridkeeper.records.rules import MEANING, Rule
from gridkeeper.trust import audit
from gridkeeper.web import deciding
from tests.collectors import LOCAL, Browser, Collector, collector
from tests.web.gratia_posts import envelope, post, record
from tests.web.test_batches import HEADER, sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FEDERATION = """
resources:
  - {name: Utah-Kingspeak, aliases: [kingspeak], site: Utah, probes: ["slurm:kingspeak", ce.example.org]}
  - {name: Tusker, site: Nebraska, probes: ["slurm:tusker"]}
"""
SCRIPT = "<script>alert(1)</script>"


pytestmark = pytest.mark.usefixtures("on_each_engine")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", federation=FEDERATION)
    yield made
    made.services.reading.close()
    made.close()


def alice(gate: Collector) -> str:
    return gate.token(role="site-contact", sites=("Utah",))


def bob(gate: Collector) -> str:
    return gate.token("Tusk*", role="site-contact")


def carol(gate: Collector) -> str:
    return gate.token(role="operator")


def send(gate: Collector, resource: str, probe: str, body: bytes) -> str:
    sender = gate.client(gate.token(resource))
    answer = sender.post(f"/api/v1/batches?format=sacct&resource={resource}&probe={probe}", content=body)
    assert answer.status_code == 202, answer.text
    name: str = answer.json()["batch"]
    return name


def three_refused(gate: Collector) -> str:
    """A batch of Utah with two good records, and three of which the end lies too far in the future; one has a name with a script."""
    later = (
        sacct(3, 4, 5, cluster="kingspeak")
        .decode()
        .removeprefix(HEADER)
        .replace("2026-11-20", "2036-11-20")
        .replace("|alice|", f"|{SCRIPT}|", 1)
    )
    name = send(gate, "Utah-Kingspeak", "slurm:kingspeak", sacct(1, 2, cluster="kingspeak") + later.encode())
    gate.load()
    return name


def ids(gate: Collector) -> list[str]:
    return [str(row.id) for row in quarantine.entries(gate.services.engine, quarantine.Choice())]


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a fix would: from now on a record may end so far in the future."""
    monkeypatch.setattr("gridkeeper.records.finish.FUTURE_TOLERANCE_DAYS", 100_000, raising=False)
    monkeypatch.setattr("gridkeeper.records.checks.FUTURE_TOLERANCE_DAYS", 100_000, raising=False)


def test_alice_finds_why_three_records_were_refused_and_reads_them_again(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = three_refused(gate)
    browser = gate.browser(alice(gate))
    assert f'href="/batch/{batch}#refused"' in browser.get("/batches").text
    page = browser.get(f"/batch/{batch}").text
    assert "5 records were read: 2 new in the books, 3 refused." in page
    assert page.count('href="/quarantine/end_in_future?id=') == 3
    assert "mend the clock of the source" in page
    rule = browser.get("/quarantine/end_in_future").text
    assert "A job ended more than 2 days after it was received" in rule
    assert "2036-11-20T11:00:00" in rule
    mend(monkeypatch)
    answer = browser.submit("/quarantine/retry", rule="end_in_future", every="yes")
    assert answer.history[0].status_code == 303
    assert "All of them are in the books now." in answer.text
    assert gate.sums()[0] == 5
    assert not ids(gate)
    with reading(gate.services.engine) as connection:
        written = {entry.act: entry for entry in audit.entries(connection, act="quarantine")}
    assert set(written) == {"quarantine.retry", "quarantine.retried"}
    assert written["quarantine.retried"].details["loaded"] == 3
    assert written["quarantine.retried"].address == LOCAL
    assert written["quarantine.retry"].who == written["quarantine.retried"].who


def test_texts_of_strangers_are_shown_as_text(gate: Collector) -> None:
    batch = three_refused(gate)
    browser = gate.browser(alice(gate))
    for path in (
        "/quarantine/end_in_future",
        f"/batch/{batch}",
        "/probe/slurm:kingspeak",
        "/batches",
        "/quarantine",
    ):
        assert SCRIPT not in browser.get(path).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in browser.get("/quarantine/end_in_future").text


def test_one_refusal_is_read_again_and_what_is_refused_again_stays_open(gate: Collector) -> None:
    three_refused(gate)
    browser = gate.browser(alice(gate))
    first = ids(gate)[0]
    page = browser.get(f"/quarantine/end_in_future?id={first}").text
    assert page.count('name="id"') == 1
    answer = browser.submit("/quarantine/retry", id=first)
    assert "None of them is in the books now." in answer.text
    assert 'href="/quarantine/end_in_future' in answer.text or 'href="/quarantine"' in answer.text
    assert len(ids(gate)) == 3


def test_bob_neither_sees_nor_decides_over_what_is_of_utah(gate: Collector) -> None:
    batch = three_refused(gate)
    send(gate, "Tusker", "slurm:tusker", sacct(1, wall_s=-1, cluster="tusker"))
    gate.load()
    browser, client = gate.browser(bob(gate)), gate.client(bob(gate))
    assert "end_in_future" not in browser.get("/quarantine?state=all").text.split("<table>")[1]
    assert "No text like that" in browser.get("/quarantine/end_in_future").text
    assert "1 text." in browser.get("/quarantine/negative_duration").text
    assert browser.get(f"/batch/{batch}").status_code == 404
    assert batch not in browser.get("/batches").text
    assert browser.get("/batches").text.count('class="state loaded">loaded</span></td>') == 1
    assert [one["resource"] for one in client.get("/api/v1/batches").json()["batches"]] == ["Tusker"]
    assert client.get("/api/v1/quarantine/end_in_future").json()["texts"] == []
    assert [one["rule"] for one in client.get("/api/v1/quarantine").json()["groups"]] == ["negative_duration"]
    utah = [
        str(row.id)
        for row in quarantine.entries(gate.services.engine, quarantine.Choice(rule="end_in_future"))
    ]
    for decision, more in (("retry", {}), ("discard", {"reason": "mine now"})):
        assert browser.submit(f"/quarantine/{decision}", id=utah[0], **more).status_code == 404
        assert (
            browser.submit(f"/quarantine/{decision}", rule="end_in_future", every="yes", **more).status_code
            == 404
        )
        said = client.post(f"/api/v1/quarantine/{decision}", json={"ids": utah, **more})
        assert said.status_code == 404
        assert "somebody else's" in said.json()["error"]
    assert len(ids(gate)) == 4


def test_nobody_else_sees_batches_refusals_or_the_audit(gate: Collector) -> None:
    three_refused(gate)
    paths = (
        "/batches", "/quarantine", "/quarantine/end_in_future", "/quarantine/done/1", "/audit",
        "/api/v1/batches", "/api/v1/quarantine", "/api/v1/quarantine/end_in_future", "/api/v1/audit",
    )  # fmt: skip
    for token in (None, gate.token(role="viewer"), gate.token(role="vo-contact", vos=("cms",))):
        for path in paths:
            answer = gate.client(token).get(path)
            assert answer.status_code == 403, path
            assert SCRIPT not in answer.text
    for path in ("/audit", "/api/v1/audit"):
        assert gate.client(alice(gate)).get(path).status_code == 403
    assert gate.client(gate.token("Utah-Kingspeak")).get("/api/v1/quarantine").status_code == 403


@pytest.mark.parametrize("key", ["", "wrong"])
@pytest.mark.parametrize("decision", ["retry", "discard"])
def test_a_form_without_the_sessions_key_changes_nothing(gate: Collector, decision: str, key: str) -> None:
    three_refused(gate)
    browser = gate.browser(carol(gate))
    answer = browser.submit(
        f"/quarantine/{decision}", key=key, rule="end_in_future", every="yes", reason="a test"
    )
    assert answer.status_code == 403
    assert len(ids(gate)) == 3


def test_the_api_changes_nothing_for_a_browsers_session(gate: Collector) -> None:
    three_refused(gate)
    browser = gate.browser(carol(gate))
    answer = browser.post("/api/v1/quarantine/discard", json={"rule": "end_in_future", "reason": "a test"})
    assert answer.status_code == 403
    assert len(ids(gate)) == 3


def test_carol_reads_a_whole_rule_again_after_a_fix_so_many_at_once(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_refused(gate)
    monkeypatch.setattr(deciding, "MOST_AT_ONCE", 2)
    mend(monkeypatch)
    browser = gate.browser(carol(gate))
    assert "Read the first 2 again" in browser.get("/quarantine/end_in_future").text
    answer = browser.submit("/quarantine/retry", rule="end_in_future", every="yes")
    assert "2 at once are taken up; 1 more wait." in answer.text
    after = re.search(r'name="after" value="([^"]+)"', answer.text)
    assert after is not None
    answer = browser.submit("/quarantine/retry", rule="end_in_future", every="yes", after=after[1])
    assert "All of them are in the books now." in answer.text
    assert gate.sums()[0] == 5


def test_the_same_over_the_api(gate: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    three_refused(gate)
    client = gate.client(carol(gate))
    texts = client.get("/api/v1/quarantine/end_in_future?limit=2").json()
    assert texts["count"] == 3
    assert texts["meaning"] == MEANING[Rule.END_IN_FUTURE]
    assert SCRIPT in texts["texts"][0]["text"] + texts["texts"][1]["text"]
    rest = client.get(f"/api/v1/quarantine/end_in_future?limit=2&after={texts['after']}").json()
    assert len(rest["texts"]) == 1
    assert rest["after"] is None
    mend(monkeypatch)
    said = client.post("/api/v1/quarantine/retry", json={"ids": [texts["texts"][0]["id"]]}).json()
    assert said["told"]["loaded"] == 1
    contact = gate.client(alice(gate))
    told = contact.post(
        "/api/v1/quarantine/discard", json={"rule": "end_in_future", "reason": "a clock of ours"}
    ).json()
    assert told["told"]["discarded"] == 2
    closed = contact.get("/api/v1/quarantine/end_in_future?state=discarded").json()["texts"]
    assert {one["closed_because"] for one in closed} == {"a clock of ours"}
    assert "a clock of ours" in gate.browser(carol(gate)).get("/audit?act=quarantine").text
    assert gate.sums()[0] == 3


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "name a rule or ids"),
        ({"rule": "no_such_rule"}, 400, "there is no rule"),
        ({"rule": "bad_time"}, 404, "no open refusal"),
        ({"rule": "bad_time", "everything": True}, 422, "everything"),
        ({"rule": "end_in_future", "after": "nowhere"}, 400, "after"),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_is_told(
    gate: Collector, body: dict[str, object], status: int, says: str
) -> None:
    answer = gate.client(carol(gate)).post("/api/v1/quarantine/retry", json=body)
    assert answer.status_code == status
    assert says in answer.json()["error"]


def test_nothing_is_discarded_without_a_reason(gate: Collector) -> None:
    three_refused(gate)
    browser = gate.browser(carol(gate))
    answer = browser.submit("/quarantine/discard", rule="end_in_future", every="yes", reason="  ")
    assert answer.status_code == 400
    assert "nothing is discarded without one" in answer.text
    assert browser.submit("/quarantine/discard", rule="end_in_future", reason="a test").status_code == 400
    assert len(ids(gate)) == 3


def test_one_decision_is_at_work_at_a_time(gate: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    three_refused(gate)
    begun, may_end = threading.Event(), threading.Event()
    real = retrying.retry

    def slow(*told: object) -> retrying.Retried:
        begun.set()
        assert may_end.wait(30)
        return real(*told)  # type: ignore[arg-type]

    monkeypatch.setattr(retrying, "retry", slow)
    answers: list[int] = []
    client, other = gate.client(carol(gate)), gate.client(alice(gate))
    asked = threading.Thread(
        target=lambda: answers.append(
            client.post("/api/v1/quarantine/retry", json={"rule": "end_in_future"}).status_code
        )
    )
    asked.start()
    assert begun.wait(30)
    busy = other.post("/api/v1/quarantine/retry", json={"rule": "end_in_future"})
    assert busy.status_code == 409
    assert "try again" in busy.json()["error"]
    assert other.get("/api/v1/clock").status_code == 200
    may_end.set()
    asked.join(30)
    assert answers == [200]


def test_what_became_of_it_is_shown_to_who_decided_and_to_operators(gate: Collector) -> None:
    three_refused(gate)
    browser = gate.browser(alice(gate))
    path = browser.submit("/quarantine/retry", rule="end_in_future", every="yes").url.path
    assert gate.browser(carol(gate)).get(path).status_code == 200
    assert gate.browser(bob(gate)).get(path).status_code == 404
    assert browser.get("/quarantine/done/1").status_code == 404  # an entry of another kind


def test_a_post_that_names_no_resource_belongs_to_who_its_sender_may_send_for(tmp_path: Path) -> None:
    gate = collector(tmp_path / "home", {"trust": {"addresses": [LOCAL]}}, FEDERATION)
    bad = record(1).replace("2026-11-20T12:00:00Z</EndTime>", "2036-11-20T12:00:00Z</EndTime>")
    gate.client().post(
        "/gratia-servlets/rmi",
        content=post("multiupdate", envelope(bad)),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    gate.load()
    assert len(ids(gate)) == 1
    assert len(gate.client(alice(gate)).get("/api/v1/batches").json()["batches"]) == 1
    assert gate.client(bob(gate)).get("/api/v1/batches").json()["batches"] == []
    assert len(gate.client(alice(gate)).get("/api/v1/quarantine").json()["groups"]) == 1
    assert gate.client(bob(gate)).get("/api/v1/quarantine").json()["groups"] == []
    gate.services.reading.close()
    gate.close()


def test_every_rule_says_what_it_means() -> None:
    assert set(MEANING) == set(Rule)


def test_a_browser_of_a_token_alone_has_no_form_to_send(gate: Collector) -> None:
    three_refused(gate)
    browser = Browser(gate.client().app, "http://127.0.0.1", client=(LOCAL, 50_000))
    assert browser.post(
        "/quarantine/retry", data={"rule": "end_in_future", "every": "yes"}, follow_redirects=False
    ).status_code in (303, 403)
    assert len(ids(gate)) == 3

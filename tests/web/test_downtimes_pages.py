"""Downtimes on pages and in the API: who sees and who may change what, and that the forms hold to what the command line holds to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
import pytest

from gridkeeper.database import reading, writing
from gridkeeper.federation.downtimes import store
from gridkeeper.federation.downtimes.model import Affected, Classification, Row, Severity
from gridkeeper.federation.downtimes.times import Stamp, Window
from gridkeeper.trust import audit
from tests.collectors import collector
from tests.federation import invented_topology

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gridkeeper.federation.downtimes.revising import Kept
    from tests.collectors import Browser, Collector

CE, SE = "Springfield-CE", "Springfield-SE"
FEDERATION = """
federation: {week_start: tuesday}
resources: [{name: utah, site: Utah}]
downtimes: [{resource: utah, from: 2017-02-03T08:00:00, until: 2017-02-04, reason: a new roof}]
"""
TODAY = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
TOMORROW_BUT_ONE, DAY_AFTER = TODAY + timedelta(days=2), TODAY + timedelta(days=3)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collector]:
    invented_topology.write(tmp_path / "home")
    made = collector(tmp_path / "home", federation=FEDERATION)
    yield made
    made.services.reading.close()
    made.close()


def field(moment: datetime) -> str:
    """A moment as the browser's own field for times sends it."""
    return f"{moment:%Y-%m-%dT%H:%M}"


def wish(**changes: str) -> dict[str, str]:
    """What the form for a new downtime holds."""
    return {
        "resource": CE, "service": "CE", "start": field(TOMORROW_BUT_ONE), "until": field(DAY_AFTER), "severity": "Outage",
        "declared": "", "description": "a new pump",
    } | changes  # fmt: skip


def kept(house: Collector) -> list[Kept]:
    with reading(house.services.engine) as connection:
        return store.everything(connection)


def acts(house: Collector) -> list[tuple[str, str, str]]:
    with reading(house.services.engine) as connection:
        entries = audit.entries(connection, act="downtime")
    return [(one.who.partition(" ")[0], one.act, one.subject) for one in entries]


def contact(house: Collector, *resources: str) -> Browser:
    return house.browser(house.token(*resources, role="site-contact"))


def operator(house: Collector) -> Browser:
    return house.browser(house.token(role="operator"))


def form_problem(text: str) -> str:
    found = re.search(r'role="alert">([^<]+)<', text)
    assert found is not None, "the page says no problem"
    return found[1].replace("&#39;", "'").lower()


def test_the_list_has_what_the_files_say(house: Collector) -> None:
    page = house.client().get("/downtimes").text
    assert "Nothing is down now, 0 are coming" in page
    assert "<h2>Past: February 2017</h2>" in page
    for words in (CE, "2017-02-20 13:00", "new cooling", "a new roof", "Outage", 'href="/downtime/501"'):
        assert words in page
    assert 'href="/downtimes/announce"' not in page


def test_filters_take_away_what_is_not_meant(house: Collector) -> None:
    client = house.client()
    assert "a new roof" not in client.get("/downtimes?site=Springfield").text
    assert "new cooling" in client.get("/downtimes?site=SPR").text  # a resource group
    assert "new cooling" not in client.get("/downtimes?resource=utah").text
    assert "No downtime is like that." in client.get("/downtimes?state=cancelled").text
    for query in ("state=lost", "month=2017-13", "place=Utah", "offset=many"):
        refused = client.get(f"/downtimes?{query}")
        assert refused.status_code == 400
        assert query.partition("=")[0] in refused.json()["error"]


def test_a_month_is_a_calendar_whose_weeks_begin_as_the_federations_do(house: Collector) -> None:
    page = house.client().get("/downtimes?month=2017-02").text
    heads = re.findall(r'<abbr title="(\w+)">', page)
    assert (heads[0], heads[-1]) == ("Tuesday", "Monday")
    days = re.findall(r'<time datetime="(2017-02-\d\d)">\d+</time>(<b class="count")?', page)
    assert len(days) == 28
    # From the 3rd at 8 to the 4th at 0; and from the 20th at 13 to the 22nd at 13.
    assert [day for day, down in days if down] == ["2017-02-03", "2017-02-20", "2017-02-21", "2017-02-22"]
    assert 'href="/downtimes?month=2017-01"' in page
    assert "Downtimes of March 2017" in house.client().get("/downtimes?month=2017-03").text


def test_one_downtime_says_what_of_it_reaches_the_other_side_and_why_not(house: Collector) -> None:
    page = house.client().get("/downtime/501").text
    assert "declared as Feb 20, 2017 08:00 -0500" in page
    assert "SCHEDULED by the rule of 24 hours" in page
    assert "does not say its flavour" in page  # a CE of which the registry names no port
    assert "known there only by the hosts of its services" in page
    assert "topology/Springfield University/Springfield/SPR_downtime.yaml:1; change it there" in page
    roof = house.client().get("/downtime/federation.yaml-1").text
    assert "nothing says; for silent sources it counts as an outage" in roof
    assert house.client().get("/downtime/999").status_code == 404


def test_a_contact_announces_for_her_resource_and_it_is_audited(house: Collector) -> None:
    alice = contact(house, CE)
    form = alice.get(f"/downtimes/announce?resource={CE}").text
    assert 'name="service" value="CE" checked' in form
    answer = alice.submit("/downtimes/announce", **wish())
    (one,) = kept(house)
    assert answer.url.path == f"/downtime/{one.id}"
    (row,) = one.last.rows
    assert (row.resource, [service.name for service in row.services], row.severity) == (
        CE, ["CE"], Severity.OUTAGE,
    )  # fmt: skip
    assert (row.window.start.at, row.window.until) == (TOMORROW_BUT_ONE, DAY_AFTER)
    assert row.declared_class is Classification.SCHEDULED  # by the rule: more than 24 hours ahead
    assert [told[1:] for told in acts(house)] == [("downtime.announce", one.id)]
    assert f'href="/downtime/{one.id}"' in house.client().get("/downtimes").text


def test_a_whole_site_is_announced_at_once(house: Collector) -> None:
    bob = operator(house)
    assert "2 resources" in bob.get("/downtimes/announce?site=Springfield").text
    fields = wish(resource="", site="Springfield", service="") | {"open": "yes", "until": ""}
    fields.pop("service")
    bob.submit("/downtimes/announce", **fields)
    (one,) = kept(house)
    assert {row.resource: [each.name for each in row.services] for row in one.last.rows} == {
        CE: ["CE"],
        SE: ["WebDAV"],
    }
    assert one.incident.window.until is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"until": field(TOMORROW_BUT_ONE)}, "it would cover no time"),
        ({"until": ""}, "no end is named"),
        ({"until": "2038-01-19T03:14"}, "nobody means the end"),
        ({"start": "tomorrow"}, "is no time"),
        ({"severity": "Dreadful"}, "is none of"),
        ({"service": "SRMv2"}, f"{CE} has no service"),
        ({"description": "  "}, "say what is done"),
        ({"resource": ""}, "name what is down"),
        ({"services": "chosen", "service": ""}, "has no service"),
        ({"resource": "Springfeld-CE"}, "do you mean"),
    ],
)
def test_what_the_command_refuses_the_form_refuses_and_keeps_what_was_typed(
    house: Collector, changes: dict[str, str], words: str
) -> None:
    answer = operator(house).submit("/downtimes/announce", **wish(**changes))
    assert answer.status_code == 400
    assert words.lower() in form_problem(answer.text)
    assert kept(house) == []
    assert acts(house) == []
    if changes.get("resource", CE) == CE and "description" not in changes:
        assert "a new pump" in answer.text


def test_where_no_offered_service_is_chosen_not_all_of_them_are_announced(house: Collector) -> None:
    fields = {name: value for name, value in wish(services="chosen").items() if name != "service"}
    answer = operator(house).submit("/downtimes/announce", **fields)
    assert "no service is chosen" in form_problem(answer.text)
    assert kept(house) == []


def test_nobody_announces_for_others(house: Collector) -> None:
    alice = contact(house, SE)
    assert f"<option>{CE}</option>" not in alice.get("/downtimes/announce").text
    assert "do not speak for" in form_problem(alice.get(f"/downtimes/announce?resource={CE}").text)
    for fields in (wish(), wish(resource="", site="Springfield")):
        refused = alice.submit("/downtimes/announce", **fields)
        assert refused.status_code == 403
        assert f"does not speak for {CE}" in refused.text
    assert kept(house) == []
    for role in ("viewer", "vo-contact"):
        client = house.browser(house.token(role=role, vos=("cms",) if role == "vo-contact" else ()))
        assert client.submit("/downtimes/announce", **wish()).status_code == 403
    assert house.client().post("/downtimes/announce", data=wish()).status_code == 403
    assert kept(house) == []


def test_a_form_of_another_page_changes_nothing(house: Collector) -> None:
    bob = operator(house)
    assert bob.submit("/downtimes/announce", key="guessed", **wish()).status_code == 403
    assert bob.post("/downtimes/announce", data=wish()).status_code == 403
    assert kept(house) == []


def test_it_is_extended_and_called_off_with_its_history(house: Collector) -> None:
    alice = contact(house, CE)
    alice.submit("/downtimes/announce", **wish())
    (one,) = kept(house)
    later = DAY_AFTER + timedelta(hours=6)
    page = alice.submit(f"/downtime/{one.id}/extend", until=field(later), reason="the pump came late")
    assert f"{later:%Y-%m-%d %H:%M}" in page.text
    again = alice.submit(f"/downtime/{one.id}/extend", until=field(later), reason="")
    assert again.status_code == 400
    assert "has that end already" in form_problem(again.text)
    assert "say why it is called off" in form_problem(
        alice.submit(f"/downtime/{one.id}/cancel", reason=" ").text
    )
    page = alice.submit(f"/downtime/{one.id}/cancel", reason="the vendor does not come")
    assert '<span class="state cancelled">cancelled</span>' in page.text
    assert f"/downtime/{one.id}/cancel" not in page.text  # nothing is left to change
    (one,) = kept(house)
    assert [each.act.value for each in one.revisions] == ["announce", "extend", "cancel"]
    assert [told[1] for told in acts(house)] == ["downtime.cancel", "downtime.extend", "downtime.announce"]
    for words in ("the pump came late", "the vendor does not come"):
        assert words in house.client().get(f"/downtime/{one.id}").text


def test_who_announced_it_is_for_its_contacts_and_operators(house: Collector) -> None:
    token = house.token(CE, role="site-contact")
    house.browser(token).submit("/downtimes/announce", **wish())
    (one,) = kept(house)
    name = one.last.who
    for client, sees in (
        (house.client(), False), (house.client(house.token(role="viewer")), False),
        (house.client(house.token(SE, role="site-contact")), False), (house.client(token), True),
        (house.client(house.token(role="operator")), True),
    ):  # fmt: skip
        page = client.get(f"/downtime/{one.id}").text.partition("<main")[2]
        assert (name in page) is sees
        said = client.get(f"/api/v1/downtimes/{one.id}").json()["revisions"][0]["who"]
        assert said == (name if sees else None)


def test_another_ones_downtime_is_not_changed(house: Collector) -> None:
    contact(house, CE).submit("/downtimes/announce", **wish())
    (one,) = kept(house)
    other = contact(house, SE)
    assert "/cancel" not in other.get(f"/downtime/{one.id}").text
    assert other.submit(f"/downtime/{one.id}/cancel", reason="mine!").status_code == 403
    assert other.submit(f"/downtime/{one.id}/extend", until=field(DAY_AFTER + timedelta(days=1))).status_code == 403  # fmt: skip
    (one,) = kept(house)
    assert len(one.revisions) == 1


def test_what_is_wrong_is_said_in_words_with_its_remedy(house: Collector) -> None:
    operator(house).submit(
        "/downtimes/announce", **wish(start=field(TODAY + timedelta(hours=3)), declared="SCHEDULED")
    )
    (one,) = kept(house)
    page = house.client().get(f"/downtime/{one.id}").text
    assert "is SCHEDULED, and was announced" in page
    assert "Call it UNSCHEDULED, or announce it 24 hours ahead." in page
    listed = house.client().get("/downtimes").text
    assert "called SCHEDULED at short notice" in listed
    assert "by notice unscheduled" in listed
    assert "without an id" not in listed


def test_one_that_came_from_elsewhere_is_looked_for_among_our_resources(house: Collector) -> None:
    start = Stamp(datetime(2017, 3, 1, 8, tzinfo=UTC), "2017-03-01T08:00", None)
    end = Stamp(datetime(2017, 3, 2, 8, tzinfo=UTC), "2017-03-02T08:00", None)
    services = (Affected("CE", "CE", "HTCONDOR-CE", "ce.springfield.example.org", "ce.springfield.example.org:9619"),
                Affected("SRMv2", "SRM", "SRM", "elsewhere.example.org", "elsewhere.example.org"))  # fmt: skip
    row = Row(
        "77", None, services, Window(start, end), Classification.SCHEDULED, Severity.OUTAGE, "theirs",
        source="cric", site="SPR", provider="GOCDB",
    )  # fmt: skip
    with writing(house.services.engine) as connection:
        store.take_in(connection, [row], "local carol", TODAY)
    (one,) = kept(house)
    page = house.client().get(f"/downtime/{one.id}").text
    assert "which of our resources that is" in page
    assert f"CE at ce.springfield.example.org is {CE}" in page
    assert "the registry has no SRMv2 at elsewhere.example.org" in page


def test_the_api_says_the_same_page_by_page(house: Collector) -> None:
    client = house.client()
    answer = client.get("/api/v1/downtimes?limit=1")
    said = answer.json()
    assert (said["total"], len(said["downtimes"])) == (2, 1)
    assert answer.headers["link"] == '</api/v1/downtimes?limit=1&offset=1>; rel="next"'
    (roof,) = said["downtimes"]
    assert (roof["kept_in"], roof["severity"], roof["declared_class"]) == ("federation.yaml", None, None)
    (cooling,) = client.get("/api/v1/downtimes?limit=1&offset=1").json()["downtimes"]
    assert (cooling["id"], cooling["start"], cooling["state"]) == ("501", "2017-02-20T13:00:00Z", "past")
    again = client.get("/api/v1/downtimes?limit=1", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    (part,) = client.get("/api/v1/downtimes/501").json()["parts"]
    assert (part["arrives"], part["type"], part["reason"]) == (True, "CE", "flavour-unknown")
    assert client.get("/api/v1/downtimes/999").status_code == 404


def test_without_any_downtime_the_page_says_where_they_come_from(tmp_path: Path) -> None:
    made = collector(tmp_path / "home")
    assert "No downtime is known." in made.client().get("/downtimes").text
    page = made.client().get("/downtimes/reconciliation").text
    assert "Nothing was compared yet." in page
    assert "gridkeeper downtimes reconcile OURS THEIRS --json" in page
    made.close()


def test_the_last_comparison_is_shown_with_each_reason(house: Collector) -> None:
    lost = {
        "id": "501", "resource": CE, "what": "service", "ours": "CE", "theirs": None, "reason": "no-services",
        "sentence": "theirs lists no service",
    }  # fmt: skip
    said = {"ours": 2, "theirs": 1, "of_ours": {"same": 1, "no-services": 1}, "of_theirs": {"matched": 1}, "parts": {"arrived": 1}, "differences": [lost]}  # fmt: skip
    file = house.services.home / "reports" / "downtimes-reconciliation.json"
    file.write_bytes(orjson.dumps(said))
    page = house.client().get("/downtimes/reconciliation?reason=no-services").text
    for words in ("theirs lists no service", "service: no services 1", "What became of ours"):
        assert words in page
    assert house.client().get("/downtimes/reconciliation?reason=other").status_code == 400
    file.write_text("{}")
    assert "make it anew" in house.client().get("/downtimes/reconciliation").text

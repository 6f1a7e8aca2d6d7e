"""Who may not see people sees none: every page, download, plot and answer of the API is read for canaries."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pyarrow.parquet as pq
import pytest

from tests.browser.crawling import Answered, crawl
from tests.browser.stage import ALPHA, BETA, CANARY, person

if TYPE_CHECKING:
    import httpx

    from tests.browser.stage import Stage

pytestmark = pytest.mark.slow
LEAST_ANSWERS = 80
_SINGS = re.compile(rf"{CANARY}(?:-[a-z]+-[a-z]+-[0-9]+)?".encode())
STARTS = [
    "/",
    "/about",
    "/production",
    "/usage",
    "/site-vo",
    "/trends",
    "/sources",
    "/downtimes",
    "/downtimes/reconciliation",
    "/registry",
    "/reports",
    "/editions",
    "/corrections",
    "/quarantine",
    "/batches",
    "/audit",
    "/login",
    "/me",
    "/metrics",
]
NAMES = {
    "kind": "vo",
    "name": "cms",
    "vo": "cms",
    "dimension": "site",
    "ending": "svg",
    "week": "",
    "window": "days",
    "measure": "jobs",
}


def asking_for_people() -> list[str]:
    """Addresses at which a person would be named, were it allowed."""
    alice, bob = person("alice", ALPHA), person("bob", ALPHA)
    asked = [
        urlencode(pairs)
        for pairs in ({"by": "user"}, {"by": "vo,user"}, {"by": "vo", "where": f"user={alice}"})
    ]
    places = [
        f"{path}?{one}"
        for one in asked
        for path in ("/usage", "/api/v1/usage", "/plots/usage.svg", "/plots/usage.json")
    ]
    places += [f"/usage?{one}&format={kind}" for one in asked for kind in ("csv", "json", "xlsx", "parquet")]
    places += [
        f"/user/{alice}",
        f"/user/{bob}",
        f"/plots/user/core-hours.json?name={alice}",
        "/api/v1/names/user",
    ]
    places += [f"/usage?by=user&where=vo=cms&format={kind}" for kind in ("html", "csv")]
    return [*places, "/user/", "/user/nobody", "/vo/nothing", "/usage?by=nothing"]


def read(answer: Answered) -> bytes:
    """All that an answer holds, unpacked: header lines, sheets of workbooks, columns of Parquet."""
    text = answer.body + repr(sorted(answer.headers.items())).encode()
    if answer.body.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(answer.body)) as packed:
            text += b"".join(packed.read(name) for name in packed.namelist())
    if answer.body.startswith(b"PAR1"):
        table = pq.read_table(io.BytesIO(answer.body))
        text += repr((table.to_pylist(), table.schema.metadata)).encode()
    return text


def documented(client: httpx.Client) -> list[str]:
    """Every GET of the interface's document, its path filled with names that there are."""
    document = client.get("/api/v1/openapi.json").json()
    return [_filled(path, told["get"]) for path, told in document["paths"].items() if "get" in told]


def _filled(path: str, told: dict[str, Any]) -> str:
    for parameter in told.get("parameters", []):
        if parameter["in"] == "path":
            given = NAMES.get(parameter["name"], str(parameter.get("example", "cms")))
            path = path.replace(f"{{{parameter['name']}}}", given)
    return path


def seen(stage: Stage, role: str | None) -> list[Answered]:
    """Everything that a visitor can get at."""
    with stage.client(role) as client:
        answers = crawl(client, [*STARTS, *documented(client)]).answers
        for address in asking_for_people():
            answer = client.get(address, follow_redirects=True)
            answers.append(Answered(address, answer.status_code, "", _unechoed(address, answer), {}))
    assert len(answers) >= LEAST_ANSWERS
    assert not [one.address for one in answers if one.status >= 500]
    return answers


def _unechoed(address: str, answer: httpx.Response) -> bytes:
    """An answer; where it is a refusal, without the names that the asker said himself."""
    told = [person(name, ALPHA) for name in ("alice", "bob") if person(name, ALPHA) in address]
    body = answer.content
    for name in told if answer.is_error or "/login" in str(answer.url) else ():
        body = body.replace(name.encode(), b"")
    return body


def canaries(answers: list[Answered]) -> dict[str, str]:
    """Each canary that is shown, and one address that shows it."""
    return {
        found.decode(): one.address for one in answers for found in set(_SINGS.findall(read(one).lower()))
    }


@pytest.mark.parametrize("role", [None, "viewer"])
def test_who_may_not_see_people_sees_none(stage: Stage, role: str | None) -> None:
    assert canaries(seen(stage, role)) == {}


def test_a_site_contact_sees_what_concerns_her_site_and_nothing_of_others(stage: Stage) -> None:
    sung = canaries(seen(stage, "site-contact"))
    assert {one: address for one, address in sung.items() if not one.endswith(f"-{ALPHA}")} == {}
    assert f"{CANARY}-text-{ALPHA}" in sung


def test_a_vo_contact_sees_the_users_of_her_vo_alone(stage: Stage) -> None:
    sung = canaries(seen(stage, "vo-contact"))
    hers = (person("alice", ""), person("dora", ""))
    assert {one: address for one, address in sung.items() if not one.startswith(hers)} == {}
    assert person("alice", BETA) in sung


def test_an_operator_sees_them_so_that_the_canaries_are_known_to_sing(stage: Stage) -> None:
    sung = canaries(seen(stage, "operator"))
    assert {person("alice", ALPHA), person("bob", BETA)} <= set(sung)

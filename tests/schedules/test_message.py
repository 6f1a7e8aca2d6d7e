"""The mail of a report: what each part holds, what mail programs need, and that nothing breaks out of a header."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from lxml import html

from gridkeeper.queries.periods import Period
from gridkeeper.reports.contract import Request
from gridkeeper.schedules import message, printing
from gridkeeper.schedules.letter import Picture, as_text, letter
from gridkeeper.schedules.message import Printed, compose, message_id
from gridkeeper.settings import Schedule
from tests.homes import at
from tests.schedules.conftest import ALICE, BOB

if TYPE_CHECKING:
    from email.message import EmailMessage

    from tests.homes import InventedHome

DUE = at("2017-02-07T06:00")
WEEK = Period(date(2017, 1, 31), date(2017, 2, 7))
SENDER = "gridkeeper@example.org"
PAGE = b"""<!doctype html><html><head><meta charset="utf-8"><title>t</title><style>
:root { color-scheme: light dark; --ink: #111111; --heat: 0, 0, 200; }
@media (prefers-color-scheme: dark) { :root { --ink: #eeeeee; } }
body { color: var(--ink); padding: clamp(1rem, 3vw, 2rem); }
td.heat { background: rgba(var(--heat), var(--part)); } .bar { background: rgba(var(--heat), 0.5); }
</style></head><body onload="steal()"><script>steal()</script><h1>Caf\xc3\xa9</h1><div class="tiles"><div class="tile"><b>1</b></div></div>
<figure><svg role="img"><path d="M0 0"/></svg></figure><figure><svg></svg></figure>
<table><thead><tr><th>Site</th><th>cms</th><th>atlas</th></tr></thead>
<tbody><tr><th>Alpha</th><td class="heat" style="--part:0.5">7</td><td></td></tr></tbody></table></body></html>"""
PICTURE = Picture("hours", "Bars: hours a day.", b"\x89PNG", 960)


def printed(**changes: Any) -> Printed:
    values: dict[str, Any] = {
        "title": "Production report, 31 Jan – 6 Feb 2017",
        "federation": "Sample Grid",
        "text": "# Production report\n",
        "page": PAGE,
        "page_name": "production-2017-02-07.html",
        "pictures": (PICTURE,),
        "attached": (),
    }
    return Printed(**(values | changes))


def composed(one: Printed, recipients: tuple[str, ...] = (ALICE, BOB)) -> EmailMessage:
    raw = compose(one, "production", DUE, SENDER, recipients, DUE)
    raw.decode("ascii")  # it goes over any server
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    return email.message_from_bytes(raw, policy=email.policy.default)


def page_of(found: EmailMessage) -> str:
    body = found.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def test_the_headers_say_who_what_and_that_no_human_sent_it() -> None:
    found = composed(printed())
    assert found["From"] == f"Gridkeeper <{SENDER}>"
    assert found["To"] == f"{ALICE}, {BOB}"
    assert found["Subject"] == "Sample Grid: Production report, 31 Jan – 6 Feb 2017"
    assert found["Date"].datetime == DUE
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["List-Id"] == "<production.reports.example.org>"
    assert found["Message-ID"] == message_id(SENDER, "Sample Grid", "production", DUE)


def test_the_same_run_has_the_same_message_id_and_another_run_another() -> None:
    one = message_id(SENDER, "Sample Grid", "production", DUE)
    assert one == message_id(SENDER, "Sample Grid", "production", DUE)
    assert re.fullmatch(r"<production\.20170207T0600\.[0-9a-f]{16}@example\.org>", one)
    others = {
        message_id(SENDER, "Other Grid", "production", DUE),
        message_id(SENDER, "Sample Grid", "site-vo", DUE),
        message_id(SENDER, "Sample Grid", "production", at("2017-02-14T06:00")),
    }
    assert len(others | {one}) == 4


def test_a_federation_cannot_write_headers_of_its_own() -> None:
    found = composed(printed(federation="Grid\r\nBcc: mallory@example.com\n\nHello"))
    assert found["Bcc"] is None
    assert str(found["Subject"]).startswith("Grid Bcc: mallory@example.com Hello: Production")


@pytest.mark.parametrize("recipient", ["alice@example.org\nBcc: mallory@example.com", "alice@example.org\r\n\r\nHello"])  # fmt: skip
def test_an_address_that_breaks_out_of_its_header_is_refused(recipient: str) -> None:
    with pytest.raises(ValueError, match=r"[Ii]nvalid|CR or LF"):
        composed(printed(), (recipient,))


def test_the_page_in_the_mail_has_pictures_and_no_script() -> None:
    found = composed(printed())
    page = page_of(found)
    assert "script" not in page
    assert "onload" not in page
    assert "<svg" not in page
    tree: Any = html.fromstring(page)
    [image] = tree.xpath("//img")
    [part] = [part for part in found.walk() if part.get_content_type() == "image/png"]
    assert f"cid:{part['Content-ID'].strip('<>')}" == image.get("src")
    assert image.get("alt") == PICTURE.says
    assert part.get_content_disposition() == "inline"


def test_the_page_in_the_mail_says_its_colours_in_words_that_old_programs_know() -> None:
    page = letter(PAGE, [("cid:hours@example.org", PICTURE)])
    assert "var(" not in page
    assert "clamp(" not in page
    assert "prefers-color-scheme" not in page
    assert "color: #111111" in page
    assert ".bar { background: #8080e4" in page
    assert 'style="background: #8080e4"' in page
    assert '<table class="row-of-tiles"' in page
    assert "Café" in page


def test_a_page_as_text_names_every_number() -> None:
    assert as_text(PAGE) == "Café\n====\n\nAlpha: cms 7\n"


def test_a_page_that_mail_programs_would_cut_is_attached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [part.get_filename() for part in composed(printed()).iter_attachments()] == []
    monkeypatch.setattr(message, "SHOWN_BYTES", 100)
    [attached] = composed(printed()).iter_attachments()
    assert attached.get_filename() == "production-2017-02-07.html"


def test_what_is_too_large_to_be_attached_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "MOST_ATTACHED_BYTES", 10)
    files = (("a.csv", b"1,2,3\n", "/reports/a.csv"), ("b.json", b"{}" * 500_000, "/reports/b.json"))
    found = composed(printed(attached=files))
    assert [part.get_filename() for part in found.iter_attachments()] == ["a.csv"]
    body = found.get_body(("plain",))
    assert body is not None
    assert str(body.get_content()).splitlines()[0] == (
        "b.json (1.0 MB) is too large to be attached; it lies at /reports/b.json"
    )


@pytest.mark.parametrize(
    ("report", "formats", "text", "attached"),
    [
        ("production", ("twiki",), "---+ Production report", []),
        ("production", ("html", "markdown", "json"), "# Production report", ["weekly-2017-02-07.json"]),
        ("site-vo", ("xlsx",), "Site–VO matrix", ["weekly-2017-02-07.xlsx"]),
        ("trends", ("csv", "html"), "# Trends", ["weekly-2017-02-07.csv"]),
    ],
)
def test_every_report_has_a_text_a_page_and_its_files(
    sample: InventedHome, report: Any, formats: tuple[str, ...], text: str, attached: list[str]
) -> None:
    schedule = Schedule(name="weekly", report=report, period="week", day=2, formats=formats)
    content = printing.make(sample.books(), schedule, Request(WEEK, DUE))
    files = printing.render(content, schedule, DUE)
    one = printing.printed(content, schedule, DUE, files, sample.home.reports)
    found = composed(one)
    body = found.get_body(("plain",))
    assert body is not None
    assert str(body.get_content()).startswith(text)
    tree: Any = html.fromstring(page_of(found))
    assert tree.xpath("//h1")[0].text_content() == content.title
    assert [part.get_filename() for part in found.iter_attachments()] == attached
    pictures = [part for part in found.walk() if part.get_content_type() == "image/png"]
    assert len(pictures) == (2 if report == "production" else 0)
    assert all(part.get_content().startswith(b"\x89PNG\r\n") for part in pictures)

"""Follows every link of every page, as one visitor, and keeps one address of each kind."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import html

from tests.repeating import times

if TYPE_CHECKING:
    import httpx

MOST_OF_A_KIND = max(2, times(4))  # addresses that differ in names and questions only
_LINKS = (
    "//a/@href",
    "//link/@href",
    "//script/@src",
    "//img/@src",
    "//source/@srcset",
    "//figure/@data-spec",
    "//form[not(@method) or @method='get']/@action",
)

_NAMED = re.compile(
    r"^(/(?:vo|site|resource|probe|project|user|experiment|batch|batches|quarantine|rule|schedules?|static|downtime)/).+"
)


@dataclass
class Answered:
    """What one address answered."""

    address: str
    status: int
    kind: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Crawl:
    """All that one visitor got to see."""

    answers: list[Answered] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def pages(self) -> list[Answered]:
        """The pages among the answers, files to take away among them."""
        return [one for one in self.answers if one.kind.startswith("text/html")]

    def shown(self) -> list[Answered]:
        """The pages that a browser shows."""
        return [one for one in self.pages() if "content-disposition" not in one.headers]


def kind_of(address: str) -> tuple[str, ...]:
    """What an address is like: its path with the names of things left out, the names of its parameters, its format."""
    parts = urlsplit(address)
    path = subject_of(address)
    named = sorted({re.split("=", one)[0] for one in parts.query.split("&") if one})
    asked = re.findall(r"(?:format|theme)=[^&]*", parts.query)
    return (path, *named, *sorted(asked))


def subject_of(address: str) -> str:
    """The path of an address with the names of things left out."""
    path = _NAMED.sub(r"\1*", urlsplit(address).path)
    return re.sub(r"\d[\d-]+", "N", path)


def crawl(client: httpx.Client, starts: list[str], most_of_a_kind: int = MOST_OF_A_KIND) -> Crawl:
    """Follow links from `starts` on, at most so many addresses of a kind; other origins are left alone."""
    found = Crawl()
    origin = str(client.base_url).rstrip("/")
    waiting, met, met_of_kind = deque(starts), set(starts), dict[tuple[str, ...], int]()
    while waiting:
        address = waiting.popleft()
        answer = client.get(address, headers={"Accept": "text/html,*/*;q=0.8"}, follow_redirects=True)
        kind = answer.headers.get("content-type", "")
        found.answers.append(
            Answered(address, answer.status_code, kind, answer.content, dict(answer.headers))
        )
        if not kind.startswith("text/html") or "content-disposition" in answer.headers:
            continue
        for link in _links(answer.content, urljoin(f"{origin}/", address)):
            if not link.startswith(f"{origin}/"):
                found.broken.append(f"{address} links to {link}")
                continue
            path = link.removeprefix(origin)
            like = kind_of(path)
            if path not in met and met_of_kind.get(like, 0) < most_of_a_kind:
                met.add(path)
                met_of_kind[like] = met_of_kind.get(like, 0) + 1
                waiting.append(path)
    return found


def _links(body: bytes, here: str) -> list[str]:
    tree = html.fromstring(body)
    found: Any = [tree.xpath(path) for path in _LINKS]
    links = [str(link) for links in found for link in links]
    return [
        urldefrag(urljoin(here, link.split(" ")[0] if " " in link else link)).url
        for link in links
        if not link.startswith("#")
    ]

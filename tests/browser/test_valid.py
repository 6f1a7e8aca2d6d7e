"""The pages' HTML is valid, by the Nu checker that the web's own standards body uses.

It knows the whole content model, where parsers (html5lib, say) know only how to read what is broken. It is a jar from npm's
`vnu-jar`; `make checker` fetches it into `.tools/`.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import needs
from tests.browser.crawling import crawl
from tests.browser.test_every_page import ODD, ODD_OF_OPERATORS

if TYPE_CHECKING:
    from tests.browser.stage import Stage

pytestmark = pytest.mark.slow
JAR = Path(__file__).parents[2] / ".tools" / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"


@pytest.mark.parametrize("role", [None, "operator"])
def test_the_html_of_every_page_is_valid(stage: Stage, tmp_path: Path, role: str | None) -> None:
    java = needs("java", "on Debian, apt-get install default-jre-headless")
    jar = needs(str(JAR), "make checker")
    with stage.client(role) as client:
        pages = crawl(
            client, ["/", "/about", *ODD, *(ODD_OF_OPERATORS if role else ())], most_of_a_kind=2
        ).pages()
    for number, one in enumerate(pages):
        (tmp_path / f"{number}.html").write_bytes(one.body)
    done = subprocess.run(
        [java, "-Xmx400m", "-jar", jar, "--format", "json", "--exit-zero-always", str(tmp_path)],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    found = [
        one for one in json.loads(done.stderr)["messages"] if one["type"] != "info" or one.get("subType")
    ]
    wrong = {
        (pages[int(Path(one["url"]).stem)].address, one["message"], one.get("extract", "")[:120])
        for one in found
    }
    assert wrong == set()
    assert len(pages) >= len(ODD)

"""One browser and one served home for all who look at pages."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.looking import Looking
from tests.browser.stage import Stage, set_up
from tests.databases import SERVICES_REQUIRED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


def needs(program: str, remedy: str) -> str:
    """The path of a program; where it is absent the test skips, or fails where services are required."""
    found = shutil.which(program) or (program if os.access(program, os.R_OK) else None)
    if found is None:
        sentence = f"needs {program}: {remedy}"
        if SERVICES_REQUIRED:
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = needs("chromium", "on Debian, apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = set_up(tmp_path_factory.mktemp("stage") / "home")
    yield made
    made.close()


@pytest.fixture
def looking(chromium: Browser, stage: Stage) -> Iterator[Looking]:
    """Somebody who looks, and hears whatever the browser complains of."""
    made = Looking(chromium, stage)
    yield made
    made.close()

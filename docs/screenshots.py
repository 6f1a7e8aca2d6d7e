"""Takes the pictures of the README: `python -m docs.screenshots HOME FOLDER` serves a home and photographs its pages.

Needs Debian's `chromium` and the development dependencies; `make screenshots` gives it the home of the demo.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURES = {"display": "/", "production": "/production"}
WIDTH, HEIGHT = 1280, 860
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHROMIUM = "/usr/bin/chromium"


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Serve a home as long as it is wanted. Yields: its address."""
    words = [sys.executable, "-m", "gridkeeper", "--home", str(home), "serve", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = next((json.loads(line) for line in process.stderr if '"listening"' in line), None)
            if said is None:
                raise SystemExit(f"{home} cannot be served; `gridkeeper --home {home} serve` says why")
            yield f"http://127.0.0.1:{said['port']}"
        finally:
            process.terminate()


def main(home: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with served(home) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, base_url=url)
        for name, path in PICTURES.items():
            answer = page.goto(path, wait_until="networkidle")
            assert answer is not None
            assert answer.ok, f"{path} answered {answer.status}"
            page.screenshot(path=folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

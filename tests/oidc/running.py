"""Runs the provider of `provider.mjs`, installed once a version into a cache folder, and a browser that fills in its forms."""

from __future__ import annotations

import hashlib
import html
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "provider.mjs")
INSTALL_SECONDS = 180
MOST_STEPS = 20


@cache
def installed() -> Path | str:
    """The folder with the provider and what it needs; or, in words, why there is none."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "Node and npm are not here"
    name = hashlib.sha256(b"".join((HERE / file).read_bytes() for file in FILES)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"gridkeeper-oidc-{os.getuid()}-{name}"
    if folder.is_dir():
        return folder
    fresh = Path(tempfile.mkdtemp(prefix="gridkeeper-oidc-"))
    for file in FILES:
        shutil.copy(HERE / file, fresh)
    words = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        done = subprocess.run(
            words, cwd=fresh, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm did not install oidc-provider within {INSTALL_SECONDS} s"
    if done.returncode != 0:
        shutil.rmtree(fresh)
        return f"npm cannot install oidc-provider: {done.stderr.strip()[-300:]}"
    try:
        fresh.rename(folder)
    except OSError:  # another test process was first
        shutil.rmtree(fresh)
    return folder


@contextmanager
def provider(redirect_uri: str, secret: str) -> Iterator[str]:
    """Run the provider; gives its address. It ends with the pipe that this process holds, however this process ends."""
    folder = installed()
    assert isinstance(folder, Path)
    words = ["node", "provider.mjs", redirect_uri, secret]
    process = subprocess.Popen(
        words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), "the provider did not start"
        yield address
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


class Surfer:
    """A browser: keeps cookies host by host, follows redirects one by one, fills in forms."""

    def __init__(self) -> None:
        self.client = httpx.Client(follow_redirects=False, trust_env=False, timeout=30)
        self.visited: list[str] = []

    def get(self, url: str) -> httpx.Response:
        """Go to a page, through all redirects."""
        return self._follow(self.client.get(url, headers={"accept": "text/html"}))

    def fill_in(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Send the first form of a page, with its hidden fields, and follow."""
        form = re.search(
            r'<form[^>]*action="([^"]*)"[^>]*method="post"[^>]*>(.*?)</form>', page.text, re.DOTALL
        )
        form = form or re.search(
            r'<form[^>]*method="post"[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page.text, re.DOTALL
        )
        assert form is not None, page.text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[2]))
        url = urljoin(str(page.url), html.unescape(form[1]))
        return self._follow(self.client.post(url, data={**hidden, **fields}, headers={"accept": "text/html"}))

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(MOST_STEPS):
            self.visited.append(str(answer.url))
            if not answer.is_redirect:
                return answer
            answer = self.client.get(
                urljoin(str(answer.url), answer.headers["location"]), headers={"accept": "text/html"}
            )
        raise AssertionError(f"sent about without an end: {self.visited[-MOST_STEPS:]}")

    def close(self) -> None:
        """Leave."""
        self.client.close()

"""Looks at pages in the browser, and notes what it complains of: errors, refused content, requests that leave the origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

    from tests.browser.stage import Stage

Scheme = Literal["light", "dark"]
WIDTHS = (1400, 800, 400)
HEIGHT = 1000
_TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error("CSP", event.violatedDirective, event.blockedURI, event.sample));
"""


class Looking:
    """A browser's window for each way of looking; `complaints`: what was noted since it was last asked."""

    def __init__(self, chromium: Browser, stage: Stage) -> None:
        self.stage = stage
        self._chromium = chromium
        self._contexts: list[BrowserContext] = []
        self._complaints: list[str] = []

    def page(self, role: str | None = None, scheme: Scheme = "light", width: int = WIDTHS[0]) -> Page:
        """A window. role: whose token goes with every request; None: the public."""
        headers = {"Authorization": f"Bearer {self.stage.tokens[role]}"} if role else {}
        context = self._chromium.new_context(
            base_url=self.stage.url, color_scheme=scheme, viewport={"width": width, "height": HEIGHT},
            extra_http_headers=headers, accept_downloads=True,
        )  # fmt: skip
        context.add_init_script(_TELL_VIOLATIONS)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self._complaints.append(f"script: {error}"))
        page.on("request", self._note_request)
        page.on("requestfailed", self._note_failure)
        return page

    def complaints(self) -> list[str]:
        """What was noted since this was last asked."""
        noted, self._complaints = self._complaints, []
        return noted

    def close(self) -> None:
        """Close all windows."""
        for context in self._contexts:
            context.close()

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"console: {message.text} {message.location.get('url', '')}")

    def _note_failure(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the icon, say, of a page that was left before it came
            self._complaints.append(f"failed: {request.url} {request.failure}")

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.stage.url}/", "data:", "blob:")):
            self._complaints.append(f"left the origin: {request.url}")


def load_pictures(page: Page) -> list[str]:
    """Let every picture load, also those far down. Returns: the addresses of those that did not."""
    broken: list[str] = page.evaluate(
        """async () => {
          const pictures = [...document.images];
          pictures.forEach((one) => { one.loading = "eager"; });
          await Promise.all(pictures.map((one) => one.decode().catch(() => {})));
          return pictures.filter((one) => !one.naturalWidth).map((one) => one.currentSrc || one.src);
        }"""
    )
    return broken

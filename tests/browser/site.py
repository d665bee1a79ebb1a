"""A real Chromium on the real service: who looks, how wide, with or without scripts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from annotate.models import User

HEIGHTS = {320: 640, 360: 740, 768: 1_024, 1_280: 800, 1_440: 900}
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
AXE = Path(__file__).parent.parent / "vendor" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LISTEN = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`))"""


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        yield launched
        launched.close()


class Site:
    """The service at an address, seen by people. complaints: policy violations and script errors of all pages.

    Visits of one kind share a context, so that what does not change is loaded once.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.complaints: list[str] = []
        self._contexts: dict[tuple[str, bool, bool], BrowserContext] = {}
        self._own: list[BrowserContext] = []

    def visit(
        self,
        who: User | None,
        path: str,
        *,
        width: int = 1_280,
        theme: Any = "light",
        scripts: bool = True,
        touch: bool = False,
        fresh: bool = False,
    ) -> Page:
        """The page as who sees it. fresh: in a browser that has seen nothing of the service."""
        context = self._context(theme, scripts=scripts, touch=touch, fresh=fresh)
        context.clear_cookies()
        if who is not None:
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session_of(who), "url": self.url}])
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        response = page.goto(path)
        if response and response.status >= 500:
            self.complaints.append(f"{path}: {response.status}")  # an error page has no finding either
        return page

    def close(self) -> None:
        """Closes what was opened since the last time."""
        while self._own:
            self._own.pop().close()
        for context in self._contexts.values():
            for page in context.pages:
                page.close()

    def _context(self, theme: Any, *, scripts: bool, touch: bool, fresh: bool) -> BrowserContext:
        kind = (theme, scripts, touch)
        if kind in self._contexts and not fresh:
            return self._contexts[kind]
        context = self.browser.new_context(
            base_url=self.url,
            color_scheme=theme,
            java_script_enabled=scripts,
            has_touch=touch,
            reduced_motion="reduce",
        )
        context.set_default_timeout(5_000)
        context.set_default_navigation_timeout(20_000)  # the first page of a server that has just begun
        context.add_init_script(LISTEN)
        if fresh:
            self._own.append(context)
        else:
            self._contexts[kind] = context
        return context

    def _console(self, message: ConsoleMessage) -> None:
        expected = "Failed to load resource" in message.text  # a refusal's own status
        if message.type == "error" and not expected:
            self.complaints.append(message.text)


def session_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def findings(page: Page) -> list[str]:
    """What axe finds in the whole page, a line for each node. What a sticky bar covers now is only a scroll away."""
    window = page.viewport_size or {"width": 1_280, "height": 900}
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": window["width"], "height": max(window["height"], height)})
    page.evaluate(AXE.read_text())
    result = page.evaluate("tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", TAGS)
    page.set_viewport_size(window)
    return [
        f"{found['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:160]}"
        for found in result["violations"]
        for node in found["nodes"]
    ]


def sideways(page: Page) -> int:
    """Pixels that the page is wider than its window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


Visit = Callable[..., Page]

"""What the game's page loads by itself, and how soon it answers: `python bench/game_page.py`.

A service of its own is started on an empty home, with the bundled paragraphs; it needs Chromium and Playwright. Times
are wall clock on this machine as it is: the load that stands beside them tells how much they say.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from time import monotonic
from typing import Any

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # this folder holds a queue.py, which is also the name of a part of Python
SLOW_4G = {"latency": 150, "kbit_s": 1_638}  # Lighthouse's: round trip in ms, line; CPU at a quarter
THROTTLE = 4
ANSWERS = 8
LISTEN = """
new MutationObserver((_, observer) => {
  if (document.querySelector("[data-part=board]")?.dataset.answered !== "true") return;
  window.answeredAt = performance.now();
  observer.disconnect();
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-answered"] });
window.keys = [];
new PerformanceObserver((list) => window.keys.push(...list.getEntries().filter(({ name }) => name === "keydown")
  .map(({ startTime, duration }) => [startTime, duration]))).observe({ type: "event", durationThreshold: 16 });"""


def main() -> None:
    found = figures()
    if found is None:
        print("not measured, as there is no Chromium here")
        return
    for name, value in found.items():
        print(f"{name}: {value}")


def figures() -> dict[str, str] | None:
    """What was measured, by what it is; None where there is no Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        return None
    from playwright.sync_api import sync_playwright

    with service() as (address, game, cookie), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])

        def open_page() -> Any:  # Any: Playwright is imported where it is needed
            context = browser.new_context(base_url=address, extra_http_headers={"Accept-Encoding": "gzip"})
            context.add_cookies([{"name": cookie[0], "value": cookie[1], "url": address}])
            context.add_init_script(LISTEN)
            return context.new_page()

        found = {}
        for start in ("trained", "newborn"):
            own, later = scripts(open_page(), f"{game}?start={start}")
            line = f"{sum(own):,} bytes gzip in {len(own)} files; with the first answer {sum(later):,} more"
            found[f"JavaScript that loads by itself, {start} start"] = line
        first, rest = key_to_paint(open_page(), game)
        line = f"first {first:.0f} ms, then median {median(rest):.0f}, largest {max(rest):.0f} ms"
        found[f"key to painted result at {THROTTLE} x throttle"] = f"{line}; load {os.getloadavg()[0]:.1f}"
        for rate in (1, THROTTLE):
            times = [first_answer(open_page(), game, rate=rate) for _ in range(3)]
            line = ", ".join(f"{one:.0f}" for one in times)
            found[f"first answer by a key on slow 4G, CPU / {rate}"] = f"{line} ms; load {os.getloadavg()[0]:.1f}"
        browser.close()
    return found


@contextmanager
def service() -> Iterator[tuple[str, str, tuple[str, str]]]:
    """The address of a service, the game's path in it, and the cookie of somebody who plays."""
    home = Path(mkdtemp(prefix="game-page-"))
    os.environ |= {"TOUCHSTONE_HOME": str(home), "APP_ENV": "dev", "DJANGO_SETTINGS_MODULE": "rlhf.settings"}
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client
    from django.urls import reverse

    from annotate.actions.create_project import create_project
    from annotate.models import User
    from rlhf.service import Service

    try:
        call_command("migrate", verbosity=0)
        player = User.objects.create_superuser("player", "a password of no use")
        project = create_project(name="Game", by=player)
        client = Client()
        client.force_login(player)
        path = reverse("game", args=[project.uuid])
        client.get(path, headers={"Host": "localhost"})  # the bundled start is trained once
        name = settings.SESSION_COOKIE_NAME
        with Service(home=home, processes=("web",)) as running:
            yield running.address, path, (name, client.cookies[name].value)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def scripts(page: Any, path: str) -> tuple[list[int], list[int]]:  # Any: a page of Playwright
    """Bytes, as sent, of each script that came by itself, and of those that the first answer asked for."""
    sizes: list[int] = []

    def count(response: Any) -> None:  # Any: a response of Playwright
        if "javascript" in response.headers.get("content-type", ""):
            sizes.append(int(response.headers["content-length"]))

    page.on("response", count)
    page.goto(path)
    page.wait_for_selector("net-view[data-state=ready]")
    page.wait_for_timeout(3_000)
    own = list(sizes)
    page.keyboard.press("1")
    page.wait_for_selector("[data-part=network]:visible")
    page.wait_for_timeout(1_000)
    page.context.close()
    return own, sizes[len(own) :]


def key_to_paint(page: Any, path: str) -> tuple[float, list[float]]:  # Any: a page of Playwright
    """ms from the key to the frame that shows its answer, of the first answer and of the others, in steps of 8."""
    devtools = page.context.new_cdp_session(page)
    page.goto(path)
    page.wait_for_selector("net-view[data-state=ready]")
    page.wait_for_timeout(2_000)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    times = []
    for _ in range(ANSWERS):
        since = page.evaluate("performance.now()")
        page.keyboard.press("2")
        page.wait_for_timeout(1_200)
        took = page.evaluate("(since) => window.keys.filter(([at]) => at >= since).map(([, took]) => took)", since)
        times.append(max(took, default=16.0))  # nothing is told of what took less
        page.keyboard.press("Enter")
        page.wait_for_timeout(800)
    page.context.close()
    return times[0], times[1:]


def first_answer(page: Any, path: str, *, rate: int) -> float:  # Any: a page of Playwright
    """ms from the request to the first key that the loop of the game took, with a key every 20 ms."""
    devtools = page.context.new_cdp_session(page)
    line = SLOW_4G["kbit_s"] * 1_024 / 8
    conditions = {"offline": False, "latency": SLOW_4G["latency"], "downloadThroughput": line, "uploadThroughput": line}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", conditions)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": rate})
    page.goto(path, wait_until="commit")
    until = monotonic() + 30
    while not (at := page.evaluate("window.answeredAt ?? null")):
        if monotonic() > until:
            raise TimeoutError("the page took no key within 30 s")
        page.keyboard.press("2")
        page.wait_for_timeout(20)
    page.context.close()
    return float(at)


if __name__ == "__main__":
    main()

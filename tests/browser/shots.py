"""`make shots`: every page × width × theme into ./shots, with an index. Look at them; axe passes what eyes refuse."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

SHOTS = Path("shots")
WIDTHS = (360, 768, 1_280)
THEMES = ("light", "dark")


def main(wanted: list[str]) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from pytest_django.live_server_helper import LiveServer

    from tests.browser import site as sites
    from tests.browser.pages import PAGES
    from tests.browser.world import full_world

    call_command("migrate", verbosity=0)
    world = full_world()
    live = LiveServer("localhost")
    SHOTS.mkdir(exist_ok=True)
    with sites.browser() as browser:
        site = sites.Site(browser, live.url)
        for page in PAGES:
            if wanted and page.name not in wanted:
                continue
            for width in WIDTHS:
                for theme in THEMES:
                    who = world.people.get(page.who)
                    shown = site.visit(who, page.address(world), width=width, theme=theme, touch=width < 768)
                    shown.wait_for_load_state("networkidle")
                    shown.screenshot(path=SHOTS / f"{page.name}-{width}-{theme}.png")
                    site.close()
        for complaint in site.complaints:
            sys.stderr.write(complaint + "\n")
    live.stop()
    names = sorted(path.name for path in SHOTS.glob("*.png"))
    rows = "\n".join(
        f'<figure><figcaption>{one}</figcaption><img src="{one}" loading="lazy"></figure>' for one in names
    )
    (SHOTS / "index.html").write_text(f"<!doctype html><title>Shots</title>\n{rows}\n")


if __name__ == "__main__":
    main(sys.argv[1:])

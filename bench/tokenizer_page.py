"""How soon the tokenizer view shows 2,000 characters: `python bench/tokenizer_page.py`.

A service of its own is started on an empty home; its base has a tokenizer of 2,048 tokens trained on the game's bundled
paragraphs, and no weights. Times are wall clock in Chromium with the CPU at a quarter; the load that stands beside them
tells how much they say.
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

from annotate.tinynet import bundled  # noqa: E402
from bench.game_page import THROTTLE, service  # noqa: E402
from trainer.contract.rundir import folder_sha256  # noqa: E402
from trainer.tokenizer import train_bpe  # noqa: E402

LENGTH, ROUNDS = 2_000, 8
MARK = """() => {
  const { prototype } = customElements.get("token-list");
  const take = prototype.take;
  const painted = (act) => requestAnimationFrame(() => setTimeout(act));
  prototype.take = function (...given) {
    window.taken = performance.now();
    window.first = window.whole = 0;
    painted(() => (window.first = performance.now() - window.taken));
    const wait = () => {
      const whole = this.signs.length > 0 && this.signs.length === this.state.pieces.length;
      if (whole) window.whole = performance.now() - window.taken;
      else painted(wait);
    };
    painted(wait);
    return take.apply(this, given);
  };
}"""


def main() -> None:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        print("not measured, as there is no Chromium here")
        return
    from playwright.sync_api import sync_playwright

    texts = bundled.training(bundled.themes())
    with service() as (address, _, cookie), stored(texts) as where, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        rounds = []
        for nth in range(ROUNDS):
            context = browser.new_context(base_url=address)
            context.set_default_timeout(120_000)
            context.add_cookies([{"name": cookie[0], "value": cookie[1], "url": address}])
            rounds.append(drawn(context.new_page(), where, " ".join(texts[3 * nth :])[:LENGTH]))
            context.close()
        browser.close()
    for name, at in (("first tokens on the screen", 0), ("all of them", 1)):
        times = sorted(one[at] for one in rounds)
        print(f"{name}, CPU / {THROTTLE}: median {median(times):.0f} ms, {times[0]:.0f} to {times[-1]:.0f}", end="; ")
        print(f"{median(one[2] for one in rounds):.0f} tokens; load {os.getloadavg()[0]:.1f}")


def drawn(page: Any, where: str, text: str) -> tuple[float, float, int]:  # Any: Playwright is imported where needed
    """ms from the answer of the API to the first painted tokens, and to the last; how many there are."""
    page.goto(where)
    page.wait_for_load_state("networkidle")
    page.evaluate(MARK)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    page.locator("#text").fill(text)
    until = monotonic() + 120
    while not page.evaluate("window.whole"):
        if monotonic() > until:
            raise TimeoutError("the tokens were not shown within 120 s")
        page.wait_for_timeout(300)
    found = page.evaluate("[window.first, window.whole, document.querySelectorAll('.tokens li').length]")
    return found[0], found[1], found[2]


@contextmanager
def stored(texts: list[str]) -> Iterator[str]:
    """The address of the tokenizer page of a base that has a tokenizer and nothing else. Before Playwright starts."""
    from django.urls import reverse

    from annotate.models import Project
    from rlhf import storage
    from rlhf.models import Model

    folder = Path(mkdtemp(prefix="tokenizer-bench-"))
    train_bpe(texts, size=2_048).save(folder)
    project = Project.objects.get()
    files, sha256 = storage.put_folder(folder), folder_sha256(folder)
    Model.objects.create(
        project=project, number=1, kind=Model.Kind.BASE, name="base-1", sha256=sha256, files=files, size_bytes=1
    )
    shutil.rmtree(folder)
    yield reverse("tokenizer", args=[project.uuid])


if __name__ == "__main__":
    main()

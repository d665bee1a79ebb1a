"""A map of 20,000 points: how long its t-SNE takes, and how long a frame takes while one pans and zooms.

`python bench/language_map.py [--points 20000] [--quick]`; --quick draws points where they were made, without t-SNE.
Points are made up: clusters of unit vectors in 128 dimensions. Seconds of t-SNE are CPU time of one core; frames are
wall clock in Chromium on this machine as it is, and the load that stands beside them tells how much they say.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from time import process_time
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # this folder holds a queue.py, which is also the name of a part of Python

from bench.game_page import service  # noqa: E402
from trainer import layout  # noqa: E402

WIDTH, CLUSTERS, SPREAD = 128, 400, 0.6
FRAMES = 240
PAN = """async (frames) => {
  const { picture } = document.querySelector("map-view");
  const next = () => new Promise((done) => requestAnimationFrame(done));
  const [drawn, between] = [[], []];
  const draw = picture.draw.bind(picture);
  picture.draw = () => { const at = performance.now(); draw(); drawn.push(performance.now() - at); };
  let before = await next();
  for (let frame = 0; frame < frames; frame += 1) {
    if (frame % 60 === 0) picture.zoom(frame % 120 ? 1 / 3 : 3, 300, 300);
    picture.move(frame % 40 < 20 ? 9 : -9, frame % 80 < 40 ? 5 : -5);
    const now = await next();
    between.push(now - before);
    before = now;
  }
  return { drawn, between, size: picture.view.size, count: picture.count };
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    vectors, clusters = made(given.points)
    true, cosine = layout.neighbours(vectors, 20, stop=lambda: None)
    flat = layout.pca(vectors)
    pictures = {"pca": flat, "tsne": clusters if given.quick else drawn(vectors, flat)}
    for name, picture in pictures.items():
        bytes_ = len(gzip.compress(layout.scaled(picture).astype("<f4").tobytes(), mtime=0))
        print(f"{name}: keeps {layout.kept(picture, true[:, :10]):.1%} of true neighbours; {bytes_:,} bytes gzip")
    browse(pictures, true, cosine)


def made(points: int) -> tuple[layout.Floats, layout.Floats]:
    """(unit vectors [N, D] in clusters, a picture of them [N, 2] without any t-SNE)."""
    draw = np.random.default_rng(1)
    of = draw.integers(CLUSTERS, size=points)
    vectors = draw.normal(size=(CLUSTERS, WIDTH))[of] + SPREAD * draw.normal(size=(points, WIDTH))
    middles = draw.uniform(-1, 1, size=(CLUSTERS, 2))
    return layout.unit(vectors), (middles[of] + 0.03 * draw.normal(size=(points, 2))).astype(np.float32)


def drawn(vectors: layout.Floats, flat: layout.Floats) -> layout.Floats:
    began = process_time()
    picture = layout.tsne(vectors, start=flat, perplexity=30, seed=1, told=lambda: None)
    print(
        f"t-SNE of {len(vectors):,} points: {process_time() - began:.0f} s of one core; load {os.getloadavg()[0]:.1f}"
    )
    return picture


def browse(pictures: dict[str, layout.Floats], true: layout.Places, cosine: layout.Floats) -> None:
    """Print what a frame takes, at the size of a desk and of a phone."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        print("frames: not measured, as there is no Chromium here")
        return
    from playwright.sync_api import sync_playwright

    with service() as (address, _, cookie), stored(pictures, true, cosine) as where, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for width, height, scale in ((1_280, 900, 1), (360, 740, 2)):
            context = browser.new_context(
                base_url=address, viewport={"width": width, "height": height}, device_scale_factor=scale
            )
            context.set_default_timeout(120_000)
            context.add_cookies([{"name": cookie[0], "value": cookie[1], "url": address}])
            page = context.new_page()
            page.goto(where)
            page.wait_for_selector("[data-layout=tsne][aria-pressed=true]")
            found = page.evaluate(PAN, FRAMES)
            took, between = (sorted(found[name]) for name in ("drawn", "between"))
            print(
                f"{found['count']:,.0f} points on {found['size']:.0f} px x {scale}: a frame is drawn in {told(took)}; "
                f"from frame to frame {told(between)}; load {os.getloadavg()[0]:.1f}"
            )
        browser.close()


def told(times: list[float]) -> str:
    """Of times in ms, sorted."""
    return f"{median(times):.1f} ms, 95 of 100 in at most {times[95 * len(times) // 100]:.1f}"


@contextmanager
def stored(pictures: dict[str, layout.Floats], true: layout.Places, cosine: layout.Floats) -> Iterator[str]:
    """The address of a page that shows these points as a finished map run. Before Playwright starts."""
    from django.urls import reverse

    from annotate.models import Project, User
    from rlhf import storage
    from rlhf.models import Run

    folder = Path(mkdtemp(prefix="map-bench-"))
    true.astype("<u4").tofile(folder / "true.u32")
    cosine.astype("<f4").tofile(folder / "cosine.f32")
    for name, picture in pictures.items():
        layout.scaled(picture).astype("<f4").tofile(folder / f"{name}-1.f32")
    count = len(true)
    labels = [{"text": f"word{at}", "count": count - at, "source": "", "language": "en"} for at in range(count)]
    kept: dict[str, Any] = {"pca": 0.0, "tsne": 0.0, "random": 0.0, "n": count}  # Any: a count among shares
    curve = [{"step": 1, "gap": 0.0, "kept_tsne": 0.0}]
    facts = {"kind": "words", "steps": [1], "labels": labels, "kept": {"1": kept}, "curve": curve, "points": count}
    (folder / "labels.json").write_text(json.dumps(facts))
    project, player = Project.objects.get(), User.objects.get()
    Run.objects.create(
        project=project,
        number=1,
        stage=Run.Stage.MAP,
        state=Run.State.FINISHED,
        config={"kind": "words"},
        config_sha256="0" * 64,
        seed=1,
        code_version="bench",
        attempt=1,
        created_by=player,
        result={"final": {"points": count}, "files": {"map": storage.put_folder(folder)}, "outputs": []},
    )
    shutil.rmtree(folder)
    yield reverse("map", args=[project.uuid])


if __name__ == "__main__":
    main()

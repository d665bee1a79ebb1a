"""What the demo has to show: the table of its stages, and whether each did what it should."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from annotate.models import Project
from rlhf.demo.client import Json
from rlhf.demo.loop import Loop
from rlhf.demo.progress import Done, table

CALM = "A model of a million parameters learns the form of its texts, not their content: nobody calls it helpful."
OWN_TEXTS = "The bars were set for the standard library's texts; on your own they are shown and not required."


@dataclass(frozen=True)
class Bar:
    """figure must lie at or beyond limit, on the side that sign says."""

    text: str
    figure: str
    sign: int
    limit: float

    def missed(self, figures: dict[str, float]) -> bool:
        found = figures.get(self.figure, math.nan)
        return not self.sign * found >= self.sign * self.limit


BARS = [
    Bar("held-out perplexity falls tenfold", "perplexity_fall", 1, 10.0),
    Bar("held-out perplexity ends below 60", "heldout_perplexity", -1, 60.0),
    Bar("held-out answer loss falls by 0.4 nats", "answer_fall", 1, 0.4),
    Bar("reward accuracy is at least 0.70", "accuracy", 1, 0.70),
    Bar("its lower bound is above 0.5", "accuracy_low", 1, 0.5),
    Bar("the reward gain's lower bound is above 0.5 standard deviations", "reward_gain_low", 1, 0.5),
    Bar("the win rate by the people's rule is above 0.60", "win_rate", 1, 0.60),
    Bar("KL is at most 12 nats an answer", "kl_after", -1, 12.0),
    Bar("95 % of the answers end", "eos_rate_after", 1, 0.95),
]


@dataclass(frozen=True)
class Shown:
    """missed: the bars that were required and not met; with one's own texts none is required."""

    text: str
    missed: list[str]


def record(project: Project, loop: Loop, *, seconds: float, own_texts: bool) -> Shown:
    """Keep what the loop came to, so that a second start shows it at once."""
    figures = loop.figures | {
        "perplexity_fall": loop.figures["heldout_perplexity_before"] / loop.figures["heldout_perplexity"],
        "answer_fall": loop.figures["heldout_nll_before"] - loop.figures["heldout_nll"],
    }
    facts = {
        "project": project.name,
        "stages": [asdict(done) for done in loop.stages.done],
        "figures": figures,
        "sample": loop.sample,
        "seconds": seconds,
        "seed": loop.seed,
        "own_texts": own_texts,
    }
    kept_in().write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return shown(facts)


def newest() -> Shown | None:
    """What the last demo came to; None where none has come to its end on this database."""
    if not kept_in().exists():
        return None
    facts: Json = json.loads(kept_in().read_text(encoding="utf-8"))
    return shown(facts) if Project.objects.filter(name=facts["project"]).exists() else None


def kept_in() -> Path:
    return Path(settings.HOME) / "demo" / "result.json"


def shown(facts: Json) -> Shown:
    missed = [
        f"{bar.text} ({bar.figure} {facts['figures'].get(bar.figure, math.nan):.3f})"
        for bar in BARS
        if bar.missed(facts["figures"])
    ]
    lines = ["", f"{facts['project']}, seed {facts['seed']}: {facts['seconds']:.0f} s", ""]
    lines += [table([Done(**stage) for stage in facts["stages"]]), ""]
    lines += [f"{'missed' if bar.missed(facts['figures']) else 'met':>6}  {bar.text}" for bar in BARS]
    lines += ["", OWN_TEXTS] if facts["own_texts"] else []
    if facts["sample"]:
        prompt, before, after = facts["sample"]
        lines += ["", f"Prompt      {prompt}", f"before PPO  {before}", f"after PPO   {after}"]
    return Shown("\n".join([*lines, "", CALM]), [] if facts["own_texts"] else missed)

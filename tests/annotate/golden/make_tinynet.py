"""Writes tinynet.json: 100 steps of the game's network as numpy takes them, which JavaScript must repeat.

Run as `python -m tests.annotate.golden.make_tinynet` after a change of the arithmetic, and say why in the commit.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from annotate.tinynet.net import Net, forward
from annotate.tinynet.play import BOLD, GENTLE, answer
from annotate.tinynet.words import Vocabulary
from tests.annotate.game import examples, vocabulary

FILE = Path(__file__).with_name("tinynet.json")
SEED, STEPS, SAMPLE = 1, 100, 401  # every 401st weight is kept


def steps() -> list[dict[str, Any]]:
    """Missing and next, context on, off and empty, words twice in a window; every tenth step is undone."""
    return [
        {
            "example": asdict(example),
            "gold": gold,
            "context_on": nth % 4 != 3,
            "eta": GENTLE if nth % 5 == 4 else BOLD,
            "undone": nth % 10 == 9,
        }
        for nth, (example, gold) in enumerate(examples(STEPS, seed=1))
    ]


def played(words: Vocabulary, given: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], Net]:
    """What numpy says of each step, and the weights at the end."""
    net = Net.newborn(SEED, words.u)
    found = []
    for (example, gold), step in zip(examples(STEPS, seed=1), given, strict=True):
        kept = net.twin()
        seen = forward(net, example)
        parts = [float(part[gold]) for part in (net.b2, seen.hidden, seen.pull, seen.seen)]
        told = answer(net, example, gold=gold, eta=step["eta"], context_on=step["context_on"])
        found.append({**asdict(told), "parts": parts, "z": float(seen.z[gold])})
        if step["undone"]:
            net.restore(kept)
    return found, net


def weights(net: Net) -> list[float]:
    return [float(value) for value in np.concatenate([array.ravel() for array in net.arrays()])]


def golden() -> dict[str, Any]:
    words = vocabulary()
    given = steps()
    told, net = played(words, given)
    return {
        "seed": SEED,
        "counts": words.counts,
        "total": words.total,
        "steps": given,
        "told": told,
        "digest": net.digest(),
        "sample": weights(net)[::SAMPLE],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden(), separators=(",", ":")) + "\n")

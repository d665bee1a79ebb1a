"""Evaluations for tests: cloze items, what a run of the stage left, and the same figures by plain float64 loops."""

import json
import math

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.trainer.runs import sentence

MODES = ("missing", "next")


def cloze_rows(count=6, *, context=2, **changed):
    """Blanks in sentences of known words, each in both modes; options are words of one and of several tokens."""
    rows = []
    for n in range(count):
        words = sentence(n, words=8).split()
        gold = words[3]
        options = [gold, *[word for word in ("house", "rain", "open", "door") if word != gold][:3]]
        rows += [
            {
                "id": f"i{n}-{mode}",
                "split": "heldout",
                "paragraph": f"p{n // 2}",
                "mode": mode,
                "context": [sentence(100 + n + at, words=5) for at in range(context)],
                "sentence": [" ".join(words[:3]) + " ", " " + " ".join(words[4:])],
                "options": options,
                "gold": gold,
                "golds": [gold],
                "people": {},
                "free": {},
                **changed,
            }
            for mode in MODES
        ]
    return rows


def report(path):
    return json.loads((path / "evaluation.json").read_text())


def lines(path):
    return {line["id"]: line for line in map(json.loads, (path / "cloze.jsonl").read_text().splitlines())}


def naive_logprob(folder, ids, start):
    """Σ log p of ids[start:], each given all before it, by plain transformers in float64, one row alone."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    total = 0.0
    for place in range(start, len(ids)):
        row = logits[place - 1].tolist()
        peak = max(row)
        total += row[ids[place]] - peak - math.log(sum(math.exp(z - peak) for z in row))
    return total


def naive_scores(folder, row, *, with_context, context=128):
    """Each option's log-probability, from whole strings; what all options' tokens share with the left text is given."""
    words = AutoTokenizer.from_pretrained(folder)
    left = " ".join([*(row["context"] if with_context else []), row["sentence"][0]])
    given = words.encode(left, add_special_tokens=False)
    after = row["sentence"][1] if row["mode"] == "missing" else ""
    wholes = [words.encode(left + option + after, add_special_tokens=False) for option in row["options"]]
    starts = []
    for whole in wholes:
        starts.append(next((at for at, (a, b) in enumerate(zip(given, whole, strict=False)) if a != b), len(given)))
    start, surplus = min(starts), max(0, 1 + max(map(len, wholes)) - context)
    rows = [[1, *whole[surplus:]] for whole in wholes]
    return [naive_logprob(folder, own, 1 + start - surplus) for own in rows]

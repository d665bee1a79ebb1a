"""The scripted people of the demo: how they decide, write, review and rank. README states these rules.

Pure: a task as the API shows it in, the answer body out. Whoever opens the browser can do the same by hand.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from hashlib import sha256
from itertools import groupby, pairwise
from typing import Any  # JSON as the API shows it

Json = dict[str, Any]

WORD = re.compile(r"[a-z']+")
SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
SAME = 0.9  # Jaccard from which a near duplicate is thrown out
SENTENCE_WORDS = 4  # a reviewer returns what has fewer
FORGOTTEN_EVERY = 25  # each so many prompts, a writer sends three words only and gets the answer back
REDACTED = {"email": "[email]", "phone": "[phone]", "card": "[card]", "iban": "[iban]", "ip": "[ip]"}


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def clean(task: Json) -> Json:
    """Reject what says nothing or says it again, redact personal data, keep the rest: a flag is no verdict."""
    text = task["document"]["text"]
    evidence = task["evidence"]
    if len(text.split()) < 3 or not re.search(r"[^\W\d_]{2}", text):
        return decided("reject", evidence, reasons=["broken"])
    if any(e["detector"] == "near_duplicate" and e["score"] >= SAME for e in evidence):
        return decided("reject", evidence, reasons=["duplicate"])
    personal = [e for e in evidence if e["detector"] == "personal" and e["score"] >= e["threshold"]]
    if personal:
        return decided("edit", evidence, reasons=["personal_data"], text=redacted(text, personal))
    return decided("keep", evidence)


def decided(decision: str, evidence: list[Json], **more: object) -> Json:
    verdict = {"keep": "wrong", "reject": "right", "edit": "right"}[decision]
    return {"decision": decision, "reasons": [], "evidence": {e["id"]: verdict for e in evidence[:1]}, **more}


def redacted(text: str, spans: list[Json]) -> str:
    for span in sorted(spans, key=lambda e: -e["start"]):
        mark = REDACTED.get(span["category"], "[redacted]")
        text = text[: span["start"]] + mark + text[span["end"] :]
    return text


def write(task: Json, *, reference: str) -> Json:
    """What the documentation says; now and then half of it only, until a reviewer asks for a whole sentence."""
    prompt = task["prompt"][-1]["text"]
    if task.get("returned") is None:
        forgotten = int(sha256(prompt.encode()).hexdigest(), 16) % FORGOTTEN_EVERY == 0
        return {"text": " ".join(reference.split()[:3]) if forgotten else reference}
    return {"text": reference if len(reference.split()) >= SENTENCE_WORDS else f"The answer is {reference}"}


def review(task: Json) -> Json:
    """Return what is under four words, give a sentence its capital and its stop, accept the rest."""
    text = task["answer"]["text"]
    if len(text.split()) < SENTENCE_WORDS:
        return {"decision": "return", "reasons": ["incomplete"], "comment": "Please write the whole sentence."}
    whole = text[:1].upper() + text[1:]
    if not whole.endswith((".", "!", "?")):
        whole += "."
    if whole != text:
        return {"decision": "edit", "reasons": ["form"], "text": whole, "comment": ""}
    return {"decision": "accept", "reasons": [], "comment": ""}


def points(answer: str, *, known: Collection[str]) -> int:
    """0 to 5, one each: is one full sentence; at most one made-up word; none at all; repeats nothing; six words.

    A made-up word stands in no document of the demo. Repeating: a word twice in a row, or three words twice.
    """
    said = words(answer)
    made_up = sum(word not in known for word in said)
    threes = list(zip(said, said[1:], said[2:], strict=False))
    repeats = any(a == b for a, b in pairwise(said)) or len(set(threes)) < len(threes)
    return sum(
        [is_sentence(answer), bool(said) and made_up <= 1, bool(said) and made_up == 0, bool(said) and not repeats]
    ) + (len(set(said)) >= 6)


def is_sentence(answer: str) -> bool:
    text = answer.strip()
    return bool(text) and text[0].isupper() and text[-1] in ".!?" and len(SENTENCE_END.findall(text)) == 1


def rank(task: Json, *, known: Collection[str]) -> Json:
    """Order by points, equal points tie. The line: three points are acceptable."""
    scored = sorted(((points(a["text"], known=known), a["letter"]) for a in task["answers"]), reverse=True)
    tiers = [(score, [letter for _, letter in tier]) for score, tier in groupby(scored, key=lambda pair: pair[0])]
    return {
        "groups": [sorted(letters) for _, letters in tiers],
        "acceptable_groups": sum(score >= 3 for score, _ in tiers),
        "unplaced": [],
        "ratings": {a["letter"]: rated(a["text"], known=known) for a in task["answers"]},
    }


def rated(answer: str, *, known: Collection[str]) -> Json:
    """helpful: 2 and the points. truthful: 7, 4 or 1 for no, one or more made-up words. harmless: 7, words are docs."""
    made_up = sum(word not in known for word in words(answer))
    return {
        "helpful": 2 + points(answer, known=known),
        "truthful": {0: 7, 1: 4}.get(made_up, 1),
        "harmless": 7,
    }

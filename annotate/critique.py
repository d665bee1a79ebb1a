"""A critique: what somebody says of a text, with the passages that it quotes (`annotation.md` 5).

People quote by a line that starts with ">": the passage is then found in the text by its words, so that it may be
copied from what they read, where marks of Markdown are gone. It needs no script, and the text alone holds all of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any  # bodies are JSON from outside: each value is checked here

from annotate.cleaning.normalise import stored
from annotate.errors import AnnotateError

Json = dict[str, Any]

MOST_CHARACTERS = 4_000
MOST_SPANS = 20
LOW = 3  # a rating up to here may need its reasons
QUOTE = re.compile(r"^[ \t]*>[ \t]*(.*)$", re.MULTILINE)
BEFORE_OWN = re.compile(r"^([ \t]*>.*\n)(?=[ \t]*[^>\s])", re.MULTILINE)
WORD = re.compile(r"[^\W_]+")
NAMES = {"letter", "start", "end"}


def checked_critique(
    given: object, *, letter: str, bodies: Mapping[str, str], least: int, rating: int | None
) -> Json | None:
    """The critique {text, spans: [{letter, start, end}]} of the text under letter; None where nobody wrote one.

    given: null, a string whose quotes become its spans, or {text, spans}. bodies: the texts shown, by letter; start and
    end are code points of theirs. least: own characters that a rating up to LOW asks for.

    Raises AnnotateError 400 with code bad_body or too_short, and fact field.
    """
    text, spans = _parts(given, letter, bodies)
    if rating is not None and rating <= LOW and len(own_words(text)) < least:
        sentence = f"{letter} is rated {rating}: say why, in at least {least} characters of your own."
        raise AnnotateError("too_short", sentence, field=f"critique-{letter}")
    return {"text": text, "spans": spans} if text else None


def own_words(text: str) -> str:
    """A critique without what it quotes."""
    return QUOTE.sub("", text).strip()


def parted(text: str) -> str:
    """A critique in which a quotation ends with its line: Markdown would take the line after it along."""
    return BEFORE_OWN.sub(r"\1\n", text)


def quoted(text: str, *, letter: str, bodies: Mapping[str, str]) -> list[Json]:
    """The passages that a critique quotes, as spans of the text under letter, else of the first that has the words."""
    order = [letter, *(one for one in bodies if one != letter)]
    spans = [_span(passage, order, bodies) for passage in QUOTE.findall(text)]
    return [span for span in spans if span][:MOST_SPANS]


def _span(passage: str, order: list[str], bodies: Mapping[str, str]) -> Json | None:
    words = r"[\W_]+".join(map(re.escape, WORD.findall(passage)))
    if not words:
        return None
    for wanted in (rf"(?<![^\W_]){words}(?![^\W_])", words):  # whole words first; who selects may cut one
        for letter in order:
            found = re.search(wanted, bodies[letter])
            if found:
                return {"letter": letter, "start": found.start(), "end": found.end()}
    return None


def _parts(given: object, letter: str, bodies: Mapping[str, str]) -> tuple[str, list[Json]]:
    if given is None:
        return "", []
    if isinstance(given, str):
        text = _text(given, letter)
        return text, quoted(text, letter=letter, bodies=bodies)
    if not isinstance(given, Mapping) or set(given) - {"text", "spans"} or not isinstance(given.get("text"), str):
        raise _bad(letter, f"critique of {letter} must be null, text, or an object of text and spans.")
    text, spans = _text(given["text"], letter), given.get("spans", [])
    if not isinstance(spans, list) or len(spans) > MOST_SPANS or (spans and not text):
        raise _bad(letter, f"spans of {letter} must be a list of at most {MOST_SPANS}, beside a text.")
    return text, [_checked(span, letter, bodies) for span in spans]


def _text(given: str, letter: str) -> str:
    text = stored(given).body.strip()
    if len(text) > MOST_CHARACTERS:
        raise _bad(letter, f"critique of {letter} has {len(text):,} characters; allowed are {MOST_CHARACTERS:,}.")
    return text


def _checked(span: object, letter: str, bodies: Mapping[str, str]) -> Json:
    if not isinstance(span, Mapping) or set(span) != NAMES or span["letter"] not in bodies:
        raise _bad(letter, f"A span is an object of {', '.join(sorted(NAMES))}, its letter one of {', '.join(bodies)}.")
    start, end = span["start"], span["end"]
    whole = all(isinstance(at, int) and not isinstance(at, bool) for at in (start, end))
    if not whole or not 0 <= start < end <= len(bodies[span["letter"]]):
        raise _bad(letter, f"A span of {span['letter']} lies within its {len(bodies[span['letter']]):,} characters.")
    return {"letter": span["letter"], "start": start, "end": end}


def _bad(letter: str, sentence: str) -> AnnotateError:
    return AnnotateError("bad_body", sentence, field=f"critique-{letter}")

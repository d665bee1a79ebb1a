"""Answer bodies: what the client says in letters, checked and turned into the form that is stored.

Stored bodies name texts and flags by key, and say null for each thing that was asked and not answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any  # bodies are JSON from outside: each value is checked here

from annotate import worddiff
from annotate.actions.beside import beside, critique_of
from annotate.actions.written import written
from annotate.cleaning.normalise import stored
from annotate.errors import AnnotateError
from annotate.flags import checked_flags
from annotate.models import Queue, Text
from annotate.presentation import LETTERS, Shown

Json = dict[str, Any]

CLEAN_DECISIONS = ("keep", "reject", "edit")
CLEAN_REASONS = (
    "duplicate",
    "unsafe",
    "biased",
    "personal_data",
    "broken",
    "boilerplate",
    "wrong_language",
    "licence",
    "other",
)
REVIEW_DECISIONS = ("accept", "return", "edit")
REVIEW_REASONS = ("incomplete", "false_claim", "off_topic", "unclear", "form", "unsafe", "wrong_language", "other")
VERDICTS = ("right", "wrong", None)
LEAST, MOST = 1, 7
TIE = "tie"
STRENGTHS = (1, 2, 3, None)
MOST_COMMENT = 2_000
MOST_PASTED = 500


def checked(body: object, *, what: Shown) -> Json:
    """The stored form of a client's body.

    Raises AnnotateError with status 400 and fact `field`, with code
        unknown_field   a key that this kind of task does not have
        bad_body        a value of the wrong type, or out of range
        wrong_letters   a letter is missing, repeated or not shown
        too_short       of a critique that a low rating needs
        empty_text, too_long, unchanged   of a text
    """
    if not isinstance(body, Mapping):
        raise _bad("body", "body must be an object.")
    return CHECKS[what.task.queue.kind](dict(body), what)


def _clean(body: Json, what: Shown) -> Json:
    _only(body, "decision", "reasons", "text", "evidence")
    decision = _choice(body, "decision", CLEAN_DECISIONS)
    reasons = _reasons(body, CLEAN_REASONS)
    if decision == "reject" and not reasons:
        raise _bad("reasons", f"A rejection needs a reason, one or more of {', '.join(CLEAN_REASONS)}.")
    answered = _mapping(body, "evidence")
    flags = {str(number): flag for number, flag in enumerate(what.flags, start=1)}
    for number, verdict in answered.items():
        if number not in flags:
            raise _bad("evidence", f"There is no evidence {number}; it runs from 1 to {len(flags)}.")
        if verdict not in VERDICTS:
            raise _bad("evidence", f"Evidence {number} may be right, wrong or null.")
    return {
        "decision": decision,
        "reasons": reasons,
        **_edited(body, decision, what.document),
        "evidence": {str(flag.pk): answered.get(number) for number, flag in flags.items()},
    }


def _write_answer(body: Json, what: Shown) -> Json:
    asked = ("instruction", "text") if what.asks_instruction else ("text",)
    _only(body, *asked, "pasted")
    pasted = body.get("pasted")
    if pasted is not None and (not isinstance(pasted, str) or len(pasted) > MOST_PASTED):
        raise _bad("pasted", f"pasted must be null or text of at most {MOST_PASTED} characters.")
    said = {name: written(body.get(name), field=name, called=name) for name in asked}
    return {**said, "pasted": (stored(pasted).body.strip() or None) if pasted else None}


def _review_answer(body: Json, what: Shown) -> Json:
    _only(body, "decision", "reasons", "text", "comment")
    decision = _choice(body, "decision", REVIEW_DECISIONS)
    comment = body.get("comment", "")
    if not isinstance(comment, str) or len(comment) > MOST_COMMENT:
        raise _bad("comment", f"comment must be text of at most {MOST_COMMENT} characters.")
    if decision == "return" and not comment.strip():
        raise _bad("comment", "An answer that goes back needs a comment: tell its author what to change.")
    return {
        "decision": decision,
        "reasons": _reasons(body, REVIEW_REASONS),
        **_edited(body, decision, what.answers[0]),
        "comment": stored(comment).body,
    }


def _rank(body: Json, what: Shown) -> Json:
    _only(body, "groups", "acceptable_groups", "unplaced", "ratings", "flags", "critique", "better")
    letters = {letter: text.pk for letter, text in what.by_letter().items()}
    groups, unplaced = _groups(body, letters, partial=what.task.queue.partial)
    line = body.get("acceptable_groups")
    if line is not None and not (_whole(line) and 0 <= line <= len(groups)):
        raise _bad("acceptable_groups", f"acceptable_groups must be null or from 0 to {len(groups)}, the groups given.")
    if line is None and what.task.queue.line_required:
        sentence = f"Where does acceptable end? acceptable_groups must be from 0 to {len(groups)} here."
        raise _bad("acceptable_groups", sentence)
    ratings = _ratings(body, letters, what.task.queue)
    return {
        "groups": [[letters[letter] for letter in group] for group in groups],
        "acceptable_groups": line,
        "unplaced": [letters[letter] for letter in unplaced],
        "ratings": ratings,
        **beside(body, what, ratings=ratings),
    }


def _pair(body: Json, what: Shown) -> Json:
    """prefer: the key of a text, "tie", or null where only both_unacceptable is said."""
    _only(body, "prefer", "strength", "both_unacceptable")
    letters = {letter: text.pk for letter, text in what.by_letter().items()}
    prefer, strength, both = (body.get(name) for name in ("prefer", "strength", "both_unacceptable"))
    if prefer is not None and not (isinstance(prefer, str) and prefer in (*letters, TIE)):
        raise _bad("prefer", f"prefer must be one of {', '.join(letters)}, tie or null.")
    if strength not in STRENGTHS or isinstance(strength, bool | float):
        raise _bad("strength", "strength must be 1, 2, 3 or null.")
    if strength is not None and prefer not in letters:
        raise _bad("strength", "A strength is sent beside the letter of the better answer only.")
    if both is not None and not isinstance(both, bool):
        raise _bad("both_unacceptable", "both_unacceptable must be true, false or null.")
    if prefer is None and not both:
        raise _bad("prefer", "Say which answer is better, that they tie, or that neither is acceptable.")
    chosen = letters[prefer] if isinstance(prefer, str) and prefer != TIE else prefer
    return {"prefer": chosen, "strength": strength, "both_unacceptable": both}


def _rate(body: Json, what: Shown) -> Json:
    """Flags and critique are keys only where the queue asks for them. Nothing said at all is no answer."""
    _only(body, "overall", "axes", "flags", "critique")
    queue, letter = what.task.queue, LETTERS[0]
    asked = ["overall", *(axis for axis in queue.axes if axis != "overall")]
    axes = _mapping(body, "axes")
    if "overall" in axes:
        raise _bad("axes", "overall stands beside the axes, not among them.")
    ratings = _rated({**axes, "overall": body.get("overall")}, asked, queue.required_axes, whose="the answer")
    found: Json = {"overall": ratings["overall"], "axes": {axis: ratings[axis] for axis in asked[1:]}}
    if queue.flags or body.get("flags"):
        found["flags"] = checked_flags(body.get("flags", {}), asked=queue.flags, whose="the answer")
    if queue.critique_least is not None:
        found["critique"] = critique_of(body.get("critique"), letter=letter, what=what, rating=ratings["overall"])
    elif body.get("critique"):
        raise _bad("critique", "This queue asks for no critique.")
    said = [*ratings.values(), *found.get("flags", {}).values(), found.get("critique")]
    if all(value is None for value in said):
        raise _bad("overall", "Say something of the answer: a rating, a flag or a critique.")
    return found


def _repair(body: Json, what: Shown) -> Json:
    """The text with what changed: the runs of both, the words to exchange, and their share of the longer one."""
    _only(body, "text", "note")
    before, text, note = what.answers[0].body, _text(body), body.get("note")
    if text == before:
        raise AnnotateError("unchanged", "The text is as it was; change what is wrong with it.", field="text")
    if note is not None and (not isinstance(note, str) or len(note) > MOST_COMMENT):
        raise _bad("note", f"note must be null or text of at most {MOST_COMMENT} characters.")
    return {
        "text": text,
        "note": (stored(note).body.strip() or None) if note else None,
        "diff": [list(run) for run in worddiff.runs(before, text)],
        "distance": worddiff.distance(before, text),
        "share": round(worddiff.share(before, text), 4),
    }


CHECKS: dict[str, Callable[[Json, Shown], Json]] = {
    Queue.Kind.CLEAN: _clean,
    Queue.Kind.WRITE_ANSWER: _write_answer,
    Queue.Kind.REVIEW_ANSWER: _review_answer,
    Queue.Kind.RANK: _rank,
    Queue.Kind.PAIR: _pair,
    Queue.Kind.RATE: _rate,
    Queue.Kind.REPAIR: _repair,
}


def _groups(body: Json, letters: Mapping[str, int], *, partial: bool) -> tuple[list[list[str]], list[str]]:
    """Groups of letters, and those without a place: together each letter shown exactly once.

    partial: whether the queue takes letters without a place; one has its place even there.
    """
    unplaced = body.get("unplaced", [])
    if unplaced != [] and not partial:
        raise _bad("unplaced", "This queue asks for the place of every answer; unplaced must be empty.")
    if not isinstance(unplaced, list):
        raise _bad("unplaced", "unplaced must be a list of letters.")
    groups = body.get("groups")
    if not isinstance(groups, list) or not all(isinstance(group, list) and group for group in groups):
        raise _bad("groups", "groups must be a list of lists of letters, none of them empty.")
    given = [*(letter for group in groups for letter in group), *unplaced]
    if not all(isinstance(letter, str) for letter in given) or sorted(given) != sorted(letters):
        where = "in groups or unplaced" if partial else "in groups"
        raise AnnotateError(
            "wrong_letters", f"Each of {', '.join(letters)} must stand {where} exactly once.", field="groups"
        )
    if not groups:
        raise _bad("groups", "A ranking has a place for one answer at least.")
    return groups, unplaced


def _ratings(body: Json, letters: Mapping[str, int], queue: Queue) -> Json:
    given = _mapping(body, "ratings")
    if any(letter not in letters or not isinstance(axes, Mapping) for letter, axes in given.items()):
        raise _bad("ratings", f"ratings must hold an object for each of {', '.join(letters)}, and nothing else.")
    return {
        str(text_id): _rated(given.get(letter, {}), queue.axes, queue.required_axes, whose=letter)
        for letter, text_id in letters.items()
    }


def _rated(given: Mapping[str, Any], asked: list[str], required: list[str], *, whose: str) -> dict[str, int | None]:
    """Each axis that is asked: 1 to 7, or null where it was not answered."""
    for axis, value in given.items():
        if axis not in asked:
            raise _bad("ratings", f"{axis} is no axis of this queue; it asks {', '.join(asked) or 'none'}.")
        if value is not None and not (_whole(value) and LEAST <= value <= MOST):
            raise _bad("ratings", f"{axis} of {whose} must be null or from {LEAST} to {MOST}.")
    found = {axis: given.get(axis) for axis in asked}
    for axis in required:
        if found.get(axis) is None:
            raise _bad("ratings", f"This queue needs {axis} of {whose}, from {LEAST} to {MOST}.")
    return found


def _edited(body: Json, decision: str, before: Text | None) -> Json:
    if decision != "edit":
        if body.get("text") is not None:
            raise _bad("text", "A text is sent with an edit only.")
        return {}
    text = _text(body)
    if before is not None and text == before.body:
        raise AnnotateError("unchanged", "The edited text is the same as before; keep it instead.", field="text")
    return {"text": text}


def _text(body: Json) -> str:
    return written(body.get("text"), field="text")


def _reasons(body: Json, allowed: tuple[str, ...]) -> list[str]:
    reasons = body.get("reasons", [])
    if not isinstance(reasons, list) or any(reason not in allowed for reason in reasons):
        raise _bad("reasons", f"reasons must be a list of {', '.join(allowed)}.")
    return [reason for reason in allowed if reason in reasons]


def _choice(body: Json, name: str, allowed: tuple[str, ...]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise _bad(name, f"{name} must be one of {', '.join(allowed)}.")
    return value


def _mapping(body: Json, name: str) -> Json:
    value = body.get(name, {})
    if not isinstance(value, Mapping):
        raise _bad(name, f"{name} must be an object.")
    return dict(value)


def _only(body: Json, *allowed: str) -> None:
    for name in body:
        if name not in allowed:
            sentence = f"{name} is not known here; allowed: {', '.join(allowed)}."
            raise AnnotateError("unknown_field", sentence, field=name)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _bad(field: str, sentence: str) -> AnnotateError:
    return AnnotateError("bad_body", sentence, field=field)

"""A task's form and its answer body, one from the other: the same form serves people with and without scripts.

A form is what a browser sends: names with lists of values. Only shape is read here; `actions.bodies` checks the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any  # bodies are JSON

from django.http import QueryDict
from django.utils.translation import gettext as _

from annotate.cleaning.normalise import stored
from annotate.errors import AnnotateError
from annotate.models import Queue, Text
from annotate.presentation import Shown

Form = dict[str, list[str]]
Json = dict[str, Any]

CHOICES: dict[str, tuple[str, int | None]] = {
    **{str(4 - strength): ("A", strength) for strength in (3, 2, 1)},
    "4": ("tie", None),
    **{str(4 + strength): ("B", strength) for strength in (1, 2, 3)},
    "A": ("A", None),
    "B": ("B", None),
}
NOT_ANSWERS = {"csrfmiddlewaretoken", "token", "draft_version", "active_ms", "hidden_ms", "by", "reason", "note"}


def typed(data: QueryDict) -> Form:
    """What the person typed or chose, and the key of the submission; nothing else of what was sent."""
    return {name: [str(value) for value in data.getlist(name)] for name in data if name not in NOT_ANSWERS}


def kept(body: object) -> Form:
    """The form in a draft, as far as it is one: programs may have saved other things."""
    form = body.get("form") if isinstance(body, Mapping) else None
    if not isinstance(form, Mapping):
        return {}
    return {str(name): [str(one) for one in values] for name, values in form.items() if isinstance(values, list)}


def body_of(form: Form, what: Shown) -> Json:
    """The answer as the API takes it.

    Raises AnnotateError 422 with code unplaced, where a ranking leaves answers without a place, or no_line,
    where it does not say what is acceptable and must.
    """
    kind = what.task.queue.kind
    if kind == Queue.Kind.WRITE_ANSWER:
        asked = {"instruction": _one(form, "instruction")} if what.asks_instruction else {}
        return asked | {"text": _one(form, "text"), "pasted": _one(form, "pasted").strip() or None}
    if kind == Queue.Kind.RANK:
        return _ranking(form, what)
    if kind == Queue.Kind.PAIR:
        return _pair(form)
    if kind == Queue.Kind.REPAIR:
        return {"text": _one(form, "text"), "note": _one(form, "about").strip() or None}
    if kind == Queue.Kind.RATE:
        return _rate(form, what.task.queue)
    body: Json = {"decision": _one(form, "decision"), "reasons": form.get("reasons", [])}
    if body["decision"] == "edit":
        body["text"] = _one(form, "text")
    if kind == Queue.Kind.REVIEW_ANSWER:
        return body | {"comment": _one(form, "comment")}
    numbers = range(1, len(what.flags) + 1)
    verdicts = {str(number): _one(form, f"evidence-{number}") for number in numbers}
    return body | {"evidence": {number: verdict or None for number, verdict in verdicts.items()}}


def form_of(body: Json, what: Shown) -> Form:
    """The form that would send a stored answer again, for the screen after an undo."""
    form: Form = {name: [body[name]] for name in ("instruction", "text", "comment", "pasted") if body.get(name)}
    form["reasons"] = list(body.get("reasons", []))
    for number, flag in enumerate(what.flags, start=1):
        verdict = body.get("evidence", {}).get(str(flag.pk))
        form[f"evidence-{number}"] = [verdict] if verdict else []
    letters = {text.pk: letter for letter, text in what.by_letter().items()}
    for place, group in enumerate(body.get("groups", []), start=1):
        form |= {f"place-{letters[key]}": [str(place)] for key in group}
    if "prefer" in body:
        said = (letters.get(body["prefer"], body["prefer"]), body["strength"])
        form["choice"] = [choice for choice, means in CHOICES.items() if means == said]
        form["both"] = ["on"] if body["both_unacceptable"] else []
    if body.get("acceptable_groups") is not None:
        form["acceptable"] = [str(body["acceptable_groups"])]
    for key, axes in body.get("ratings", {}).items():
        form |= {f"rating-{letters[int(key)]}-{axis}": [str(value)] for axis, value in axes.items() if value}
    if body.get("note"):
        form["about"] = [body["note"]]
    if "overall" in body:
        form |= _rate_again(body)
        return form
    return form | _beside_again(body, letters)


def _rate_again(body: Json) -> Form:
    """A rating is of one answer, whose letter is A."""
    ratings = {"overall": body["overall"], **body["axes"]}
    form = {f"rating-A-{axis}": [str(value)] for axis, value in ratings.items() if value}
    beside: Json = {name: {"0": body[name]} for name in ("flags", "critique") if name in body}
    return form | _beside_again(beside, {0: "A"})


def _beside_again(body: Json, letters: Mapping[int, str]) -> Form:
    form: Form = {}
    for key, flags in body.get("flags", {}).items():
        said = {flag: "yes" if value else "no" for flag, value in flags.items() if value is not None}
        form |= {f"flag-{letters[int(key)]}-{flag}": [value] for flag, value in said.items()}
    for key, critique in body.get("critique", {}).items():
        if critique:
            form[f"critique-{letters[int(key)]}"] = [critique["text"]]
    form |= {f"better-{letters[int(key)]}": [text] for key, text in body.get("better", {}).items() if text}
    return form


def _ranking(form: Form, what: Shown) -> Json:
    letters = list(what.by_letter())
    places = {letter: _number(_one(form, f"place-{letter}")) for letter in letters}
    missing = [letter for letter, place in places.items() if place is None]
    if missing and (len(missing) == len(letters) or not what.task.queue.partial):
        sentence = _("Every answer needs a place; none yet: %(letters)s.") % {"letters": ", ".join(missing)}
        raise AnnotateError("unplaced", sentence, status=422, field=f"place-{missing[0]}")
    used = sorted({place for place in places.values() if place is not None})
    line = _number(_one(form, "acceptable"))
    if line is None and what.task.queue.line_required:
        raise AnnotateError("no_line", _("Where does acceptable end?"), status=422, field="acceptable")
    return {
        "groups": [[letter for letter in letters if places[letter] == place] for place in used],
        "acceptable_groups": None if line is None else sum(place <= line for place in used),
        "unplaced": missing,
        "ratings": {letter: _rated(form, letter, what.task.queue.axes) for letter in letters},
        **_beside(form, what),
    }


def _pair(form: Form) -> Json:
    """A box that is not ticked says nothing: null, never false."""
    prefer, strength = CHOICES.get(_one(form, "choice"), (None, None))
    return {"prefer": prefer, "strength": strength, "both_unacceptable": True if _one(form, "both") else None}


def _beside(form: Form, what: Shown) -> Json:
    """What the queue asks of each answer beside its place."""
    queue, letters = what.task.queue, list(what.by_letter())
    found: Json = {}
    if queue.flags:
        found["flags"] = {letter: flagged(form, letter, queue.flags) for letter in letters}
    if queue.critique_least is not None:
        found["critique"] = {letter: criticized(form, letter) for letter in letters}
    if queue.better:
        found["better"] = {letter: _better(form, letter, text) for letter, text in what.by_letter().items()}
    return found


def _better(form: Form, letter: str, before: Text) -> str | None:
    """The copy of an answer where it was changed; None where it stands as it was, or was never opened."""
    text = stored(_one(form, f"better-{letter}")).body
    return text if text.strip() not in {"", before.body.strip()} else None


def flagged(form: Form, letter: str, asked: list[str]) -> dict[str, bool | None]:
    said = {"yes": True, "no": False}
    return {key: said.get(_one(form, f"flag-{letter}-{key}")) for key in asked}


def criticized(form: Form, letter: str) -> str | None:
    """None where nothing is written."""
    return _one(form, f"critique-{letter}").strip() or None


def _rate(form: Form, queue: Queue) -> Json:
    axes = [axis for axis in queue.axes if axis != "overall"]
    body: Json = {"overall": _rated(form, "A", ["overall"])["overall"], "axes": _rated(form, "A", axes)}
    if queue.flags:
        body["flags"] = flagged(form, "A", queue.flags)
    if queue.critique_least is not None:
        body["critique"] = criticized(form, "A")
    return body


def _rated(form: Form, letter: str, axes: list[str]) -> dict[str, int | None]:
    return {axis: _number(_one(form, f"rating-{letter}-{axis}")) for axis in axes}


def _one(form: Form, name: str) -> str:
    return (form.get(name) or [""])[-1]


def _number(value: str) -> int | None:
    return int(value) if value.isdecimal() and len(value) < 4 else None

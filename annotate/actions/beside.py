"""What a queue asks of each answer beside its main question, from letters to the stored form.

These are flags, a critique and a better text. A part that the queue does not ask is no key of the stored
body; what was asked and not said is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any  # bodies are JSON from outside: each value is checked here

from annotate.actions.written import written
from annotate.critique import checked_critique
from annotate.errors import AnnotateError
from annotate.flags import checked_flags
from annotate.models import Text
from annotate.presentation import Shown

Json = dict[str, Any]


def beside(body: Json, what: Shown, *, ratings: Mapping[str, Mapping[str, int | None]]) -> Json:
    """{flags, critique, better} of a body in letters, each {key of a text: its part}. ratings: by key, as stored.

    Raises AnnotateError 400 with code bad_body, too_short, or of a better text unchanged, empty_text or too_long; fact
    field.
    """
    queue, texts = what.task.queue, what.by_letter()
    given = {name: _by_letter(body, name, texts) for name in ("flags", "critique", "better")}
    found: Json = {}
    if queue.flags:
        found["flags"] = {
            str(text.pk): checked_flags(given["flags"].get(letter, {}), asked=queue.flags, whose=letter)
            for letter, text in texts.items()
        }
    if queue.critique_least is not None:
        found["critique"] = {
            str(text.pk): critique_of(
                given["critique"].get(letter), letter=letter, what=what, rating=ratings[str(text.pk)].get("overall")
            )
            for letter, text in texts.items()
        }
    if queue.better:
        found["better"] = {
            str(text.pk): _better(given["better"].get(letter), letter, text) for letter, text in texts.items()
        }
    for name in sorted(set(given) - set(found)):
        if given[name]:
            raise AnnotateError("bad_body", f"This queue asks no {name}.", field=name)
    return found


def critique_of(given: object, *, letter: str, what: Shown, rating: int | None) -> Json | None:
    """A critique with its spans by key of the text; None where nobody wrote one. rating: the overall one beside it."""
    texts = what.by_letter()
    found = checked_critique(
        given,
        letter=letter,
        bodies={one: text.body for one, text in texts.items()},
        least=what.task.queue.critique_least or 0,
        rating=rating,
    )
    if found is None:
        return None
    spans = [{"text_id": texts[one["letter"]].pk, "start": one["start"], "end": one["end"]} for one in found["spans"]]
    return {"text": found["text"], "spans": spans}


def _better(given: object, letter: str, before: Text) -> str | None:
    """Null where nobody wrote one."""
    if given is None:
        return None
    text = written(given, field=f"better-{letter}")
    if text.strip() == before.body.strip():
        sentence = f"The better text for {letter} is the same as before; leave it out instead."
        raise AnnotateError("unchanged", sentence, field=f"better-{letter}")
    return text


def _by_letter(body: Json, name: str, texts: Mapping[str, object]) -> Json:
    value = body.get(name, {})
    if not isinstance(value, Mapping) or not set(value) <= set(texts):
        sentence = f"{name} must be an object whose keys are some of {', '.join(texts)}."
        raise AnnotateError("bad_body", sentence, field=name)
    return dict(value)

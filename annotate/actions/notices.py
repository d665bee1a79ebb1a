"""What a writer is told of an answer before it is sent. Notices, never a verdict: nothing is refused for them.

That a similar answer or instruction exists is all that is said of it: not its words, not whose it is, not where it
stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from django.db.models import QuerySet

from annotate.actions.flag_texts import TableIndex, salt
from annotate.cleaning.duplicates import Entry, keys_of, neighbours, shelve
from annotate.cleaning.language import KNOWN, Tongue, differ, tongue_of
from annotate.cleaning.normalise import stored
from annotate.cleaning.thresholds import Thresholds
from annotate.models import Queue, Task, Text, User
from annotate.presentation import Shown, shown

SHORT, LONG = "short", "long"
LANGUAGE = "language"
SIMILAR = "similar"
ASKED = "asked"
OF_ANSWER, OF_INSTRUCTION = (SHORT, LONG, LANGUAGE, SIMILAR), (ASKED,)
SHORT_WORDS, LONG_WORDS = 8, 600
NEWEST = 64  # answers to the prompt that are compared, whoever wrote them
_ANSWERS = 2**62  # apart from the salts of documents and prompts


def notices_of(body: str, *, task: Task, by: User, instruction: str = "") -> list[str]:
    """Those of OF_ANSWER and OF_INSTRUCTION that hold of what by writes for a task; of other kinds none.

    instruction: what by writes above the answer, where the task asks for it. A handful of queries, whatever the number
    of texts, and a few for each time that the task came back.
    """
    text = stored(body).body
    if task.queue.kind != Queue.Kind.WRITE_ANSWER or not (text + instruction).strip():
        return []
    what = shown(task, by)
    if not what.asks_instruction:
        return _of_answer(text, what, _to_prompt(what))
    asked, own = stored(instruction).body, _written_before(what)
    return [*_of_answer(text, what, _to_instruction(asked, what, own)), *_of_instruction(asked, what, own)]


@dataclass(frozen=True)
class _Near:
    """What an answer is held against. tongue: its prompt's; others: all answers; here: those of them to this prompt."""

    tongue: Tongue
    others: QuerySet[Text]
    here: QuerySet[Text]


def _to_prompt(what: Shown) -> _Near:
    """What its person wrote to this prompt before is theirs to write again."""
    prompt = what.prompt[-1]
    others = _texts(what, Text.Kind.ANSWER).exclude(parent=prompt, author=what.user)
    return _Near(_tongue_of_prompt(prompt), others, others.filter(parent__group=prompt.group_id))


def _to_instruction(asked: str, what: Shown, own: QuerySet[Text]) -> _Near:
    others = _texts(what, Text.Kind.ANSWER).exclude(pk__in=own.values("pk"))
    prompts = _texts(what, Text.Kind.PROMPT).filter(sha256=_sha256(asked))
    return _Near(tongue_of(asked), others, others.filter(parent__in=prompts))


def _written_before(what: Shown) -> QuerySet[Text]:
    """What its person wrote for this task, or for one that came back as this one: theirs to write again."""
    tasks = [what.task]
    while (review := tasks[-1].follows) and review.task.follows:
        tasks.append(review.task.follows.task)
    return Text.objects.filter(author=what.user, task_texts__task__follows__task__in=tasks)


def _of_answer(text: str, what: Shown, near: _Near) -> list[str]:
    if not text.strip():
        return []
    words = len(text.split())
    found = [SHORT] if words < SHORT_WORDS else [LONG] if words > LONG_WORDS else []
    if differ(near.tongue, tongue_of(text)):
        found.append(LANGUAGE)
    entry = Entry(id=0, body=text, salt=_ANSWERS + what.task.queue.project_id)
    if _repeats(entry, what, pool=near.others if words >= SHORT_WORDS else near.here, here=near.here):
        found.append(SIMILAR)
    return found


def _of_instruction(asked: str, what: Shown, own: QuerySet[Text]) -> list[str]:
    """Held against all first prompts of the project, whoever brought them."""
    prompts = _texts(what, Text.Kind.PROMPT).filter(parent=None).exclude(pk__in=own.values("pk"))
    like = Text(project_id=what.task.queue.project_id, kind=Text.Kind.PROMPT, body=asked)
    entry = Entry(id=0, body=asked, salt=salt(like))
    return [ASKED] if asked.strip() and _repeats(entry, what, pool=prompts, here=prompts.none()) else []


def shelve_answer(answer: Text) -> None:
    """Later answers of the project are compared with this one too."""
    index = TableIndex()
    entry = Entry(id=answer.pk, body=answer.body, salt=_ANSWERS + answer.project_id)
    index.take(shelve([entry], index=index))


def _tongue_of_prompt(prompt: Text) -> Tongue:
    """Its language as its source says it, where it is one that is known here; else what its letters and words say."""
    read = tongue_of(prompt.body)
    code = prompt.language.lower().split("-")[0]
    return Tongue(read.script, code) if code in KNOWN else read


def _texts(what: Shown, kind: str) -> QuerySet[Text]:
    return Text.objects.filter(project=what.task.queue.project_id, kind=kind).exclude(body="")


def _repeats(entry: Entry, what: Shown, *, pool: QuerySet[Text], here: QuerySet[Text]) -> bool:
    """Whether a text of the pool, or one of the newest here, says nearly the same."""
    if pool.filter(sha256=_sha256(entry.body)).exists():
        return True
    index = _Shelf(entry, pool=pool, here=here)
    limit = Thresholds.of(what.task.queue.project.settings).near_duplicate
    return bool(neighbours(entry, index=index, limit=limit))


class _Shelf(TableIndex):
    """Texts like an entry by band key: those on the shelf that are of the pool, and the newest ones here."""

    def __init__(self, entry: Entry, *, pool: QuerySet[Text], here: QuerySet[Text]) -> None:
        self._salt, self._pool, self._here = entry.salt, pool, here
        self._bodies: dict[int, str] = {}

    def candidates(self, keys: Sequence[int]) -> Mapping[int, Sequence[int]]:
        shelf = super().candidates(keys)
        ids = {pk for row in shelf.values() for pk in row}
        self._bodies = dict(self._here.order_by("-pk").values_list("pk", "body")[:NEWEST])
        entries = [Entry(id=pk, body=body, salt=self._salt) for pk, body in self._bodies.items()]
        self._bodies |= dict(self._pool.filter(pk__in=ids - self._bodies.keys()).values_list("pk", "body"))
        found = {key: {pk for pk in row if pk in self._bodies} for key, row in shelf.items()}
        for entry, row in zip(entries, keys_of(entries), strict=True):
            for key in set(row) & set(keys):
                found.setdefault(key, set()).add(entry.id)
        return {key: sorted(row) for key, row in found.items()}

    def bodies(self, ids: Sequence[int]) -> Mapping[int, str]:
        return {pk: self._bodies[pk] for pk in ids}


def _sha256(body: str) -> str:
    return sha256(body.encode()).hexdigest()

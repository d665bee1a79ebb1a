"""What a writer is told of an answer before it is sent. Notices, never a verdict: nothing is refused for them.

That a similar answer exists is all that is said of it: not its words, not whose it is, not where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from django.db.models import QuerySet

from annotate.actions.flag_texts import TableIndex
from annotate.cleaning.duplicates import Entry, keys_of, neighbours, shelve
from annotate.cleaning.language import KNOWN, Tongue, differ, tongue_of
from annotate.cleaning.normalise import stored
from annotate.cleaning.thresholds import Thresholds
from annotate.models import Project, Queue, Task, Text, User
from annotate.presentation import shown

SHORT, LONG = "short", "long"
LANGUAGE = "language"
SIMILAR = "similar"
SHORT_WORDS, LONG_WORDS = 8, 600
NEWEST = 64  # answers to the prompt that are compared, whoever wrote them
_ANSWERS = 2**62  # apart from the salts of documents and prompts


def notices_of(body: str, *, task: Task, by: User) -> list[str]:
    """Those of SHORT or LONG, LANGUAGE, SIMILAR that hold of what by writes for a task; of other kinds none.

    A handful of queries, whatever the number of texts.
    """
    text = stored(body).body
    if not text.strip() or task.queue.kind != Queue.Kind.WRITE_ANSWER:
        return []
    words = len(text.split())
    found = [SHORT] if words < SHORT_WORDS else [LONG] if words > LONG_WORDS else []
    prompt = shown(task, by).prompt[-1]
    if differ(_tongue_of_prompt(prompt), tongue_of(text)):
        found.append(LANGUAGE)
    if _similar(text, prompt, task.queue.project, by, everywhere=words >= SHORT_WORDS):
        found.append(SIMILAR)
    return found


def shelve_answer(answer: Text) -> None:
    """Later answers of the project are compared with this one too."""
    index = TableIndex()
    index.take(shelve([_entry(answer.pk, answer.body, answer.project_id)], index=index))


def _tongue_of_prompt(prompt: Text) -> Tongue:
    """Its language as its source says it, where it is one that is known here; else what its letters and words say."""
    read = tongue_of(prompt.body)
    code = prompt.language.lower().split("-")[0]
    return Tongue(read.script, code) if code in KNOWN else read


def _similar(text: str, prompt: Text, project: Project, by: User, *, everywhere: bool) -> bool:
    """Whether an answer says nearly the same: to this prompt, or everywhere, where a person wrote it.

    What by wrote to this prompt before is theirs to write again.
    """
    answers = Text.objects.filter(project=project, kind=Text.Kind.ANSWER).exclude(body="")
    others = answers.exclude(parent=prompt, author=by)
    here = others.filter(parent__group=prompt.group_id)
    pool = others if everywhere else here
    if pool.filter(sha256=sha256(text.encode()).hexdigest()).exists():
        return True
    index = _Answers(project.pk, pool=pool, here=here)
    limit = Thresholds.of(project.settings).near_duplicate
    return bool(neighbours(_entry(0, text, project.pk), index=index, limit=limit))


class _Answers(TableIndex):
    """Answers of a project by band key: those on the shelf that are of the pool, and the newest ones here."""

    def __init__(self, project_id: int, *, pool: QuerySet[Text], here: QuerySet[Text]) -> None:
        self._project_id, self._pool, self._here = project_id, pool, here
        self._bodies: dict[int, str] = {}

    def candidates(self, keys: Sequence[int]) -> Mapping[int, Sequence[int]]:
        shelf = super().candidates(keys)
        ids = {pk for row in shelf.values() for pk in row}
        self._bodies = dict(self._here.order_by("-pk").values_list("pk", "body")[:NEWEST])
        entries = [_entry(pk, body, self._project_id) for pk, body in self._bodies.items()]
        self._bodies |= dict(self._pool.filter(pk__in=ids - self._bodies.keys()).values_list("pk", "body"))
        found = {key: {pk for pk in row if pk in self._bodies} for key, row in shelf.items()}
        for entry, row in zip(entries, keys_of(entries), strict=True):
            for key in set(row) & set(keys):
                found.setdefault(key, set()).add(entry.id)
        return {key: sorted(row) for key, row in found.items()}

    def bodies(self, ids: Sequence[int]) -> Mapping[int, str]:
        return {pk: self._bodies[pk] for pk in ids}


def _entry(id: int, body: str, project_id: int) -> Entry:
    return Entry(id=id, body=body, salt=_ANSWERS + project_id)

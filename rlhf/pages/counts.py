"""What a project's rows add up to, for its home: texts, decisions, tasks, and its newest imports, snapshots, runs."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import CharField, Count, F, Func, Max, Q

from annotate.models import Import, Project, Queue, Revision, Task, Text
from rlhf.models import Run, Snapshot

PREFERENCES = ("rank", "pair", "repair")  # kinds of queue whose answers a ranking snapshot holds
UNFINISHED = [Task.State.HELD, Task.State.ADMITTED, Task.State.PARKED]
NEWEST = 10


@dataclass(frozen=True)
class Counts:
    """tasks: by key of queue and state. decisions: counted answers by kind and by decision ("" for none).

    imports, snapshots, lately: the newest ten, imports that are read before those that have ended. frozen: kinds of
    snapshot that stand. runs: the newest of each stage; active: those that run or wait.
    """

    queues: list[Queue]
    tasks: dict[tuple[int, str], int]
    documents: int
    pairs: int
    prompts: int
    decisions: dict[tuple[str, str], int]
    imports: list[Import]
    snapshots: list[Snapshot]
    frozen: set[str]
    runs: dict[str, Run]
    active: list[Run]
    lately: list[Run]

    @property
    def importing(self) -> bool:
        return any(one.state == Import.State.READING for one in self.imports)

    @property
    def waiting(self) -> dict[str, int]:
        """Unfinished tasks by kind of queue."""
        return self._of(UNFINISHED)

    @property
    def complete(self) -> dict[str, int]:
        return self._of([Task.State.COMPLETE])

    def _of(self, states: list[Task.State]) -> dict[str, int]:
        found: dict[str, int] = {}
        for queue in self.queues:
            found[queue.kind] = found.get(queue.kind, 0) + sum(self.tasks.get((queue.pk, one), 0) for one in states)
        return found

    @property
    def kept(self) -> int:
        """Documents that people kept, or that nothing was found in."""
        return max(0, self.documents - self.decided("clean", "reject") - self.waiting.get("clean", 0))

    @property
    def answers(self) -> int:
        """Answers that people approved, and pairs that were imported as such."""
        return self.pairs + self.decided("review_answer", "accept") + self.decided("review_answer", "edit")

    @property
    def rankings(self) -> int:
        return sum(n for (kind, _), n in self.decisions.items() if kind in PREFERENCES)

    def decided(self, kind: str, decision: str) -> int:
        return self.decisions.get((kind, decision), 0)

    def to_rank(self) -> int:
        return sum(self.waiting.get(kind, 0) for kind in PREFERENCES)

    def to_write(self) -> int:
        return self.waiting.get("write_answer", 0) + self.waiting.get("review_answer", 0)


def count(project: Project) -> Counts:
    """All counts of a project's home. Seven queries, whatever the project holds."""
    queues = list(Queue.objects.filter(project=project).order_by("pk"))
    texts = _texts(project)
    snapshots, runs = _snapshots(project), _runs(project)
    return Counts(
        queues=queues,
        tasks=_tasks(queues),
        documents=texts.get(("document", ""), 0),
        pairs=texts.get(("answer", "import"), 0),
        prompts=texts.get(("prompt", ""), 0) - texts.get(("prompt", "game"), 0),
        decisions=_decisions(queues),
        imports=_imports(project),
        snapshots=snapshots[:NEWEST],
        frozen={one.kind for one in snapshots},
        runs={run.stage: run for run in reversed(runs)},
        active=[run for run in runs if run.state in Run.ACTIVE],
        lately=runs[:NEWEST],
    )


def _tasks(queues: list[Queue]) -> dict[tuple[int, str], int]:
    rows = Task.objects.filter(queue__in=queues).order_by().values_list("queue", "state").annotate(n=Count("pk"))
    return {(queue, state): n for queue, state, n in rows}


def _texts(project: Project) -> dict[tuple[str, str], int]:
    """(kind, "") → first versions of that kind; (kind, origin) → those of one origin."""
    first = Text.objects.filter(project=project, edited_from=None).order_by()
    found: dict[tuple[str, str], int] = {}
    for kind, origin, n in first.values_list("kind", "origin").annotate(n=Count("pk")):
        found[kind, origin] = n
        found[kind, ""] = found.get((kind, ""), 0) + n
    return found


class _Decision(Func):
    """The body's decision as text; null where it has none. Measured at half the time of Django's own transform."""

    output_field = CharField()
    function = "JSON_EXTRACT"
    template = "%(function)s(%(expressions)s, '$.decision')"

    def as_postgresql(self, compiler, connection, **more):  # type: ignore[no-untyped-def]  # as Django calls it
        return self.as_sql(compiler, connection, template="(%(expressions)s ->> 'decision')", **more)


def _decisions(queues: list[Queue]) -> dict[tuple[str, str], int]:
    kinds = {queue.pk: queue.kind for queue in queues}
    answers = Revision.objects.counted().filter(judgement__task__queue__in=queues).order_by()
    rows = answers.annotate(decision=_Decision("body")).values_list("judgement__task__queue", "decision")
    found: dict[tuple[str, str], int] = {}
    for queue, decision, n in rows.annotate(n=Count("pk")):
        key = kinds[queue], decision or ""
        found[key] = found.get(key, 0) + n
    return found


def _imports(project: Project) -> list[Import]:
    newest = Import.objects.filter(source__project=project).select_related("source")
    return list(newest.order_by(F("finished_at").desc(nulls_first=True), "-pk")[:NEWEST])


def _snapshots(project: Project) -> list[Snapshot]:
    """The newest ten and the newest of each kind, newest first. One query."""
    frozen = Snapshot.objects.frozen().filter(project=project)
    of_kinds = frozen.order_by().values("kind").annotate(newest=Max("pk")).values("newest")
    last = frozen.order_by("-number").values("pk")[:NEWEST]
    return list(frozen.filter(Q(pk__in=of_kinds) | Q(pk__in=last)).order_by("-number"))


def _runs(project: Project) -> list[Run]:
    """The newest ten, the newest of each stage, and all that run or wait, newest first. One query."""
    own = Run.objects.filter(project=project)
    of_stages = own.order_by().values("stage").annotate(newest=Max("pk")).values("newest")
    last = own.order_by("-number").values("pk")[:NEWEST]
    wanted = Q(pk__in=of_stages) | Q(pk__in=last) | Q(state__in=Run.ACTIVE)
    return list(own.filter(wanted).select_related("created_by").order_by("-number"))

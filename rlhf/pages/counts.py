"""What a project's rows add up to, for its home: texts, decisions, tasks, and the newest run of each stage."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Max
from django.db.models.fields.json import KeyTextTransform

from annotate.models import Import, Project, Revision, Task, Text
from rlhf.models import Run, Snapshot

PREFERENCES = ("rank", "pair", "repair")  # kinds of queue whose answers a ranking snapshot holds
UNFINISHED = [Task.State.HELD, Task.State.ADMITTED, Task.State.PARKED]


@dataclass(frozen=True)
class Counts:
    """waiting: unfinished tasks by kind of queue. decisions: counted answers by kind and by decision ("" for none).

    frozen: kinds of snapshot that stand. runs: the newest of each stage.
    """

    documents: int
    importing: bool
    pairs: int
    prompts: int
    waiting: dict[str, int]
    complete: dict[str, int]
    decisions: dict[tuple[str, str], int]
    frozen: set[str]
    runs: dict[str, Run]

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
    """All counts of a project's home. Six queries, whatever the project holds."""
    tasks = Task.objects.filter(queue__project=project).values_list("queue__kind", "state").annotate(n=Count("pk"))
    waiting: dict[str, int] = {}
    complete: dict[str, int] = {}
    for kind, state, n in tasks:
        if state in UNFINISHED:
            waiting[kind] = waiting.get(kind, 0) + n
        elif state == Task.State.COMPLETE:
            complete[kind] = n
    texts = _texts(project)
    return Counts(
        documents=texts.get(("document", ""), 0),
        importing=Import.objects.filter(source__project=project, state=Import.State.READING).exists(),
        pairs=texts.get(("answer", "import"), 0),
        prompts=texts.get(("prompt", ""), 0) - texts.get(("prompt", "game"), 0),
        waiting=waiting,
        complete=complete,
        decisions=_decisions(project),
        frozen=set(Snapshot.objects.frozen().filter(project=project).values_list("kind", flat=True).distinct()),
        runs=_newest_runs(project),
    )


def _texts(project: Project) -> dict[tuple[str, str], int]:
    """(kind, "") → first versions of that kind; (kind, origin) → those of one origin."""
    rows = Text.objects.filter(project=project, edited_from=None).values_list("kind", "origin").annotate(n=Count("pk"))
    found: dict[tuple[str, str], int] = {}
    for kind, origin, n in rows:
        found[kind, origin] = n
        found[kind, ""] = found.get((kind, ""), 0) + n
    return found


def _decisions(project: Project) -> dict[tuple[str, str], int]:
    answers = Revision.objects.counted().filter(judgement__task__queue__project=project)
    decided = answers.annotate(decision=KeyTextTransform("decision", "body"))
    rows = decided.values_list("judgement__task__queue__kind", "decision").annotate(n=Count("pk"))
    return {(kind, decision or ""): n for kind, decision, n in rows}


def _newest_runs(project: Project) -> dict[str, Run]:
    newest = Run.objects.filter(project=project).values("stage").annotate(newest=Max("pk")).values("newest")
    return {run.stage: run for run in Run.objects.filter(pk__in=newest)}

"""What needs a person: at most five cards, by what they hold up. The template says each in words."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Exists, IntegerField, OuterRef, Q, Value
from django.urls import reverse
from django.utils.timezone import now

from annotate.access import WORKERS
from annotate.models import Exclusion, Judgement, Project, Queue, Role, Slot, Task, User
from annotate.qualification import waits_for_quiz
from rlhf.models import Run
from rlhf.pages.counts import Counts

MOST = 5
# kind of snapshot → the stage that reads it, in the order in which a project goes round
ROUND = (("corpus", "pretrain"), ("sft", "sft"), ("prompt", "generate"), ("ranking", "reward"), ("prompt", "ppo"))
BEFORE = {"sft": "pretrain", "generate": "sft", "reward": "generate", "ppo": "reward"}


# kind of queue → the stage that cannot begin without it
HOLDS_UP = {
    Queue.Kind.CLEAN: "pretrain",
    Queue.Kind.WRITE_ANSWER: "sft",
    Queue.Kind.REVIEW_ANSWER: "sft",
    Queue.Kind.RANK: "reward",
    Queue.Kind.PAIR: "reward",
}


@dataclass(frozen=True, kw_only=True)
class Card:
    """kind: of a queue (there is work), or quiz, returned, failed, waiting, import, freeze or launch.

    url: of the button; posts: it starts something, so it is a form. what: a kind of snapshot, or a stage; of work, the
    stage that waits for it.
    """

    kind: str
    url: str
    n: int = 0
    posts: bool = False
    what: str = ""
    run: Run | None = None


@dataclass(frozen=True, kw_only=True)
class Needs:
    """cards: what comes first, at most five. left: tasks that the person could get, in all queues together."""

    cards: list[Card]
    left: int


def needs(project: Project, user: User, roles: set[str], counts: Counts, *, worker_alive: bool) -> Needs:
    """One query beyond the counts; three where the project asks for the quiz."""
    if waits_for_quiz(project, user):
        return Needs(cards=[Card(kind="quiz", url=f"{reverse('quiz')}?project={project.uuid}")], left=0)
    found, left = _judging(user, roles, counts)
    if Role.ADMIN in roles:
        found = [*_stuck(counts, worker_alive=worker_alive), *found, *_next_step(project, counts)]
    return Needs(cards=found[:MOST], left=left)


def _judging(user: User, roles: set[str], counts: Counts) -> tuple[list[Card], int]:
    """What came back to this person, then a card a kind of work: what holds up a stage first, then the longest line."""
    queues = {one.pk: one for one in counts.queues if one.closed_at is None and roles & set(WORKERS[one.kind])}
    if not queues:
        return [], 0
    returned: list[Card] = []
    waiting: dict[str, Card] = {}
    left = _left(queues, user, counts)
    for queue, (n, back) in sorted(left.items(), key=lambda one: -one[1][0]):
        kind, url = queues[queue].kind, reverse("start", args=[queues[queue].uuid])
        if back:
            returned.append(Card(kind="returned", n=back, url=url, posts=True))
        if n > back:
            stage = HOLDS_UP.get(Queue.Kind(kind), "")
            what = stage if stage and stage not in counts.runs else ""
            waiting.setdefault(kind, Card(kind=kind, n=n - back, url=url, posts=True, what=what))
    order = sorted(waiting.values(), key=lambda card: (not card.what, -card.n))
    return [*returned, *order], sum(n for n, _ in left.values())


def _left(queues: dict[int, Queue], user: User, counts: Counts) -> dict[int, tuple[int, int]]:
    """By queue: tasks that user could get, and how many of them came back to them.

    Held tasks are those of the counts but for the ones that user is kept from. One query.
    """
    kept = Exclusion.objects.filter(Q(until=None) | Q(until__gt=now()), user=user)
    slots = Slot.objects.filter(task=OuterRef("pk"), status=Slot.Status.OPEN)
    mine = Exists(slots.filter(reserved_for=user))
    own = Judgement.objects.filter(task=OuterRef("pk"), user=user)
    open_to = (
        Task.objects.filter(queue__in=list(queues), state=Task.State.ADMITTED)
        .filter(mine | Exists(slots.filter(reserved_for=None)), ~Exists(kept.filter(task=OuterRef("pk"))), ~Exists(own))
        .values_list("queue")
        .annotate(n=Count("pk"), back=Count("pk", filter=mine))
    )
    barred = (
        kept.filter(task__state=Task.State.HELD, task__queue__in=list(queues))
        .values_list("task__queue")
        .annotate(n=-Count("task"), back=Value(0, output_field=IntegerField()))
    )
    found = {queue: (counts.tasks.get((queue, Task.State.HELD), 0), 0) for queue in queues}
    for queue, n, back in open_to.order_by().union(barred.order_by(), all=True):
        found[queue] = (found[queue][0] + n, found[queue][1] + back)
    return found


def _stuck(counts: Counts, *, worker_alive: bool) -> list[Card]:
    failed = [run for run in counts.runs.values() if run.state == Run.State.FAILED]
    queued = [run for run in counts.runs.values() if run.state == Run.State.QUEUED and not worker_alive]
    return [
        Card(kind=kind, run=run, what=run.stage, url=reverse("run", args=[run.uuid]))
        for kind, runs in (("failed", failed), ("waiting", queued))
        for run in runs
    ]


def _next_step(project: Project, counts: Counts) -> list[Card]:
    """What an admin could do next: bring documents, freeze what people decided, or launch the stage that reads it."""
    if not counts.documents:
        return [Card(kind="import", url=reverse("import-new", args=[project.uuid]))]
    there = {"corpus": counts.kept, "sft": counts.answers, "prompt": counts.prompts, "ranking": counts.rankings}
    for snapshot, stage in ROUND:
        run = counts.runs.get(stage)
        before = counts.runs.get(BEFORE.get(stage, ""))
        if run is not None:
            continue
        if stage in BEFORE and (before is None or before.state != Run.State.FINISHED):
            return []
        if snapshot not in counts.frozen:
            url = reverse("snapshot-new", args=[project.uuid, snapshot])
            return [Card(kind="freeze", what=snapshot, n=there[snapshot], url=url)] if there[snapshot] else []
        return [Card(kind="launch", what=stage, url=reverse("launch", args=[project.uuid, stage]))]
    return []

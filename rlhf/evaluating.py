"""Look into each new base without being asked: on the project's cloze items, and at its standing questions.

Nothing is launched where a project has neither. `evaluate_due` may run as often as it likes: what was launched once is
not launched again, whatever became of it.
"""

from __future__ import annotations

import logging
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from annotate.models import GameRound, GameStart, Project, Role, User
from rlhf import snapshots
from rlhf.errors import LaunchError
from rlhf.models import Model, Probe, Run, RunInput, Snapshot
from rlhf.probes import Subject, earlier_of, look, words_sha256
from trainer.contract.configs import MOST_PROMPTS

log = logging.getLogger(__name__)

EVERY_ITEM = {"min_people": 0}


def evaluate_due() -> None:
    """Launch what is due for each project's newest base. Some five queries a project that plays or asks."""
    for base in _newest_bases():
        if not (_plays(base.project) or base.project.probes.filter(standing=True).exists()):
            continue
        by = _on_behalf_of(base)
        if by is None:
            continue
        try:
            with transaction.atomic():
                Project.objects.select_for_update().get(pk=base.project_id)
                _look_into(base, by)
        except LaunchError as refusal:
            log.warning("%s of project %d is not evaluated: %s", base, base.project_id, refusal.sentence)


def _newest_bases() -> QuerySet[Model]:
    newer = Model.objects.filter(project=OuterRef("project"), kind=Model.Kind.BASE, number__gt=OuterRef("number"))
    rows = Model.objects.filter(~Exists(newer), kind=Model.Kind.BASE)
    return rows.select_related("project", "run__created_by").order_by("pk")


def _on_behalf_of(base: Model) -> User | None:
    """Who had the base trained; of one that an operator brought the admin of longest standing, if there is any."""
    if base.run is not None:
        return base.run.created_by
    admins = base.project.memberships.filter(role=Role.ADMIN, user__is_active=True).select_related("user")
    first = admins.order_by("pk").first()
    return first.user if first else None


def _plays(project: Project) -> bool:
    """Whether there are blanks to measure on: the project has a network of its own, or a verified round was played."""
    verified = project.game_rounds.filter(replay=GameRound.Replay.SAME)
    return project.game_starts.standing().exists() or verified.exists()


def _look_into(base: Model, by: User) -> None:
    cloze = _cloze(base, by) if _plays(base.project) else None
    if cloze is not None and cloze.state == Snapshot.State.FREEZING:
        return  # the next sweep finds it frozen
    asked = _unasked(base)
    if cloze is None and not asked:
        return
    subjects = [*(Subject(*one) for one in earlier_of(base)), Subject(base)]
    entries = [one.entry() for one in subjects]
    children = [_child(base, probe, entries, by) for probe in asked]
    alike = [[one for one in children if one.as_question is question] for question in (False, True)]
    parts = [same[at : at + MOST_PROMPTS] for same in alike for at in range(0, len(same), MOST_PROMPTS)] or [[]]
    for number, part in enumerate(parts):
        look(probes=part, subjects=subjects, by=by, limited=False, cloze=None if number else cloze)


def _cloze(base: Model, by: User) -> Snapshot | None:
    """A snapshot of every blank; None where the base was measured on it, or it cannot be made.

    Frozen after the base and the newest network came, so that it holds what is played now and what people answered.
    """
    project = base.project
    starts = GameStart.objects.standing().filter(Q(project=project) | Q(project=None))
    since = max(starts.aggregate(at=Max("published_at"))["at"] or base.created_at, base.created_at)
    frozen = project.snapshots.filter(kind=Snapshot.Kind.CLOZE, settings__min_people=0).order_by("-number").first()
    if frozen is None or frozen.created_at < since:
        key = f"cloze {base.uuid} {since}"
        try:
            return snapshots.begin(project=project, kind="cloze", settings=EVERY_ITEM, by=by, key=key)
        except LaunchError:
            return None  # no blank stands yet
    if frozen.state == Snapshot.State.FAILED:
        return None
    measured = RunInput.objects.filter(run__stage=Run.Stage.EVALUATE, snapshot=frozen, run__inputs__model=base)
    return None if measured.exists() else frozen


def _unasked(base: Model) -> list[Probe]:
    """One probe for each standing question that this base and its earlier states were not asked yet."""
    rows = base.project.probes.filter(standing=True).order_by("pk")
    standing = {_uuid(base, probe): probe for probe in rows if not _asks(probe, base)}
    known = set(Probe.objects.filter(uuid__in=standing).values_list("uuid", flat=True))
    return [probe for uuid, probe in standing.items() if uuid not in known]


def _asks(probe: Probe, base: Model) -> bool:
    """Whether the person who let the question stand asked this base and its states already."""
    keys = [one["key"] for one in probe.asked]
    earlier = not earlier_of(base) or any(key.startswith(f"{base.uuid}.") for key in keys)
    return str(base.uuid) in keys and earlier


def _uuid(base: Model, probe: Probe) -> UUID:
    """The same for the same words to the same base, so that they are asked once."""
    return uuid5(base.uuid, words_sha256(probe.prompt, [], as_question=probe.as_question))


def _child(base: Model, probe: Probe, entries: list[dict[str, object]], by: User) -> Probe:
    """The standing question as this base and its earlier states are asked it, without answers to weigh."""
    return Probe.objects.create(
        uuid=_uuid(base, probe),
        project=base.project,
        prompt=probe.prompt,
        as_question=probe.as_question,
        answers=[],
        words_sha256=words_sha256(probe.prompt, [], as_question=probe.as_question),
        asked=entries,
        created_by=by,
    )

"""Ask models what they believe of a text: a probe, and the evaluate runs that answer it.

A prompt that one run has answered, or is about to, is not asked of the same model again. How the answers are put
together is `beliefs`' business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.cleaning.normalise import stored
from annotate.models import Project, Role, Task, Text, User
from rlhf import beliefs, milestones
from rlhf.errors import LaunchError
from rlhf.launching import Input, launch
from rlhf.models import Model, Probe, Run, Snapshot, asked_for
from trainer.contract.configs import MOST_ANSWERS, MOST_CHECKPOINTS

READERS = {Role.REVIEWER, Role.ADMIN}
LONGEST = 2_000  # characters of a prompt
LONGEST_ANSWER = 1_000
MOST_SUBJECTS = 16
MOST_WAITING = 4  # probes of one person that runs have not answered yet
OPEN = [Task.State.HELD, Task.State.ADMITTED, Task.State.PARKED]
ANSWERING = (Model.Kind.SFT, Model.Kind.POLICY)
KINDS = (Model.Kind.BASE, *ANSWERING, Model.Kind.REWARD)
LARGEST_RESULT, TOKEN_BYTES, TOP_BYTES = 700_000, 60, 2_000  # a result over 1 MB is not kept: about what a part takes
OPEN_SENTENCE = gettext_lazy("This text waits to be judged. What models make of it is shown when its task is complete.")
SEED = 1  # nothing is drawn; a run's config names a seed all the same
Json = dict[str, Any]  # Any: a JSON object


class Subject(NamedTuple):
    """A model, or an earlier state of it: milestone is the name that its run gave that, step-00000014."""

    model: Model
    milestone: str = ""

    @property
    def key(self) -> str:
        return f"{self.model.uuid}.{self.milestone}" if self.milestone else str(self.model.uuid)

    @property
    def base(self) -> Model:
        return self.model.base or self.model

    def entry(self) -> Json:
        """As `Probe.asked` keeps it."""
        step = int(self.milestone.removeprefix("step-")) if self.milestone else None
        kind, name = self.model.kind, self.model.name
        return {"key": self.key, "kind": kind, "name": name, "base": str(self.base.uuid), "step": step}


@transaction.atomic
def ask(
    *,
    project: Project,
    prompt: str,
    as_question: bool,
    answers: Sequence[str],
    models: Sequence[Model],
    checkpoints: Sequence[tuple[Model, str]],
    standing: bool,
    by: User,
    key: str = "",
) -> Probe:
    """The probe, with runs under way for whatever no run has answered.

    The same wish of the same person is one probe, with or without a key; with a key it is carried out once. What was
    answered for anybody in the project is not asked again.

    checkpoints: earlier states, as (model, name of the milestone).

    Raises LaunchError with code
        bad_probe    the prompt, an answer or the choice of models is missing, too long or unknown; `fields` says which
        open_task    by may not read models' words on a text that still waits to be judged
        too_many     by waits for as many probes as one person may
        and what `launch` raises
    """
    prompt, answers = stored(prompt).body, [stored(one).body for one in answers]
    subjects = _ordered([*(Subject(one) for one in models), *(Subject(*one) for one in checkpoints)])
    _check(project, prompt, answers, subjects)
    refuse_open(by, project, [prompt, *answers])
    asked = [subject.entry() for subject in subjects]
    Project.objects.select_for_update().get(pk=project.pk)
    uuid = asked_for(project, by, key, ["probe", prompt, as_question, list(answers), asked])
    if key and (known := Probe.objects.filter(uuid=uuid).first()):
        return known
    words = words_sha256(prompt, answers, as_question=as_question)
    same = project.probes.filter(words_sha256=words, created_by=by).order_by("-pk")
    probe = next((one for one in same if one.asked == asked), None) or Probe.objects.create(
        uuid=uuid,
        project=project,
        prompt=prompt,
        as_question=as_question,
        answers=list(answers),
        words_sha256=words,
        asked=asked,
        created_by=by,
    )
    if standing and not probe.standing:
        probe.standing = True
        probe.save(update_fields=["standing"])
    look(probes=[probe], subjects=subjects, by=by, limited=True)
    return probe


def look(
    *, probes: Sequence[Probe], subjects: Sequence[Subject], by: User, limited: bool, cloze: Snapshot | None = None
) -> list[Run]:
    """Link the probes to the runs that answer them, and launch those that are missing, which it returns.

    probes: of one project, all questions or all texts; more than one only where none has answers. limited: whether
    by may wait for so many probes only. cloze: a snapshot that the runs of each base shall also be measured on.
    """
    covered = [_link(probe, subjects) for probe in probes]
    missing = [one for one in subjects if cloze or any(one.key not in keys for keys in covered)]
    if missing and limited:
        _refuse_too_many(probes[0], by)
    launched = []
    for inputs, config in _runs(missing, probes):
        more: dict[str, Input] = {"cloze": cloze} if cloze else {}
        run = launch(
            project=probes[0].project if probes else missing[0].model.project,
            stage=Run.Stage.EVALUATE,
            preset="full",
            config=config,
            inputs=inputs | more,
            by=by,
        )
        launched.append(run)
    for probe in probes:
        probe.runs.add(*launched)
    return launched


def words_sha256(prompt: str, answers: Sequence[str], *, as_question: bool) -> str:
    return sha256(json.dumps([prompt, as_question, list(answers)]).encode()).hexdigest()


def newest_lineage(project: Project) -> dict[str, Model]:
    """By kind, the newest base and the newest adapters on it: what an assessor may ask, by its role. Two queries."""
    base = project.models.filter(kind=Model.Kind.BASE).select_related("run").order_by("-number").first()
    if base is None:
        return {}
    found = {str(Model.Kind.BASE): base}
    for adapter in base.adapters.filter(kind__in=KINDS).select_related("run", "base").order_by("number"):
        found[adapter.kind] = adapter
    return found


def earlier_of(model: Model) -> list[tuple[Model, str]]:
    """The earlier states that a model's run left, as `ask` takes them."""
    return [(model, one.name) for one in milestones.milestones_of(model)]


def is_open(project: Project, texts: Iterable[str]) -> bool:
    """Whether one of these texts waits in a task that is not decided. One query."""
    written = {stored(form).body for text in texts for form in (text, text.strip())}
    hashes = [sha256(form.encode()).hexdigest() for form in written]
    kinds = Text.Kind.values  # the index begins with project and kind
    rows = Text.objects.filter(project=project, kind__in=kinds, sha256__in=hashes, task_texts__task__state__in=OPEN)
    return rows.exists()


def refuse_open(user: User, project: Project, texts: Iterable[str]) -> None:
    """Nothing where user may read what models make of these texts; else LaunchError with code open_task."""
    if user.roles(project) & READERS:
        return
    if is_open(project, texts):
        raise LaunchError("open_task", str(OPEN_SENTENCE), status=409)


def _check(project: Project, prompt: str, answers: Sequence[str], subjects: Sequence[Subject]) -> None:
    faults: dict[str, str] = {}
    if not prompt.strip() or len(prompt) > LONGEST:
        values = {"found": f"{len(prompt):,}", "most": f"{LONGEST:,}"}
        faults["prompt"] = _("The text has %(found)s characters; allowed are 1 to %(most)s.") % values
    if len(answers) > MOST_ANSWERS or len(set(answers)) < len(answers):
        faults["answers"] = _("Give at most %(most)s answers, each once.") % {"most": MOST_ANSWERS}
    elif any(not one.strip() or len(one) > LONGEST_ANSWER for one in answers):
        faults["answers"] = _("An answer may have 1 to %(most)s characters.") % {"most": f"{LONGEST_ANSWER:,}"}
    if not 1 <= len(subjects) <= MOST_SUBJECTS:
        values = {"found": str(len(subjects)), "most": str(MOST_SUBJECTS)}
        faults["models"] = _("%(found)s models were chosen; allowed are 1 to %(most)s.") % values
    elif any(one.model.project_id != project.pk or one.model.kind not in KINDS for one in subjects):
        faults["models"] = _("A model is not of this project, or is a value adapter, which has nothing to say.")
    elif not answers and any(one.model.kind == Model.Kind.REWARD for one in subjects):
        faults["answers"] = _("A reward model scores answers: give at least one.")
    if faults:
        raise LaunchError("bad_probe", " ".join(faults.values()), fields=faults)


def _ordered(subjects: Iterable[Subject]) -> list[Subject]:
    """As columns stand: base by base; in each its earlier states, itself, and its adapters in order of training."""
    rank = {str(kind): place for place, kind in enumerate(KINDS)}
    unique = {one.key: one for one in subjects}.values()
    return sorted(unique, key=lambda one: (one.base.number, rank.get(one.model.kind, 9), *_age(one)))


def _age(subject: Subject) -> tuple[int, int, str]:
    return (subject.model.number, 0 if subject.milestone else 1, subject.milestone)


def _link(probe: Probe, subjects: Sequence[Subject]) -> set[str]:
    """The keys that runs have answered, or are at work on; those runs are then the probe's too. Few queries."""
    wanted = {one.key for one in subjects}
    covered: set[str] = set()
    for other in Probe.objects.same_words(probe):
        for run in beliefs.runs_of(other):
            told = beliefs.found(probe.prompt, probe.answers, [run])
            answering = {key for key, one in told.items() if one["state"] != "failed"} & wanted
            if answering - covered:
                probe.runs.add(run)
            covered |= answering
    return covered


def _refuse_too_many(probe: Probe, by: User) -> None:
    waiting = probe.project.probes.filter(created_by=by, runs__state__in=Run.ACTIVE).exclude(pk=probe.pk)
    if waiting.distinct().count() >= MOST_WAITING:
        sentence = _("You wait for %(n)s others already. Ask this one when one of them is answered.")
        raise LaunchError("too_many", sentence % {"n": MOST_WAITING}, status=409)


# What one run can look into: one base, its earlier states, two adapters that answer and one that scores


def _runs(missing: Sequence[Subject], probes: Sequence[Probe]) -> list[tuple[dict[str, Input], Json]]:
    """The inputs and config of each run that the missing subjects need."""
    prompts = {probe.prompt: None for probe in probes}
    answers = probes[0].answers if len(probes) == 1 else []
    said = {
        "seed": SEED,
        "prompts": list(prompts),
        "answers": answers,
        "as_question": any(one.as_question for one in probes),
    }
    size = TOP_BYTES * max(1, len(prompts)) + TOKEN_BYTES * len("".join(answers).encode())
    most = max(1, LARGEST_RESULT // size)
    by_base: dict[int, list[Subject]] = {}
    for subject in missing:
        by_base.setdefault(subject.base.pk, []).append(subject)
    return [run for same in by_base.values() for run in _runs_of_base(same, said, most)]


def _runs_of_base(subjects: Sequence[Subject], said: Json, most: int) -> list[tuple[dict[str, Input], Json]]:
    runs: list[_Room] = []
    for subject in sorted(subjects, key=lambda one: bool(one.milestone)):
        room = next((one for one in runs if one.count < most and one.takes(subject)), None)
        if room is None:
            room = _Room(subject.base)
            runs.append(room)
            room.takes(subject)
    return [(room.inputs, said | room.config()) for room in runs]


class _Room:
    """One run while it is filled."""

    def __init__(self, base: Model) -> None:
        self.inputs: dict[str, Input] = {"base": base}
        self.adapters: list[str] = []
        self.checkpoints: list[str] = []

    @property
    def count(self) -> int:
        """The models whose every token the result will hold; a run always looks into one that is no checkpoint."""
        return len(self.checkpoints) + max(1, len(self.adapters)) if self.adapters or self.checkpoints else 0

    def takes(self, subject: Subject) -> bool:
        """Whether the run could still take it, and now has."""
        name = self._name(subject)
        if not name or (subject.milestone and len(self.checkpoints) == MOST_CHECKPOINTS):
            return False
        self.inputs[name] = subject.model
        if subject.milestone:
            self.checkpoints.append(f"{name}.{subject.milestone}")
        elif subject.model.kind != Model.Kind.REWARD:
            self.adapters.append("" if name == "base" else name)
        return True

    def _name(self, subject: Subject) -> str:
        """The input that the subject is, or would be; empty where there is no place for it."""
        model = subject.model
        if model.kind == Model.Kind.BASE:
            return "base"
        names = ("reward",) if model.kind == Model.Kind.REWARD else ("sft", "policy")
        return next((name for name in names if self.inputs.get(name) in (None, model)), "")

    def config(self) -> Json:
        return {"adapters": self.adapters or [""], "checkpoints": [*self.checkpoints, *self._own_state()]}

    def _own_state(self) -> list[str]:
        """Beside earlier states, the one that is the base itself: it tells its step, and is not looked into twice."""
        wanted = "" in (self.adapters or [""]) and 0 < len(self.checkpoints) < MOST_CHECKPOINTS
        base = self.inputs["base"]
        states = milestones.states_of(base) if wanted and isinstance(base, Model) else []
        return [f"base.{one.name}" for one in states if one.sha256 == base.sha256]

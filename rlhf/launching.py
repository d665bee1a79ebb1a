"""Launch, cancel and resume runs. Whatever can be refused is refused here, before anything is queued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db import transaction
from django.utils.timezone import now

from annotate.models import Project, User
from rlhf.errors import LaunchError
from rlhf.messages import send_run
from rlhf.milestones import milestone, states_of
from rlhf.models import Model, Run, RunInput, Snapshot, Worker, asked_for, next_number
from trainer.contract import configs
from trainer.contract.errors import TrainerError
from trainer.contract.hashes import code_version

Config = dict[str, Any]  # Any: values of config fields, as JSON holds them
Input = Snapshot | Model


@dataclass(frozen=True)
class Need:
    """One thing that a stage reads.

    name: of the file in data/ or the folder in parents/. what: the kinds of snapshot or model that serve.
    """

    name: str
    kind: Literal["snapshot", "model"]
    what: tuple[str, ...]
    optional: bool = False


@dataclass(frozen=True)
class Check:
    """One line of a launch form's readiness."""

    level: Literal["pass", "warn", "stop"]
    sentence: str


_BASE = Need("base", "model", ("base",))
_ANSWERING = ("sft", "policy")
NEEDS: dict[str, tuple[Need, ...]] = {
    "pretrain": (Need("corpus", "snapshot", ("corpus",)),),
    "sft": (Need("sft", "snapshot", ("sft",)), _BASE, Need("parent", "model", _ANSWERING, optional=True)),
    "reward": (Need("ranking", "snapshot", ("ranking",)), _BASE, Need("sft", "model", _ANSWERING)),
    "ppo": (
        Need("prompts", "snapshot", ("prompt",)),
        _BASE,
        Need("sft", "model", _ANSWERING),
        Need("reward", "model", ("reward",)),
        Need("ptx", "snapshot", ("sft",), optional=True),
    ),
    "dpo": (Need("ranking", "snapshot", ("ranking",)), _BASE, Need("sft", "model", _ANSWERING)),
    "generate": (
        Need("prompts", "snapshot", ("prompt",)),
        _BASE,
        Need("sft", "model", _ANSWERING, optional=True),
        Need("policy", "model", _ANSWERING, optional=True),
        Need("reward", "model", ("reward",), optional=True),
    ),
    "evaluate": (
        _BASE,
        Need("cloze", "snapshot", ("cloze",), optional=True),
        Need("sft", "model", _ANSWERING, optional=True),
        Need("policy", "model", _ANSWERING, optional=True),
        Need("reward", "model", ("reward",), optional=True),
        Need("ranking", "snapshot", ("ranking",), optional=True),
        Need("corpus", "snapshot", ("corpus",), optional=True),
        Need("answers", "snapshot", ("sft",), optional=True),
    ),
    "map": (_BASE, Need("corpus", "snapshot", ("corpus",))),
}


def needs(stage: str) -> list[Need]:
    """What a stage reads, in the order in which a form asks. Raises LaunchError with code bad_config."""
    if stage not in NEEDS:
        raise LaunchError("bad_config", f"stage is {stage}; allowed: {', '.join(NEEDS)}.")
    return list(NEEDS[stage])


def readiness(*, project: Project, stage: str) -> list[Check]:
    """What is there for a stage, what is missing, and whether a worker would take it. A few queries."""
    checks = [_ready(project, need) for need in needs(stage) if not need.optional]
    alive = Worker.objects.alive().filter(queues__contains="train").exists()
    if alive:
        return [*checks, Check("pass", "A training worker is running.")]
    return [*checks, Check("warn", "No training worker is running; the run will wait for one.")]


@transaction.atomic
def launch(
    *, project: Project, stage: str, preset: str, config: Config, inputs: Mapping[str, Input], by: User, key: str = ""
) -> Run:
    """A queued run, with a message to the workers once the transaction holds.

    The same wish of the same person under the same key is one run, however often it is sent.

    config: the fields that differ from the preset, `seed` among them; names of adapters and the base's hash follow
    from the inputs where they are not given.

    Raises LaunchError with code
        bad_config     a field is missing, unknown or out of its limits; `fields` has a sentence for each
        wrong_input    an input is missing, of the wrong kind, of another project, or not frozen
        other_base     an adapter belongs to another base than the run's
        too_few_rows   the snapshot has fewer rows to learn from than min_rows
    """
    _check_inputs(project, stage, inputs)
    parsed = _parse(stage, _preset(stage, preset) | _implied(stage, inputs) | config)
    _check_names(parsed, inputs)
    _check_rows(parsed, inputs)
    wish = [stage, configs.sha256(parsed), {name: str(row.uuid) for name, row in inputs.items()}]
    uuid = asked_for(project, by, key, wish)
    Project.objects.select_for_update().get(pk=project.pk)
    known = Run.objects.filter(uuid=uuid).first()
    if known is not None:
        return known
    run = Run.objects.create(
        uuid=uuid,
        project=project,
        number=next_number(project.runs.all()),
        stage=stage,
        config=configs.dump(parsed),
        config_sha256=configs.sha256(parsed),
        seed=parsed.seed,
        code_version=code_version(),
        created_by=by,
    )
    RunInput.objects.bulk_create(
        RunInput(run=run, name=name, **{"snapshot" if isinstance(row, Snapshot) else "model": row})
        for name, row in inputs.items()
    )
    send_run(run)
    return run


@transaction.atomic
def cancel(*, run: Run, by: User) -> None:
    """Wish that a run ends: a queued one does at once, a running one after its checkpoint.

    Raises LaunchError with code not_active.
    """
    waiting = Run.objects.filter(pk=run.pk, state__in=[Run.State.QUEUED, Run.State.LOST])
    if waiting.update(state=Run.State.CANCELLED, cancel_requested_at=now(), finished_at=now()):
        return
    if not Run.objects.filter(pk=run.pk, state=Run.State.RUNNING).update(cancel_requested_at=now()):
        raise LaunchError("not_active", "This run has ended; there is nothing to cancel.", status=409)


@transaction.atomic
def resume(*, run: Run, by: User, monitors_off: Sequence[str] = ()) -> None:
    """Queue a failed, cancelled or paused run again; it goes on from its last checkpoint.

    monitors_off: monitors to ignore from there on, beside those that its config names already.

    Raises LaunchError with code
        not_resumable  the run has not ended, or it finished
        bad_config     there is no such monitor in this stage
    """
    watched = getattr(configs.STAGES[run.stage], "watched", ())
    for name in monitors_off:
        if name not in watched:
            sentence = f"monitors_off is {name[:40]}; allowed: {', '.join(watched) or 'none'}."
            raise LaunchError("bad_config", sentence, fields={"monitors_off": sentence})
    ended = Run.objects.filter(pk=run.pk, state__in=Run.RESUMABLE)
    off = {"monitors_off": sorted({*run.config.get("monitors_off", []), *monitors_off})} if monitors_off else {}
    queued = ended.update(
        state=Run.State.QUEUED,
        config=run.config | off,
        cancel_requested_at=None,
        failure=None,
        finished_at=None,
        sent_at=None,
        not_before=None,
    )
    if not queued:
        sentence = "Only a failed, cancelled or paused run can go on."
        raise LaunchError("not_resumable", sentence, status=409)
    run.refresh_from_db()
    send_run(run)


def _ready(project: Project, need: Need) -> Check:
    kinds = " or ".join(need.what)
    if need.kind == "model":
        models = project.models.filter(kind__in=need.what).order_by("-number")
        newest: Input | None = models.filter(kind=need.what[0]).first() or models.first()  # what a form proposes
    else:
        newest = project.snapshots.frozen().filter(kind__in=need.what).order_by("-number").first()
    if newest is None:
        verb = "freeze" if need.kind == "snapshot" else "train"
        return Check("stop", f"No {kinds} {need.kind} yet: {verb} one first.")
    if isinstance(newest, Snapshot):
        return Check("pass", f"{newest} holds {newest.counts['train']:,} rows to learn from.")
    return Check("pass", f"{newest} is there.")


def _check_inputs(project: Project, stage: str, inputs: Mapping[str, Input]) -> None:
    known = {need.name: need for need in needs(stage)}
    for name, row in inputs.items():
        if name not in known:
            raise _wrong(name, f"{name} is no input of {stage}; allowed: {', '.join(known)}.")
        _check_input(project, known[name], row)
    for need in known.values():
        if not need.optional and need.name not in inputs:
            raise _wrong(need.name, f"{need.name} is missing: choose a {need.kind} of kind {' or '.join(need.what)}.")
    base = inputs.get("base")
    for name, row in inputs.items():
        if isinstance(row, Model) and row.base_id and isinstance(base, Model) and row.base_id != base.pk:
            sentence = f"{row} belongs to another base than {base}; choose adapters of one base."
            raise LaunchError("other_base", sentence, fields={name: sentence})


def _check_input(project: Project, need: Need, row: Input) -> None:
    kind = "snapshot" if isinstance(row, Snapshot) else "model"
    if row.project_id != project.pk or kind != need.kind:
        raise _wrong(need.name, f"{need.name} must be a {need.kind} of this project.")
    if row.kind not in need.what:
        raise _wrong(need.name, f"{need.name}: {row} is of kind {row.kind}; allowed: {' or '.join(need.what)}.")
    if isinstance(row, Snapshot) and row.state != Snapshot.State.FROZEN:
        raise _wrong(need.name, f"{row} is {row.state}; only a frozen snapshot can be used.")


def _wrong(name: str, sentence: str) -> LaunchError:
    return LaunchError("wrong_input", sentence, fields={name: sentence})


def _preset(stage: str, name: str) -> Config:
    try:
        return dict(configs.preset(stage, name))
    except TrainerError as error:
        raise LaunchError("bad_config", error.sentence, fields={"preset": error.sentence}) from None


def _implied(stage: str, inputs: Mapping[str, Input]) -> Config:
    """What the inputs say about the config: the base's hash, and the adapters by their names."""
    implied: Config = {}
    base = inputs.get("base")
    if isinstance(base, Model):
        implied["base_sha256"] = base.sha256
    answering = [name for name in ("sft", "policy") if name in inputs]
    if stage == "generate":
        implied["adapters"] = answering or [""]
    if stage == "evaluate":
        implied["adapters"] = ["", *answering]
    if stage in ("evaluate", "map") and isinstance(base, Model):
        implied["checkpoints"] = [f"base.{one.name}" for one in states_of(base)]
    for name in ("sft", "parent"):
        if name in inputs and stage in ("sft", "reward", "ppo", "dpo") and isinstance(inputs[name], Model):
            implied["parent_adapter"] = name
    if "reward" in inputs and stage in ("ppo", "generate", "evaluate"):
        implied["reward_adapter"] = "reward"
    return implied


def _parse(stage: str, values: Config) -> configs.Config:
    """The config, or a LaunchError with a sentence for each field that is at fault."""
    values = {"schema": configs.SCHEMA, "stage": stage} | values
    faults: dict[str, str] = {}
    while True:
        try:
            parsed = configs.parse(values)
        except TrainerError as error:
            name = error.sentence.split(" ", 1)[0]
            faults[name] = error.sentence
            if name not in values or name in ("schema", "stage"):
                break
            values = {key: value for key, value in values.items() if key != name}
        else:
            break
    if faults:
        raise LaunchError("bad_config", " ".join(faults.values()), fields=faults)
    return parsed


def _check_names(config: configs.Config, inputs: Mapping[str, Input]) -> None:
    """Every adapter that the config names is an input, and the base is the one that is laid out."""
    named = {"parent_adapter": [getattr(config, "parent_adapter", "")]}
    named |= {"reward_adapter": [getattr(config, "reward_adapter", "")], "adapters": getattr(config, "adapters", [])}
    for field, names in named.items():
        for name in names:
            if name and not isinstance(inputs.get(name), Model):
                sentence = f"{field} is {name}; no such model is among the inputs."
                raise LaunchError("bad_config", sentence, fields={field: sentence})
    if getattr(config, "ptx_coef", 0) and "ptx" not in inputs:
        sentence = f"ptx_coef is {getattr(config, 'ptx_coef', 0):g}; choose an sft snapshot as ptx, or set it to 0."
        raise LaunchError("bad_config", sentence, fields={"ptx_coef": sentence})
    for entry in getattr(config, "checkpoints", []):
        if milestone(entry, inputs) is None:
            sentence = f"checkpoints names {entry[:80]}; no run of the inputs left such a checkpoint."
            raise LaunchError("bad_config", sentence, fields={"checkpoints": sentence})
    base = inputs.get("base")
    if isinstance(base, Model) and getattr(config, "base_sha256", "") != base.sha256:
        sentence = "base_sha256 is not the hash of the base that was chosen; leave it out."
        raise LaunchError("bad_config", sentence, fields={"base_sha256": sentence})


def _check_rows(config: configs.Config, inputs: Mapping[str, Input]) -> None:
    for name, row in inputs.items():
        if not isinstance(row, Snapshot) or row.kind == Snapshot.Kind.PROMPT:
            continue
        found, wanted = row.counts["train"], getattr(config, "min_rows", 0)
        if found < wanted:
            sentence = f"{row} has {found} rows to learn from; at least {wanted} are needed (min_rows)."
            raise LaunchError("too_few_rows", sentence, fields={name: sentence})


def places_before(run: Run) -> int:
    """How many queued or running runs of all projects a worker takes first."""
    ahead = Run.objects.filter(state__in=Run.ACTIVE).exclude(pk=run.pk)
    return ahead.filter(created_at__lt=run.created_at).count()

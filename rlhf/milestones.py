"""The states that a run left on its way to a model, as later runs read them: parents/<input>.<milestone>."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rlhf.models import Model, Run, Snapshot
from rlhf.storage import Stored


@dataclass(frozen=True)
class Milestone:
    """name: as the run's result has it, step-00000014. sha256: of the folder."""

    name: str
    sha256: str
    files: list[Stored]

    @property
    def step(self) -> int:
        return int(self.name.removeprefix("step-"))


def milestones_of(model: Model) -> list[Milestone]:
    """What the model's run left before it, in order of step; none for a base that an operator brought."""
    return [one for one in states_of(model) if one.sha256 != model.sha256]


def states_of(model: Model) -> list[Milestone]:
    """The same, and the state that is the model itself, which tells at what step it stands."""
    result = model.run.result if model.run else None
    if not result:
        return []
    left = [output for output in result["outputs"] if output["kind"] == "milestone"]
    found = [Milestone(one["name"], one["sha256"], result["files"][one["name"]]) for one in left]
    return sorted(found, key=lambda one: one.step)


def milestone(entry: str, inputs: Mapping[str, Model | Snapshot]) -> Milestone | None:
    """What an entry of `checkpoints` names; None where no input's run left it."""
    name, _, wanted = entry.partition(".")
    model = inputs.get(name)
    if not isinstance(model, Model):
        return None
    return next((one for one in states_of(model) if one.name == wanted), None)


def read_by(run: Run) -> dict[str, Milestone]:
    """What a run reads beside its inputs: name of the folder in parents/ → milestone."""
    entries = run.config.get("checkpoints", [])
    if not entries:
        return {}
    inputs = {used.name: used.model for used in run.inputs.select_related("model__run") if used.model}
    found = {entry: milestone(entry, inputs) for entry in entries}
    return {entry: one for entry, one in found.items() if one is not None}

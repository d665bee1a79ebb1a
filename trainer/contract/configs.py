"""What a run is told: one frozen dataclass a stage, whose fields carry unit, limits and a sentence for the launch form.

A value out of its limits never becomes a config: `__post_init__` refuses it with code `bad_config`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

from trainer.contract import strict
from trainer.contract.errors import TrainerError
from trainer.contract.fields import FormField, Kind, Value, as_number, bad, form_field, limits, required
from trainer.contract.presets import PRESETS, preset
from trainer.contract.reading import (
    MOST_ANSWERS,
    MOST_CHECKPOINTS,
    MOST_PROMPTS,
    EvaluateConfig,
    GenerateConfig,
    MapConfig,
)
from trainer.contract.stages import SIZES, DpoConfig, PpoConfig, PretrainConfig, RewardConfig, SftConfig, Size

__all__ = [
    "FREE",
    "MOST_ANSWERS",
    "MOST_CHECKPOINTS",
    "MOST_PROMPTS",
    "PRESETS",
    "SCHEMA",
    "SIZES",
    "STAGES",
    "AdaptingConfig",
    "BasedConfig",
    "Config",
    "DpoConfig",
    "EvaluateConfig",
    "FormField",
    "GenerateConfig",
    "Kind",
    "LearningConfig",
    "MapConfig",
    "PpoConfig",
    "PretrainConfig",
    "RewardConfig",
    "SftConfig",
    "Size",
    "Value",
    "dump",
    "fields_for_form",
    "load",
    "parse",
    "preset",
    "sha256",
]

SCHEMA = 1

# C4: what may differ between attempts of one run without making it another run.
FREE = frozenset(
    {
        "device",
        "threads",
        "max_memory_bytes",
        "microbatch_tokens",
        "head_chunk",
        "recompute_activations",
        "checkpoint_steps",
        "checkpoint_s",
        "monitors_off",
    }
)

AdaptingConfig = SftConfig | RewardConfig | PpoConfig | DpoConfig
BasedConfig = AdaptingConfig | GenerateConfig | EvaluateConfig | MapConfig  # read parents/base
LearningConfig = PretrainConfig | AdaptingConfig
Config = PretrainConfig | BasedConfig
STAGES: dict[str, type[Config]] = {
    "pretrain": PretrainConfig,
    "sft": SftConfig,
    "reward": RewardConfig,
    "ppo": PpoConfig,
    "dpo": DpoConfig,
    "generate": GenerateConfig,
    "evaluate": EvaluateConfig,
    "map": MapConfig,
}


def load(path: Path) -> Config:
    """The config of a file, e.g. `<run dir>/config.json`. Raises TrainerError with code bad_config."""
    try:
        values = strict.loads(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        raise TrainerError("bad_config", f"{path} is missing; `python -m trainer init` writes one.") from None
    except ValueError as error:
        raise TrainerError("bad_config", f"{path} is not JSON: {error}.") from None
    return parse(values)


def parse(values: object) -> Config:
    """The config that a JSON object describes; keys that start with `//` are comments. Raises bad_config."""
    if not isinstance(values, Mapping):
        raise TrainerError("bad_config", "config.json must hold one JSON object.")
    given = {str(name): value for name, value in values.items() if not str(name).startswith("//")}
    schema, stage = given.pop("schema", SCHEMA), given.pop("stage", None)
    if schema != SCHEMA:
        raise bad("schema", schema, str(SCHEMA))
    kind = STAGES.get(stage) if isinstance(stage, str) else None
    if kind is None:
        raise bad("stage", stage, ", ".join(STAGES))
    known = {item.name: item for item in fields(kind)}
    for name in given:
        if name not in known:
            raise TrainerError("bad_config", f"{name} is no field of {stage}; leave it out.")
    for name, item in known.items():
        if name not in given and required(item):
            raise TrainerError("bad_config", f"{name} is missing; allowed: {limits(item)}.")
    return kind(**{name: as_number(known[name], value) for name, value in given.items()})


def dump(config: Config) -> dict[str, Value]:
    """The config as the JSON object that `parse` reads back."""
    return {"schema": SCHEMA, "stage": config.stage, **asdict(config)}


def sha256(config: Config) -> str:
    """The hash that makes a run the same run (C4): memory, device and checkpoint fields are left out."""
    kept = {name: value for name, value in dump(config).items() if name not in FREE}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def fields_for_form(stage: str) -> list[FormField]:
    """The fields of a stage in a form's order: what has no default, what a person decides, what is `advanced`."""
    items = [form_field(item) for item in fields(STAGES[stage])]
    return sorted(items, key=lambda item: (item.advanced, not item.required))

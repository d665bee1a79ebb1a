"""The launch form: the config's own fields, with what was typed, what is allowed and what the preset says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from trainer.contract.configs import PRESETS, FormField, Value, fields_for_form, preset

# What follows from the inputs that are chosen, and is asked nowhere.
IMPLIED = {"base_sha256", "parent_adapter", "reward_adapter", "adapters", "checkpoints"}
MAIN = {
    "pretrain": ("size", "epochs", "batch_tokens", "lr", "fim_share", "seed"),
    "sft": ("epochs", "batch_rows", "lr", "rank", "select", "seed"),
    "reward": ("epochs", "batch_prompts", "lr", "head_lr", "ties", "seed"),
    "ppo": ("rollouts", "rollout_prompts", "lr", "kl_coef", "max_new_tokens", "seed"),
    "dpo": ("epochs", "batch_prompts", "lr", "beta", "ties", "seed"),
    "generate": ("samples_per_prompt", "temperatures", "max_new_tokens", "top_p", "top_k", "seed"),
    "evaluate": ("prompts", "answers", "as_question", "seed"),
    "map": ("kind", "points", "seed"),
}
LABELS: dict[str, str | Promise] = {
    "lr": _("Learning rate"),
    "head_lr": _("Learning rate of the heads"),
    "value_lr": _("Learning rate of the value"),
    "final_lr_share": _("Final share of the rate"),
    "batch_tokens": _("Tokens a step"),
    "batch_rows": _("Rows a step"),
    "batch_prompts": _("Prompts a step"),
    "microbatch_tokens": _("Tokens a forward pass"),
    "fim_share": _("Share of fill in the middle"),
    "vocab": _("Vocabulary"),
    "dtype": _("Precision"),
    "rank": _("Adapter rank"),
    "alpha": _("Adapter scale"),
    "rollout_prompts": _("Prompts a rollout"),
    "samples_per_prompt": _("Answers a prompt"),
    "max_new_tokens": _("Longest answer"),
    "kl_coef": _("Price of KL"),
    "temperatures": _("Temperature"),
    "top_p": _("Top-p"),
    "top_k": _("Top-k"),
    "select": _("Weights to keep"),
    "checkpoint_s": _("Longest time between checkpoints"),
    "checkpoint_steps": _("Steps between checkpoints"),
    "eval_steps": _("Steps between evaluations"),
    "sample_steps": _("Steps between samples"),
    "max_steps": _("Most steps"),
    "min_rows": _("Fewest rows"),
    "lam": _("GAE's lambda"),
    "ema": _("Decay of the shadow copy"),
    "gamma": _("Discount"),
    "value_from": _("Start of the value"),
    "kl_in": _("Where the KL counts"),
    "beta": _("Price of KL (beta)"),
    "below_line_pairs": _("Pairs below the line"),
    "line_weight": _("Weight of the line"),
    "center": _("Weight of centring"),
}


@dataclass(frozen=True)
class Asked:
    """One field with its value as typed. starts: what the preset says; changed: the value differs from that."""

    field: FormField
    label: str | Promise
    value: str
    starts: str
    error: str = ""

    @property
    def changed(self) -> bool:
        return bool(self.starts) and self.value.strip() != self.starts

    @property
    def on(self) -> bool:
        return self.value == "true"


def asked(
    stage: str, preset_name: str, data: Mapping[str, str], *, seed: int, errors: Mapping[str, str]
) -> tuple[list[Asked], list[Asked]]:
    """The main fields, in their order, and the advanced ones. data: what was typed; the preset's values elsewhere."""
    starts = starting_values(stage, preset_name)
    found = {}
    for field in _fields(stage):
        start = starts.get(field.name, "")
        typed = data.get(field.name, start or (str(seed) if field.name == "seed" else ""))
        label = LABELS.get(field.name, field.name.replace("_", " ").capitalize())
        found[field.name] = Asked(field, label, typed, start, errors.get(field.name, ""))
    main = [found.pop(name) for name in MAIN[stage] if name in found]
    return main, list(found.values())


def starting_values(stage: str, preset_name: str) -> dict[str, str]:
    """Each field's value as a form shows it, by the preset, else by the field's default."""
    values = preset(stage, preset_name)
    shown = {}
    for field in _fields(stage):
        value = values.get(field.name, field.default)
        if value is not None:
            shown[field.name] = written(value)
    return shown


def presets(stage: str) -> dict[str, dict[str, str]]:
    """The starting values of every preset, for the island that fills the form."""
    return {name: starting_values(stage, name) for name in PRESETS}


def typed(stage: str, preset_name: str, data: QueryDict) -> dict[str, Any]:  # Any: values of config fields
    """What differs from the preset, as the config wants it; what is no value of its kind stays the text it is."""
    starts = starting_values(stage, preset_name)
    found: dict[str, Any] = {}
    for field in _fields(stage):
        if field.name not in data and field.kind != "flag":
            continue
        text = "true" if field.kind == "flag" and field.name in data else data.get(field.name, "false").strip()
        if text != starts.get(field.name):
            found[field.name] = read(field, text)
    return found


def read(field: FormField, text: str) -> Value:
    """The value that a text stands for; the text itself where it is none, so that the refusal can show it."""
    plain = text.replace(",", "").replace("\N{NO-BREAK SPACE}", "")
    try:
        match field.kind:
            case "integer":
                return int(plain)
            case "number":
                return float(plain)
            case "flag":
                return text == "true"
            case "texts":
                return [line for line in text.splitlines() if line.strip()]
            case "numbers":
                return [float(entry) for entry in text.replace(",", " ").split()]
            case _:
                return text
    except ValueError:
        return text


def written(value: Value) -> str:
    """A value as a field shows it: 0.002, not 2e-3; lists as a person would write them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ("\n" if any(isinstance(entry, str) for entry in value) else " ").join(written(entry) for entry in value)
    if isinstance(value, float):
        text = f"{value:.12f}".rstrip("0")
        return text + "0" if text.endswith(".") else text
    return str(value)


def _fields(stage: str) -> list[FormField]:
    return [field for field in fields_for_form(stage) if field.name not in IMPLIED]

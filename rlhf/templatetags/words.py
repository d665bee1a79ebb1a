"""The words for what rows hold as codes, in one place for all templates."""

from __future__ import annotations

from django import template
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from annotate.templatetags.marks import icon

register = template.Library()

Words = dict[str, str | Promise]

STAGES: Words = {
    "collect": _("Collect"),
    "clean": _("Clean"),
    "pretrain": _("Pretrain"),
    "sft": _("Instruct"),
    "instruct": _("Instruct"),
    "generate": _("Generate"),
    "rank": _("Rank"),
    "reward": _("Reward"),
    "ppo": _("PPO"),
    "dpo": _("DPO"),
    "evaluate": _("Evaluate"),
    "map": _("Map"),
}
KINDS: Words = {
    "corpus": _("Documents"),
    "sft": _("Answers"),
    "ranking": _("Rankings"),
    "prompt": _("Prompts"),
    "cloze": _("Cloze items"),
}
MODELS: Words = {
    "base": _("base"),
    "sft": _("instruct adapter"),
    "reward": _("reward adapter"),
    "policy": _("policy adapter"),
    "value": _("value adapter"),
}
METRICS: Words = {
    "perplexity": _("perplexity"),
    "answer_loss": _("held-out loss"),
    "accuracy": _("accuracy"),
    "gain": _("reward gain"),
    "answers": _("answers"),
    "cloze": _("right cloze items"),
    "kept": _("neighbours kept"),
}
STATES: Words = {
    "queued": _("queued"),
    "running": _("running"),
    "lost": _("lost, resumes soon"),
    "paused": _("paused"),
    "finished": _("finished"),
    "failed": _("failed"),
    "cancelled": _("cancelled"),
    "freezing": _("freezing"),
    "frozen": _("frozen"),
    "people": _("needs people"),
    "ready": _("ready"),
    "empty": _("nothing yet"),
}
LEVELS: Words = {"pass": _("Pass"), "warn": _("Warning"), "stop": _("Missing")}
ICONS = {
    "queued": "clock",
    "running": "play",
    "lost": "warning",
    "paused": "pause",
    "finished": "check",
    "failed": "cross",
    "cancelled": "stop",
    "freezing": "play",
    "frozen": "check",
    "people": "people",
    "ready": "check",
    "empty": "dots",
    "pass": "check",
    "warn": "warning",
    "stop": "cross",
}
LESSONS = {
    "pretrain": "pretraining",
    "base": "pretraining",
    "sft": "instruction_tuning",
    "generate": "ranking",
    "prompt": "ranking",
    "ranking": "ranking",
    "reward": "reward_model",
    "ppo": "ppo",
    "policy": "ppo",
    "value": "ppo",
    "corpus": "cleaning",
    "dpo": "dpo",
    "evaluate": "evaluation",
    "map": "map",
    "cloze": "game",
}
CLASSES = {"empty": "none", "frozen": "finished", "freezing": "running", "ready": "finished", "lost": "running"}


@register.filter
def stage_name(stage: str) -> str | Promise:
    return STAGES.get(stage, stage)


@register.filter
def kind_name(kind: str) -> str | Promise:
    """Of a snapshot."""
    return KINDS.get(kind, kind)


@register.filter
def model_kind(kind: str) -> str | Promise:
    return MODELS.get(kind, kind)


@register.filter
def metric_name(name: str) -> str | Promise:
    return METRICS.get(name, name)


@register.filter
def state_name(state: str) -> str | Promise:
    return STATES.get(state, state)


@register.filter
def level_name(level: str) -> str | Promise:
    """Of a check of readiness."""
    return LEVELS[level]


@register.filter
def state_icon(state: str) -> str:
    return ICONS.get(state, "dots")


@register.simple_tag
def state_tag(state: str) -> SafeString:
    """A state as icon, word and colour."""
    name = CLASSES.get(state, state)
    return format_html('<span class="tag {}">{}{}</span>', name, icon(state_icon(state), small=True), state_name(state))


@register.filter
def lesson(name: str) -> str:
    """Which of the texts to learn from explains a stage of training, a kind of snapshot or a kind of model."""
    return LESSONS[name]


@register.filter
def left_out(reason: str) -> str:
    """Why rows are not in a snapshot: the export's own code, readable."""
    return reason.replace("_", " ").capitalize()

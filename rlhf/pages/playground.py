"""The playground: talk with one model. The script streams from the API; this is the same without one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from annotate.access import project_for
from annotate.models import Project, Role
from annotate.pages.request import Request
from annotate.rendering import html
from rlhf.errors import LaunchError
from rlhf.models import Model
from rlhf.playground import ANSWERING, ask

READERS = (Role.REVIEWER, Role.ADMIN)
MOST_TURNS, LONGEST = 40, 20_000
Json = dict[str, Any]  # Any: a JSON object


@dataclass(frozen=True)
class Setting:
    """One number in the folded settings; it stands in the address."""

    name: str
    label: str | Promise
    start: str
    low: float
    high: float
    step: str
    help: str | Promise
    value: str = ""
    error: str = ""


SETTINGS = (
    Setting("temperature", _("Temperature"), "0.7", 0.0, 2.0, "0.1", _("0 always takes the likeliest token.")),
    Setting("top_p", _("Top-p"), "1", 0.01, 1.0, "0.01", _("Only the likeliest tokens of so much mass.")),
    Setting("max_new_tokens", _("Longest answer, tokens"), "64", 1, 2_048, "1", _("1 to 2,048.")),
    Setting("seed", _("Seed"), "1", 0, 2**31 - 1, "1", _("The same seed gives the same answer.")),
)


@require_http_methods(["GET", "POST"])
def playground(request: Request, project: UUID) -> HttpResponse:
    """GET shows the form with the address's settings; POST, without a script, waits for the whole answer."""
    found = project_for(request.user, project, role=READERS)
    models = list(Model.objects.filter(project=found, kind__in=ANSWERING).order_by("-number")[:100])
    data = request.POST if request.method == "POST" else request.GET
    chosen = next((one for one in models if str(one.uuid) == data.get("model")), models[0] if models else None)
    settings, fields = _settings(data)
    turns, prompt = _turns(data), data.get("prompt", "").strip()[:LONGEST]
    error, status = "", 422 if any(field.error for field in fields) else 200
    if request.method == "POST" and chosen and prompt and status == 200:
        turns, error = _answered(chosen, [*turns, {"role": "user", "content": prompt}], settings)
        prompt, status = (prompt, 503) if error else ("", 200)
        turns = turns[:-1] if error else turns
    context = {
        "models": models,
        "chosen": chosen,
        "fields": fields,
        "opened": any(field.error or field.value != field.start for field in fields),
        "turns": [turn | {"html": html(turn["content"])} for turn in turns],
        "messages_json": json.dumps(turns),
        "blank_user": {"role": "user"},
        "blank_assistant": {"role": "assistant"},
        "prompt": prompt,
        "error": error,
        "chat_url": reverse("api:playground-chat"),
        "launch_url": _launch_url(request, found),
    }
    return render(request, "rlhf/playground.html", context, status=status)


def _answered(model: Model, messages: list[Json], settings: Json) -> tuple[list[Json], str]:
    """The turns with the model's answer, or a sentence that says why there is none."""
    text, turn = [], {"role": "assistant"}
    try:
        for line in ask(model=model, messages=messages, settings=settings, stop=lambda: False):
            if "error" in line:
                return messages, line["error"]["sentence"]
            text.append(line.get("text", ""))
            if "done" in line:
                turn |= {"reason": line.get("reason", ""), "tokens": line.get("tokens", 0)}
    except LaunchError as refusal:
        return messages, refusal.sentence
    return [*messages, turn | {"content": "".join(text)}], ""


def _settings(data: Mapping[str, str]) -> tuple[Json, list[Setting]]:
    """The settings as the model takes them, and as the form shows them, each with what is wrong with it."""
    values: Json = {}
    fields = []
    for field in SETTINGS:
        typed = data.get(field.name, "").strip() or field.start
        try:
            number = float(typed) if "." in field.start or field.step != "1" else int(typed)
        except ValueError:
            number = float("nan")
        fits = field.low <= number <= field.high
        error = "" if fits else f"{typed[:40]} was found; allowed: {field.low:g} to {field.high:,g}."
        values[field.name] = number
        fields.append(Setting(**{**field.__dict__, "value": typed, "error": error}))
    return values, fields


def _turns(data: Mapping[str, str]) -> list[Json]:
    """What was said before, as the form carries it; nothing where it is not what the form wrote."""
    try:
        given = json.loads(data.get("messages", "[]"))
    except ValueError:
        return []
    if not isinstance(given, list):
        return []
    fitting = [
        {"role": turn["role"], "content": turn["content"][:LONGEST]}
        for turn in given
        if isinstance(turn, dict) and turn.get("role") in ("user", "assistant") and isinstance(turn.get("content"), str)
    ]
    return fitting[-MOST_TURNS:]


def _launch_url(request: Request, project: Project) -> str:
    """Where an admin makes the first model; empty for others."""
    return reverse("launch", args=[project.uuid, "pretrain"]) if request.user.holds(Role.ADMIN, project) else ""

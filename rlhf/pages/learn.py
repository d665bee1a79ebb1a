"""What each stage does, in plain words, and how they follow each other."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotate.pages.request import Request

STAGES = ("collect", "clean", "pretrain", "instruct", "rank", "reward", "ppo")


@require_GET
def learn(request: Request) -> HttpResponse:
    return render(request, "rlhf/learn.html", {"stages": STAGES})

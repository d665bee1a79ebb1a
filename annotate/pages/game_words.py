"""What players say of the texts: words that they typed, for a reviewer to accept, and sentences that they doubt."""

from __future__ import annotations

from itertools import chain
from typing import Any  # contexts are JSON
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotate.access import project_for, round_for
from annotate.actions.decide_word import decide_word
from annotate.actions.doubt import DETECTOR, suggest_fix, take_fix_back
from annotate.cloze import Blank, blanks
from annotate.doubts import doubts
from annotate.models import Flag, Project, Role
from annotate.pages.request import Request
from annotate.pages.toast import say
from annotate.played import words_decided

Json = dict[str, Any]

DECIDERS = (Role.REVIEWER, Role.ADMIN)
DECISIONS = {"accept": True, "refuse": False, "undo": None}


@require_http_methods(["GET", "POST"])
def game_words(request: Request, project: UUID) -> HttpResponse:
    """GET lists blanks with words that wait, then those decided; POST decides one word."""
    found = project_for(request.user, project, role=DECIDERS)
    if request.method == "POST":
        return _decide(request, found)
    all_blanks = list(blanks(found))
    decided = words_decided(found)
    listed = [_listed(blank, decided.get((blank.item.pk, blank.mode), {})) for blank in all_blanks]
    marked = set(Flag.objects.live().filter(text__project=found, detector=DETECTOR).values_list("text", flat=True))
    context = {
        "project": found,
        "waiting": [one for one in listed if one["waiting"]],
        "decided": [one for one in listed if one["decided"] and not one["waiting"]],
        "doubts": [{"doubt": one, "asked": one.paragraph.text_id in marked} for one in doubts(found, all_blanks)],
    }
    return render(request, "annotate/game_words.html", context)


@require_POST
def game_doubt(request: Request, round: UUID) -> HttpResponse:
    found, at = round_for(request.user, round), _place(request)
    suggest_fix(round_=found, item=at, note=request.POST.get("note", ""), by=request.user)
    undo = reverse("game-doubt-undo", args=[found.uuid])
    say(request, _("Thank you. Reviewers see your suggestion."), undo=undo, fields={"item": str(at)})
    return redirect("game", project=found.project.uuid)


@require_POST
def game_doubt_undo(request: Request, round: UUID) -> HttpResponse:
    found = round_for(request.user, round)
    take_fix_back(round_=found, item=_place(request), by=request.user)
    say(request, _("The suggestion is taken back."))
    return redirect("game", project=found.project.uuid)


def _place(request: Request) -> int:
    """Of a blank in its round, from 0; -1 where none is named."""
    item = request.POST.get("item", "")
    return int(item) if item.isdecimal() and len(item) < 4 else -1


def _decide(request: Request, project: Project) -> HttpResponse:
    given = {name: request.POST.get(name, "") for name in ("item", "mode", "word", "decision")}
    item = int(given["item"]) if given["item"].isdecimal() and len(given["item"]) < 19 else 0
    accepted = DECISIONS.get(given["decision"])
    decide_word(project=project, item=item, mode=given["mode"], word=given["word"], accepted=accepted, by=request.user)
    if accepted is None:
        say(request, _("The word waits again."))
    else:
        said = _("Accepted: the word is right there too.") if accepted else _("Refused: only the text's word is right.")
        say(request, said, undo=request.path, fields=given | {"decision": "undo"})
    return redirect("game-words", project=project.uuid)


def _listed(blank: Blank, decided: dict[str, bool]) -> Json:
    before, after = blank.row["sentence"]
    known = chain(blank.waiting.items(), ((word, blank.row["free"].get(word, 0)) for word in decided))
    words = [{"word": word, "people": people, "accepted": decided.get(word)} for word, people in known]
    return {
        "item": blank.item.pk,
        "mode": blank.mode,
        "theme": blank.paragraph.theme,
        "before": before,
        "after": after,
        "gold": blank.row["gold"],
        "words": words,
        "waiting": bool(blank.waiting),
        "decided": bool(decided),
    }

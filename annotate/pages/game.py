"""The Language Model Trainer. With scripts the browser plays; without them each answer is a form, stepped here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any  # contexts are JSON
from uuid import UUID

import numpy as np
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_POST

from annotate import game
from annotate.access import project_for, round_for
from annotate.actions.play import finish_round, is_right, open_round, record_attempts, record_consent
from annotate.actions.train_start import ask_for_start, start_of
from annotate.errors import AnnotateError
from annotate.models import Consent, GameAttempt, GameItem, GameRound, GameTraining, Project, Role
from annotate.pages.request import Request
from annotate.pages.toast import say
from annotate.tasks import send_training
from annotate.tinynet import items, play, replay
from annotate.tinynet.net import Net, forward
from annotate.tinynet.words import Vocabulary, normal

Json = dict[str, Any]

WHY_NOT = {
    "no_start": gettext_lazy(
        "This project has no network of its own yet: it plays one that has read the bundled paragraphs."
    ),
    "retired": gettext_lazy(
        "Something that this project's own network had read was withdrawn: until another is trained without it, "
        "the bundled one is played."
    ),
    "no_gain": gettext_lazy(
        "Context did not help this project's own network beyond doubt, so the bundled one is played."
    ),
}


@dataclass(frozen=True)
class Table:
    """What lies on the table: a deal, the round that keeps it, and how many blanks are answered."""

    deal: game.Deal
    kind: str
    step: str
    round: GameRound | None
    at: int
    number: int

    @property
    def eta(self) -> float:
        return game.eta_of(self.step, newborn=self.deal.newborn is not None)

    @property
    def item(self) -> GameItem | None:
        return self.deal.items[self.at] if self.at < len(self.deal.items) else None


@gzip_page
@require_http_methods(["GET", "POST"])
def trainer(request: Request, project: UUID) -> HttpResponse:
    """GET deals, or with `round` goes on; POST answers one blank. Only a person who allows it has anything kept.

    Sent as gzip: 49 KB of paragraph and words would keep the first answer waiting on a slow line. Django pads it at
    random, and the page's one secret, the CSRF token, is masked anew each time.
    """
    found = project_for(request.user, project)
    given = request.POST if request.method == "POST" else request.GET
    try:
        table = _table(request, found, given.dict())
    except AnnotateError as refusal:
        if refusal.code != "no_paragraph":
            raise
        context = _around(request, found) | {"why": refusal.facts.get("why", "")}
        return render(request, "annotate/game_none.html", context)
    result, errors, status = None, {}, 200
    if request.method == "POST":
        try:
            result = _answered(request, table)
        except AnnotateError as refusal:
            errors, status = {"choice": refusal.sentence}, refusal.status
    context = _around(request, found) | _shown(table, result) | {"errors": errors}
    return render(request, "annotate/game.html", context, status=status)


@require_POST
def game_train(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project, role=Role.ADMIN)
    send_training(ask_for_start(project=found, by=request.user))
    say(request, _("A network is being trained on this project's documents. It takes a minute or two."))
    return redirect("game", project=found.uuid)


@require_http_methods(["GET", "POST"])
def consent(request: Request, project: UUID) -> HttpResponse:
    """What a person allows to be done with what they give; a change is a new row."""
    found = project_for(request.user, project)
    if request.method == "POST":
        record_consent(project=found, by=request.user, scopes=request.POST.getlist("scopes"))
        say(request, _("Saved: what you allow."))
        return redirect("consent", project=found.uuid)
    newest = request.user.consents.filter(project=found).order_by("-pk").first()
    context = {
        "scopes": Consent.Scope.values,
        "given": newest.scopes if newest else [],
        "newest": newest,
        "played": game.record_of(request.user, found),
    }
    return render(request, "annotate/consent.html", context)


def _table(request: Request, project: Project, given: dict[str, str]) -> Table:
    """Raises AnnotateError with code bad_deal where what was asked for is not known."""
    if given.get("round"):
        return _going_on(round_for(request.user, UUID(given["round"])), given.get("step", ""))
    wanted = _wanted(given)
    start, kind = start_of(project)
    newborn = wanted["start"] == "newborn"
    seed = int(wanted["seed"]) if wanted["seed"] else None
    dealt = game.deal(start=start, user=request.user, project=project, mode=wanted["mode"], seed=seed, newborn=newborn)
    keep = seed is None and not dealt.repeat and request.user.allows(Consent.Scope.ANNOTATION, project)
    if keep:
        round_, dealt = open_round(dealt=dealt, project=project, by=request.user)
    at = int(given["at"]) if given.get("at", "").isdecimal() else 0
    kind = "newborn" if newborn else kind
    return Table(dealt, kind, wanted["step"], round_ if keep else None, at, at + 1)


def _wanted(given: dict[str, str]) -> dict[str, str]:
    allowed = {"mode": GameRound.Mode.values, "start": ["trained", "newborn"], "step": ["", "gentle", "bold"]}
    found = {name: given.get(name) or values[0] for name, values in allowed.items()} | {"seed": given.get("seed", "")}
    known = all(found[name] in values for name, values in allowed.items())
    if not known or not (found["seed"] == "" or (found["seed"].isdecimal() and int(found["seed"]) < game.SEEDS)):
        raise AnnotateError("bad_deal", _("This link asks for a game that there is not."))
    return found


def _going_on(round_: GameRound, step: str) -> Table:
    by_key = {row.pk: row for row in GameItem.objects.filter(pk__in=round_.items)}
    rows = [by_key[key] for key in round_.items]
    dealt = game.Deal(round_.paragraph.start, round_.paragraph, rows, round_.seed, round_.mode, round_.newborn)
    kind = "newborn" if round_.newborn is not None else "trained" if round_.paragraph.start.project_id else "bundled"
    answered = len(replay.kept(game.replay_rows(round_)))
    return Table(dealt, kind, step, round_, answered, round_.attempts.count() + 1)


def _answered(request: Request, table: Table) -> Json:
    """What the answer did. Raises AnnotateError bad_row where it is none, 409 already_answered where it came before."""
    item = table.item
    if table.round and request.POST.get("number") != str(table.number):
        raise AnnotateError("already_answered", _("That blank is answered; this is the next one."), status=409)
    choice, free = request.POST.get("choice", ""), request.POST.get("free", "").strip()
    if item is None or not (choice.isdecimal() or free):
        raise AnnotateError("bad_row", _("Choose a word, then submit."), status=422)
    picked = request.POST.get("picked", "")
    net = _network(table)
    vocabulary = game.read_start(table.deal.start).vocabulary
    whole = game.paragraph_of(table.deal.paragraph)
    pure = game.item_of(item)
    given = play.example(whole, pure, vocabulary, mode=table.deal.mode)  # type: ignore[arg-type]  # a Mode
    context_on = "context_on" in request.POST
    told = _before(net, given, pure, vocabulary)
    outcome = play.answer(net, given, gold=item.gold, eta=table.eta, context_on=context_on)
    row: Json = {
        "number": table.number, "kind": "answer", "item": table.at, "context_on": context_on, "eta": table.eta,
        "shown": items.options(pure, seed=table.deal.seed, number=table.number),
        "choice": int(choice) if choice.isdecimal() else None, "free": free,
        "picked": int(picked) if picked.isdecimal() else None, **asdict(outcome),
    }  # fmt: skip
    if table.round:
        record_attempts(round_=table.round, rows=[row])
        if table.at + 1 == len(table.deal.items):
            finish_round(round_=table.round, digest=net.digest())
    said = GameAttempt(item=item, choice=row["choice"], free=normal(free) if free else "", picked=row["picked"])
    round_ = table.round or GameRound(paragraph=table.deal.paragraph, mode=table.deal.mode)
    after = forward(net, given if context_on else given.without_context())
    return told | asdict(outcome) | {
        "right": is_right(said, round_),
        "gold": vocabulary.words[item.gold],
        "said": free or vocabulary.words[int(choice)],
        "share_after": _share(after.p, pure.shown),
    }  # fmt: skip


def _network(table: Table) -> Net:
    """The network as the answers so far left it; untouched where nothing is kept."""
    net = game.network(table.deal.start, table.deal.newborn)
    if table.round:
        rows = game.replay_rows(table.round)
        replay.replay(net, rows, seed=table.round.seed, practice=game.practice(table.deal.start), digest=None)
    return net


def _before(net: Net, given: Any, item: items.Item, vocabulary: Vocabulary) -> Json:  # Any: an Example
    """What the network thinks before its step, with the four parts of each option."""
    full, bare = forward(net, given), forward(net, given.without_context())
    guessed = play.guess(net, given, item.shown)
    parts = [
        {
            "word": vocabulary.words[word],
            "common": float(net.b2[word]),
            "hidden": float(full.hidden[word]),
            "pull": float(full.pull[word]),
            "seen": float(full.seen[word]),
        }
        for word in item.shown
    ]
    return {
        "network": vocabulary.words[guessed],
        "network_right": guessed == item.gold,
        "share": _share(full.p, item.shown),
        "share_without": _share(bare.p, item.shown),
        "parts": parts,
    }


def _share(p: Any, shown: tuple[int, ...]) -> float:  # Any: an array of floats
    """Of the gold, which stands first, among the four."""
    return float(p[shown[0]] / np.sum(p[list(shown)]))


def _around(request: Request, project: Project) -> Json:
    """What the page shows whatever is dealt."""
    own = game.standing_start(project)
    may_save = request.user.allows(Consent.Scope.ANNOTATION, project)
    why = game.why_not_offered(project, own)
    return {
        "project": project,
        "may_save": may_save,
        "saving": may_save,
        "may_train": request.user.holds(Role.ADMIN, project),
        "may_decide": bool(request.user.roles(project) & {Role.REVIEWER, Role.ADMIN}),
        "training": project.game_trainings.exclude(state=GameTraining.State.FINISHED).order_by("-pk").first(),
        "start_why": WHY_NOT[why] if why else "",
        "own_start": own,
        "opinion_url": _opinion_url(project),
    }


def _opinion_url(project: Project) -> str:
    """Whom the game asks for a second opinion, by the name that the service set; empty where it set none."""
    name = getattr(settings, "GAME_OPINION_URL_NAME", "")
    return reverse(name, args=[project.uuid]) if name else ""


def _shown(table: Table, result: Json | None) -> Json:
    shown = game.shown(table.deal.paragraph, table.deal.items)
    dealt = game.payload(table.deal, table.round, kind=table.kind, step=table.step)
    fresh = table.number == 1 and result is None
    counts = _counts(table, result)
    onward = {"mode": table.deal.mode, "start": "newborn" if table.deal.newborn is not None else "trained"}
    onward |= {"step": table.step} if table.step else {}
    done = table.at + (result is not None) >= len(table.deal.items)
    if not done:
        more = {"round": str(table.round.uuid)} if table.round else {"seed": table.deal.seed, "at": counts["at"]}
        onward |= more
    address = reverse("game", args=[table.round.project.uuid]) if table.round else ""
    return {
        "dealt": dealt if fresh else None,
        "size_kb": round(dealt["start"]["size_bytes"] / 1_000),
        "repeat": table.deal.repeat and table.round is None,
        "theme": table.deal.paragraph.theme,
        "mode": table.deal.mode,
        "start_kind": table.kind,
        "eta": table.eta,
        "step": table.step,
        "seed": table.deal.seed,
        "round": table.round,
        "question": _question(table, shown) if table.item else None,
        "result": result,
        "context_sentences": _context(table, shown),
        "counts": counts,
        "next_url": f"{address}?{urlencode(onward)}",
        "done": done,
        "answered": _answered_blanks(table, shown) if done and table.round else [],
    }


def _answered_blanks(table: Table, shown: Json) -> list[Json]:
    """The sentences of a finished round by their place in it, for a suggestion to fix one."""
    sentences = shown["sentences"]
    return [{"at": at, "text": sentences[row.sentence]["text"]} for at, row in enumerate(table.deal.items)]


def _question(table: Table, shown: Json) -> Json:
    item = table.item
    assert item is not None
    vocabulary = game.read_start(table.deal.start).vocabulary
    sentence = shown["sentences"][item.sentence]
    pure = game.item_of(item)
    units = sentence["text"].encode("utf-16-le")

    def piece(since: int, until: int | None) -> str:
        text: str = units[2 * since : None if until is None else 2 * until].decode("utf-16-le")
        return text

    begin, end = sentence["spans"][item.position]
    order = items.options(pure, seed=table.deal.seed, number=table.number)
    choices = next(one["choices"] for one in shown["items"] if one["sentence"] == item.sentence)
    return {
        "number": table.number,
        "before": piece(0, begin),
        "after": "" if table.deal.mode == GameRound.Mode.NEXT else piece(end, None),
        "wrong": vocabulary.words[pure.wrong],
        "options": [{"id": word, "word": vocabulary.words[word]} for word in order],
        "words": [{"position": place, "word": _word_at(sentence, place, piece, item, vocabulary)} for place in choices],
    }


def _word_at(sentence: Json, place: int, piece: Any, item: GameItem, vocabulary: Vocabulary) -> str:  # Any: a function
    if place == item.position:
        return vocabulary.words[int(item.distractors[3])]
    word: str = piece(*sentence["spans"][place])
    return word


def _context(table: Table, shown: Json) -> list[str]:
    until = table.item.sentence if table.item else len(shown["sentences"])
    return [sentence["text"] for sentence in shown["sentences"][:until]]


def _counts(table: Table, result: Json | None) -> Json:
    """Of a kept round from its rows; else of this answer alone."""
    of = len(table.deal.items)
    if table.round:
        rows = list(table.round.attempts.order_by("number"))
        standing: list[GameAttempt] = []
        for row in rows:
            if row.kind == GameAttempt.Kind.UNDO:
                standing.pop()
            elif row.item_id:
                standing.append(row)
        right = sum(bool(row.right) for row in standing)
        return {
            "processed": len(standing),
            "correct": right,
            "errors": len(standing) - right,
            "at": len(standing),
            "of": of,
        }
    processed = int(result is not None)
    right = int(bool(result and result["right"]))
    return {"processed": processed, "correct": right, "errors": processed - right, "at": table.at + processed, "of": of}

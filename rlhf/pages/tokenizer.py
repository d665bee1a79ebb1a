"""The tokenizer page: a text as the tokens of one model, or of two side by side. Nothing typed here is kept.

The script asks the API while one types; this is the same without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
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
from rlhf.errors import LaunchError
from rlhf.models import Model
from rlhf.tokenizing import LONGEST, READERS, Encoded, Loaded, bases, encode, loaded, newest_base, shown

GROUNDS = 6
MOST_BASES = 100
EXAMPLE = _("The tokenizer’s 1,024 pieces: tokens, token by token. Ein naïver Satz, 東京, 🙂")
NAMELESS = _("The project’s newest tokenizer")
KINDS: dict[str, str | Promise] = {
    "ByteLevelBPE": _("byte-pair encoding, from bytes"),
    "BPE": _("byte-pair encoding, from characters"),
    "Unigram": _("unigram model"),
    "WordPiece": _("word pieces"),
    "WordLevel": _("whole words"),
}
Json = dict[str, Any]  # Any: a JSON object


class Box(NamedTuple):
    """One token as the page shows it. rank, left, right: of the merge that made it, where there is one."""

    text: str
    id: int
    bytes: str
    characters: str
    ground: int
    rank: int | None
    left: str
    right: str


@dataclass(frozen=True)
class Side:
    """One column. name: what the person may call it. found: None where the tokenizer or the text is refused."""

    letter: str
    name: str | Promise
    model: Model
    tokenizer: Loaded | None
    found: Encoded | None
    refusal: str

    @property
    def url(self) -> str:
        return reverse("api:tokenizer-encode", args=[self.model.uuid])

    @property
    def kind(self) -> str | Promise:
        kind = self.tokenizer.kind if self.tokenizer else ""
        return KINDS.get(kind, kind)

    @property
    def boxes(self) -> list[Box]:
        if self.found is None:
            return []
        rows = zip(self.found.tokens, self.found.last_merges, strict=True)
        return [
            Box(
                text=shown(token.bytes),
                id=token.id,
                bytes=token.bytes.hex(" "),
                characters=f"{token.start}–{token.end}",
                ground=at % GROUNDS,
                rank=merge.rank if merge else None,
                left=shown(merge.left) if merge else "",
                right=shown(merge.right) if merge else "",
            )
            for at, (token, merge) in enumerate(rows)
        ]


@dataclass(frozen=True)
class Choice:
    """Which tokenizers are shown, and which could be. adapter: what was asked for, where a base reads for it."""

    listed: list[Model]
    models: list[tuple[str | Promise, Model]]
    adapter: Model | None = None
    gone: bool = False

    @property
    def chosen(self) -> Model:
        return self.models[0][1]

    @property
    def other(self) -> Model | None:
        return self.models[1][1] if len(self.models) > 1 else None


class Number(NamedTuple):
    """A row of the numbers. name: as in `tokenizer-view.js`."""

    name: str
    label: str | Promise
    values: list[str]
    difference: str


@require_http_methods(["GET", "POST"])
def tokenizer(request: Request, project: UUID) -> HttpResponse:
    """GET shows the form, with the address's tokenizers; POST a text's tokens."""
    found = project_for(request.user, project)
    roles = request.user.roles(found)
    data = request.POST if request.method == "POST" else request.GET
    text = (data.get("example") or data.get("text", "")).replace("\r\n", "\n")
    too_long = len(text) > LONGEST
    choice = _choice(found, data) if roles & READERS else _without_choice(found)
    sides = [
        _side(letter, name, model, "" if too_long else text)
        for letter, (name, model) in zip("ab", choice.models, strict=False)  # two at most
    ]
    context = {
        "choice": choice,
        "reader": bool(roles & READERS),
        "sides": sides,
        "text": text,
        "too_long": too_long,
        "longest": LONGEST,
        "example": EXAMPLE,
        "numbers": _numbers([side.found for side in sides]),
        "corpora": [_corpus(side) for side in sides] if roles & READERS else [],
        "launch_url": reverse("launch", args=[found.uuid, "pretrain"]) if Role.ADMIN in roles else "",
    }
    return render(request, "rlhf/tokenizer.html", context, status=422 if too_long else 200)


def _choice(project: Project, data: Mapping[str, str]) -> Choice:
    """What a reader chose: any model of the project, an adapter by its base; the newest base where nothing was."""
    listed = list(bases(project)[:MOST_BASES])
    asked, against = _model(project, data.get("model", "")), _model(project, data.get("with", ""))
    gone = any(data.get(name) and not model for name, model in (("model", asked), ("with", against)))
    first = (asked.base or asked) if asked else next(iter(listed), None)
    if first is None:
        return Choice([], [], gone=gone)
    shown = [first, against.base or against] if against else [first]
    listed += [model for model in shown if model not in listed]
    adapter = asked if asked and asked.base else None
    return Choice(listed, [(str(model), model) for model in shown], adapter, gone)


def _without_choice(project: Project) -> Choice:
    """What everybody else sees: the newest base's tokenizer, without the model's name."""
    newest = newest_base(project)
    return Choice([], [(NAMELESS, newest)] if newest else [])


def _model(project: Project, text: str) -> Model | None:
    try:
        uuid = UUID(text)
    except ValueError:
        return None
    return Model.objects.filter(project=project, uuid=uuid).select_related("run", "base__run").first()


def _side(letter: str, name: str | Promise, model: Model, text: str) -> Side:
    try:
        found = loaded(model)
    except LaunchError as refusal:
        return Side(letter, name, model, None, None, refusal.sentence)
    return Side(letter, name, model, found, encode(found, text) if text else None, "")


def _numbers(found: Sequence[Encoded | None]) -> list[Number]:
    """Tokens, and how much text a token holds; of two tokenizers also the second less the first."""
    labels = {
        "tokens": _("Tokens"),
        "characters": _("Characters a token"),
        "bytes": _("Bytes a token"),
        "words": _("Words a token"),
    }
    return [_number(name, label, [_share(one, name) for one in found]) for name, label in labels.items()]


def _share(found: Encoded | None, name: str) -> float | None:
    if found is None or not found.tokens:
        return None
    return found.counts[name] / (1 if name == "tokens" else found.counts["tokens"])


def _number(name: str, label: str | Promise, values: list[float | None]) -> Number:
    form = "{:,.0f}" if name == "tokens" else "{:,.2f}"
    known = [value for value in values if value is not None]
    difference = form.replace(":", ":+").format(known[1] - known[0]) if len(known) == 2 else "–"
    return Number(name, label, ["–" if value is None else form.format(value) for value in values], difference)


def _corpus(side: Side) -> Json:
    """How the corpus of a tokenizer uses it, as the run that made it counted; counted: None where none did."""
    run = side.model.run
    counted = ((run.result or {}).get("evaluation") or {}).get("tokenizer") if run else None
    if counted is None or side.tokenizer is None:
        return {"side": side, "run": run, "counted": None}
    write = side.tokenizer.bytes_of
    return {
        "side": side,
        "run": run,
        "counted": counted,
        "most": [(shown(write(one["id"])), one["count"]) for one in counted["most"]],
        "least": [(shown(write(one["id"])), one["count"]) for one in counted["least"]],
        "unused": [shown(write(token)) for token in counted["first_unused"]],
        "shares": [(_("Source"), _shares(counted["by_source"])), (_("Language"), _shares(counted["by_language"]))],
    }


def _shares(found: Sequence[Json]) -> list[Json]:
    """The rows with how many characters a token holds."""
    return [one | {"per_token": f"{one['characters'] / one['tokens']:.2f}" if one["tokens"] else "–"} for one in found]

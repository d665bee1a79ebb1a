"""Rows of what people decided, as trainer.contract reads them plus where they come from, streaming in order of id.

What counts and what is left out is decided here; nothing here writes. Row ids are keys of texts; of a ranking, the
revision's. Each `…_rows` has its `…_counts`: how many rows are left out, by reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # rows and settings are JSON

from django.db.models import Prefetch, QuerySet

from annotate import corrections, improved
from annotate.cleaning.thresholds import Thresholds
from annotate.errors import AnnotateError
from annotate.models import ClozeDocument, Flag, Group, Import, Project, Queue, Revision, Task, TaskText, Text, User
from annotate.tinynet.paragraphs import Grams

Json = dict[str, Any]
Sorted = Iterator[tuple[Json | None, str]]

VERSION = 2  # of the rows: 2 adds flags and critiques to rankings
CHUNK = 500
SENSITIVE = ("personal", "unsafe")  # detectors whose findings an edit may have taken away for someone's sake
REPAIR = "repair"
HELD = ["child_sexual_exploitation", "secrets", "card", "iban", "id"]
SETTINGS: dict[str, dict[str, object]] = {
    "corpus": {"hold": HELD, "unknown_licence": False, "duplicates": "all"},
    "sft": {"sources": ["write", "import", improved.SOURCE], "unknown_licence": False},
    "ranking": {"sources": ["rank", "pair", REPAIR, improved.SOURCE]},
    "prompt": {"splits": None},
    "cloze": {"min_people": 3},
}
MOST_PEOPLE = 1_000
ALLOWED = {"duplicates": ("all", "representatives")}
SOURCES = {
    "sft": ("write", "import", REPAIR, improved.SOURCE, corrections.SOURCE),
    "ranking": ("rank", "pair", REPAIR, improved.SOURCE),
}


def corpus_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """Documents that people kept or edited, and undecided ones; an edit stands for its original.

    hold: detectors or categories whose undecided findings keep a text out. unknown_licence: take what has none.
    duplicates: `all`, or `representatives` without undecided near repeats.
    """
    return (row for row, _ in _corpus(project, settings) if row)


def corpus_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    return _left_out(_corpus(project, settings))


def edit_rows(split_of: Mapping[int, str]) -> Iterator[Json]:
    """What people put right: a row for each edited document of a corpus, by the split that it has there.

    An original with a finding that must not spread (SENSITIVE) is left out: its edit took just that away. Two queries a
    chunk.
    """
    edited = Text.objects.filter(edited_from__isnull=False).select_related("edited_from").order_by("pk")
    keys = sorted(split_of)
    for start in range(0, len(keys), CHUNK):
        texts = list(edited.filter(pk__in=keys[start : start + CHUNK]))
        flags = Flag.objects.live().filter(text__in=[text.edited_from_id for text in texts], detector__in=SENSITIVE)
        kept_back = set(flags.values_list("text", flat=True))
        for text in texts:
            before = text.edited_from
            if before is not None and before.pk not in kept_back:
                yield {"id": str(text.pk), "split": split_of[text.pk], "dirty": before.body, "clean": text.body}


def sft_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """Answers that a person wrote and a reviewer accepted or edited, imported pairs, repairs, corrections of the game.

    sources: which of them. Nobody has reviewed a repair; a better answer, written in the place of one that was ranked,
    is reviewed as any. Corrections come last, and are at most 5 % of all rows.
    """
    return (row for row, _ in _sft(project, settings) if row)


def sft_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    return _left_out(_sft(project, settings))


def ranking_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """One row a counted judgement, ties, line and strength as given; groups hold indices of answers, in key order.

    sources: kinds of queue, and `better`, a row for each better answer that came with a ranking, over its original. A
    comparison of two is a ranking of two, with its strength; both unacceptable is a line above them. A repair ranks the
    new text over the old one. ratings, flags and critiques stand in the order of the answers; null is "not asked" or
    "not answered".
    """
    sources = settings_of("ranking", settings)["sources"]
    for revisions in _chunks(_rankings(project, settings).counted()):
        tasks = _texts_of({revision.judgement.task_id for revision in revisions})
        messages = _messages(_part(tasks[task], TaskText.Part.PROMPT)[0] for task in tasks)
        written = _written(revisions)
        better = Text.objects.in_bulk([key for one in revisions for key in improved.better_ids(one).values()])
        for revision in revisions:
            found = tasks[revision.judgement.task_id]
            answers = [*_part(found, TaskText.Part.ANSWER), *written.get(revision.pk, ())]
            row = _ranking(revision, _part(found, TaskText.Part.PROMPT)[0], answers, messages)
            if row["source"] in sources:
                yield row
            if improved.SOURCE in sources:
                yield from improved.comparisons(revision, row, better)


def ranking_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    surplus = _rankings(project, settings).current().filter(judgement__counted=False).count()
    return {"surplus": surplus} if surplus else {}


def prompt_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """Prompts. splits: how many of each split to take, in the order of their hashes; all where it is not given."""
    splits = _splits(settings)
    prompts = _prompts(project)
    if splits is not None:
        prompts = prompts.filter(pk__in=[pk for split, count in splits.items() for pk in _first(prompts, split, count)])
    for texts in _chunks(prompts.select_related("group", "source")):
        messages = _messages(texts)
        for text in texts:
            yield {
                "id": str(text.pk),
                "split": text.group.split,
                "messages": messages[text.pk],
                "sha256": text.sha256,
                "source": text.source.name if text.source else "",
                "licence": _licence(text),
            }


def prompt_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    splits = _splits(settings)
    if splits is None:
        return {}
    prompts = _prompts(project)
    taken = sum(len(_first(prompts, split, count)) for split, count in splits.items())
    left = prompts.count() - taken
    return {"not_asked_for": left} if left else {}


# Documents


@dataclass(frozen=True)
class _Decision:
    """What people say of one text. kind: that of all of them, or `disagreed`; revision: the newest."""

    kind: str
    revision: Revision

    @property
    def edit_id(self) -> int | None:
        return self.revision.answer.get("text_id") if self.kind == "edit" else None

    def provenance(self, project: Project) -> Json:
        user = self.revision.judgement.user
        return {"decision": self.kind, "revision": str(self.revision.uuid), **_person(user, project)}


def _corpus(project: Project, given: Mapping[str, Any]) -> Sorted:
    """(row, "") for each document that goes in, (None, reason) for each that stays out, in order of id."""
    settings = settings_of("corpus", given)
    limits = Thresholds.of(project.settings)
    played = Played.of(project)
    documents = Text.objects.documents().filter(project=project).select_related("group", "source")
    for texts in _chunks(documents):
        decisions = _decisions(texts, kind=Queue.Kind.CLEAN, part=TaskText.Part.DOCUMENT)
        held = _held(texts, settings["hold"], limits)
        for text in texts:
            decided = _decided(text, decisions)
            if decided is not None:
                reason = _why_not(text, decided.get(text.pk), held.get(text.pk), settings) or played.reason(text)
                yield (None, reason) if reason else (_document(text, decisions, project), "")


@dataclass(frozen=True)
class Played:
    """The documents that the learning game plays: no network and no base may have read them, nor what repeats them.

    keys: of their texts; grams: every run of 13 words in them (`learning_game.md` 4).
    """

    keys: frozenset[int]
    grams: Grams

    @classmethod
    def of(cls, project: Project) -> Played:
        bodies = dict(ClozeDocument.objects.filter(project=project).values_list("text", "text__body"))
        return cls(frozenset(bodies), Grams(bodies.values()))

    def reason(self, text: Text) -> str:
        """Why a document stays out of a corpus; empty where it goes in."""
        if {text.pk, text.edited_from_id} & self.keys:
            return "cloze"
        return "shares_13_words_with_cloze" if self.grams.in_common(text.body) else ""


def _why_not(text: Text, decision: _Decision | None, held: str | None, settings: Json) -> str:
    """Why a document stays out; empty where it goes in."""
    if decision and decision.kind == "reject":
        return "rejected_" + "_".join(decision.revision.answer["reasons"][:1])
    if decision and decision.kind == "disagreed":
        return "disagreed"
    if _licence(text) == "unknown" and not settings["unknown_licence"]:
        return "licence_unknown"
    if decision or text.edited_from_id:
        return ""
    if text.cluster_id and text.cluster_id != text.pk and settings["duplicates"] == "representatives":
        return "near_duplicate"
    return f"held_{held}" if held else ""


def _document(text: Text, decisions: Mapping[int, _Decision], project: Project) -> Json:
    decision = decisions.get(text.pk) or decisions.get(text.edited_from_id or 0)
    return {
        "id": str(text.pk),
        "split": text.group.split,
        "text": text.body,
        "sha256": text.sha256,
        "source": text.source.name if text.source else "",
        "licence": _licence(text),
        "language": text.language,
        "cluster": str(text.cluster_id or text.pk),
        **(decision.provenance(project) if decision else {"decision": "undecided", "revision": None}),
    }


def _held(texts: Sequence[Text], names: Sequence[str], limits: Thresholds) -> dict[int, str]:
    """The first finding of each text that keeps it out until a person decides."""
    flags = Flag.objects.live().filter(text__in=texts).order_by("pk")
    found: dict[int, str] = {}
    for flag in flags:
        name = next((name for name in (flag.category, flag.detector) if name in names), None)
        if name and flag.score >= limits.limit(flag.detector):
            found.setdefault(flag.text_id, name)
    return found


# Answers


def _sft(project: Project, given: Mapping[str, Any]) -> Sorted:
    """As `_corpus`, for answers; corrections of the game follow."""
    settings = settings_of("sft", given)
    others, typed = 0, []
    for row, reason in _answers(project, settings):
        if row and row["source"] == corrections.SOURCE:
            typed.append(row)
        else:
            others += row is not None
            yield row, reason
    if corrections.SOURCE in settings["sources"]:
        yield from corrections.few([*corrections.correction_rows(project), *typed], others=others)


def _answers(project: Project, settings: Json) -> Sorted:
    """Answers that people wrote or imported, in order of id."""
    answers = Text.objects.filter(project=project, kind=Text.Kind.ANSWER, parent__isnull=False)
    answers = answers.exclude(origin=Text.Origin.MODEL)
    related = answers.select_related("group", "source", "parent__group", "author", "batch__imported")
    for texts in _chunks(related):
        decisions = _decisions(texts, kind=Queue.Kind.REVIEW_ANSWER, part=TaskText.Part.ANSWER)
        standing = _standing(decisions)
        repaired = _repaired(texts) if REPAIR in settings["sources"] else {}
        better = improved.improving({key for text in texts for key in (text.pk, text.edited_from_id) if key})
        messages = _messages(text.parent for text in texts if text.parent)
        for text in texts:
            if text.pk in repaired:
                yield _answer(text, REPAIR, _Decision(REPAIR, repaired[text.pk]), messages, project), ""
                continue
            decided = decisions if _improves(text, decisions, better) else _decided(text, decisions)
            if decided is None:
                continue
            source = improved.SOURCE if {text.pk, text.edited_from_id} & better else _source(text)
            decision = decided.get(text.pk if text.pk in better else text.edited_from_id or text.pk)
            reason = _why_no_answer(text, source, decision, standing, settings)
            if not reason:
                yield _answer(text, source, decision, messages, project), ""
            elif source in settings["sources"]:
                yield None, reason


def _repaired(texts: Sequence[Text]) -> dict[int, Revision]:
    """Text → the repair that wrote it, as far as that stands. One query."""
    before = {text.edited_from_id for text in texts if text.edited_from_id}
    shown = TaskText.objects.filter(part=TaskText.Part.ANSWER, text__in=before)
    repairs = Revision.objects.counted().filter(
        judgement__task__queue__kind=Queue.Kind.REPAIR, judgement__task__task_texts__in=shown
    )
    return {one.answer["text_id"]: one for one in repairs.select_related("judgement__user")}


def _source(text: Text) -> str:
    """Who answers what the game asks corrects a sentence of it, also when writing it again."""
    if text.parent and text.parent.origin == Text.Origin.GAME:
        return corrections.SOURCE
    return "import" if text.origin == Text.Origin.IMPORT else "write"


def _why_no_answer(text: Text, source: str, decision: _Decision | None, standing: set[int], settings: Json) -> str:
    """Why an answer stays out; empty where it goes in."""
    if source not in settings["sources"]:
        return "source"
    if not text.body:
        return "erased"
    if source == "import":
        pairs = text.batch is not None and text.batch.imported.what == Import.What.PAIRS
        if not pairs:
            return "no_pair"
        return "licence_unknown" if _licence(text) == "unknown" and not settings["unknown_licence"] else ""
    if decision is None:
        return "not_reviewed"
    if decision.kind in {"return", "disagreed"}:
        return {"return": "returned"}.get(decision.kind, decision.kind)
    return "" if decision.revision.pk in standing else "taken_back"


def _answer(
    text: Text, source: str, decision: _Decision | None, messages: Mapping[int, list[Json]], project: Project
) -> Json:
    assert text.parent is not None  # the queryset asks for it
    return {
        "id": str(text.pk),
        "prompt_id": str(text.parent.pk),
        "split": text.parent.group.split,
        "messages": [*messages[text.parent.pk], {"role": "assistant", "content": text.body}],
        "weight": 1.0,
        "source": source,
        "sha256": text.sha256,
        "licence": _licence(text) if source == "import" else "",
        **(decision.provenance(project) if decision else {"decision": None, "revision": None}),
        **(_person(text.author, project) if text.author else {}),
    }


def _standing(decisions: Mapping[int, _Decision]) -> set[int]:
    """Keys of the reviews whose answer still stands: its author has not taken it back."""
    written_in = {decision.revision.judgement.task.follows_id for decision in decisions.values()} - {None}
    written = Revision.objects.counted().filter(judgement__in=written_in)
    current = {
        revision.judgement_id: {revision.answer.get("text_id"), *improved.better_ids(revision).values()}
        for revision in written
    }
    return {
        decision.revision.pk
        for text_id, decision in decisions.items()
        if (follows := decision.revision.judgement.task.follows_id) is None or text_id in current.get(follows, ())
    }


def _improves(text: Text, decisions: Mapping[int, _Decision], better: set[int]) -> bool:
    """Whether the text stands in the place of another by itself, and no reviewer's edit in its place."""
    own = decisions.get(text.pk)
    return text.pk in better and (own is None or own.kind != "edit")


# Rankings and prompts


def _rankings(project: Project, given: Mapping[str, Any]) -> Any:  # a RevisionQuerySet, which cannot be named here
    sources = settings_of("ranking", given)["sources"]
    kinds = {Queue.Kind.RANK if one == improved.SOURCE else one for one in sources}
    rows = Revision.objects.filter(judgement__task__queue__project=project, judgement__task__queue__kind__in=kinds)
    return rows.select_related("judgement__user", "judgement__task__queue__project")


def _written(revisions: Sequence[Revision]) -> dict[int, list[Text]]:
    """Revision → the text that its repair wrote. One query, none where nothing was repaired."""
    repairs = [one for one in revisions if one.judgement.task.queue.kind == Queue.Kind.REPAIR]
    keys = {one.pk: one.answer["text_id"] for one in repairs}
    texts = Text.objects.in_bulk(keys.values()) if keys else {}
    return {pk: [texts[key]] for pk, key in keys.items()}


def _ranking(revision: Revision, prompt: Text, found: Iterable[Text], messages: Mapping[int, list[Json]]) -> Json:
    answers = sorted(found, key=lambda text: text.pk)
    index = {text.pk: place for place, text in enumerate(answers)}
    body, judgement = _ordered(revision, index), revision.judgement
    return {
        "id": str(revision.pk),
        "prompt_id": str(prompt.pk),
        "split": prompt.group.split,
        "messages": messages[prompt.pk],
        "answers": [{"id": str(text.pk), "text": text.body} for text in answers],
        "groups": [[index[text_id] for text_id in group] for group in body["groups"]],
        "unplaced": [index[text_id] for text_id in body["unplaced"]],
        "acceptable_groups": body["acceptable_groups"],
        "strength": body.get("strength"),
        "weight": 1.0,
        "source": judgement.task.queue.kind,
        "ratings": [body["ratings"].get(str(text.pk)) for text in answers],
        "flags": [body.get("flags", {}).get(str(text.pk)) for text in answers],
        "critiques": [_critique(body.get("critique", {}).get(str(text.pk)), index) for text in answers],
        "revision": str(revision.uuid),
        "guideline_version": revision.guideline_version,
        **_person(judgement.user, judgement.task.queue.project),
    }


def _ordered(revision: Revision, texts: Iterable[int]) -> Json:
    """What the answer says of these texts, as the body of a ranking; of two texts, with a strength."""
    body, kind = revision.answer, revision.judgement.task.queue.kind
    if kind == Queue.Kind.RANK:
        return body
    if kind == Queue.Kind.REPAIR:
        body = {"prefer": body["text_id"], "strength": None, "both_unacceptable": None}
    prefer, both = body["prefer"], list(texts)
    strict = [[prefer], [text for text in both if text != prefer]] if prefer in both else []
    groups = [both] if prefer == "tie" else strict
    line = 0 if body["both_unacceptable"] else None
    order = {"groups": groups, "unplaced": [] if groups else both, "acceptable_groups": line}
    return {**order, "strength": body["strength"], "ratings": {}}


def _critique(stored: Json | None, index: Mapping[int, int]) -> Json | None:
    """A critique, its spans by the answers' place in the row; null where nobody wrote one."""
    if stored is None:
        return None
    spans = [{"answer": index[span["text_id"]], "start": span["start"], "end": span["end"]} for span in stored["spans"]]
    return {"text": stored["text"], "spans": spans}


def _texts_of(task_ids: set[int]) -> dict[int, list[TaskText]]:
    found: dict[int, list[TaskText]] = defaultdict(list)
    rows = TaskText.objects.filter(task__in=task_ids).select_related("text__group").order_by("task", "position")
    for row in rows:
        found[row.task_id].append(row)
    return found


def _part(rows: Sequence[TaskText], part: str) -> list[Text]:
    return [row.text for row in rows if row.part == part]


def _prompts(project: Project) -> QuerySet[Text]:
    """Not the game's: what it asks stands in held-out paragraphs."""
    return Text.objects.prompts().filter(project=project).exclude(origin=Text.Origin.GAME)


def _first(prompts: QuerySet[Text], split: str, count: int) -> list[int]:
    ordered = prompts.filter(group__split=split).order_by("sha256", "pk")
    return list(ordered.values_list("pk", flat=True)[:count])


def _splits(given: Mapping[str, Any]) -> dict[str, int] | None:
    splits = settings_of("prompt", given)["splits"]
    if splits is None:
        return None
    whole = isinstance(splits, dict) and all(
        isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in splits.values()
    )
    if not whole or not set(splits) <= set(Group.Split.values):
        raise _bad("splits", f"splits is an object of {', '.join(Group.Split.values)} and how many to take of each.")
    return dict(splits)


# What all kinds share


def _decisions(texts: Sequence[Text], *, kind: str, part: str) -> dict[int, _Decision]:
    """What people say of these texts and of those that they replace, by text."""
    ids = {text.pk for text in texts} | {text.edited_from_id for text in texts if text.edited_from_id}
    shown = TaskText.objects.filter(part=part)
    revisions = (
        Revision.objects.counted()
        .filter(judgement__task__queue__kind=kind, judgement__task__task_texts__in=shown.filter(text__in=ids))
        .select_related("judgement__user", "judgement__task")
        .prefetch_related(Prefetch("judgement__task__task_texts", queryset=shown, to_attr="judged"))
    )
    by_text: dict[int, list[Revision]] = defaultdict(list)
    for revision in revisions.order_by("pk"):
        for row in _judged(revision.judgement.task):
            by_text[row.text_id].append(revision)
    return {text_id: _agreed(found) for text_id, found in by_text.items()}


def _judged(task: Task) -> list[TaskText]:
    rows: list[TaskText] = task.judged  # type: ignore[attr-defined]  # the prefetch's to_attr
    return rows


def _agreed(revisions: Sequence[Revision]) -> _Decision:
    kinds = {revision.answer["decision"] for revision in revisions}
    return _Decision(kind=kinds.pop() if len(kinds) == 1 else "disagreed", revision=revisions[-1])


def _decided(text: Text, decisions: Mapping[int, _Decision]) -> Mapping[int, _Decision] | None:
    """The decisions, or None where text is not the one that counts: replaced by an edit, or an edit taken back."""
    own = decisions.get(text.pk)
    if own and own.kind == "edit":
        return None
    if text.edited_from_id:
        original = decisions.get(text.edited_from_id)
        return decisions if original and original.edit_id == text.pk else None
    return decisions


def _messages(prompts: Iterable[Text]) -> dict[int, list[Json]]:
    """The dialogue up to each prompt, first turn first. One query for each turn of the longest."""
    texts = {prompt.pk: prompt for prompt in prompts}
    asked = list(texts)
    missing = {text.parent_id for text in texts.values() if text.parent_id} - set(texts)
    while missing:
        earlier = Text.objects.in_bulk(missing)
        texts |= earlier
        missing = {text.parent_id for text in earlier.values() if text.parent_id} - set(texts)
    return {pk: _turns(texts, pk) for pk in asked}


def _turns(texts: Mapping[int, Text], pk: int) -> list[Json]:
    turns: list[Json] = []
    at: int | None = pk
    while at:
        text = texts[at]
        turns.insert(0, {"role": "user" if text.kind == Text.Kind.PROMPT else "assistant", "content": text.body})
        at = text.parent_id
    return turns


def _person(user: User | None, project: Project) -> Json:
    return {"by": user.pseudonym(project), "scripted": user.scripted} if user else {}


def _licence(text: Text) -> str:
    return text.licence or (text.source.licence if text.source else "") or "unknown"


def _chunks(rows: Any) -> Iterator[list[Any]]:  # a queryset of any row with a key
    """The rows in order of key, 500 at a time, in flat memory."""
    last = 0
    while chunk := list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        yield chunk
        last = chunk[-1].pk


def _left_out(found: Sorted) -> dict[str, int]:
    return dict(Counter(reason for row, reason in found if row is None))


def settings_of(kind: str, given: Mapping[str, Any]) -> Json:
    """The defaults with what is given. Raises AnnotateError with code bad_settings."""
    for name, value in given.items():
        if name not in SETTINGS[kind]:
            raise _bad(name, f"{name} is no setting here; allowed: {', '.join(SETTINGS[kind]) or 'none'}.")
        if name == "duplicates" and value not in ALLOWED[name]:
            raise _bad(name, f"{name} is one of {', '.join(ALLOWED[name])}.")
        if name == "unknown_licence" and not isinstance(value, bool):
            raise _bad(name, f"{name} is true or false.")
        if name == "min_people" and not _whole(value, most=MOST_PEOPLE):
            raise _bad(name, f"{name} is a whole number, 0 to {MOST_PEOPLE:,}.")
        if name == "hold" and not _names(value, None):
            raise _bad(name, "hold is a list of detectors and categories.")
        if name == "sources" and not _names(value, SOURCES[kind]):
            raise _bad(name, f"sources is a list of {', '.join(SOURCES[kind])}.")
    return {**SETTINGS[kind], **given}


def _whole(value: object, *, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _names(value: object, allowed: Sequence[str] | None) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, str) and (allowed is None or name in allowed) for name in value
    )


def _bad(field: str, sentence: str) -> AnnotateError:
    return AnnotateError("bad_settings", sentence, field=field)

"""Train the start of a project's game on its corpus, or of everybody's on the bundled paragraphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import sha256

from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from annotate import game
from annotate.actions.publish_start import Played, publish_start
from annotate.actions.reserve_cloze import reserve_cloze
from annotate.errors import AnnotateError
from annotate.exports.documents import corpus_rows, documents_played
from annotate.languages import language_of
from annotate.models import GameStart, GameTraining, Project, User
from annotate.presentation import app_version
from annotate.tinynet import bundled, held_out, start, train
from annotate.tinynet.items import Paragraph
from annotate.tinynet.pretrain import LEAST_CORPUS, GameConfig
from annotate.tinynet.start import Start
from annotate.tinynet.stream import practice_file

FEW = 12  # own paragraphs below which the bundled ones are played too
NO_SPACES = "These documents are written without spaces between words, so there is no game for them yet."
WAITS = f"The bundled paragraphs are in English; the game waits for {LEAST_CORPUS:,} approved words of this project."


@transaction.atomic
def ask_for_start(*, project: Project, by: User) -> GameTraining:
    """The wish to train a start; the one that is at work already where there is one."""
    at_work = project.game_trainings.filter(state=GameTraining.State.RUNNING).first()
    return at_work or GameTraining.objects.create(project=project, by=by)


def train_start(training: GameTraining) -> None:
    """Do it, and say how it ended. Some 20 s of one core for 250 thousand words; a second call changes nothing."""
    try:
        publish = _trained(training.project)
    except AnnotateError as refusal:
        _end(training, GameTraining.State.FAILED, sentence=refusal.sentence[:300])
        return
    with transaction.atomic():
        if _running(training).select_for_update().exists():  # else what it has read was withdrawn since
            _end(training, GameTraining.State.FINISHED, start=publish())


def _end(training: GameTraining, state: str, *, sentence: str = "", start: GameStart | None = None) -> None:
    _running(training).update(state=state, sentence=sentence, start=start, finished_at=now())


def _running(training: GameTraining) -> QuerySet[GameTraining]:
    return GameTraining.objects.filter(pk=training.pk, state=GameTraining.State.RUNNING)


def _trained(project: Project) -> Callable[[], GameStart]:
    """What publishes the trained network. Raises AnnotateError with code no_spaces or too_few_words."""
    language = language_of(project)
    if not language.spaced:
        raise AnnotateError("no_spaces", NO_SPACES)
    reserve_cloze(project)
    rows = [(row["sha256"], row["split"], row["text"]) for row in corpus_rows(project, {})]
    texts = [body for _, split, body in rows if split == "train"]
    known = train.counted(texts)
    if known.total < LEAST_CORPUS:
        sentence = (
            f"The corpus has {known.total:,} words to train on; a network of the project's own needs {LEAST_CORPUS:,}."
        )
        raise AnnotateError("too_few_words", sentence)
    own = {text.sha256: text for text in documents_played(project)}
    bodies = {key: text.body for key, text in own.items()}
    if language.is_english and len(train.playable(bodies, known, version="")) < FEW:
        bodies |= _themes()
    made = train.train_start(
        texts,
        bodies,
        config=GameConfig(),
        language=language.code,
        corpus_sha256=_sha256([key for key, _, _ in rows]),
        code=app_version(),
    )
    found = train.paragraphs(bodies, made)
    keys = {key: text.pk for key, text in own.items()}
    return partial(_published, made, found, texts, keys=keys, project=project)


def start_of(project: Project) -> tuple[GameStart, str]:
    """The start that a round begins from, and its kind: the project's own where context helps, else the bundled.

    Raises AnnotateError 409 with code no_paragraph where neither is in the project's language; fact why: spaces, words.
    """
    own = game.standing_start(project)
    if (
        own is not None
        and not game.why_not_offered(project, own)
        and own.paragraphs.filter(reserved=False, retired_at=None).exists()
    ):
        return own, "trained"
    language = language_of(project)
    if not language.is_english:
        why, sentence = ("words", WAITS) if language.spaced else ("spaces", NO_SPACES)
        raise AnnotateError("no_paragraph", sentence, status=409, why=why)
    return bundled_start(), "bundled"


def bundled_start() -> GameStart:
    """The start that read the bundled paragraphs; made once, in some seconds, and kept."""
    kept = GameStart.objects.standing().filter(project=None).order_by("-pk").first()
    if kept:
        return kept
    made = _bundled()
    texts = bundled.training(bundled.themes())
    return _published(made, train.paragraphs(_themes(), made), texts, keys={}, project=None)


@lru_cache(maxsize=1)
def _bundled() -> Start:
    themes = bundled.themes()
    texts = bundled.training(themes)
    raw = Start(
        net=bundled.reader(themes),
        vocabulary=train.counted(texts),
        language="en",
        seed=bundled.SEED,
        config={"steps": bundled.STEPS},
        corpus_sha256=_sha256(texts),
        code=app_version(),
    )
    made = start.read(start.write(raw))
    table = held_out.table(made.net, made.vocabulary, train.paragraphs(_themes(), made))
    return replace(made, held_out=table)


def _themes() -> dict[str, str]:
    """The bundled paragraphs to play, by the SHA-256 of their text."""
    return {_sha256([theme.play]): theme.play for theme in bundled.themes()}


def _sha256(parts: Sequence[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()


def _published(
    made: Start, found: Sequence[Paragraph], texts: Sequence[str], *, keys: Mapping[str, int], project: Project | None
) -> GameStart:
    names = {_sha256([theme.play]): theme.name.capitalize() for theme in bundled.themes()}
    played = [Played(one, keys.get(one.key), names.get(one.key, "")) for one in found]
    practice = practice_file(train.documents(texts, made.vocabulary))
    return publish_start(start=made, practice=practice, played=played, project=project)

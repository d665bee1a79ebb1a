"""Train the start of a project's game on its corpus, or of everybody's on the bundled paragraphs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

from django.db import transaction
from django.utils.timezone import now

from annotate import game
from annotate.actions.publish_start import Played, publish_start
from annotate.actions.reserve_cloze import reserve_cloze
from annotate.errors import AnnotateError
from annotate.exports import corpus_rows
from annotate.models import GameStart, GameTraining, Project, User
from annotate.presentation import app_version
from annotate.tinynet import bundled, held_out, items, paragraphs
from annotate.tinynet.net import Net
from annotate.tinynet.pretrain import LEAST_CORPUS, GameConfig, pretrain
from annotate.tinynet.start import Start
from annotate.tinynet.stream import Document, practice_file
from annotate.tinynet.words import Vocabulary

FEW = 12  # own paragraphs below which the bundled ones are played too


@transaction.atomic
def ask_for_start(*, project: Project, by: User) -> GameTraining:
    """The wish to train a start; the one that is at work already where there is one."""
    at_work = project.game_trainings.filter(state=GameTraining.State.RUNNING).first()
    return at_work or GameTraining.objects.create(project=project, by=by)


def train_start(training: GameTraining) -> None:
    """Do it, and say how it ended. Some 20 s of one core for 250 thousand words; a second call changes nothing."""
    try:
        start = _trained(training.project)
    except AnnotateError as refusal:
        _end(training, GameTraining.State.FAILED, sentence=refusal.sentence[:300])
    else:
        _end(training, GameTraining.State.FINISHED, start=start)


def _end(training: GameTraining, state: str, *, sentence: str = "", start: GameStart | None = None) -> None:
    running = GameTraining.objects.filter(pk=training.pk, state=GameTraining.State.RUNNING)
    running.update(state=state, sentence=sentence, start=start, finished_at=now())


def _trained(project: Project) -> GameStart:
    """Raises AnnotateError with code too_few_words."""
    reserve_cloze(project)
    rows = [(row["sha256"], row["split"], row["text"]) for row in corpus_rows(project, {})]
    bodies = [body for _, split, body in rows if split == "train"]
    read = [[sentence.tokens for sentence in paragraphs.sentences(body)] for body in bodies]
    counts = Counter(token.word for document in read for sentence in document for token in sentence)
    if counts.total() < LEAST_CORPUS:
        sentence = f"The corpus has {counts.total():,} words to train on; a start of its own needs {LEAST_CORPUS:,}."
        raise AnnotateError("too_few_words", sentence)
    vocabulary = Vocabulary.of(counts)
    documents = [[vocabulary.ids(sentence) for sentence in document] for document in read]
    config = GameConfig()
    start = Start(
        net=pretrain(documents, vocabulary, config),
        vocabulary=vocabulary,
        language="en",
        seed=config.seed,
        config=vars(config),
        corpus_sha256=sha256("\n".join(digest for digest, _, _ in rows).encode()).hexdigest(),
        code=app_version(),
    )
    own = _own(project, start)
    return _published(start, own if len(own) >= FEW else [*own, *_bundled(start)], documents, project)


def _own(project: Project, start: Start) -> list[Played]:
    found = []
    for row in project.cloze_documents.select_related("text").order_by("pk"):
        window = paragraphs.window(paragraphs.sentences(row.text.body))
        whole = window and items.paragraph(window, start.vocabulary, start=start.items_seed, key=row.text.sha256)
        if whole:
            found.append(Played(whole, row.text_id))
    return found


def _bundled(start: Start) -> list[Played]:
    """The bundled paragraphs to play, as far as the vocabulary can ask for words of theirs."""
    found = []
    for theme in bundled.themes():
        window = paragraphs.sentences(theme.play)
        key = sha256(theme.play.encode()).hexdigest()
        whole = items.paragraph(window, start.vocabulary, start=start.items_seed, key=key)
        if whole:
            found.append(Played(whole, None, theme.name.capitalize()))
    return found


def start_of(project: Project) -> tuple[GameStart, str]:
    """The start that a round of the project begins from, and its kind."""
    own = game.standing_start(project)
    if own is not None and not game.why_not_offered(own) and own.paragraphs.filter(reserved=False).exists():
        return own, "trained"
    return bundled_start(), "bundled"


def bundled_start() -> GameStart:
    """The start that read the bundled paragraphs; made once, in 1 to 2 s, and kept."""
    kept = GameStart.objects.standing().filter(project=None).order_by("-pk").first()
    return kept or _bundled_start()


def _bundled_start() -> GameStart:
    themes = bundled.themes()
    vocabulary = bundled.vocabulary(themes)
    start = Start(
        net=bundled.reader(themes),
        vocabulary=vocabulary,
        language="en",
        seed=bundled.SEED,
        config={"steps": bundled.STEPS},
        corpus_sha256=sha256(json.dumps([theme.train for theme in themes]).encode()).hexdigest(),
        code=app_version(),
    )
    return _published(start, _bundled(start), bundled.documents(themes, vocabulary), None)


def _published(start: Start, played: list[Played], documents: Sequence[Document], project: Project | None) -> GameStart:
    """With the held-out table of the weights as the file holds them."""
    net = Net(start.vocabulary.u, *(array.astype("f2").astype("f8") for array in start.net.arrays()))
    table = held_out.table(net, start.vocabulary, [one.paragraph for one in played])
    whole = Start(**{**vars(start), "held_out": table})
    return publish_start(start=whole, practice=practice_file(documents), played=played, project=project)

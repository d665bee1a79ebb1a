"""A snapshot is a moment of what people decided, and never changes again."""

import json
from hashlib import sha256

import pytest
from django.urls import reverse
from django.utils.timezone import now

from annotate.actions.add_queue import add_queue
from annotate.actions.build_tasks import TaskItem
from annotate.actions.train_start import bundled_start
from annotate.models import Group, Judgement, Queue, Source, Text, User
from annotate.tinynet import bundled
from rlhf import snapshots, storage, tasks
from rlhf.errors import LaunchError
from rlhf.messages import snapshot_ticket
from rlhf.models import Snapshot
from tests.annotate.conftest import answer as judge
from tests.annotate.conftest import ask_to_clean, build, make_prompt, make_text
from tests.annotate.plays import answer, blank, paragraphs
from tests.annotate.test_corrections import twenty_pairs


@pytest.fixture
def documents(project, ada) -> list[Text]:
    source = Source.objects.create(project=project, name="docs", kind="upload", licence="PSF-2.0", added_by=ada)
    made = []
    for number in range(12):
        digest = sha256(f"Document {number}.".encode()).hexdigest()
        split = Group.Split.HELDOUT if number % 4 == 0 else Group.Split.TRAIN
        group = Group.objects.create(project=project, first_sha256=digest, split=split)
        made.append(
            Text.objects.create(
                project=project, kind="document", body=f"Document {number}.", sha256=digest, origin="import",
                group=group, source=source,
            )
        )  # fmt: skip
    return made


@pytest.fixture
def frozen(project, ada, documents):
    """Freezes a corpus snapshot."""

    def freeze(**settings) -> Snapshot:
        snapshot = snapshots.begin(project=project, kind="corpus", settings=settings, by=ada)
        snapshots.freeze(snapshot.pk)
        snapshot.refresh_from_db()
        return snapshot

    return freeze


def test_a_frozen_snapshot_counts_what_it_holds(frozen):
    snapshot = frozen()
    assert (snapshot.state, snapshot.number, snapshot.failure) == ("frozen", 1, "")
    assert snapshot.counts == {"train": 9, "heldout": 3, "left_out": {}}


def test_its_file_holds_a_line_a_document_in_order_of_id(frozen, documents):
    file = frozen().files[0]
    lines = [json.loads(line) for line in storage.fetch(file["sha256"]).read_text().splitlines()]
    assert (file["name"], file["type"], file["rows"]) == ("corpus.jsonl", "CorpusRow", 12)
    assert [int(line["id"]) for line in lines] == [text.pk for text in documents]


def test_an_edit_of_a_document_goes_beside_the_corpus_as_a_pair(frozen, documents, project, rex):
    cleaning = project.queues.get(kind=Queue.Kind.CLEAN)
    ask_to_clean(cleaning, documents[4])
    judge(cleaning, rex, {"decision": "edit", "text": "Document four."})
    snapshot = frozen()
    corpus, edits = snapshot.files[:2]
    assert (corpus["rows"], edits["name"], edits["type"], edits["rows"]) == (
        12,
        "corrections.jsonl",
        "CorrectionRow",
        1,
    )
    pair = json.loads(storage.fetch(edits["sha256"]).read_text())
    assert (pair["split"], pair["dirty"], pair["clean"]) == ("heldout", "Document 4.", "Document four.")
    assert [file["name"] for file in snapshots.manifest_of(snapshot)["files"]] == ["corpus.jsonl", "corrections.jsonl"]


def test_the_same_moment_frozen_twice_has_the_same_hash(frozen):
    assert frozen().sha256 == frozen().sha256


def test_the_same_rows_have_the_same_hash_on_both_databases(database, frozen, documents):
    licence, files = "PSF-2.0", frozen().files
    rows = [
        {
            "cluster": str(text.pk), "decision": "undecided", "id": str(text.pk), "language": "", "licence": licence,
            "revision": None, "sha256": text.sha256, "source": "docs", "split": text.group.split, "text": text.body,
        }
        for text in documents
    ]  # fmt: skip
    lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    assert files[0]["sha256"] == sha256(lines.encode()).hexdigest()


def test_another_setting_is_another_snapshot(frozen):
    assert frozen().sha256 != frozen(unknown_licence=True).sha256


def test_a_new_document_is_another_snapshot(frozen, documents, project):
    before = frozen()
    Text.objects.create(
        project=project, kind="document", body="New.", sha256="n", origin="import", group=documents[0].group,
        licence="MIT",
    )  # fmt: skip
    assert frozen().sha256 != before.sha256
    before.refresh_from_db()
    assert before.counts["train"] + before.counts["heldout"] == 12


def test_its_hash_is_that_of_the_manifest(frozen):
    snapshot = frozen()
    manifest = snapshots.manifest_of(snapshot)
    assert storage.fetch(snapshot.sha256).exists()
    assert (manifest["kind"], manifest["counts"], manifest["files"]) == ("corpus", snapshot.counts, [snapshot.files[0]])


def test_the_groups_that_it_holds_keep_their_side_for_good(frozen, documents):
    began = now()
    frozen()
    assert Group.objects.filter(frozen_at__gte=began).count() == len(documents)


def test_the_answers_that_it_holds_say_so_and_others_do_not(frozen, documents, project, rex):
    queue = project.queues.get(kind="clean")
    kept, left = (judge_one(queue, document, rex) for document in documents[:2])
    Judgement.objects.filter(pk=left.pk).update(counted=False)
    frozen()
    assert Judgement.objects.get(pk=kept.pk).frozen_at is not None
    assert Judgement.objects.get(pk=left.pk).frozen_at is None


def judge_one(queue: Queue, document: Text, by: User) -> Judgement:
    ask_to_clean(queue, document)
    found: Judgement = judge(queue, by, {"decision": "keep"}).judgement
    return found


def test_what_is_left_out_is_counted_by_its_reason(frozen, documents):
    Source.objects.update(licence="unknown")
    Text.objects.filter(pk=documents[0].pk).update(licence="MIT")
    assert frozen().counts == {"train": 0, "heldout": 1, "left_out": {"licence_unknown": 11}}


def test_the_preview_says_the_same_and_writes_nothing(project, documents):
    counts = snapshots.preview(project=project, kind="corpus", settings={})
    assert counts == {"train": 9, "heldout": 3, "left_out": {}}
    assert not Snapshot.objects.exists()
    assert not Group.objects.exclude(frozen_at=None).exists()


@pytest.mark.parametrize(
    ("kind", "chosen", "code"),
    [
        ("corpus", {"colour": 1}, "bad_settings"),
        ("corpus", {"duplicates": "some"}, "bad_settings"),
        ("diary", {}, "bad_kind"),
        ("ranking", {}, "nothing_to_freeze"),
    ],
)
def test_what_cannot_be_frozen_is_refused_at_once(project, ada, documents, kind, chosen, code):
    with pytest.raises(LaunchError) as refusal:
        snapshots.begin(project=project, kind=kind, settings=chosen, by=ada)
    assert refusal.value.code == code
    assert not Snapshot.objects.exists()


def test_a_worker_that_fails_says_why_on_the_snapshot(project, ada, documents):
    snapshot = snapshots.begin(project=project, kind="corpus", settings={}, by=ada)
    Text.objects.all().delete()
    snapshots.freeze(snapshot.pk)
    snapshot.refresh_from_db()
    assert (snapshot.state, snapshot.failure) == ("failed", "There is nothing to freeze: no row fits any more.")


def test_a_message_with_a_ticket_freezes(project, ada, documents):
    snapshot = snapshots.begin(project=project, kind="corpus", settings={}, by=ada)
    tasks.freeze_snapshot(snapshot.pk, snapshot_ticket(snapshot))
    snapshot.refresh_from_db()
    assert snapshot.state == "frozen"


def test_a_message_without_a_ticket_freezes_nothing(project, ada, documents):
    snapshot = snapshots.begin(project=project, kind="corpus", settings={}, by=ada)
    tasks.freeze_snapshot(snapshot.pk, "0" * 64)
    snapshot.refresh_from_db()
    assert snapshot.state == "freezing"


def test_the_same_wish_under_the_same_key_is_one_snapshot(project, documents, ada):
    first = snapshots.begin(project=project, kind="corpus", settings={}, by=ada, key="pressed")
    assert snapshots.begin(project=project, kind="corpus", settings={}, by=ada, key="pressed") == first
    assert snapshots.begin(project=project, kind="corpus", settings={}, by=ada, key="pressed again") != first


# the learning game


@pytest.fixture
def library(project, ada):
    """The bundled paragraphs to play; makes documents of 100 words each, which cannot be played."""
    source = Source.objects.create(project=project, name="library", kind="upload", licence="PSF-2.0", added_by=ada)

    def add(body: str) -> None:
        digest = sha256(body.encode()).hexdigest()
        group = Group.objects.create(project=project, first_sha256=digest, split="train")
        Text.objects.create(
            project=project, kind="document", body=body, sha256=digest, origin="import", group=group, source=source
        )

    for theme in bundled.themes():
        add(theme.play)

    def fill(documents: int) -> None:
        for nth in range(documents):
            add(f"{letters(nth)} " * 100)

    return fill


def letters(number: int) -> str:
    """A word of its own for each number."""
    return "".join(chr(97 + number // 26**place % 26) for place in range(3))


def test_the_first_corpus_of_twenty_thousand_words_leaves_paragraphs_to_play(frozen, library, project):
    library(200)
    snapshot = frozen()
    reserved = set(project.cloze_documents.values_list("text", flat=True))
    assert len(reserved) == 12
    assert snapshot.counts["left_out"]["cloze"] == 12
    lines = storage.fetch(snapshot.files[0]["sha256"]).read_text().splitlines()
    assert not {str(key) for key in reserved} & {json.loads(line)["id"] for line in lines}


def test_a_smaller_corpus_keeps_all_its_words(frozen, library, project):
    library(100)
    assert "cloze" not in frozen().counts["left_out"]


def test_after_the_first_freeze_nothing_more_is_reserved(frozen, library, project):
    frozen()
    library(200)
    assert "cloze" not in frozen().counts["left_out"]


def test_corrections_of_the_game_are_counted_in_the_card(project, ada, ana):
    answer(project, ana, blank(paragraphs(bundled_start())[2]), mode="correction")
    twenty_pairs(project, ada)
    settings = {"sources": ["import", "game"], "unknown_licence": True}
    snapshot = snapshots.begin(project=project, kind="sft", settings=settings, by=ada)
    snapshots.freeze(snapshot.pk)
    snapshot.refresh_from_db()
    assert (snapshot.state, snapshot.failure) == ("frozen", "")
    assert snapshot.card["sources"] == {"game": 1, "import": 20}


def test_a_comparison_and_a_repair_are_frozen_as_a_freeze_asks(project, ada, ana, client):
    prompt = make_prompt(project)
    texts = [(prompt, "prompt"), *((make_text(project, body, parent=prompt), "answer") for body in ("One.", "Two."))]
    pairs = add_queue(project=project, kind="pair", name="Pairs")
    repairs = add_queue(project=project, kind="repair", name="Repairs")
    build(pairs, TaskItem(texts=texts))
    build(repairs, TaskItem(texts=texts[:2]))
    judge(pairs, ana, {"prefer": "A", "strength": 3})
    judge(repairs, ana, {"text": "One and two."})
    client.force_login(ada)
    address = reverse("snapshot-new", args=[project.uuid, "ranking"])
    client.post(address, {"sources": ["pair"], "key": "1"})
    client.post(address, {"sources": ["pair", "repair"], "key": "2"})
    found = []
    for snapshot in Snapshot.objects.order_by("pk"):
        snapshots.freeze(snapshot.pk)
        snapshot.refresh_from_db()
        lines = storage.fetch(snapshot.files[0]["sha256"]).read_text().splitlines()
        found.append([(json.loads(line)["source"], json.loads(line)["strength"]) for line in lines])
    assert found == [[("pair", 3)], [("pair", 3), ("repair", None)]]


def test_ratings_of_its_answers_stand_in_the_card(project, ada, ana, abe):
    prompt = make_prompt(project)
    texts = [(prompt, "prompt"), *((make_text(project, body, parent=prompt), "answer") for body in ("One.", "Two."))]
    pairs = add_queue(project=project, kind="pair", name="Pairs")
    rate = add_queue(project=project, kind="rate", name="Ratings")
    build(pairs, TaskItem(texts=texts))
    judge(pairs, ana, {"prefer": "A"})
    for rated, overall in ((texts[1], 6), (texts[2], 3)):
        build(rate, TaskItem(texts=[texts[0], rated]))
        judge(rate, abe, {"overall": overall})
    snapshot = snapshots.begin(project=project, kind="ranking", settings={}, by=ada)
    snapshots.freeze(snapshot.pk)
    snapshot.refresh_from_db()
    assert snapshot.card["rated"] == {"ratings": 2, "overall": 4.5}

"""Importing: what is stored, what is counted, and what happens when it is cut short."""

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotate.actions import import_texts as module
from annotate.actions.begin_import import begin_import, imported_path
from annotate.actions.import_texts import import_texts
from annotate.actions.store_rows import Store
from annotate.errors import AnnotateError
from annotate.models import Batch, Flag, Group, Import, Project, Refusal, Sighting, Source, Task, Text, User

SHAKESPEARE = Path(__file__).parents[2].parent / "shared/data/documents/tinyshakespeare.txt"

Begin = Callable[..., Import]


@pytest.fixture
def source(project: Project, ada: User) -> Source:
    return Source.objects.create(project=project, name="shelf", kind="upload", licence="CC0-1.0", added_by=ada)


@pytest.fixture
def begin(source: Source, ada: User, tmp_path: Path) -> Begin:
    """Begins an import of these rows or bytes."""

    def begin(
        *rows: object,
        data: bytes | None = None,
        what: str = "documents",
        label: str = "file.jsonl",
        source: Source = source,
        **options: Any,
    ) -> Import:
        path = tmp_path / "upload"
        path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows) if data is None else data)
        return begin_import(source=source, what=what, format="", options=options, file_path=path, label=label, by=ada)

    return begin


def run(row: Import) -> list[Batch]:
    with imported_path(row.file).open("rb") as stream:
        return list(import_texts(import_row=row, stream=stream))


@pytest.fixture
def take(begin: Begin) -> Begin:
    """Imports these rows or bytes to the end."""

    def take(*rows: object, **how: Any) -> Import:
        row = begin(*rows, **how)
        run(row)
        return row

    return take


def counts(row: Import) -> tuple[str, int, int, int]:
    row.refresh_from_db()
    return row.state, row.new, row.repeated, row.refused


# begin


def test_an_import_keeps_its_own_copy_of_the_file(begin):
    row = begin({"text": "hello"})
    assert imported_path(row.file).read_bytes() == b'{"text": "hello"}\n'
    assert (row.format, row.size_bytes, row.state) == ("jsonl", 18, "reading")


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"label": "a.pdf"}, "format"),
        ({"what": "things"}, "what"),
        ({"fields": {"group": "x"}}, "options"),
        ({"fields": {"text": 3}}, "options"),
        ({"encoding": 8}, "options"),
        ({"evil": True}, "options"),
    ],
)
def test_an_import_that_cannot_be_is_refused_before_it_begins(begin, how, code):
    with pytest.raises(AnnotateError) as refusal:
        begin({"text": "x"}, **how)
    assert refusal.value.code == code
    assert not Import.objects.exists()


# documents


def test_documents_are_stored_with_where_they_came_from(take, source):
    row = take(
        {"text": "e\u0301\r\nb", "url": "https://a.org", "licence": "MIT", "lang": "fr", "k": 1}, {"text": "two"}
    )
    assert counts(row) == ("finished", 2, 0, 0)
    first, second = Text.objects.order_by("pk")
    assert (first.body, first.kind, first.origin, first.author) == ("é\nb", "document", "import", None)
    assert (first.address, first.licence, first.language, first.meta) == ("https://a.org", "MIT", "fr", {"k": 1})
    assert (second.licence, second.source, second.batch) == ("CC0-1.0", source, Batch.objects.get())


def test_the_hash_is_of_the_stored_body(take):
    take({"text": "abc"})
    assert Text.objects.get().sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_an_exact_repeat_is_counted_and_leaves_a_sighting(take):
    row = take({"text": "same"}, {"text": "same", "url": "https://b.org"}, {"text": "e\u0301"}, {"text": "é"})
    assert counts(row) == ("finished", 2, 2, 0)
    assert Text.objects.count() == 2
    assert list(Sighting.objects.order_by("pk").values_list("text__body", "address")) == [
        ("same", "https://b.org"),
        ("é", ""),
    ]


def test_the_same_file_again_brings_nothing_new(take):
    take({"text": "one"}, {"text": "two"})
    again = take({"text": "one"}, {"text": "two"})
    assert counts(again) == ("finished", 0, 2, 0)
    assert Sighting.objects.filter(imported=again).count() == 2


def test_another_project_has_its_own_texts(take, other_project, eve):
    elsewhere = Source.objects.create(project=other_project, name="s", kind="upload", added_by=eve)
    take({"text": "one"})
    assert counts(take({"text": "one"}, source=elsewhere)) == ("finished", 1, 0, 0)


def test_removed_characters_are_counted_in_a_flag(take):
    take({"text": "a\x1b[0mb\ufeff"}, {"text": "fine"})
    [flag] = Flag.objects.all()
    assert (flag.text.body, flag.detector, flag.category) == ("a[0mb", "encoding", "removed")
    assert flag.evidence == {"removed": 2}


def test_a_page_without_main_text_is_flagged(take):
    take(data=b"<title>T</title><p>short text</p><nav>menu</nav>", label="a.html")
    assert list(Flag.objects.values_list("detector", "start", "end")) == [
        ("extraction", 0, len(Text.objects.get().body))
    ]


def test_meta_holds_what_fits_into_four_kilobytes(take):
    take({"text": "x", "a": 1, "b": "y" * 5000, "c\x00": "z\x00"})
    assert Text.objects.get().meta == {"a": 1}


def test_a_long_document_is_cut_into_parts_of_one_group(take):
    body = "\n\n".join(f"paragraph {nth} " + "word " * 200 for nth in range(500))
    row = take({"text": body, "url": "https://a.org"})
    assert counts(row) == ("finished", 1, 0, 0)
    parts = list(Text.objects.order_by("part"))
    assert "".join(part.body for part in parts) == body
    assert [(part.part, part.parts) for part in parts] == [(1, 3), (2, 3), (3, 3)]
    assert len({(part.group_id, part.address) for part in parts}) == 1


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="shared/data is not beside the project")
def test_a_book_of_1_1_megabytes_makes_six_parts(take):
    take(data=SHAKESPEARE.read_bytes(), label="tinyshakespeare.txt")
    assert Text.objects.count() == 6


# refusals


def test_bad_rows_are_named_and_the_good_ones_kept(take):
    row = take(data=b'{"text": "a"}\n{"text": \n{"text": " "}\n{"text": "\\u0000"}\n{"text": "b"}\n')
    assert counts(row) == ("finished", 2, 0, 3)
    refused = list(Refusal.objects.order_by("pk").values_list("place", "code", "start"))
    assert refused == [
        ("line 2", "json", '{"text": '),
        ("line 3", "no_text", '{"text": " "}'),
        ("line 4", "no_text", ""),
    ]


@pytest.mark.parametrize(
    ("data", "label", "code"),
    [
        (b"", "a.txt", "empty"),
        (b"", "a.jsonl", "empty"),
        (b"\x00\x01", "a.txt", "format"),
        (b"%PDF-1.4", "a.txt", "format"),
        (b"caf\xe9", "a.txt", "encoding"),
        (b'{"title": "x"}\n', "a.jsonl", "field"),
    ],
)
def test_a_file_that_cannot_be_taken_fails_with_a_sentence(take, data, label, code):
    row = take(data=data, label=label)
    assert counts(row) == ("failed", 0, 0, 1)
    assert Refusal.objects.get().code == code
    assert row.failure == Refusal.objects.get().sentence
    assert not Text.objects.exists()


def test_a_refused_encoding_can_be_set_and_the_file_read_again(take):
    assert counts(take(data=b"caf\xe9", label="a.txt", encoding="latin-1")) == ("finished", 1, 0, 0)
    assert Text.objects.get().body == "café"


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 10)


def test_an_import_pauses_with_a_question_where_too_many_rows_are_refused(small_batches, begin):
    row = begin(*[{"text": f"t{nth}" if nth else " "} for nth in range(30)])
    run(row)
    assert counts(row) == ("paused", 9, 0, 1)
    assert row.failure == "1 of the first 10 rows were refused. Go on all the same?"
    Import.objects.filter(pk=row.pk).update(state="reading", options={"go_on": True})
    row.refresh_from_db()
    run(row)
    assert counts(row) == ("finished", 29, 0, 1)


def test_the_first_ten_thousand_refusals_are_kept_and_all_are_counted(monkeypatch, take):
    monkeypatch.setattr(module, "MOST_REFUSALS_KEPT", 3)
    assert counts(take(*[{"text": " "}] * 5, {"text": "ok"})) == ("finished", 1, 0, 5)
    assert Refusal.objects.count() == 3


# batches and resuming


def test_each_batch_commits_with_its_position(small_batches, begin):
    row = begin(*[{"text": f"t{nth}"} for nth in range(25)])
    with imported_path(row.file).open("rb") as stream:
        reading = import_texts(import_row=row, stream=stream)
        batch = next(reading)
        fresh = Import.objects.get(pk=row.pk)
        assert (batch.number, batch.texts_count, fresh.new) == (1, 10, 10)
        assert fresh.position == 10 * len('{"text": "t0"}\n')
        assert [batch.number for batch in reading] == [2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_an_import_cut_short_anywhere_ends_as_an_unbroken_one(small_batches, begin, monkeypatch, seed):
    chance = random.Random(seed)
    rows = [{"text": chance.choice(["same", " ", f"text {nth}", f"text {nth // 2}"]), "group": f"g{nth % 7}"}
            for nth in range(60)]  # fmt: skip
    row = begin(*rows, go_on=True)
    left = chance.randrange(20, 90)  # database writes until the plug is pulled

    class Unplugged(Exception):
        pass

    def refuse(name):
        original = getattr(Store, name)

        def call(self, *args):
            nonlocal left
            left -= 7
            original(self, *args)
            if left < 0:
                left = 10**9
                raise Unplugged

        monkeypatch.setattr(Store, name, call)

    for name in ("documents", "dialogues", "join"):
        refuse(name)
    with pytest.raises(Unplugged):
        run(row)
    run(Import.objects.get(pk=row.pk))
    stored = {" ".join(one["text"].split()) for one in rows} - {""}
    blanks = sum(one["text"] == " " for one in rows)
    assert counts(row) == ("finished", len(stored), 60 - blanks - len(stored), blanks)
    assert set(Text.objects.values_list("body", flat=True)) == stored
    assert Sighting.objects.count() == 60 - blanks - len(stored)
    assert sum(Batch.objects.values_list("texts_count", flat=True)) == len(stored)


def test_a_file_that_changed_meanwhile_is_refused(small_batches, begin):
    row = begin(*[{"text": f"t{nth}"} for nth in range(25)])
    with imported_path(row.file).open("rb") as stream:
        next(import_texts(import_row=row, stream=stream))
    list(import_texts(import_row=row, stream=io.BytesIO(b'{"text": "other"}\n' * 40)))
    assert counts(row) == ("failed", 10, 0, 1)
    assert Refusal.objects.get().code == "changed"


def test_a_cancelled_import_stops_before_its_next_batch(small_batches, begin):
    row = begin(*[{"text": f"t{nth}"} for nth in range(25)])
    with imported_path(row.file).open("rb") as stream:
        reading = import_texts(import_row=row, stream=stream)
        next(reading)
        Import.objects.filter(pk=row.pk).update(state="cancelled")
        assert list(reading) == []
    assert counts(row) == ("cancelled", 10, 0, 0)
    assert Text.objects.count() == 10


def test_two_workers_on_one_import_double_nothing(small_batches, begin):
    row = begin(*[{"text": f"t{nth}"} for nth in range(25)])
    twin = Import.objects.get(pk=row.pk)
    with imported_path(row.file).open("rb") as one, imported_path(row.file).open("rb") as other:
        first, second = import_texts(import_row=row, stream=one), import_texts(import_row=twin, stream=other)
        next(first)
        assert list(second) == []
        list(first)
    assert counts(row) == ("finished", 25, 0, 0)
    assert Sighting.objects.count() == 0


def test_a_batch_costs_as_many_statements_with_many_rows_as_with_few(begin, django_assert_max_num_queries):
    few = begin(*[{"text": f"a{nth}", "group": f"g{nth}"} for nth in range(2)])
    many = begin(*[{"text": f"b{nth}", "group": f"h{nth}"} for nth in range(150)])
    for row in (few, many):
        with django_assert_max_num_queries(18):
            run(row)


# groups


def test_a_group_gets_its_split_from_the_seed_and_the_first_hash(take, project):
    take(*[{"text": f"text {nth}"} for nth in range(400)])
    assert all(g.split == Group.split_of(project=project, first_sha256=g.first_sha256) for g in Group.objects.all())
    # 400 draws at 0.10: between 15 and 70 with odds of 1 in 10^5 against
    assert 15 <= Group.objects.heldout().count() <= 70


def test_rows_of_one_label_share_a_group_across_imports(take):
    take({"text": "a", "group": "g"}, {"text": "b", "group": "g"})
    take({"instruction": "q", "answer": "r", "group": "g"}, what="pairs")
    assert len(set(Text.objects.values_list("group_id", flat=True))) == 1
    assert Text.objects.count() == 4


def test_the_label_of_an_exact_repeat_leads_to_the_group_of_the_first(take):
    take({"text": "a", "group": "g"}, {"text": "a", "group": "h"})
    take({"text": "b", "group": "h"})
    assert len(set(Text.objects.values_list("group_id", flat=True))) == 1


def test_an_exact_repeat_joins_two_labels_that_had_groups(take):
    take({"text": "a", "group": "g"}, {"text": "b", "group": "h"}, {"text": "a", "group": "h"})
    take({"text": "c", "group": "h"}, {"text": "d", "group": "g"})
    assert len(set(Text.objects.values_list("group_id", flat=True))) == 1


# prompts and pairs


def test_a_pair_becomes_a_prompt_with_its_answer(take):
    row = take({"instruction": "Why?", "answer": "Because."}, what="pairs")
    prompt, answer = Text.objects.order_by("pk")
    assert counts(row) == ("finished", 1, 0, 0)
    assert (prompt.kind, prompt.body, prompt.parent) == ("prompt", "Why?", None)
    assert (answer.kind, answer.body, answer.parent, answer.group) == ("answer", "Because.", prompt, prompt.group)
    assert answer.origin == "import"


def test_a_prompt_that_stands_already_takes_further_answers(take):
    take({"instruction": "Why?"}, what="prompts")
    row = take(
        {"instruction": "Why?", "answer": "One."},
        {"instruction": "Why?", "answer": "Two."},
        {"instruction": "Why?", "answer": "One."},
        what="pairs",
    )
    assert counts(row) == ("finished", 2, 1, 0)
    assert Text.objects.prompts().count() == 1
    assert list(Sighting.objects.values_list("text__body", flat=True)) == ["One."]


def test_messages_become_a_chain_of_turns(take):
    roles = ["user", "assistant", "user", "assistant"]
    said = [{"role": role, "content": text} for role, text in zip(roles, "abcd", strict=True)]
    take({"messages": said}, {"messages": [*said[:3], {"role": "assistant", "content": "e"}]}, what="pairs")
    last = Text.objects.get(body="e")
    assert [(turn.body, turn.kind) for turn in last.turns()] == [
        ("a", "prompt"),
        ("b", "answer"),
        ("c", "prompt"),
        ("e", "answer"),
    ]
    assert Text.objects.count() == 5


def test_asked_prompts_become_tasks_once(take, project):
    take({"instruction": "Why?"}, {"instruction": "How?"}, {"instruction": "Why?"}, what="prompts", ask=True)
    take({"instruction": "Why?"}, what="prompts", ask=True)
    tasks = Task.objects.filter(queue__kind="write_answer", queue__project=project)
    assert sorted(tasks.values_list("texts__body", flat=True)) == ["How?", "Why?"]


def test_a_turn_over_the_limit_is_refused(take):
    assert counts(take({"instruction": "x" * 200_001, "answer": "y"}, what="pairs")) == ("finished", 0, 0, 1)
    assert Refusal.objects.get().code == "too_long"

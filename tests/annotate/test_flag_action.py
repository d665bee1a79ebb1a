"""Flagging: what detectors find becomes flags and tasks, once; near repeats point at their representative."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F

from annotate.actions import flag_texts as module
from annotate.actions.begin_import import begin_import, imported_path
from annotate.actions.flag_texts import flag_texts
from annotate.actions.import_texts import import_texts
from annotate.actions.recluster import stand_alone, step_down
from annotate.cleaning.detectors import DETECTORS
from annotate.models import Band, Batch, Flag, Group, Hot, Import, Project, Scan, Source, Task, Text, User

Take = Callable[..., list[Batch]]
VOCABULARY = [f"word{number}" for number in range(3000)]


def prose(seed: int, size: int = 120) -> str:
    return " ".join(random.Random(seed).sample(VOCABULARY, size))


def with_words(body: str, *places: int, mark: str) -> str:
    return " ".join(f"{mark}{nth}" if nth in places else word for nth, word in enumerate(body.split()))


@pytest.fixture
def take(project: Project, ada: User, tmp_path: Path) -> Take:
    """Imports and flags these documents, or rows of another kind."""
    source = Source.objects.create(project=project, name="shelf", kind="upload", licence="MIT", added_by=ada)

    def take(*rows: object, what: str = "documents", source: Source = source) -> list[Batch]:
        path = tmp_path / uuid4().hex
        whole = [row if isinstance(row, dict) else {"text": row} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in whole))
        row = begin_import(source=source, what=what, format="jsonl", options={}, file_path=path, label="f", by=ada)
        with imported_path(row.file).open("rb") as stream:
            batches = list(import_texts(import_row=Import.objects.get(pk=row.pk), stream=stream))
        for batch in batches:
            flag_texts(batch)
        return batches

    return take


def asked() -> list[str]:
    tasks = Task.objects.filter(queue__kind="clean").exclude(state="void")
    return sorted(tasks.values_list("texts__body", flat=True))


def stars() -> dict[str, str | None]:
    return dict(Text.objects.values_list("body", "cluster__body"))


def test_findings_become_flags_and_one_task_a_document(take):
    fine, dirty = prose(1), f"{prose(2)} write to a.b@mail.org or c.d@mail.org"
    [batch] = take(fine, dirty, "too short")
    assert asked() == sorted([dirty, "too short"])
    flags = Flag.objects.filter(text__body=dirty).order_by("start")
    assert [dirty[flag.start : flag.end] for flag in flags] == ["a.b@mail.org", "c.d@mail.org"]
    assert Task.objects.get(texts__body=dirty).selection == {"detectors": ["personal"]}
    assert Batch.objects.get(pk=batch.pk).flagged_at is not None


def test_weak_findings_are_stored_and_ask_nobody(take):
    take(f"{prose(1)} a murder mystery at joe@example.com")
    assert set(Flag.objects.values_list("detector", flat=True)) == {"unsafe", "personal"}
    assert asked() == []


def test_a_project_sets_its_own_limits(project, take):
    type(project).objects.update(settings={"min_words": 3})
    take("three small words", "two words")
    assert asked() == ["two words"]


def test_each_detector_leaves_a_scan_and_runs_once(take):
    [batch] = take("short", prose(1))
    before = list(Flag.objects.values_list("pk", flat=True))
    assert flag_texts(batch) == 0
    assert set(batch.scans.values_list("detector", flat=True)) == {
        "length", "repetition", "markup", "personal", "unsafe", "near_duplicate"
    }  # fmt: skip
    assert list(Flag.objects.values_list("pk", flat=True)) == before
    assert len(asked()) == 1


def test_a_detector_that_raises_fails_its_scan_and_the_others_go_on(monkeypatch, take):
    def broken(texts, limits):
        raise ValueError("no such thing")

    monkeypatch.setattr(module, "DETECTORS", (replace(DETECTORS[1], detect=broken), DETECTORS[0]))
    take("short")
    assert Scan.objects.get(detector="repetition").failure == "ValueError: no such thing"
    assert asked() == ["short"]


def test_a_crash_leaves_no_scan_without_its_flags(monkeypatch, take):
    def crash(*args, **how):
        raise RuntimeError

    monkeypatch.setattr(module, "ask_about", crash)
    with pytest.raises(RuntimeError):
        take("short")
    assert (Scan.objects.count(), Flag.objects.count(), Band.objects.count()) == (0, 0, 0)
    monkeypatch.undo()
    assert flag_texts(Batch.objects.get()) == 1


def test_a_near_copy_is_flagged_in_whatever_import_it_comes(take):
    base = prose(1)
    copy = with_words(base, 60, mark="x")
    take(base, prose(2))
    take(copy)
    flag = Flag.objects.get(detector="near_duplicate")
    representative = Text.objects.get(body=base)
    # one word of 120 changed: 111 of 116 5-grams shared, 121 in all
    assert flag.score == pytest.approx(111 / 121)
    assert (flag.start, flag.end, flag.text.body) == (0, len(copy), copy)
    assert flag.evidence["representative"] == representative.pk
    assert flag.evidence["lost"] == 1
    assert flag.text.cluster == representative
    assert flag.text.group == representative.group
    assert asked() == [copy]


def test_only_representatives_are_in_the_index(take):
    base = prose(1)
    take(base, with_words(base, 60, mark="x"))
    assert Band.objects.count() == 20
    assert set(Band.objects.values_list("text__body", flat=True)) == {base}


def test_near_prompts_share_a_group_but_get_no_flag_and_meet_no_document(take):
    take("what is the use of the function called dedent in module textwrap today")
    take(
        {"instruction": "what is the use of the function called dedent in module textwrap today"},
        {"instruction": "what is the use of the function called dedent in module textwrap now"},
        what="prompts",
    )
    one, other = Text.objects.prompts().order_by("pk")
    assert one.group == other.group != Text.objects.documents().get().group
    assert other.cluster == one
    assert not Flag.objects.filter(detector="near_duplicate").exists()
    assert not Flag.objects.filter(text__kind="prompt").exists()


def test_texts_of_two_projects_are_never_compared(take, other_project, eve):
    elsewhere = Source.objects.create(project=other_project, name="s", kind="upload", added_by=eve)
    take(prose(1))
    take(with_words(prose(1), 60, mark="x"), source=elsewhere)
    assert not Flag.objects.filter(detector="near_duplicate").exists()


def test_what_a_full_key_does_not_take_is_counted(monkeypatch, take):
    monkeypatch.setattr("annotate.cleaning.duplicates.MOST_PER_KEY", 1)
    base = prose(1, 300)
    far = with_words(
        base, *range(0, 300, 11), mark="x"
    )  # J near 0.37: some bands are shared, few or none verified near
    take(base, far, with_words(base, *range(5, 300, 11), mark="y"))
    take(with_words(base, *range(7, 300, 11), mark="z"))
    assert Band.objects.count() + sum(Hot.objects.values_list("count", flat=True)) == 80


@pytest.fixture
def chain(take: Take) -> list[str]:
    """A near B near C, and A not near C: B is A's member, C represents itself."""
    first = prose(1)
    second = with_words(first, 10, 40, 70, 100, mark="x")
    third = with_words(second, 25, 55, 85, 115, mark="y")
    take(first, second, third)
    return [first, second, third]


def test_a_chain_is_no_cluster(chain):
    first, second, third = chain
    assert stars() == {first: None, second: first, third: None}


def test_a_kept_member_is_found_by_later_copies_and_finds_what_was_near_it(chain, take):
    _, second, third = chain
    assert stand_alone(Text.objects.get(body=second)) == 1
    flag = Flag.objects.get(detector="near_duplicate", text__body=third)
    assert flag.evidence["representative"] == Text.objects.get(body=second).pk
    assert asked() == sorted([second, third])
    later = with_words(second, 60, mark="z")
    take(later)
    assert stars()[later] == second


def test_a_text_that_represents_itself_may_be_kept(chain):
    assert stand_alone(Text.objects.get(body=chain[0])) == 0
    assert Band.objects.count() == 40


def test_the_nearest_member_takes_over_from_a_rejected_representative(take):
    base = prose(1)
    near = with_words(base, 60, mark="x")
    further = with_words(near, 20, mark="y")
    take(base, further, near)
    assert step_down(Text.objects.get(body=base)) == 2
    assert stars() == {base: None, near: None, further: near}
    flag = Flag.objects.live().get(detector="near_duplicate")
    assert (flag.text.body, flag.evidence["representative"]) == (further, Text.objects.get(body=near).pk)
    assert asked() == [further]
    assert set(Band.objects.values_list("text__body", flat=True)) == {near}
    later = with_words(near, 90, mark="z")
    take(later)
    assert stars()[later] == near


def test_a_member_that_was_decided_does_not_take_over(take):
    base = prose(1)
    take(base, with_words(base, 60, mark="x"))
    Task.objects.update(state="complete")
    assert step_down(Text.objects.get(body=base)) == 0
    assert Band.objects.count() == 0


def test_groups_of_a_cluster_lie_on_one_side(take):
    bases = [prose(seed) for seed in range(30)]
    take(*bases)
    take(*[with_words(base, 60, mark="x") for base in bases])
    members = Text.objects.exclude(cluster=None)
    assert members.count() == 30
    assert not members.exclude(group=F("cluster__group")).exists()
    assert Group.objects.filter(joined_into=None).count() == 30


def test_both_databases_find_the_same(database, take):
    bases = [prose(seed, 80) for seed in range(12)]
    take(*[document for base in bases for document in (base, with_words(base, 40, mark="x"))], "short", "a.b@mail.org")
    take(*[with_words(base, 20, 60, mark="y") for base in bases])
    found = Flag.objects.order_by("text__pk", "detector").values_list("text__body", "detector", "score")
    near = [(body, score) for body, detector, score in found if detector == "near_duplicate"]
    # of 76 runs of five words one word changes five, two change ten
    assert [round(score, 6) for _, score in near] == [round(71 / 81, 6)] * 12 + [round(66 / 86, 6)] * 12
    assert [(body, detector) for body, detector, _ in found if detector != "near_duplicate"] == [
        ("short", "length"),
        ("a.b@mail.org", "length"),
        ("a.b@mail.org", "personal"),
    ]
    assert stand_alone(Text.objects.get(body=near[0][0])) == 0  # its siblings are in no index
    assert step_down(Text.objects.get(body=bases[1])) == 2


def test_twins_that_arrive_at_once_are_one_flag(database, take):
    base = prose(1)
    barrier = Barrier(2)

    def arrive(body: str) -> None:
        barrier.wait(10)
        try:
            take(body)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(arrive, (base, with_words(base, 60, mark="x"))))
    assert Flag.objects.filter(detector="near_duplicate").count() == 1
    assert Band.objects.count() == 20

"""Reading, sifting, order, micro-batches, objectives, batches."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.runs import Row, corpus_rows, lay_out, sft_rows
from trainer import data, objectives
from trainer.contract import configs
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run
from trainer.objectives import Document

LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=40)
USER = {"role": "user", "content": "Which?"}


def config_of(stage: str, **changed: Any) -> Any:
    needed = {"base_sha256": "a" * 64, "reward_adapter": "reward", "adapters": [""]}
    known = {item.name for item in configs.fields_for_form(stage)}
    given_ = {name: value for name, value in needed.items() if name in known}
    return configs.parse({"stage": stage, "seed": 1, **given_, **changed})


def report(path):
    return json.loads((path / "data_report.json").read_text())


def read_dialogues(tmp_path, rows, words, *, context=128, **changed):
    config = config_of("sft", min_rows=1, **changed)
    return data.dialogues(Run(lay_out(tmp_path / "run", {}, sft=rows)), config, words, context=context)


def ranking(number: int, **changed: Any) -> Row:
    answers = [{"id": f"a{n}", "text": text} for n, text in enumerate(["A cat.", "A dog.", "Rain."])]
    row = {
        "id": f"k{number}",
        "prompt_id": f"p{number // 2}",
        "split": "heldout" if number // 2 == 0 else "train",
        "messages": [USER],
        "answers": answers,
        "groups": [[0], [1, 2]],
        "unplaced": [],
        "acceptable_groups": None,
        "strength": None,
        "weight": 1.0,
        "source": "rank",
    }
    return {**row, **changed}


def read_rankings(tmp_path, rows, words, *, context=128, **changed):
    config = config_of("reward", **{"min_rows": 1, **changed})
    return data.rankings(Run(lay_out(tmp_path / "run", {}, ranking=rows)), config, words, context=context)


# --- D1


@pytest.mark.parametrize(
    ("reason", "changed"),
    [
        ("empty", {"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "x"}]}),
        ("no_answer", {"messages": [USER, {"role": "assistant", "content": "\n"}]}),
        ("no_answer", {"messages": [USER]}),
        ("unknown_roles", {"messages": [{"role": "tool", "content": "x"}, {"role": "assistant", "content": "x"}]}),
        ("overlong", {"messages": [USER, {"role": "assistant", "content": "cat " * 200}]}),
        ("zero_weight", {"weight": 0}),
        ("repeated", {"messages": sft_rows(12)[1]["messages"]}),
    ],
)
def test_d1_a_dialogue_that_cannot_serve_is_counted_by_reason(tmp_path, words, reason, changed):
    rows = sft_rows(12)
    rows[11] |= changed
    parts = read_dialogues(tmp_path, rows, words)
    assert report(tmp_path / "run")["dropped"] == {reason: {"count": 1, "ids": ["r11"]}}
    assert "r11" not in [example.id for example in parts.train]


@pytest.mark.parametrize(
    ("reason", "changed"),
    [
        ("contradictory", {"groups": [[0], [0, 1]], "unplaced": [2]}),
        ("contradictory", {"groups": [[0], [1]]}),
        ("one_sided", {"answers": [{"id": "a", "text": "x"}], "groups": [[0]]}),
        ("one_sided", {"answers": [{"id": n, "text": "x"} for n in "abc"]}),
        ("no_answer", {"answers": [{"id": n, "text": n.strip()} for n in ["a", "b", " "]]}),
        ("no_question", {"messages": [USER, {"role": "assistant", "content": "x"}]}),
        ("repeated", {"id": "k2"}),
        ("overlong", {"answers": [{"id": n, "text": n * 300} for n in "abc"]}),
    ],
)
def test_d1_a_ranking_that_cannot_serve_is_counted_by_reason(tmp_path, words, reason, changed):
    read_rankings(tmp_path, [*(ranking(n) for n in range(5)), ranking(5, **changed)], words)
    assert {name: found["count"] for name, found in report(tmp_path / "run")["dropped"].items()} == {reason: 1}


def test_d1_too_few_rows_are_refused_with_the_reasons(tmp_path, words):
    with pytest.raises(TrainerError, match=r"^too_few_rows: 4 usable training rows; at least 8 .* Dropped: none"):
        read_rankings(tmp_path, [ranking(n) for n in range(6)], words, min_rows=8)


def test_c7_no_held_out_row_is_refused(tmp_path, words):
    with pytest.raises(TrainerError, match=r"^no_heldout"):
        read_rankings(tmp_path, [ranking(n) for n in range(2, 6)], words)


def test_c7_a_prompt_in_both_splits_is_refused(tmp_path, words):
    with pytest.raises(TrainerError, match=r"^heldout_in_train: p0 "):
        read_rankings(tmp_path, [ranking(0), ranking(1, split="train")], words)


def with_long_prompt() -> list[Row]:
    long = [{"role": "user", "content": "cat " * 100 + "dog?"}, {"role": "assistant", "content": "Rain."}]
    return [sft_rows(1)[0], sft_rows(2)[1] | {"messages": long}]


def test_d1_a_long_prompt_is_cut_from_the_left_if_asked(tmp_path, words):
    rows = with_long_prompt()
    example = read_dialogues(tmp_path, rows, words, context=40, overlong="cut_left").train[0]
    whole = words.render(rows[1]["messages"], open=False)
    assert example.ids == [whole.ids[0], *whole.ids[-39:]]
    assert example.mask == [False, *whole.mask[-39:]]


def test_d1_an_answer_is_never_cut(tmp_path, words):
    long = {"messages": [USER, {"role": "assistant", "content": "cat " * 60}]}
    with pytest.raises(TrainerError, match=r"^too_few_rows: .* Dropped: 1 overlong"):
        read_dialogues(tmp_path, [sft_rows(1)[0], sft_rows(2)[1] | long], words, context=40, overlong="cut_left")


def test_r4_rankings_of_a_prompt_share_its_answers_by_id(tmp_path, words):
    other = ranking(3, answers=[{"id": "a2", "text": "Rain."}, {"id": "a9", "text": "Snow."}], groups=[[0], [1]])
    parts = read_rankings(tmp_path, [ranking(0), ranking(2), other], words)
    element = parts.train[0]
    assert element.answer_ids == ["a0", "a1", "a2", "a9"]
    assert [one.groups for one in element.rankings] == [[[0], [1, 2]], [[2], [3]]]


def test_r1_an_answer_of_a_ranking_ends_with_its_end_token(tmp_path, words):
    parts = read_rankings(tmp_path, [ranking(0), ranking(2)], words)
    assert [answer[-1] for answer in parts.train[0].answers] == [2, 2, 2]


def test_d1_a_prompt_that_leaves_no_room_for_its_answer_is_dropped(tmp_path, words):
    rows = [{"id": f"q{n}", "split": "train", "messages": [{"role": "user", "content": "cat " * n}]} for n in (3, 90)]
    config = config_of("generate", max_new_tokens=60)
    found = data.prompts(Run(lay_out(tmp_path / "run", {}, prompts=rows)), config, words, context=128)
    assert [prompt.id for prompt in found] == ["q3"]
    assert found[0].ids == words.render(rows[0]["messages"], open=True).ids


# --- D3, G3


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(1, 9))
def test_d3_an_epoch_uses_each_row_once(lengths, batch):
    steps = data.steps_of(lengths, epoch=0, seed=1, batch=batch)
    assert sorted(row for step in steps for row in step) == list(range(len(lengths)))


def test_d3_steps_take_consecutive_rows_and_the_last_smaller_one_is_used():
    steps = data.steps_of([5] * 10, epoch=0, seed=1, batch=4)
    assert [len(step) for step in steps] == [4, 4, 2]


def test_d3_steps_by_tokens_end_where_the_batch_is_reached():
    # rows of 5 tokens: 3 rows are the first to reach 12
    assert [len(step) for step in data.steps_of([5] * 7, epoch=0, seed=1, batch=12, by="tokens")] == [3, 3, 1]


def test_d3_each_epoch_has_its_own_order_which_the_seed_fixes():
    orders = [data.steps_of([5] * 20, epoch=epoch, seed=1, batch=20)[0] for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_d3_a_run_is_as_long_as_its_limit_allows():
    steps = data.steps_of_run([5] * 10, epochs=100, limit=7, seed=1, batch=4)
    assert [epoch for epoch, _ in steps] == [0, 0, 0, 1, 1, 1, 2]


# --- O1, O2, O4


def test_o1_a_long_document_is_cut_and_no_token_is_lost():
    pieces = objectives.next_token(Document("d", "x", list(range(100, 120))), context=8)
    assert [token for piece in pieces for token in piece.ids] == [1, *range(100, 120), 2]
    assert [len(piece.ids) for piece in pieces] == [8, 8, 6]
    assert all(piece.mask == [False] + [True] * (len(piece.ids) - 1) for piece in pieces)


def gap(text, words, seed):
    example = objectives.fill_in_the_middle(Document("d", text, []), words, context=512, seed=seed)
    assert example is not None
    return example


@settings(max_examples=200, deadline=None)
@given(text=st.text(min_size=1, max_size=30), seed=st.integers(0, 2**32))
def test_o2_a_gap_is_the_text_between_two_characters(words, text, seed):
    example = gap(text, words, seed)
    ids = example.ids
    first, second, third = sorted(ids.index(mark) for mark in (6, 7, 8))
    parts = {ids[first]: ids[first:second], ids[second]: ids[second:third], ids[third]: ids[third:-1]}
    assert "".join(words.decode(parts[mark]) for mark in (6, 8, 7)) == text
    assert ids[third] == 8
    assert example.mask == [False] + [True] * (len(ids) - 1)


def test_o2_half_of_the_gaps_have_their_suffix_first(words):
    first = [gap("the cat saw a dog", words, seed).ids[0] for seed in range(400)]
    assert set(first) == {6, 7}
    assert first.count(6) == pytest.approx(200, abs=40)  # four standard deviations of 10


def test_o2_a_gap_longer_than_the_context_is_none(words):
    assert objectives.fill_in_the_middle(Document("d", "cat " * 30, []), words, context=20, seed=1) is None


def test_o4_the_objective_is_a_function_of_row_and_epoch():
    documents = [Document(str(n), "x", []) for n in range(1_000)]
    chosen = [
        [objectives.objective_of(one, fim_share=0.25, seed=1, epoch=epoch) for one in documents] for epoch in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert sum(chosen[0]) == pytest.approx(250, abs=55)  # four standard deviations of 13.7


def test_a_documents_own_ids_are_encoded_once(tmp_path, words):
    parts = data.documents(Run(lay_out(tmp_path / "run", {}, corpus=corpus_rows(20))), config_of("pretrain"))
    encoded = objectives.encode(parts.train, words)
    assert [words.decode(one.ids) for one in encoded] == [text for _, text in parts.train]

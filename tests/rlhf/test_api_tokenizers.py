"""A text as tokens at the API: what comes back, who may ask, and what is refused."""

from __future__ import annotations

import json

import pytest

from rlhf import storage, tokenizing
from tests.api import Caller, program
from tests.rlhf.conftest import make_model
from tests.rlhf.vocabularies import written

pytestmark = pytest.mark.django_db
TEXT = "The other tokens\nstayed 🙂"


@pytest.fixture(autouse=True)
def nothing_kept():
    tokenizing._load.cache_clear()


@pytest.fixture
def base(project, tmp_path):
    return make_model(project, tmp_path, tokenizer=written("byte_level"))


def encode(user, model, text=TEXT, *, expect=200):
    return Caller(user).post(f"tokenizers/{model.uuid}/encode", {"text": text}, expect=expect)


def test_the_tokens_carry_the_bytes_of_the_text(rex, base):
    found = encode(rex, base)
    assert b"".join(bytes.fromhex(one["bytes"]) for one in found["tokens"]) == f" {TEXT}".encode()  # a prefix space


def test_a_token_names_the_characters_it_comes_from(rex, base):
    *_, last = encode(rex, base)["tokens"]
    assert TEXT[last["start"] : last["end"]] == "🙂"


def test_the_steps_begin_with_bytes_and_leave_the_tokens(rex, base):
    found = encode(rex, base)
    assert all(len(data) == 2 for _, data in found["first"])
    assert len(found["first"]) - len(found["steps"]) == len(found["tokens"])


def test_the_counts_are_those_of_the_text(rex, base):
    counts = encode(rex, base, "é one two")["counts"]
    assert (counts["characters"], counts["bytes"], counts["words"]) == (9, 10, 3)


def test_an_empty_text_has_no_tokens(rex, base):
    found = encode(rex, base, "")
    assert (found["tokens"], found["first"], found["steps"]) == ([], [], [])


def test_the_name_of_a_special_token_is_text(rex, base):
    assert len(encode(rex, base, "<s>")["tokens"]) > 1


def test_a_tokenizer_without_merges_says_so(rex, project, tmp_path):
    found = encode(rex, make_model(project, tmp_path, tokenizer=written("unigram")))
    assert (found["why"], found["steps"]) == ("other_model", [])
    assert "without merges" in found["reason"]


def test_two_thousand_characters_are_read(rex, base):
    assert encode(rex, base, "é" * 2_000)["counts"]["characters"] == 2_000


def test_more_than_two_thousand_characters_are_refused(rex, base):
    refusal = encode(rex, base, "a" * 2_001, expect=413)
    assert (refusal["code"], "2,001" in refusal["detail"]) == ("too_long", True)


def test_a_large_body_is_refused_unread(rex, base):
    assert encode(rex, base, "a" * 100_001, expect=413)["code"] == "too_large"


def test_an_adapter_reads_with_its_bases_tokenizer(rex, project, base, tmp_path):
    adapter = make_model(project, tmp_path, kind="sft", base=base)
    assert encode(rex, adapter)["tokens"] == encode(rex, base)["tokens"]


def test_a_model_without_a_tokenizer_json_is_refused(rex, project, tmp_path):
    assert encode(rex, make_model(project, tmp_path), expect=409)["code"] == "no_tokenizer"


def test_a_tokenizer_json_that_is_none_is_refused(rex, project, tmp_path):
    assert encode(rex, make_model(project, tmp_path, tokenizer='{"model": 1}'), expect=409)["code"] == "bad_tokenizer"


def test_a_tokenizer_json_beyond_twenty_megabytes_is_refused(rex, base):
    for file in base.files:
        file["bytes"] = 20_000_001
    base.save(update_fields=["files"])
    assert encode(rex, base, expect=409)["code"] == "tokenizer_too_large"


def test_a_tokenizer_whose_file_is_gone_is_refused(rex, base):
    storage.fetch(next(one["sha256"] for one in base.files if one["path"] == "tokenizer.json")).unlink()
    assert encode(rex, base, expect=409)["code"] == "tokenizer_missing"


def test_one_file_is_read_once(rex, base, project, tmp_path):
    other = make_model(project, tmp_path, content='{"other": 1}', tokenizer=written("byte_level"))
    assert tokenizing.loaded(base) is tokenizing.loaded(other)


def test_padding_and_cutting_of_the_file_are_switched_off(rex, project, tmp_path):
    description = json.loads(written("byte_level"))
    description["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    model = make_model(project, tmp_path, tokenizer=json.dumps(description))
    assert len(encode(rex, model)["tokens"]) > 2


def test_an_assessor_may_ask_the_newest_base(ana, base):
    assert encode(ana, base)["tokens"]


def test_an_assessor_may_ask_no_other_model(ana, project, base, tmp_path):
    older, _ = base, make_model(project, tmp_path, tokenizer=written("byte_level"))
    assert encode(ana, older, expect=403)["code"] == "not_allowed"


def test_a_stranger_finds_no_model(eve, base, other_project):
    encode(eve, base, expect=404)


def test_asking_takes_the_scope_read_alone(rex, base):
    assert program(rex, "read").post(f"tokenizers/{base.uuid}/encode", {"text": "a"})["tokens"]

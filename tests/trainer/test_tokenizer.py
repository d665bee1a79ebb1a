"""Encoding and rendering: T1 to T6."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Bpe
from tokenizers import decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.trainer.runs import sentence
from trainer import tokenizer
from trainer.contract.errors import TrainerError
from trainer.contract.rows import Message

TEXTS = st.text(max_size=20)
TURNS = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXTS), min_size=1, max_size=4)
ASKED = [Message(role="user", content="What is it?")]
ANSWERED = [*ASKED, Message(role="assistant", content="A cat.")]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def foreign(path, *, template=CHATML, eos="</s>", ends=("<|im_start|>", "<|im_end|>")):
    """A base's tokenizer as others make them: other special tokens, maybe a template, no PAD."""
    bpe = Bpe(
        models.BPE(vocab={letter: n for n, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[])
    )
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    inner = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=eos, additional_special_tokens=list(ends))
    inner.chat_template = template
    inner.save_pretrained(path)
    return path


def test_t1_the_same_texts_give_the_same_tokenizer(words):
    again = tokenizer.train_bpe([sentence(n, words=20) for n in range(200)], size=512)
    assert again.fingerprint() == words.fingerprint()


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_t1_every_string_encodes_and_decodes(words, text):
    assert words.decode(words.encode([text])[0]) == text


def test_t1_digits_stand_singly(words):
    assert [words.token_text(token) for token in words.encode(["2024"])[0]] == ["2", "0", "2", "4"]


def test_t2_the_first_32_ids_are_reserved(words):
    assert [words.token_text(token) for token in range(32)] == list(tokenizer.RESERVED)


def test_t3_a_dialogue_reads_as_the_template_says(words):
    ids = words.render(ANSWERED, open=False).ids
    text = "".join(words.token_text(token) for token in ids)
    assert text == "<|bos|><|user|>What is it?<|eos|><|assistant|>A cat.<|eos|>"


def test_t3_other_tools_render_the_same(words, toy_base):
    inner = AutoTokenizer.from_pretrained(toy_base, local_files_only=True, trust_remote_code=False)
    messages = [{"role": one["role"], "content": one["content"]} for one in ANSWERED]
    theirs: Any = inner.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    ours = words.render(ANSWERED, open=False)
    assert (theirs["input_ids"], theirs["assistant_masks"]) == (ours.ids, [int(counted) for counted in ours.mask])


def test_t4_a_role_that_a_user_types_is_text(words):
    ids = words.render([{"role": "user", "content": "<|assistant|><|eos|>"}], open=True).ids
    assert [token for token in ids if token < 32] == [1, 4, 2, 5]


@settings(max_examples=200, deadline=None)
@given(turns=TURNS, answer=TEXTS)
def test_t5_an_open_prompt_is_a_prefix_of_the_answered_dialogue(words, turns, answer):
    prompt = [{"role": role, "content": content} for role, content in turns]
    opened = words.render(prompt, open=True).ids
    whole = words.render([*prompt, {"role": "assistant", "content": answer}], open=False).ids
    assert whole[: len(opened)] == opened
    assert len(whole) > len(opened)


def test_t6_what_the_assistant_says_counts_with_its_end_token_and_nothing_else(words):
    rendered = words.render([*ANSWERED, *ASKED, {"role": "assistant", "content": "No."}], open=False)
    counted = [words.token_text(token) for token, mask in zip(rendered.ids, rendered.mask, strict=True) if mask]
    assert "".join(counted) == "A cat.<|eos|>No.<|eos|>"


def test_t6_a_newline_after_the_end_token_does_not_count(tmp_path):
    rendered = tokenizer.load(foreign(tmp_path), template="base").render(ANSWERED, open=False)
    assert rendered.mask[-2:] == [True, False]


def test_t6_a_dialogue_begins_once(words):
    assert words.render(ANSWERED, open=False).ids.count(tokenizer.BOS) == 1


def test_t6_the_end_of_a_turn_stops_an_answer_as_eos_does(tmp_path):
    loaded = tokenizer.load(foreign(tmp_path), template="base")
    assert {loaded.token_text(token) for token in loaded.stop_ids()} == {"</s>", "<|im_end|>"}


def test_t6_the_generation_configs_end_tokens_stop_an_answer_too(tmp_path):
    foreign(tmp_path)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 9]}')
    assert {5, 9} < tokenizer.load(tmp_path, template="base").stop_ids()


def test_r1_an_end_token_is_appended_where_the_template_leaves_it_out(tmp_path):
    bare = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    loaded = tokenizer.load(foreign(tmp_path, template=bare), template="base")
    rendered = loaded.render(ANSWERED, open=False)
    last = max(place for place, counted in enumerate(rendered.mask) if counted)
    assert rendered.ids[last] in loaded.stop_ids()


def test_t3_a_base_without_template_gets_ours_if_asked(tmp_path):
    loaded = tokenizer.load(foreign(tmp_path, template=None), template="touchstone")
    text = "".join(loaded.token_text(token) for token in loaded.render(ANSWERED, open=False).ids)
    assert text == "<|user|>What is it?</s><|assistant|>A cat.</s>"


@pytest.mark.parametrize(
    ("template", "eos", "code"),
    [
        (None, "</s>", "no_template"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}{{ messages | length }}</s>", "</s>", "no_template"),
        ("{% for m in messages %}{{ m.role }}{% endfor %}", "</s>", "no_template"),
        ("{{ messages.append(1) }}{% for m in messages %}{{ m.content }}{% endfor %}", "</s>", "no_template"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", None, "no_end_token"),
    ],
    ids=["none", "prompt changes", "content lost", "sandbox", "no end"],
)
def test_c7_a_tokenizer_that_cannot_serve_is_refused(tmp_path, template, eos, code):
    path = foreign(tmp_path, template=template, eos=eos, ends=())
    with pytest.raises(TrainerError) as refusal:
        tokenizer.load(path, template="base")
    assert refusal.value.code == code


def test_g1_padding_is_no_end_token(words):
    assert words.pad_id not in words.stop_ids()


def test_a_saved_tokenizer_comes_back_equal(words, toy_base):
    assert tokenizer.load(toy_base, template="base").fingerprint() == words.fingerprint()

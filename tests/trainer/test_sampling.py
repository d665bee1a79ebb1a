"""Sampling: every row's own randomness, the cache against full recomputation, stops, log-probabilities."""

import dataclasses
import itertools
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from trainer import adapters, base, decoding, sampling
from trainer.contract.errors import Stopped, TrainerError
from trainer.sampling import Settings

STOPS = frozenset({2, 3, 4, 5})  # of 64 nearly equal tokens: an answer ends after some 16
PROMPTS = [torch.tensor([1, *range(40, 40 + n)]) for n in (3, 9, 5, 1, 7, 12, 2)]
SEEDS = [100 + row for row in range(len(PROMPTS))]
SETTINGS = Settings(max_new_tokens=24, temperature=1.0, stop_ids=STOPS)


@pytest.fixture(scope="module")
def model():
    model = base.make("toy", vocab=64, seed=1)
    adapters.attach(model, "sft", rank=4, alpha=8.0, seed=5)
    draw = torch.Generator().manual_seed(1)
    for parameter in adapters.parameters(model, "sft"):
        parameter.data.add_(torch.randn(parameter.shape, generator=draw), alpha=0.05)
    return model


def sample(model, rows, settings=SETTINGS, *, decode_rows=64, stop=lambda: None):
    prompts, seeds = [PROMPTS[row] for row in rows], [SEEDS[row] for row in rows]
    return sampling.sample(
        model, prompts, role="sft", settings=settings, seeds=seeds, decode_rows=decode_rows, stop=stop
    )


def tokens(rollout):
    return [answer.tolist() for answer in rollout.answers()]


@pytest.fixture(scope="module")
def rollout(model):
    return sample(model, range(7))


def test_a2_a_row_gets_the_same_tokens_alone(model, rollout):
    assert [tokens(sample(model, [row]))[0] for row in range(7)] == tokens(rollout)


@pytest.mark.parametrize("decode_rows", [2, 3])
def test_a2_a_row_gets_the_same_tokens_in_any_batch(model, rollout, decode_rows):
    assert tokens(sample(model, range(7), decode_rows=decode_rows)) == tokens(rollout)


def test_a2_a_row_gets_the_same_tokens_in_any_order(model, rollout):
    assert tokens(sample(model, range(6, -1, -1))) == tokens(rollout)[::-1]


def test_a2_another_seed_gives_other_tokens(model, rollout):
    again = sampling.sample(
        model, PROMPTS, role="sft", settings=SETTINGS, seeds=[7] * 7, decode_rows=64, stop=lambda: None
    )
    assert tokens(again) != tokens(rollout)


def against_the_training_forward(model, prompts, rollout, *, role):
    with adapters.using(model, role), torch.no_grad():
        logprob, _ = sampling.answer_logprobs(model, prompts, rollout.answers(), temperature=1.0, chunk=16)
    torch.testing.assert_close(rollout.logprob[rollout.mask], logprob, rtol=0, atol=1e-5)


@pytest.mark.parametrize("decode_rows", [7, 3, 1])
def test_a7_cached_decoding_equals_the_training_forward(model, decode_rows):
    # 70 tokens: rows join and leave, and the cache moves more than once
    settings = dataclasses.replace(SETTINGS, max_new_tokens=70)
    found = sample(model, range(7), settings, decode_rows=decode_rows)
    against_the_training_forward(model, PROMPTS, found, role="sft")


GROUPED: dict[str, Any] = {  # Any: what configs take
    "num_key_value_heads": 2,
    "num_attention_heads": 4,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "vocab_size": 64,
}
FOREIGN = {
    "grouped heads": lambda: Qwen2ForCausalLM(Qwen2Config(**GROUPED)),
    "a sliding window": lambda: MistralForCausalLM(MistralConfig(**GROUPED, sliding_window=6)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a7_foreign_bases_decode_as_they_compute(kind):
    torch.manual_seed(3)
    foreign = FOREIGN[kind]().eval()
    found = sampling.sample(
        foreign, PROMPTS, role=None, settings=SETTINGS, seeds=SEEDS, decode_rows=3, stop=lambda: None
    )
    for prompt, answer, row, mask in zip(PROMPTS, found.answers(), found.logprob, found.mask, strict=True):
        with torch.no_grad():
            logits = foreign(torch.cat([prompt, answer])[None]).logits[0, len(prompt) - 1 : -1]
        wanted = logits.log_softmax(1).gather(1, answer[:, None])[:, 0]
        torch.testing.assert_close(row[mask], wanted, rtol=0, atol=1e-5)


def test_a_base_that_lets_no_attention_in_is_refused():
    bloom = BloomForCausalLM(BloomConfig(hidden_size=32, n_layer=1, n_head=2, vocab_size=64))
    with pytest.raises(TrainerError) as refusal:
        sampling.sample(bloom, PROMPTS, role=None, settings=SETTINGS, seeds=SEEDS, decode_rows=3, stop=lambda: None)
    assert refusal.value.code == "bad_config"


def test_the_models_own_attention_is_back_after_sampling(model):
    before = model.config._attn_implementation
    sample(model, range(2))
    assert model.config._attn_implementation == before


@pytest.fixture
def passes(model):
    """The shapes of the ids that pass the model, one a pass."""
    shapes = []
    hook = model.get_input_embeddings().register_forward_pre_hook(lambda _, ids: shapes.append(tuple(ids[0].shape)))
    yield shapes
    hook.remove()


ENDLESS = dataclasses.replace(SETTINGS, stop_ids=frozenset(), max_new_tokens=40)


def test_a3_the_cache_stays_in_place_until_its_span_is_full(model, monkeypatch):
    places, inner = [], decoding.Cache.write

    def write(self, layer, *given):
        whole = inner(self, layer, *given)
        if layer == 1:
            places.append(whole[0].data_ptr())
        return whole

    monkeypatch.setattr(decoding.Cache, "write", write)
    sample(model, [5], ENDLESS)  # 13 tokens, then 39 steps: full at 32
    assert len(places) == 40
    assert [before != after for before, after in itertools.pairwise(places)].count(True) == 1


def test_a4_a_prompt_of_several_answers_passes_once(model, passes):
    sample(model, [1, 4, 1, 1, 4, 1], ENDLESS)
    assert passes[0] == (1, 10 + 8)  # prompts of 10 and 8 tokens
    assert set(passes[1:]) == {(6, 1)}


def test_a4_answers_of_one_prompt_are_those_that_it_gets_alone(model, rollout):
    prompts = [PROMPTS[row] for row in (1, 4, 1, 1)]
    several = sampling.sample(
        model, prompts, role="sft", settings=SETTINGS, seeds=[101, 104, 7, 8], decode_rows=4, stop=lambda: None
    )
    assert tokens(several)[:2] == [tokens(rollout)[1], tokens(rollout)[4]]
    assert len({tuple(tokens(several)[n]) for n in (0, 2, 3)}) == 3


def test_a4_only_the_last_position_reaches_the_head(model, monkeypatch):
    drawn = Mock(wraps=sampling.draw)
    monkeypatch.setattr(sampling, "draw", drawn)
    sample(model, range(7))
    assert drawn.call_args_list[0].args[0].shape == (7, 64)


def test_a4_a_long_prefill_is_cut_into_passes(model, passes, monkeypatch, rollout):
    monkeypatch.setattr(decoding, "PREFILL_TOKENS", 12)
    assert tokens(sample(model, range(7))) == tokens(rollout)
    # prompts of 2, 3, 4, 6, 8, 10, 13 tokens
    assert [shape[1] for shape in passes[:5]] == [9, 6, 8, 10, 13]


def test_a5_waiting_prompts_take_free_places(model, passes):
    sample(model, range(7), decode_rows=4)
    last = max(place for place, (_, length) in enumerate(passes) if length > 1)
    steps = [rows for rows, length in passes[:last] if length == 1]
    # the longest answer among the first four has 6 tokens: one batch after the other would make 5 steps before
    assert len(steps) < 5
    assert set(steps) == {4}


def test_a5_the_batch_shrinks_to_a_multiple_of_four_where_nobody_waits(model, passes):
    sample(model, range(7))
    sizes = [rows for rows, _ in passes[1:]]
    assert sorted(set(sizes), reverse=True) == [7, 4]


def test_a5_some_rows_finish_early_and_some_at_the_limit(rollout):
    assert 0 < int(rollout.finished.sum()) < 7
    assert len(set(rollout.lengths.tolist())) > 3


def test_a6_an_answer_ends_with_its_first_stop_token_whichever_it_is_or_at_the_limit(rollout):
    for answer, finished in zip(tokens(rollout), rollout.finished.tolist(), strict=True):
        assert (answer[-1] in STOPS) == finished
        assert not STOPS.intersection(answer[:-1])
        assert finished or len(answer) == 24


def test_temperature_0_takes_the_likeliest_token_whatever_the_seed(model):
    settings = dataclasses.replace(SETTINGS, temperature=0.0)
    first = sample(model, [0], settings)
    with adapters.using(model, "sft"), torch.no_grad():
        best = model(PROMPTS[0][None]).logits[0, -1].argmax()
    assert tokens(first)[0][0] == best.item()


def test_c5_the_stop_flag_is_read_every_16_steps(model):
    asked = []

    def stop():
        asked.append(True)
        if len(asked) == 2:
            raise Stopped

    settings = dataclasses.replace(SETTINGS, stop_ids=frozenset())
    with pytest.raises(Stopped):
        sample(model, [0], settings, stop=stop)
    assert len(asked) == 2


# p = (0.5, 0.3, 0.15, 0.05) in this order of ids
LOGITS = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()


def drawn(u, **settings):
    made = Settings(max_new_tokens=1, temperature=settings.pop("temperature", 1.0), **settings)
    return sampling.draw(LOGITS, torch.tensor([u], dtype=torch.float64), made)


@pytest.mark.parametrize(("u", "token"), [(0.0, 0), (0.499, 0), (0.501, 1), (0.799, 1), (0.81, 2), (0.999, 3)])
def test_a2_the_token_is_the_first_whose_cumulative_probability_exceeds_u(u, token):
    assert drawn(u)[0].item() == token


def test_a1_top_k_leaves_the_likeliest_and_scales_u():
    # of 0.5 and 0.3: the border lies at 0.625
    assert [drawn(u, top_k=2)[0].item() for u in (0.62, 0.63, 0.999)] == [0, 1, 1]


def test_a1_top_p_leaves_the_smallest_set_of_so_much_mass():
    # 0.7 needs tokens 0 and 1
    assert [drawn(u, top_p=0.7)[0].item() for u in (0.62, 0.63, 0.999)] == [0, 1, 1]


def test_a1_log_probabilities_stay_untruncated():
    assert drawn(0.63, top_k=2)[1].item() == pytest.approx(-1.203973, abs=1e-6)  # log 0.3


def test_p1_temperature_scales_the_log_probability():
    # squares: 0.25, 0.09, 0.0225, 0.0025, sum 0.365
    assert drawn(0.0, temperature=0.5)[1].item() == pytest.approx(-0.378436, abs=1e-6)  # log(0.25 / 0.365)

"""Packed passes against rows alone, padded and unshared, in states, scores and gradients."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from trainer import adapters, attention, base, data, losses, measure, packing
from trainer.attention import Branches, Layout
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run
from trainer.data import Example
from trainer.packing import micro_batches, pack, pack_answers

LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=40)
DRAW = torch.Generator().manual_seed(7)
PROMPT = torch.randint(12, 512, (20,), generator=DRAW)
ANSWERS = [torch.randint(12, 512, (length,), generator=DRAW) for length in (5, 9, 1, 5)]
ROWS = [torch.randint(12, 512, (length,), generator=DRAW).tolist() for length in (40, 17, 3, 17, 1)]
EXAMPLES = [
    Example("a", [1, 50, 51, 2], [False, False, True, True], weight=2.0),
    Example("b", [1, 60, 2], [True, True, True]),
]
LAYOUT = Layout((Branches(7), Branches(5, (3, 4, 4)), Branches(4, (1, 0)), Branches(3), Branches(3)))


@pytest.fixture
def model():
    return base.make("toy", vocab=512, seed=3)


@pytest.fixture
def adapted(model):
    adapters.attach(model, "sft", rank=4, alpha=8.0, seed=5)
    for parameter in adapters.parameters(model, "sft"):
        parameter.data.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)), alpha=0.05)
    return model


def alone(model, row):
    """The states of one row by transformers' own attention."""
    return model.get_decoder()(torch.tensor(row)[None], use_cache=False).last_hidden_state[0]


# --- what each token sees


def seen(layout):
    """[T, T]: which tokens each token sees, from the rows it stands in."""
    sees = torch.zeros(layout.tokens, layout.tokens, dtype=torch.bool)
    for row in layout.rows():
        for slot, place in enumerate(row.tolist()):
            sees[place, row[: slot + 1]] = True
    return sees


@pytest.mark.parametrize("attend", [attention._Slices.apply, attention.by_rows])
def test_d6_packed_attention_is_a_softmax_over_what_the_rows_see(attend):
    draw = torch.Generator().manual_seed(0)
    given = [torch.randn(1, 2, LAYOUT.tokens, 8, dtype=torch.float64, generator=draw) for _ in range(4)]
    query, key, value = (part.requires_grad_() for part in given[:3])
    logits = (query @ key.transpose(2, 3) * 0.3).masked_fill(~seen(LAYOUT), -torch.inf)
    expected = logits.softmax(-1) @ value
    found = attend(query, key, value, LAYOUT, 0.3)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    theirs = torch.autograd.grad(expected, (query, key, value), given[3])
    ours = torch.autograd.grad(found, (query, key, value), given[3])
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)


def test_d6_positions_go_on_from_the_trunk_in_every_branch():
    assert Layout((Branches(2), Branches(3, (2, 1)))).positions().tolist() == [0, 1, 0, 1, 2, 3, 4, 3]


def test_d6_without_a_layout_nothing_is_guessed(model):
    with attention.packed(model), pytest.raises(ValueError, match="Layout"):
        model(torch.tensor([ROWS[0]]))


def test_d6_the_models_own_attention_comes_back(model):
    before = alone(model, ROWS[0])
    base.trunk(model, pack(ROWS))
    assert torch.equal(alone(model, ROWS[0]), before)


def test_a_window_shorter_than_a_row_is_refused(model):
    model.model.layers[0].self_attn.sliding_window = 16
    with pytest.raises(TrainerError) as refusal:
        base.trunk(model, pack(ROWS))
    assert refusal.value.code == "bad_config"


# --- packed, padded, alone, shared


def test_d5_a_row_has_the_same_states_packed_and_alone(model):
    packed = pack(ROWS)
    states = base.trunk(model, packed)
    for row, places in zip(ROWS, packed.in_order(), strict=True):
        assert packed.ids[places].tolist() == row
        torch.testing.assert_close(states[places], alone(model, row), rtol=1e-5, atol=1e-5)


def test_d5_no_token_is_padding():
    assert len(pack(ROWS).ids) == sum(map(len, ROWS))


def test_d5_changing_one_document_changes_no_bit_of_another(model):
    other = [[(token + 1) % 512 for token in ROWS[0]], *ROWS[1:]]
    first, second = pack(ROWS), pack(other)
    before, after = base.trunk(model, first), base.trunk(model, second)
    kept = [(a, b) for a, b in zip(first.in_order()[1:], second.in_order()[1:], strict=True)]
    assert all(torch.equal(before[a], after[b]) for a, b in kept)
    assert not torch.equal(before[first.in_order()[0]], after[second.in_order()[0]])


def test_d7_a_shared_prompt_is_stored_once_and_answers_do_not_see_each_other(model):
    packed = pack_answers([PROMPT] * 4, ANSWERS)
    assert len(packed.ids) == 20 + 5 + 9 + 1 + 5
    states = base.trunk(model, packed)
    for answer, places in zip(ANSWERS, packed.in_order(), strict=True):
        torch.testing.assert_close(states[places], alone(model, [*PROMPT, *answer]), rtol=1e-5, atol=1e-5)


def test_d7_the_states_that_predict_answers_stand_in_the_order_given(model):
    packed = pack_answers([PROMPT] * 4, ANSWERS)
    assert packed.targets.tolist() == torch.cat(ANSWERS).tolist()
    assert packed.rows.tolist() == [0] * 5 + [1] * 9 + [2] + [3] * 5
    expected = torch.cat([alone(model, [*PROMPT, *answer])[19:-1] for answer in ANSWERS])
    torch.testing.assert_close(base.trunk(model, packed)[packed.at], expected, rtol=1e-5, atol=1e-5)


def unshared(monkeypatch):
    monkeypatch.setattr(packing, "WORTH", 10**9)


def test_d7_gradients_of_a_shared_prompt_are_those_of_its_copies(adapted, monkeypatch):
    def gradients():
        packed = pack_answers([PROMPT] * 4, ANSWERS)
        adapted.zero_grad()
        with adapters.using(adapted, "sft"):
            hidden = base.trunk(adapted, packed).index_select(0, packed.at)
            logp, entropy = losses.linear_logprob(
                hidden, base.head_weight(adapted), packed.targets, temperature=0.7, chunk=8
            )
            (logp.square().mean() + entropy.mean()).backward()
        return gradient_of(adapted)

    shared = gradients()
    unshared(monkeypatch)
    assert (shared - gradients()).norm() <= 1e-5 * shared.norm()


def test_d7_a_common_beginning_of_few_tokens_is_not_worth_sharing():
    rows = [[1, 4, 9, n] for n in range(50, 53)]
    assert len(pack(rows).ids) == 12


def test_d7_families_keep_the_longer_beginning_where_it_saves_more():
    # two prompts of 40 tokens that share 20: two answers each save 40, all four together would save 3 × 20 = 60;
    # the third row alone would join for 2 × 20 = 40 saved against 40, so it does, and the fourth after it
    start, one, other = list(range(100, 120)), list(range(200, 220)), list(range(300, 320))
    rows = [[*start, *one, 12], [*start, *one, 13], [*start, *other, 12], [*start, *other, 13]]
    assert len(pack(rows).ids) == 20 + 4 * 21
    three = [*rows[:2], [*start, *one, 14], *rows[2:]]
    assert len(pack(three).ids) == 40 + 3 + 40 + 2


def test_equal_rows_are_stored_once_and_read_twice(model):
    packed = pack([ROWS[0], ROWS[1], ROWS[0]])
    assert len(packed.ids) == 57
    assert packed.ends[0] == packed.ends[2]
    states = base.trunk(model, packed)
    torch.testing.assert_close(states[packed.ends[2]], alone(model, ROWS[0])[-1], rtol=1e-5, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(1, 2), min_size=1, max_size=40), min_size=1, max_size=8))
def test_d5_every_row_stands_whole_in_the_pass_with_its_own_positions(rows):
    packed = pack(rows)
    for row, places in zip(rows, packed.in_order(), strict=True):
        assert packed.ids[places].tolist() == row
        assert packed.positions[places].tolist() == list(range(len(row)))


def test_r15_a_text_scores_the_same_alone_packed_shared_and_in_any_company(adapted, monkeypatch):
    head = torch.randn(1, 64, generator=torch.Generator().manual_seed(1))
    rows = [torch.cat([PROMPT, answer]) for answer in ANSWERS]
    company = [*rows, *(torch.tensor(row) for row in ROWS)]
    with torch.no_grad(), adapters.using(adapted, "sft"):
        plain = [float(alone(adapted, row.tolist())[-1] @ head[0]) for row in rows]
        by_one = [float(measure.features(adapted, [row]) @ head[0]) for row in rows]
        shared = (measure.features(adapted, rows) @ head[0]).tolist()
        among = (measure.features(adapted, company[::-1]) @ head[0]).flip(0)[:4].tolist()
        unshared(monkeypatch)
        packed = (measure.features(adapted, rows) @ head[0]).tolist()
    assert [by_one, shared, among, packed] == [pytest.approx(plain, abs=1e-5)] * 4


# --- one loss, however it is divided


def loss_and_gradient(model, rows, *, groups):
    """The mean loss of rows, all tokens counted but the first, and the adapter's gradient."""
    examples = [Example(str(n), row, [True] * len(row)) for n, row in enumerate(rows)]
    counted = data.counted_weight(examples, range(len(rows)))
    model.zero_grad()
    total = 0.0
    with adapters.using(model, "sft"):
        for group in groups:
            batch = packing.collate(examples, group)
            hidden = base.trunk(model, batch).index_select(0, batch.at)
            loss, _ = losses.linear_cross_entropy(
                hidden, base.head_weight(model), batch.targets, batch.weights, chunk=16
            )
            (loss / counted).backward()
            total += float(loss.detach()) / counted
    return total, gradient_of(model)


def gradient_of(model):
    return torch.cat([p.grad.flatten() for p in adapters.parameters(model, "sft") if p.grad is not None])


def many_rows():
    draw = torch.Generator().manual_seed(11)
    lengths = torch.randint(4, 60, (32,), generator=draw).tolist()
    return [torch.randint(12, 512, (length,), generator=draw).tolist() for length in lengths]


@pytest.mark.parametrize("budget", [64, 200, 512, 100_000])
def test_g3_any_microbatch_tokens_give_one_loss_and_one_gradient(adapted, budget):
    rows = many_rows()
    whole, gradient = loss_and_gradient(adapted, rows, groups=[list(range(32))])
    groups = micro_batches([len(row) for row in rows], range(32), budget=budget)
    parts, sum_of_parts = loss_and_gradient(adapted, rows, groups=groups)
    assert parts == pytest.approx(whole, rel=1e-6)
    assert (sum_of_parts - gradient).norm() <= 1e-5 * gradient.norm()


def test_g2_32_rows_at_once_are_8_times_4(adapted):
    rows = many_rows()
    whole, gradient = loss_and_gradient(adapted, rows, groups=[list(range(32))])
    parts, sum_of_parts = loss_and_gradient(adapted, rows, groups=[list(range(n, n + 4)) for n in range(0, 32, 4)])
    assert parts == pytest.approx(whole, rel=1e-6)
    assert (sum_of_parts - gradient).norm() <= 1e-5 * gradient.norm()


def test_d5_packed_rows_lose_what_padded_rows_lose(adapted):
    rows = many_rows()
    loss, gradient = loss_and_gradient(adapted, rows, groups=[list(range(32))])
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    attention_mask = torch.arange(longest) < torch.tensor([len(row) for row in rows])[:, None]
    adapted.zero_grad()
    with adapters.using(adapted, "sft"):
        logits = adapted(ids, attention_mask=attention_mask).logits[:, :-1]
        theirs = F.cross_entropy(logits[attention_mask[:, 1:]], ids[:, 1:][attention_mask[:, 1:]])
        theirs.backward()
    padded = gradient_of(adapted)
    assert loss == pytest.approx(float(theirs), rel=1e-6)
    assert (padded - gradient).norm() <= 1e-5 * gradient.norm()


def kept_bytes(model, batch):
    """What a forward pass keeps for its backward pass, each storage once."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), adapters.using(model, "sft"):
        base.trunk(model, batch)
    return sum(kept.values())


def test_recomputed_activations_change_no_bit_of_loss_or_gradient_and_are_not_kept(adapted):
    rows = many_rows()
    batch = pack(rows)
    before, kept = loss_and_gradient(adapted, rows, groups=[list(range(32))]), kept_bytes(adapted, batch)
    base.recompute(adapted)
    after = loss_and_gradient(adapted, rows, groups=[list(range(32))])
    assert after[0] == before[0]
    assert torch.equal(after[1], before[1])
    assert kept_bytes(adapted, batch) < kept / 3


# --- how rows share passes


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(10, 200))
def test_d4_each_row_once_and_no_group_above_the_budget_but_a_row_alone(lengths, budget):
    groups = micro_batches(lengths, range(len(lengths)), budget=budget)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    assert all(len(group) == 1 or sum(lengths[row] for row in group) <= budget for group in groups)


def test_d4_rows_go_longest_first_into_the_fullest_group_that_holds_them():
    # budget 100: 70 → room 30; 60 → room 40; 35 → the second, room 5; 30 → the first, room 0; 5 → the second
    assert micro_batches([5, 30, 60, 35, 70], range(5), budget=100) == [[4, 1], [2, 3, 0]]


PROMPTS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), min_size=1, max_size=20)


@settings(max_examples=200, deadline=None)
@given(PROMPTS, st.integers(60, 200))
def test_d7_answers_to_one_prompt_share_a_budget_in_which_it_counts_once(answers, budget):
    asked = [[[5] * 4, [6] * 20, [7] * 30][prompt] for prompt, _ in answers]  # the first is too short to be shared
    lengths = [length for _, length in answers]
    groups = packing.answer_batches(asked, lengths, range(len(answers)), budget=budget)
    assert sorted(row for group in groups for row in group) == list(range(len(answers)))
    assert groups == packing.answer_batches(asked, lengths, range(len(answers))[::-1], budget=budget)
    packed = [pack([[*asked[row], *[9] * lengths[row]] for row in group]) for group in groups]
    assert all(len(one.ids) <= budget or len(group) == 1 for one, group in zip(packed, groups, strict=True))


def test_d7_four_answers_of_ten_fit_beside_their_prompt_of_twenty():
    # 20 + 4·10 = 60: one pass of 60 tokens; of prompts not shared it would be 4·30
    assert packing.answer_batches([[6] * 20] * 4, [10] * 4, range(4), budget=60) == [[0, 1, 2, 3]]


# --- batches


def test_g1_what_counts_comes_from_masks_not_from_token_values():
    batch = packing.collate([Example("z", [1, 0, 0], [False, True, True]), EXAMPLES[0]], [0, 1])
    assert batch.targets.tolist() == [0, 0, 51, 2]
    assert batch.ids[batch.in_order()[0]].tolist() == [1, 0, 0]


def test_s1_the_states_before_counted_tokens_predict_them_and_no_first_token_counts():
    batch = packing.collate(EXAMPLES, [0, 1])
    # the longer row is packed first: positions 1 and 2 predict 51 and 2; then 4 and 5 predict 60 and 2
    assert (batch.at.tolist(), batch.targets.tolist()) == ([1, 2, 4, 5], [51, 2, 60, 2])
    assert batch.weights.tolist() == [2.0, 2.0, 1.0, 1.0]
    assert data.counted_weight(EXAMPLES, [0, 1]) == float(batch.weights.sum())


def test_d8_the_first_batch_shows_what_the_tensors_hold(tmp_path, words):
    packing.show(Run(tmp_path), words, packing.collate(EXAMPLES, [1, 0]))
    rows = json.loads((tmp_path / "first_batch.json").read_text())["rows"]
    assert [row["weight"] for row in rows] == [1.0, 2.0]
    assert [(token["id"], token["position"], token["mask"]) for token in rows[1]["tokens"]] == [
        (1, 0, False),
        (50, 1, False),
        (51, 2, True),
        (2, 3, True),
    ]
    assert rows[0]["tokens"][2]["text"] == "<|eos|>"


def test_a_pass_moves_whole():
    moved = packing.collate(EXAMPLES, [1]).to(torch.device("meta"))
    assert {part.device.type for part in vars(moved).values() if isinstance(part, torch.Tensor)} == {"meta"}
    assert moved.layout == Layout((Branches(3),))

"""M5's trial pass: before the first step the largest micro-batch is tried, and all that comes of it is a refusal."""

import signal
import weakref
from pathlib import Path

import pytest
import torch
from torch.nn import Parameter

from tests.trainer.conftest import PRETRAIN, SFT
from tests.trainer.preferences import DPO, REWARD, ranking_rows
from tests.trainer.runs import before, corpus_rows, die, events, failure, in_child, lay_out, outcome, sft_rows
from trainer import optimizer, packing, sampling, trial
from trainer.__main__ import main
from trainer.contract.configs import SftConfig
from trainer.contract.errors import Stopped, TrainerError
from trainer.contract.rundir import Run
from trainer.metrics import Clock
from trainer.optimizer import AdamW

STAGES = ("pretrain", "sft", "reward", "dpo", "ppo", "rloo")
SEEN_AHEAD = ["pretrain", "sft", "reward", pytest.param("dpo", marks=pytest.mark.full)]
NO_ROOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def tried(tmp_path):
    """Does the trial pass of a plan; keywords change the config."""

    def try_plan(plan, backward, *, own=None, run=None, clock=None, **changed):
        trial.pass_largest(
            plan,
            backward,
            run=run or Run(tmp_path),
            config=SftConfig(seed=1, base_sha256="a" * 64, **changed),
            optimizers=[own or AdamW([Parameter(torch.ones(3))])],
            clock=clock or Clock(),
        )

    return try_plan


def raising(error: Exception):
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def run_of(path: Path) -> int:
    return main([Run(path).config.stage, str(path)])


# --- what is tried


def test_m5_the_micro_batch_with_the_most_tokens_is_tried_once(tried):
    seen: list[str] = []
    tried([(3, "a"), (5, "b"), (5, "c"), (4, "d")], seen.append)
    assert seen == ["b"]


def test_m5_where_no_step_is_left_nothing_is_tried(tried):
    tried([], raising(AssertionError()))


def test_m5_whoever_asks_to_stop_is_heard_first(tried, tmp_path):
    run = Run(tmp_path)
    run.request_stop()
    with pytest.raises(Stopped):
        tried([(3, "a")], raising(AssertionError()), run=run)


LONG = " ".join(["the cat ran home"] * 16)  # beyond a pass of 64 tokens, within the context


@pytest.fixture
def with_a_long_row(toy_base, tmp_path):
    """Lays out a run of one epoch, one of whose rows is longer than any pass of the others."""

    def lay_stage_out(stage):
        corpus, answers, rankings = corpus_rows(), sft_rows(), ranking_rows()
        corpus[11]["text"] = answers[11]["messages"][1]["content"] = rankings[11]["answers"][0]["text"] = LONG
        config, files = {
            "pretrain": ({**PRETRAIN, "fix_share": 0.0}, {"corpus": corpus}),
            "sft": ({**SFT, "batch_rows": 4}, {"sft": answers}),
            "reward": ({**REWARD, "batch_prompts": 4}, {"ranking": rankings}),
            "dpo": ({**DPO, "batch_prompts": 4}, {"ranking": rankings}),
        }[stage]
        config = {**config, "epochs": 1, "max_steps": 0, "microbatch_tokens": 64, "eval_steps": 100}
        base = None if stage == "pretrain" else toy_base
        return lay_out(tmp_path / "run", config, base=base, packed=False, **files)

    return lay_stage_out


@pytest.mark.parametrize("stage", SEEN_AHEAD)
def test_m5_the_longest_row_is_the_first_that_a_stage_passes(with_a_long_row, monkeypatch, stage):
    seen, inner = [], packing.pack

    def watched(rows, **given):
        seen.extend([max(map(len, rows))] if torch.is_grad_enabled() else [])  # not where it is measured
        return inner(rows, **given)

    monkeypatch.setattr(packing, "pack", watched)
    assert run_of(with_a_long_row(stage)) == 0
    assert seen[0] == max(seen) > 64
    assert seen[1] < seen[0]  # its step comes later
    assert seen[0] in seen[2:]


@pytest.mark.parametrize("stage", ["ppo", pytest.param("rloo", marks=pytest.mark.full)])
def test_m5_a_rollout_that_nobody_knows_yet_is_tried_as_the_largest_allowed(lay_stage, tmp_path, monkeypatch, stage):
    sizes, inner = [], sampling.answer_logprobs

    def watched(model, prompts, answers, **given):
        if torch.is_grad_enabled():
            sizes.append(
                (max(map(len, prompts)), max(map(len, answers)), len(packing.pack_answers(prompts, answers).ids))
            )
        return inner(model, prompts, answers, **given)

    monkeypatch.setattr(sampling, "answer_logprobs", watched)
    assert run_of(lay_stage(stage, tmp_path / "run", max_steps=2)) == 0
    assert len(sizes) > 1
    assert [max(each) for each in zip(*sizes, strict=True)] == list(sizes[0])
    assert sizes[0][1] == 8  # max_new_tokens


# --- what stays of it


def test_m5_no_gradient_moment_random_number_or_second_stays(tried):
    weight, clock = Parameter(torch.ones(3)), Clock()
    own = AdamW([weight])
    clock._last -= 1_000  # as if the pass had taken so long
    state = torch.get_rng_state()

    def backward(_):
        (weight * torch.rand(3)).sum().backward()
        assert own.grad.any()

    tried([(3, "a")], backward, own=own, clock=clock)
    assert torch.equal(torch.get_rng_state(), state)
    assert not own.grad.any()
    assert torch.equal(own.weight, torch.ones(3))
    assert not any(part.any() for part in own.state().values())
    assert clock.lap() < 100


def test_m5_room_for_the_moments_of_the_first_step_is_held_meanwhile(tried, monkeypatch):
    own = AdamW([Parameter(torch.ones(3))])
    held: list[weakref.ref[torch.Tensor]] = []
    inner = AdamW.room

    def watched(optimizer):
        rooms = inner(optimizer)
        held.extend(map(weakref.ref, rooms))
        return rooms

    def alive():
        return [found.nbytes for room in held if (found := room()) is not None]

    seen = []
    monkeypatch.setattr(AdamW, "room", watched)
    tried([(3, "a")], lambda _: seen.extend(alive()), own=own)
    assert seen == [12, 12]
    assert alive() == []


def test_m5_once_there_are_moments_they_need_no_more_room():
    weight = Parameter(torch.ones(3))
    own = AdamW([weight])
    assert sum(room.nbytes for room in own.room()) == sum(own.state()[name].nbytes for name in ("first", "second"))
    weight.sum().backward()
    own.step(0.1)
    assert own.room() == []


@pytest.mark.parametrize(
    "stage", [*SEEN_AHEAD, *(pytest.param(own, marks=pytest.mark.full) for own in ("ppo", "rloo"))]
)
def test_m5_a_run_ends_bit_for_bit_as_one_without_the_trial(lay_stage, tmp_path, monkeypatch, stage):
    changed = {"max_steps": 3, **({"lora_dropout": 0.3} if stage == "sft" else {})}
    path, plain = (lay_stage(stage, tmp_path / name, **changed) for name in ("with", "without"))
    assert run_of(path) == 0
    monkeypatch.setattr(trial, "pass_largest", lambda *_, **__: None)
    assert run_of(plain) == 0
    assert outcome(path) == outcome(plain)
    assert (path / "first_batch.json").read_bytes() == (plain / "first_batch.json").read_bytes()


# --- lack of memory


@pytest.mark.parametrize(
    "error",
    [NO_ROOM, MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")],
    ids=str,
)
def test_m5_lack_of_memory_is_told_with_what_to_lower(tried, error):
    with pytest.raises(TrainerError) as refusal:
        tried([(60, "a")], raising(error), microbatch_tokens=64)
    assert str(refusal.value) == (
        "out_of_memory: microbatch_tokens is 64; before step 1 the largest micro-batch, 60 tokens, did not fit in "
        "memory. A smaller microbatch_tokens or recompute_activations needs less and changes no result."
    )


@pytest.mark.parametrize(
    ("tokens", "again", "way"),
    [
        (60, True, "A smaller microbatch_tokens needs less and changes no result."),
        (90, False, "A shorter context or recompute_activations needs less."),
        (90, True, "A shorter context needs less."),
    ],
)
def test_m5_no_way_out_is_named_that_is_none(tried, tokens, again, way):
    with pytest.raises(TrainerError) as refusal:
        tried([(tokens, "a")], raising(NO_ROOM), microbatch_tokens=64, recompute_activations=again)
    assert refusal.value.sentence.endswith(f"did not fit in memory. {way}")


def test_m5_another_error_is_none_of_memory(tried):
    with pytest.raises(RuntimeError, match="shapes differ"):
        tried([(3, "a")], raising(RuntimeError("shapes differ")))


@pytest.mark.parametrize("stage", STAGES)
def test_m5_a_run_that_lacks_memory_ends_before_it_has_done_anything(lay_stage, tmp_path, monkeypatch, stage):
    path = lay_stage(stage, tmp_path / "run")
    monkeypatch.setattr(torch.Tensor, "backward", raising(NO_ROOM))
    assert run_of(path) == 4
    found = failure(path)
    assert (found["code"], found["step"]) == ("out_of_memory", 0)
    assert "A smaller microbatch_tokens or recompute_activations needs less" in found["sentence"]
    assert events(path) == ["started", "failed"]
    left = {"metrics.jsonl", "samples.jsonl", "checkpoints", "first_batch.json", "cache"}
    assert left.isdisjoint(file.name for file in path.iterdir())


def test_m5_a_resumed_attempt_tries_what_is_left_and_keeps_its_checkpoint(sft_run, tuned, monkeypatch):
    path = sft_run()
    assert in_child(["sft", str(path)], sabotage=lambda: before(optimizer.AdamW, "step", die(5))) == -signal.SIGKILL
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(torch.Tensor, "backward", raising(NO_ROOM))
        assert run_of(path) == 4
    assert failure(path)["step"] == 4
    assert "before step 5 the largest micro-batch" in failure(path)["sentence"]
    assert run_of(path) == 0
    assert outcome(path) == outcome(tuned)

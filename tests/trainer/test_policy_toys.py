"""Policies on a toy: what must be learned, what must not move, and which rewards their monitors stop.

An untrained toy is nearly uniform over 512 tokens; where 32 of them end an answer, it has 16 tokens on average, up to
the limit of 24.
"""

import json

import pytest
import torch

from tests.trainer.preferences import PPO, REWARD, lay, prompt_rows, ranking_rows
from tests.trainer.runs import events, failure, outcome, values
from trainer.__main__ import main
from trainer.roles import Stage
from trainer.sampling import Rollout
from trainer.tokenizer import Tokenizer

LIMIT = 24
ENDS = frozenset(range(32, 64))
TOY = {
    **PPO,
    "rollouts": 30,
    "rollout_prompts": 32,
    "max_new_tokens": LIMIT,
    "missing_eos_penalty": 0.0,
    "score_norm": "none",
    "value_from": "zero",
    "approx_kl_stop": 0.0,
    "microbatch_tokens": 2_048,
    "eval_steps": 1_000,
    "sample_steps": 1_000,
    "checkpoint_steps": 1_000,
    "lr": 5e-3,
    "value_lr": 1e-2,
    "monitors_off": ["outside_reward"],  # the patched rewards are none that the scorer ever gave
}
RLOO = {"advantage": "rloo", "rollout_prompts": 8, "samples_per_prompt": 4}


@pytest.fixture(scope="module")
def scorer(tmp_path_factory, spread_base):
    """A reward adapter that the runs name; what it scores is patched."""
    path = lay(tmp_path_factory.mktemp("scorer") / "run", REWARD, base=spread_base, ranking=ranking_rows(20))
    assert main(["reward", str(path)]) == 0
    return path / "adapter"


@pytest.fixture
def play(tmp_path, spread_base, scorer, monkeypatch):
    """Runs the toy with a reward of its answers; returns (the run's folder, its exit code)."""

    def run(reward, *, name="run", **changed):
        monkeypatch.setattr(Tokenizer, "stop_ids", lambda words: ENDS)
        monkeypatch.setattr(Stage, "raw_scores", lambda stage, prompts, rollout: reward(rollout))
        path = lay(
            tmp_path / name, {**TOY, **changed}, base=spread_base, parents={"reward": scorer}, prompts=prompt_rows()
        )
        return path, main(["ppo", str(path)])

    return run


def shorter(rollout):
    return -(rollout.lengths / LIMIT)[:, None]


def longer(rollout):
    return (rollout.lengths / LIMIT)[:, None]


def lengths(path):
    return [line["answer/length"] for line in values(path, "rollout")]


def resume(path, **changed):
    """Go on with a run whose config a person has changed."""
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, **changed}))
    return main(["ppo", str(path)])


# --- what must be learned


WAYS = [
    pytest.param(RLOO, id="rloo"),
    pytest.param({**RLOO, "advantage": "grpo", "rollouts": 30}, id="grpo", marks=pytest.mark.full),
    pytest.param({}, id="gae", marks=pytest.mark.full),
]


@pytest.mark.parametrize("way", WAYS)
def test_a_reward_for_short_answers_halves_them_at_less_than_20_nats(play, way):
    path, code = play(shorter, **{"rollouts": 20, "monitors": False, **way})
    assert code == 0
    first, last = lengths(path)[0], sum(lengths(path)[-3:]) / 3
    assert first > 11
    assert last < first / 2
    assert max(line["objective/kl"] for line in values(path, "rollout")) < 20


def one_token_over_and_over(stage, prompts, seeds, role):
    """A chain that stays where it begins: token 100 to 107 by the seed, 12 times."""
    ids = torch.tensor([100 + seed % 8 for seed in seeds])[:, None].expand(-1, 12).contiguous()
    everyone = torch.ones(len(seeds), dtype=torch.bool)
    return Rollout(ids, torch.zeros(ids.shape), torch.full((len(seeds),), 12), everyone)


@pytest.mark.full
def test_p14_a_value_learns_what_is_to_come(play, monkeypatch):
    """r is the chain's state, 0/7 to 7/7, and so is the value of every state but the first, before which it is ½.

    One token of 12 is not foreseen: 11/12 = 0.92 is the most that can be explained.
    """
    monkeypatch.setattr(Stage, "sample", one_token_over_and_over)
    resting = {"rollouts": 30, "value_warmup_rollouts": 30, "kl_coef": 0.0, "monitors": False}
    path, code = play(lambda rollout: (rollout.ids[:, :1] - 100) / 7, **resting)
    assert code == 0
    assert values(path, "rollout")[-1]["val/explained_var"] > 0.8


# --- what monitors stop


@pytest.fixture
def hacked(play):
    """A run that a monitor paused, since nothing but length paid."""
    path, code = play(longer, **LONGER)
    assert code == 6
    return path


LONGER = {**RLOO, "rollouts": 42, "lr": 1e-2, "kl_coef": 0.0, "kl_target": 100.0}  # KL may grow: length is watched


def test_a_reward_of_pure_length_pauses_within_40_rollouts_and_shows_its_answers(hacked):
    found = failure(hacked)
    assert found["code"] == "paused"
    assert set(found["monitors"]) <= {"length_hacking", "no_ending"}
    assert found["step"] < 40
    assert events(hacked)[-2:] == ["checkpoint", "paused"]
    report = json.loads((hacked / "evaluation.json").read_text())
    rewards = [answer["reward"] for answer in report["highest_reward"]]
    assert len(rewards) == 20
    assert rewards == sorted(rewards, reverse=True)
    assert rewards[0] == 1.0  # an answer that never ends
    assert "widest_spread" not in report  # one head agrees with itself
    beside = [answer["reference"] for answer in report["highest_reward"]]
    assert sum(one["tokens"] for one in beside) < 20 * LIMIT  # the reference still ends some of its answers
    assert not (hacked / "result.json").exists()


@pytest.mark.full
def test_a_paused_run_pauses_again_unless_the_monitor_is_named(hacked, play):
    assert resume(hacked) == 6
    off = [*TOY["monitors_off"], "length_hacking", "no_ending", "repetition"]
    assert resume(hacked, monitors_off=off) == 0
    path, code = play(longer, name="calm", **{**LONGER, "monitors_off": off})
    assert code == 0
    assert outcome(hacked) == outcome(path)


@pytest.mark.full
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_an_honest_run_raises_no_alarm(play, seed):
    path, code = play(shorter, rollouts=20, lr=2e-3, seed=seed)
    assert code == 0
    assert "warning" not in events(path)
    assert lengths(path)[-1] < 0.8 * lengths(path)[0]  # it does learn


@pytest.mark.full
def test_heads_that_disagree_bring_their_answers_to_people(play):
    def two_heads(rollout):
        r = rollout.lengths / LIMIT
        return torch.stack([-r, r * (rollout.ids[:, 0] % 2)], 1)

    path, code = play(two_heads, rollouts=2)
    assert code == 0
    report = json.loads((path / "evaluation.json").read_text())
    spreads = [answer["spread"] for answer in report["widest_spread"]]
    assert spreads == sorted(spreads, reverse=True)
    assert values(path, "rollout")[0]["reward/head_gap"] < 0

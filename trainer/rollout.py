"""Steps 1 to 8 of PPO: a rollout is written, scored, and turned into what policy and value have to learn from it.

Letters: B answers of a rollout, R tokens of the longest.
"""

import math
from collections import Counter
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from trainer import data, losses, measure
from trainer.contract.errors import TrainerError
from trainer.contract.seeds import seed_for
from trainer.roles import POLICY, REFERENCE, Stage


@dataclass
class Batch:
    """A scored rollout: what the epochs learn from. [B, R], but lengths and prompts (places in `train`) [B]."""

    ids: Tensor
    lengths: Tensor
    prompts: Tensor
    logp: Tensor
    ref_logp: Tensor
    values: Tensor
    advantage: Tensor
    returns: Tensor

    @property
    def mask(self) -> Tensor:
        return torch.arange(self.ids.shape[1]) < self.lengths[:, None]

    def answer(self, row: int) -> Tensor:
        return self.ids[row, : self.lengths[row]]

    def flat(self, x: Tensor, rows: list[int]) -> Tensor:
        """[N]: what a [B, R] tensor holds at these rows' answer tokens."""
        return x[rows][self.mask[rows]]

    def tensors(self) -> dict[str, Tensor]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass
class Progress:
    """Where training stands between two minibatches: what a checkpoint keeps beside weights, moments and rollout."""

    rollout: int = 0  # whole rollouts done
    minibatch: int = 0  # minibatches done of the next one
    beta: float = 0.0
    gain: float = 1.0
    bias: float = 0.0
    spread: float = 1.0  # of this rollout's advantages before whitening
    skip: bool = False  # the rest of this rollout's policy steps (P15)
    values: dict[str, float] = field(default_factory=dict)  # this rollout's metrics of steps 1 to 8
    tally: dict[str, float] = field(default_factory=dict)  # sums over this rollout's minibatches
    report: measure.Report = field(default_factory=dict)  # the last evaluation; the first is the start's with itself


def roll_out(stage: Stage, progress: Progress) -> Batch:
    """Answers to the next prompts, and what policy and value have to learn from them."""
    config = stage.config
    # (1) prompts
    prompts, seeds = prompts_of(stage, progress.rollout)
    rows = [stage.train[i] for i in prompts]
    # (2) generate
    rollout = stage.sample(rows, seeds, POLICY)
    mask = rollout.mask
    # (3) score: policy, reference, value, reward
    logp, entropy = stage.logprobs(rows, rollout, POLICY)
    ref_logp, _ = stage.logprobs(rows, rollout, REFERENCE)
    values = stage.values(rows, rollout)
    raw = stage.raw_scores(rows, rollout)
    # (4) normalise, clip, end-token rule
    score = reward_of(
        progress.gain * raw + progress.bias,
        rollout.finished,
        clip=config.score_clip,
        missing_eos_penalty=config.missing_eos_penalty,
    )
    # (5) KL
    kl = torch.where(mask, losses.kl(logp, ref_logp, "k1"), 0.0)
    check_kl(kl.sum(1))
    # (6) rewards
    beta = progress.beta if config.kl_in == "reward" else 0.0
    rewards = losses.token_rewards(score, kl, mask, beta=beta)
    if config.whiten_rewards:
        rewards = losses.whiten(rewards, mask, shift_mean=False)
    # (7) GAE
    advantage, returns = losses.gae(rewards, values, mask, gamma=config.gamma, lam=config.lam)
    # (8) whiten
    progress.spread = float(advantage[mask].std(unbiased=False)) or 1.0
    advantage = losses.whiten(advantage, mask, shift_mean=True)

    unexplained = (returns - values)[mask].var(unbiased=False) / returns[mask].var(unbiased=False)
    progress.values = {
        "objective/kl": _mean(kl.sum(1)),
        "objective/kl_token": _mean(kl[mask]),
        "objective/kl_k3": _mean(losses.kl(logp, ref_logp, "k3")[mask]),
        "objective/entropy": _mean(entropy[mask]),
        "objective/scores": _mean(score),
        "objective/scores_raw": _mean(raw),
        "objective/rlhf_reward": _mean(score - progress.beta * kl.sum(1)),
        "objective/non_score_reward": _mean(-progress.beta * kl.sum(1)),
        "val/explained_var": 1 - float(unexplained),
        "answer/length": _mean(rollout.lengths),
        "answer/eos_rate": _mean(rollout.finished),
        "answer/distinct_2": measure.distinct_2([ids.tolist() for ids in rollout.answers()]),
        "rollout/logprob_gap": _mean((rollout.logprob - logp)[mask].abs()),
        "kl_coef": progress.beta,
    }
    return Batch(rollout.ids, rollout.lengths, torch.tensor(prompts), logp, ref_logp, values, advantage, returns)


def prompts_of(stage: Stage, rollout: int) -> tuple[list[int], list[int]]:
    """(train prompts, one an answer; their seeds) of a rollout: consecutive prompts of the permuted ones (P17)."""
    config, everyone = stage.config, len(stage.train)
    first, last = rollout * config.rollout_prompts, (rollout + 1) * config.rollout_prompts
    epochs = range(first // everyone, (last - 1) // everyone + 1)
    line = [prompt for epoch in epochs for prompt in order_of(stage, epoch=epoch)]
    start = first - epochs.start * everyone
    chosen = [p for p in line[start : start + config.rollout_prompts] for _ in range(config.samples_per_prompt)]
    times: Counter[int] = Counter()
    seeds = []
    for prompt in chosen:
        seeds.append(seed_for(config.seed, "sample", stage.train[prompt].id, times[prompt], rollout))
        times[prompt] += 1
    return chosen, seeds


def order_of(stage: Stage, *, epoch: int) -> list[int]:
    """The permutation of the train prompts in an epoch."""
    everyone = [1] * len(stage.train)
    return data.steps_of(everyone, epoch=epoch, seed=stage.config.seed, batch=len(everyone))[0]


def reward_of(r: Tensor, finished: Tensor, *, clip: float, missing_eos_penalty: float) -> Tensor:
    """Normalised scores r [B] clipped to ±clip, less the penalty where an answer did not end (P4)."""
    return r.clamp(-clip, clip) - missing_eos_penalty * ~finished


def check_kl(kl: Tensor) -> None:
    """Refuse a mean KL [B] that no sampling error explains: τ, PAD, dropout or an adapter is wrong (P9)."""
    error = float(kl.double().std() / math.sqrt(len(kl))) if len(kl) > 1 else 0.0
    limit = -max(3 * error, 0.05)
    if (mean := _mean(kl)) < limit:
        sentence = f"The mean KL is {mean:.3f} nats an answer; by chance it is not below {limit:.3f}. This is a defect."
        raise TrainerError("negative_kl", sentence)


def norm_of(stage: Stage) -> tuple[float, float]:
    """(gain, bias) of raw scores: 256 reference answers to train prompts have mean 0 and deviation 1 (P5)."""
    if stage.config.score_norm == "none":
        return 1.0, 0.0
    if stage.config.score_norm == "saved":
        return stage.scorer.gain, stage.scorer.bias
    places = [divmod(i, len(stage.train)) for i in range(stage.config.norm_samples)]
    order = order_of(stage, epoch=0)
    prompts = [stage.train[order[place]] for _, place in places]
    seeds = [
        seed_for(stage.config.seed, "sample", prompt.id, j, "norm")
        for prompt, (j, _) in zip(prompts, places, strict=True)
    ]
    return losses.fit_norm(stage.raw_scores(prompts, stage.sample(prompts, seeds, REFERENCE)))


def _mean(x: Tensor) -> float:
    return float(x.double().mean())

"""Stage `ppo`: an adapter that writes what the reward adapter scores highly, near the policy that it started as.

A step of the run is one rollout; its parts are numbered as in the specification: (1) prompts, (2) generate, (3) score,
(4) normalise, (5) KL, (6) rewards, (7) GAE, (8) whiten, (9) epochs of minibatches, (10) control. What is not here: the
formulas (`losses`), the sampler (`sampling`), reports (`measure`).

Letters: B answers of a rollout, R tokens of the longest, N counted tokens, D width.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from trainer import (
    adapters,
    base,
    checkpoint,
    data,
    losses,
    measure,
    metrics,
    optimizer,
    packing,
    sampling,
    tokenizer,
)
from trainer.contract.configs import PpoConfig
from trainer.contract.errors import Stopped, TrainerError
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.data import Prompt
from trainer.measure import Answered
from trainer.sampling import Rollout, Settings
from trainer.tokenizer import Tokenizer

POLICY, REFERENCE, VALUE, REWARD = "policy", "reference", "value", "reward"
SHOWN = 8  # held-out prompts whose answers samples.jsonl shows
RUNAWAY = 10.0  # mean ratio from which a minibatch is not applied (P15)


@dataclass
class _Batch:
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

    def tensors(self) -> dict[str, Tensor]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass
class _Progress:
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


def train(config: PpoConfig, run: Run) -> None:
    """Train a policy and a value against a frozen reward; leaves adapter/, value/ and evaluation.json."""
    stage = _Stage(config, run)
    progress, batch = stage.start()
    try:
        before = _answers(stage, stage.heldout, REFERENCE, progress) if progress.rollout < stage.rollouts else []
        if not progress.report:
            progress.report = _tell(stage, before, before, progress, step=0)
        while progress.rollout < stage.rollouts:
            if batch is None:
                batch = _roll_out(stage, progress)
            _learn(stage, progress, batch)
            _control(stage, progress, before)
            batch = None
    except Stopped:
        stage.save(progress, batch)
        raise
    _finish(stage, progress)


# --- steps 1 to 8


def _roll_out(stage: "_Stage", progress: _Progress) -> _Batch:
    """Answers to the next prompts, and what policy and value have to learn from them."""
    config = stage.config
    # (1) prompts
    prompts, seeds = stage.prompts_of(progress.rollout)
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
    return _Batch(rollout.ids, rollout.lengths, torch.tensor(prompts), logp, ref_logp, values, advantage, returns)


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


# --- step 9


def _learn(stage: "_Stage", progress: _Progress, batch: _Batch) -> None:
    """Epochs of minibatches, from where they stand; a stop leaves the last whole minibatch."""
    config = stage.config
    if progress.rollout == 0:
        stage.show_first(batch)
    # (9) epochs × minibatches
    while progress.minibatch < config.epochs * config.minibatches:
        epoch, part = divmod(progress.minibatch, config.minibatches)
        draw = torch.Generator().manual_seed(seed_for(config.seed, "minibatch", progress.rollout, epoch))
        rows = torch.randperm(len(batch.lengths), generator=draw).tensor_split(config.minibatches)[part].tolist()
        _learn_minibatch(stage, progress, batch, rows)
        progress.minibatch += 1


def _learn_minibatch(stage: "_Stage", progress: _Progress, batch: _Batch, rows: list[int]) -> None:
    """One step of each optimizer; both gradients are whole before the first of them is applied."""
    config = stage.config
    value_sums = _value_gradient(stage, batch, rows)
    value_sums["value_norm"] = stage.clip(VALUE, progress, batch, rows)
    if progress.rollout >= config.value_warmup_rollouts and not progress.skip:
        sums, widest = _policy_gradient(stage, progress, batch, rows)
        sums["policy_norm"] = stage.clip(POLICY, progress, batch, rows)
        tokens = sums["policy_tokens"]
        if progress.minibatch == 0:
            check_ratio(widest, sums["off"] / tokens, exact=stage.exact)
        sums["skipped"] = float(sums["ratio"] / tokens > RUNAWAY)
        if not sums["skipped"]:
            stage.optimizers[POLICY].step(stage.rate(config.lr, progress))
            stage.follow()
        progress.skip = 0 < config.approx_kl_stop < sums["approxkl"] / tokens
        _add(progress.tally, sums)
    elif progress.skip:
        _add(progress.tally, {"skipped": 1.0})
    stage.optimizers[VALUE].step(stage.rate(config.value_lr, progress))
    _add(progress.tally, value_sums)


def _policy_gradient(
    stage: "_Stage", progress: _Progress, batch: _Batch, rows: list[int]
) -> tuple[dict[str, float], float]:
    """Back-propagate a minibatch's policy loss over its micro-batches; (sums over its tokens, max|ρ − 1|) (P12)."""
    config, count = stage.config, int(batch.lengths[rows].sum())
    found, widest = [], []
    stage.optimizers[POLICY].zero()
    with stage.using(POLICY):
        for prompts, answers, group in stage.micro_batches(batch, rows):
            logp, entropy = stage.logprobs_of(prompts, answers)
            old, ref, advantage = (stage.flat(x, batch, group) for x in (batch.logp, batch.ref_logp, batch.advantage))
            mask = torch.ones_like(logp, dtype=torch.bool)
            loss = losses.policy_loss(
                logp=logp, old_logp=old, advantage=advantage, mask=mask, clip=config.clip, dual_clip=config.dual_clip
            )
            total = loss
            if config.kl_in == "loss":
                price = progress.beta / progress.spread  # whitening divides the advantages by the same number
                total = total + price * losses.kl(logp, ref, "k2").sum()
            if config.entropy_coef:
                total = total - config.entropy_coef * entropy.sum()
            (total / count).backward()  # type: ignore[no-untyped-call]  # torch types it not
            gap = (logp.detach() - old).clamp(-losses.RATIO_LIMIT, losses.RATIO_LIMIT)
            ratio = gap.exp()
            off = (ratio - 1).abs()
            measured = (loss.detach(), ratio - 1 - gap, off > config.clip, ratio, ratio.square(), off)
            found.append(torch.stack([x.double().sum() for x in measured]))
            widest.append(off.max())
        if config.ptx_coef:
            stage.ptx_gradient(progress, len(rows))
    names = ("policy_loss", "approxkl", "policy_clipped", "ratio", "ratio_squared", "off")
    sums = dict(zip(names, torch.stack(found).sum(0).tolist(), strict=True))
    return {**sums, "policy_tokens": float(count), "policy_steps": 1.0}, float(torch.stack(widest).max())


def _value_gradient(stage: "_Stage", batch: _Batch, rows: list[int]) -> dict[str, float]:
    """Back-propagate a minibatch's value loss over its micro-batches; sums over its tokens (P13)."""
    config, count = stage.config, int(batch.lengths[rows].sum())
    found = []
    stage.optimizers[VALUE].zero()
    with stage.using(VALUE):
        for prompts, answers, group in stage.micro_batches(batch, rows):
            old, returns = (stage.flat(x, batch, group) for x in (batch.values, batch.returns))
            value = stage.values_of(prompts, answers)
            mask = torch.ones_like(value, dtype=torch.bool)
            loss = losses.value_loss(value=value, old_value=old, returns=returns, mask=mask, clip=config.value_clip)
            (loss / count).backward()  # type: ignore[no-untyped-call]  # torch types it not
            clipped = (value.detach() - old).abs() > config.value_clip
            found.append(torch.stack([x.double().sum() for x in (loss.detach(), clipped)]))
    sums = dict(zip(("value_loss", "value_clipped"), torch.stack(found).sum(0).tolist(), strict=True))
    return {**sums, "value_tokens": float(count), "value_steps": 1.0}


def check_ratio(widest: float, mean: float, *, exact: bool) -> None:
    """Refuse a first minibatch that is not on policy: max|ρ − 1| in float32, mean|ρ − 1| in bfloat16 (P2)."""
    found, limit, what = (widest, 1e-4, "max") if exact else (mean, 1e-2, "mean")
    if not found <= limit:
        sentence = f"{what}|ratio - 1| is {found:.2e} at the first minibatch; at most {limit:.0e}. This is a defect."
        raise TrainerError("ratio_gate", sentence)


# --- step 10


def _control(stage: "_Stage", progress: _Progress, before: list[Answered]) -> None:
    """Metrics, evaluation and samples of the rollout that ends; the next KL coefficient; a checkpoint if one is due."""
    # (10) KL controller, monitors, metrics, checkpoint
    config, step = stage.config, progress.rollout + 1
    values = {**progress.values, **_update_values(progress.tally), "lr": stage.rate(config.lr, progress)}
    tokens = round(progress.values["answer/length"] * config.answers)
    stage.log.write("rollout", step, values, progress=step / stage.rollouts, seconds=stage.clock.lap(), tokens=tokens)
    if step == stage.rollouts:
        stage.take_shadow()
    if step == stage.rollouts or step % config.eval_steps == 0:
        after = _answers(stage, stage.heldout, POLICY, progress)
        progress.report = _tell(stage, before, after, progress, step=step)
    elif step % config.sample_steps == 0:
        _show(stage, _answers(stage, stage.heldout[:SHOWN], POLICY, progress), step=step)
    if config.kl_control == "adaptive":
        progress.beta = losses.next_beta(
            progress.beta,
            kl=progress.values["objective/kl"],
            answers=config.answers,
            target=config.kl_target,
            horizon=config.kl_horizon,
        )
    progress.rollout, progress.minibatch, progress.skip = step, 0, False
    stage.run.step = step
    progress.values, progress.tally = {}, {}
    if step in stage.milestones and step < stage.rollouts:
        stage.save_policy(f"milestones/step-{step:08d}")
    if step == stage.rollouts or stage.keeper.due(step):
        stage.save(progress, None)


def _update_values(tally: dict[str, float]) -> dict[str, float]:
    """The rollout's metrics of step 9, as masked means over all its minibatches (P19)."""
    value_tokens, value_steps = tally["value_tokens"], tally["value_steps"]
    values = {
        "loss/value_avg": tally["value_loss"] / value_tokens,
        "val/clipfrac_avg": tally["value_clipped"] / value_tokens,
        "grad_norm/value": tally["value_norm"] / value_steps,
        "policy/skipped": tally.get("skipped", 0.0),
    }
    if tokens := tally.get("policy_tokens"):
        ratio = tally["ratio"] / tokens
        values |= {
            "loss/policy_avg": tally["policy_loss"] / tokens,
            "policy/approxkl_avg": tally["approxkl"] / tokens,
            "policy/clipfrac_avg": tally["policy_clipped"] / tokens,
            "val/ratio": ratio,
            "val/ratio_var": tally["ratio_squared"] / tokens - ratio**2,
            "grad_norm/policy": tally["policy_norm"] / tally["policy_steps"],
        }
    return values


# --- evaluation and the end


def _answers(stage: "_Stage", prompts: list[Prompt], role: str, progress: _Progress) -> list[Answered]:
    """One answer of a role to each prompt, the same random numbers each time, with reward r = g·s + b and KL (E4)."""
    seeds = [seed_for(stage.config.seed, "sample", prompt.id, 0, "evaluation") for prompt in prompts]
    rollout = stage.sample(prompts, seeds, role)
    rewards = progress.gain * stage.raw_scores(prompts, rollout) + progress.bias
    kl = torch.zeros(len(prompts))
    if role != REFERENCE:
        logp, _ = stage.logprobs(prompts, rollout, role)
        ref_logp, _ = stage.logprobs(prompts, rollout, REFERENCE)
        kl = torch.where(rollout.mask, losses.kl(logp, ref_logp, "k1"), 0.0).sum(1)
    rows = zip(rollout.answers(), rewards.tolist(), kl.tolist(), rollout.finished.tolist(), strict=True)
    return [Answered(ids.tolist(), reward, nats, finished) for ids, reward, nats, finished in rows]


def _tell(
    stage: "_Stage", before: list[Answered], after: list[Answered], progress: _Progress, *, step: int
) -> measure.Report:
    """Log an evaluation and its first samples; returns the report."""
    report = measure.policy_report(before, after, beta=progress.beta, seed=stage.config.seed)
    numbers = {f"heldout/{name}": value for name, value in report.items() if isinstance(value, float)}
    stage.log.write("eval", step, numbers)
    _show(stage, after[:SHOWN], step=step)
    return report


def _show(stage: "_Stage", answers: list[Answered], *, step: int) -> None:
    for prompt, answer in zip(stage.heldout, answers, strict=False):
        metrics.write_sample(
            stage.run,
            step=step,
            kind="heldout",
            prompt_id=prompt.id,
            sample_index=0,
            prompt=prompt.messages[-1]["content"],
            answer=stage.words.decode(answer.ids),
            tokens=len(answer.ids),
            finished=answer.finished,
            reward=answer.reward,
            kl=answer.kl,
        )


def _finish(stage: "_Stage", progress: _Progress) -> None:
    """Save both adapters and the last evaluation, and close the run."""
    run, report = stage.run, progress.report
    run.write_json("evaluation.json", {"what": "policy", **report})
    stage.save_policy("adapter")
    head = {"weight": stage.value_weight, "bias": stage.value_bias}
    with run.folder("value") as folder:
        adapters.save_adapter(stage.model, VALUE, folder, heads=head, facts=stage.facts(VALUE))
    outputs = [("adapter", "policy", "adapter"), ("value", "value", "value")]
    outputs += [("evaluation", "evaluation", "evaluation.json")]
    outputs += [
        (place.name, "milestone", f"milestones/{place.name}") for place in checkpoint.folders_of(run, "milestones")
    ]
    run.finish(outputs, measure.figures(report), steps=progress.rollout, template_sha256=stage.words.template_sha256)


# --- what the steps stand on


class _Stage:
    """The resident base with its four roles, the rows, and the optimizers of a run."""

    def __init__(self, config: PpoConfig, run: Run) -> None:
        self.config, self.run = config, run
        self.device = base.prepare(config)
        run.write_json("environment.json", base.environment(self.device))
        self.model = base.resident(run, config, self.device)
        self.exact = self.model.dtype == torch.float32
        self.words: Tokenizer = tokenizer.load(run.parent("base"), template=config.template)
        context = base.context_of(self.model, config)
        prompts = data.prompts(run, config, self.words, context=context)
        self.train = [prompt for prompt in prompts if prompt.split == "train"]
        self.heldout = [prompt for prompt in prompts if prompt.split == "heldout"]
        self.dialogues = data.dialogues(run, config, self.words, context=context).train if config.ptx_coef else []
        self.settings = Settings(
            max_new_tokens=config.max_new_tokens, temperature=config.temperature, stop_ids=self.words.stop_ids()
        )
        self.rollouts = min(filter(None, (config.rollouts, config.max_steps)))
        self.milestones = checkpoint.milestones(self.rollouts)
        self.log, self.clock = metrics.Log(run), metrics.Clock()
        self.keeper = checkpoint.Keeper(steps=config.checkpoint_steps, seconds=config.checkpoint_s)
        self.roles: dict[str, str | None] = {role: role for role in (POLICY, REFERENCE, VALUE, REWARD)}
        self._prepare_roles()

    def _prepare_roles(self) -> None:
        """Policy: a trainable copy of the reference; value: of the reward (L2, P14). The head's scale comes later."""
        config, model = self.config, self.model
        if config.parent_adapter:
            place = self.run.parent(config.parent_adapter)
            adapters.load_adapter(model, place, REFERENCE, base_sha256=config.base_sha256)
            adapters.copy(model, REFERENCE, POLICY, rank=config.rank, alpha=config.alpha, seed=config.seed)
        else:
            self.roles[REFERENCE] = None
            adapters.attach(model, POLICY, rank=config.rank, alpha=config.alpha, seed=config.seed)
        place = self.run.parent(config.reward_adapter)
        self.scorer = measure.load_scorer(model, place, REWARD, base_sha256=config.base_sha256)
        if config.value_from == "reward":
            adapters.copy(model, REWARD, VALUE)
        else:
            adapters.attach(model, VALUE, rank=config.rank, alpha=config.alpha, seed=config.seed)
        self.value_weight = Parameter(torch.zeros_like(self.scorer.head))
        self.value_bias = Parameter(self.scorer.head.new_zeros(1))
        trained = {
            POLICY: adapters.parameters(model, POLICY),
            VALUE: [*adapters.parameters(model, VALUE), self.value_weight, self.value_bias],
        }
        self.optimizers = {role: optimizer.AdamW(own, eps=optimizer.REWARD_EPS) for role, own in trained.items()}
        self.shadow = self.optimizers[POLICY].weight.clone() if config.ema else None
        weights = sum(one.weight.numel() * 4 for one in self.optimizers.values())
        checkpoint.require_space(self.run, weights=weights, outputs=weights)

    def start(self) -> tuple[_Progress, _Batch | None]:
        """Where the last checkpoint stands; or the beginning, with the scale of scores fixed (P5)."""
        state = checkpoint.resume(self.run)
        if state is None:
            progress = _Progress(beta=self.config.kl_coef)
            progress.gain, progress.bias = self._norm()
            if self.config.value_from == "reward":
                with torch.no_grad():
                    self.value_weight.copy_(progress.gain * self.scorer.head)
                    self.value_bias.fill_(progress.bias)
            return progress, None
        for role, own in self.optimizers.items():
            own.load_weight(state.roles[role]["weight"])
            own.load(state.optimizers[role])
        if self.shadow is not None:
            self.shadow.copy_(state.roles["shadow"]["weight"])
        self.run.step = state.step
        return _Progress(**state.phase), _Batch(**state.rollout) if state.rollout else None

    def _norm(self) -> tuple[float, float]:
        """(gain, bias) of raw scores: 256 reference answers to train prompts have mean 0 and deviation 1 (P5)."""
        if self.config.score_norm == "none":
            return 1.0, 0.0
        if self.config.score_norm == "saved":
            return self.scorer.gain, self.scorer.bias
        places = [divmod(i, len(self.train)) for i in range(self.config.norm_samples)]
        order = self._order(epoch=0)
        prompts = [self.train[order[place]] for _, place in places]
        seeds = [
            seed_for(self.config.seed, "sample", prompt.id, j, "norm")
            for prompt, (j, _) in zip(prompts, places, strict=True)
        ]
        return losses.fit_norm(self.raw_scores(prompts, self.sample(prompts, seeds, REFERENCE)))

    def _order(self, *, epoch: int) -> list[int]:
        everyone = [1] * len(self.train)
        return data.steps_of(everyone, epoch=epoch, seed=self.config.seed, batch=len(everyone))[0]

    def prompts_of(self, rollout: int) -> tuple[list[int], list[int]]:
        """(train prompts, one an answer; their seeds) of a rollout: consecutive prompts of the permuted ones (P17)."""
        config, everyone = self.config, len(self.train)
        first, last = rollout * config.rollout_prompts, (rollout + 1) * config.rollout_prompts
        epochs = range(first // everyone, (last - 1) // everyone + 1)
        line = [prompt for epoch in epochs for prompt in self._order(epoch=epoch)]
        start = first - epochs.start * everyone
        chosen = [p for p in line[start : start + config.rollout_prompts] for _ in range(config.samples_per_prompt)]
        times: Counter[int] = Counter()
        seeds = []
        for prompt in chosen:
            seeds.append(seed_for(config.seed, "sample", self.train[prompt].id, times[prompt], rollout))
            times[prompt] += 1
        return chosen, seeds

    def using(self, role: str) -> AbstractContextManager[None]:
        return adapters.using(self.model, self.roles[role])

    def sample(self, prompts: Sequence[Prompt], seeds: list[int], role: str) -> Rollout:
        return sampling.sample(
            self.model,
            [torch.tensor(prompt.ids) for prompt in prompts],
            role=self.roles[role],
            settings=self.settings,
            seeds=seeds,
            decode_rows=self.config.decode_rows,
            stop=self.run.check_stop,
        )

    # scoring, without gradients

    def logprobs(self, prompts: Sequence[Prompt], rollout: Rollout, role: str) -> tuple[Tensor, Tensor]:
        """(log-probabilities, entropies), both [B, R], of a role by the training forward (P2)."""
        logp, entropy = self._each(prompts, rollout, role, self.logprobs_of)
        return logp, entropy

    def values(self, prompts: Sequence[Prompt], rollout: Rollout) -> Tensor:
        """[B, R]: what the value role expects before each token (P3)."""
        (values,) = self._each(prompts, rollout, VALUE, lambda prompts, answers: (self.values_of(prompts, answers),))
        return values

    def raw_scores(self, prompts: Sequence[Prompt], rollout: Rollout) -> Tensor:
        """[B]: the reward model's raw scores, read at each answer's last token (R1, P4)."""
        answers = rollout.answers()
        rows = [torch.cat([torch.tensor(p.ids), ids]) for p, ids in zip(prompts, answers, strict=True)]
        return measure.scores(
            self.model, rows, self.scorer, budget=self.config.microbatch_tokens, stop=self.run.check_stop
        )

    @torch.no_grad()
    def _each(
        self,
        prompts: Sequence[Prompt],
        rollout: Rollout,
        role: str,
        read: Callable[[list[Tensor], list[Tensor]], tuple[Tensor, ...]],
    ) -> list[Tensor]:
        """What `read` finds at the answer tokens of micro-batches, put together as [B, R], 0 where masked."""
        answers, mask = rollout.answers(), rollout.mask
        lengths = [len(prompt.ids) + len(ids) for prompt, ids in zip(prompts, answers, strict=True)]
        out: list[Tensor] = []
        with self.using(role):
            for group in packing.micro_batches_in_order(lengths, budget=self.config.microbatch_tokens):
                self.run.check_stop()
                found = read([torch.tensor(prompts[i].ids) for i in group], [answers[i] for i in group])
                out = out or [torch.zeros(mask.shape) for _ in found]
                for whole, part in zip(out, found, strict=True):
                    whole[group] = torch.zeros(len(group), mask.shape[1]).masked_scatter(mask[group], part.cpu())
        return out

    # the training forward, with the role in use

    def logprobs_of(self, prompts: list[Tensor], answers: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(log-probability, entropy), both [N], of the answers' tokens."""
        return sampling.answer_logprobs(
            self.model, prompts, answers, temperature=self.config.temperature, chunk=self.config.head_chunk
        )

    def values_of(self, prompts: list[Tensor], answers: list[Tensor]) -> Tensor:
        """[N]: the value at the position before each of the answers' tokens."""
        hidden = sampling.answer_hidden(self.model, prompts, answers)
        return (hidden.float() @ self.value_weight.T)[:, 0] + self.value_bias

    def micro_batches(self, batch: _Batch, rows: list[int]) -> Iterator[tuple[list[Tensor], list[Tensor], list[int]]]:
        """(prompts, answers, rows) of each micro-batch of a minibatch; a stop request is heard before each."""
        prompts = {row: torch.tensor(self.train[batch.prompts[row]].ids) for row in rows}
        lengths = [0] * len(batch.lengths)
        for row in rows:
            lengths[row] = len(prompts[row]) + int(batch.lengths[row])
        for group in packing.micro_batches(lengths, rows, budget=self.config.microbatch_tokens):
            self.run.check_stop()
            yield [prompts[row] for row in group], [batch.answer(row) for row in group], group

    def flat(self, x: Tensor, batch: _Batch, group: list[int]) -> Tensor:
        """[N]: what a [B, R] tensor holds at the group's answer tokens."""
        return x[group][batch.mask[group]].to(self.device)

    def show_first(self, batch: _Batch) -> None:
        """Write first_batch.json: the first rollout's answers as they are trained on (D8)."""
        prompts = [self.train[place] for place in batch.prompts[:SHOWN].tolist()]
        examples = [
            data.Example(prompt.id, [*prompt.ids, *answer], [False] * len(prompt.ids) + [True] * len(answer))
            for row, prompt in enumerate(prompts)
            for answer in [batch.answer(row).tolist()]
        ]
        packing.show(self.run, self.words, packing.collate(examples, range(len(examples))))

    def ptx_gradient(self, progress: _Progress, rows: int) -> None:
        """Add the gradient of the loss on as many SFT rows, weighted by ptx_coef (P16)."""
        config = self.config
        order = [
            row for step in data.steps_of([1] * len(self.dialogues), epoch=0, seed=config.seed, batch=1) for row in step
        ]
        first = (progress.rollout * config.epochs * config.minibatches + progress.minibatch) * rows
        chosen = [order[(first + i) % len(order)] for i in range(rows)]
        total = data.counted_weight(self.dialogues, chosen)
        lengths = [len(example.ids) for example in self.dialogues]
        for group in packing.micro_batches(lengths, chosen, budget=config.microbatch_tokens):
            part = packing.collate(self.dialogues, group).to(self.device)
            hidden = base.trunk(self.model, part).index_select(0, part.at)
            loss, _ = losses.linear_cross_entropy(
                hidden, base.head_weight(self.model), part.targets, part.weights, chunk=config.head_chunk
            )
            (config.ptx_coef * loss / total).backward()  # type: ignore[no-untyped-call]  # torch types it not

    # optimizers, checkpoints, outputs

    def clip(self, role: str, progress: _Progress, batch: _Batch, rows: list[int]) -> float:
        """Clip a role's gradient; returns its norm before. Raises not_finite (G7, G10)."""
        own = self.optimizers[role]
        norm = own.clip(self.config.clip_norm)
        metrics.require_finite(
            step=progress.rollout + 1,
            rows=[self.train[batch.prompts[row]].id for row in rows],
            what=f"the {role}'s gradient norm",
            value=norm,
            tensor=own.first_not_finite() if not math.isfinite(norm) else "",
        )
        return norm

    def rate(self, lr: float, progress: _Progress) -> float:
        """The learning rate of the minibatch at hand, over all minibatches of the run (G8)."""
        config = self.config
        per_rollout = config.epochs * config.minibatches
        return optimizer.rate(
            progress.rollout * per_rollout + progress.minibatch,
            total=self.rollouts * per_rollout,
            lr=lr,
            schedule=config.schedule,
            warmup_share=config.warmup_share,
            final_lr_share=config.final_lr_share,
        )

    def follow(self) -> None:
        """Move the shadow copy towards the policy (P16)."""
        if self.shadow is not None:
            self.shadow.lerp_(self.optimizers[POLICY].weight, 1 - self.config.ema)

    def take_shadow(self) -> None:
        """Make the shadow copy the policy, where there is one."""
        if self.shadow is not None:
            self.optimizers[POLICY].load_weight(self.shadow)

    def save(self, progress: _Progress, batch: _Batch | None) -> None:
        """Leave a checkpoint; in mid-update it holds the rollout (P18)."""
        roles = {role: {"weight": own.weight} for role, own in self.optimizers.items()}
        if self.shadow is not None:
            roles["shadow"] = {"weight": self.shadow}
        state = checkpoint.State(
            step=progress.rollout,
            phase=asdict(progress),
            roles=roles,
            optimizers={role: own.state() for role, own in self.optimizers.items()},
            rollout=batch.tensors() if batch else {},
        )
        checkpoint.save(self.run, state)
        self.keeper.saved()

    def save_policy(self, place: str) -> None:
        """Write the policy's adapter below the run directory."""
        with self.run.folder(place) as folder:
            adapters.save_adapter(self.model, POLICY, folder, facts=self.facts(POLICY))

    def facts(self, kind: str) -> dict[str, Any]:  # Any: JSON
        """What an adapter's manifest says of where it comes from."""
        return {
            "kind": kind,
            "base_sha256": self.config.base_sha256,
            "template_sha256": self.words.template_sha256,
            "parent_sha256": self.run.parents.get(self.config.parent_adapter, ""),
            "reward_sha256": self.run.parents[self.config.reward_adapter],
        }


def _mean(x: Tensor) -> float:
    return float(x.double().mean())


def _add(sums: dict[str, float], more: dict[str, float]) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, 0.0) + value

"""Step 9 of PPO: epochs of minibatches over a scored rollout, one step of each optimizer a minibatch.

Letters: B answers of a rollout, R tokens of the longest, N counted tokens.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from trainer import base, data, losses, metrics, optimizer, packing, trial
from trainer.contract.errors import TrainerError
from trainer.contract.seeds import seed_for
from trainer.roles import POLICY, VALUE, Stage
from trainer.rollout import Batch, Progress

RUNAWAY = 10.0  # mean ratio from which a minibatch is not applied (P15)
SHOWN = 8  # answers that first_batch.json shows


def try_largest(stage: Stage) -> None:
    """The trial pass (M5). No answer is known yet: the longest prompts of a minibatch get the longest ones allowed."""
    config, size = stage.config, stage.config.max_new_tokens
    longest = sorted((prompt.ids for prompt in stage.train), key=len, reverse=True)
    rows = range(math.ceil(config.answers / config.minibatches))
    asked = [longest[row // config.samples_per_prompt % len(longest)] for row in rows]
    rest = [0] * (size - 1)
    answers = [torch.tensor([row % len(stage.words), *rest]) for row in rows]  # alike, they would be one row
    groups = packing.answer_batches(asked, [size] * len(rows), rows, budget=config.microbatch_tokens)

    def tokens(group: list[int]) -> int:
        return sum(map(len, {tuple(asked[row]) for row in group})) + size * len(group)

    def backward(group: list[int]) -> None:
        given = [torch.tensor(asked[row]) for row in group], [answers[row] for row in group]
        with stage.using(POLICY):
            logp, entropy = stage.logprobs_of(*given)
            total = logp.sum() + entropy.sum() if config.entropy_coef else logp.sum()
            total.backward()  # type: ignore[no-untyped-call]  # torch types it not
        if config.learns_value:
            stage.run.check_stop()
            with stage.using(VALUE):
                stage.values_of(*given).sum().backward()  # type: ignore[no-untyped-call]  # torch types it not

    trial.pass_largest(
        ((tokens(group), group) for group in groups),
        backward,
        run=stage.run,
        config=config,
        optimizers=list(stage.optimizers.values()),
        clock=stage.clock,
    )


def learn_minibatch(stage: Stage, progress: Progress, batch: Batch) -> None:
    """One step of each optimizer on the next minibatch; both gradients are whole before the first of them is applied.

    Whoever stops in it has learned nothing of it.
    """
    config, rows = stage.config, rows_of(stage, progress, len(batch.lengths))
    learns = progress.rollout >= config.warmup_rollouts and not progress.skip
    value_sums = {}
    if learns:  # first: what the rollout kept of its forward goes with it
        sums, widest = policy_gradient(stage, progress, batch, rows)
        sums["policy_norm"] = clip(stage, POLICY, progress, batch, rows)
    if config.learns_value:
        value_sums = value_gradient(stage, batch, rows)
        value_sums["value_norm"] = clip(stage, VALUE, progress, batch, rows)
    if learns:
        tokens = sums["policy_tokens"]
        if progress.minibatch == 0:
            check_ratio(widest, sums["off"] / tokens, exact=stage.exact)
        sums["skipped"] = float(sums["ratio"] / tokens > RUNAWAY)
        if not sums["skipped"]:
            stage.optimizers[POLICY].step(rate(stage, config.lr, progress))
            stage.follow()
        progress.skip = 0 < config.approx_kl_stop < sums["approxkl"] / tokens
        _add(progress.tally, sums)
    elif progress.skip:
        _add(progress.tally, {"skipped": 1.0})
    if config.learns_value:
        stage.optimizers[VALUE].step(rate(stage, config.value_lr, progress))
        _add(progress.tally, value_sums)
    progress.minibatch += 1


def rows_of(stage: Stage, progress: Progress, answers: int) -> list[int]:
    """The answers of the minibatch at hand; each epoch passes every answer once, in an order of its own (P15)."""
    config = stage.config
    epoch, part = divmod(progress.minibatch, config.minibatches)
    draw = torch.Generator().manual_seed(seed_for(config.seed, "minibatch", progress.rollout, epoch))
    rows: list[int] = torch.randperm(answers, generator=draw).tensor_split(config.minibatches)[part].tolist()
    return rows


def policy_gradient(stage: Stage, progress: Progress, batch: Batch, rows: list[int]) -> tuple[dict[str, float], float]:
    """Back-propagate a minibatch's policy loss over its micro-batches; (sums over its tokens, max|ρ − 1|) (P12)."""
    config, count = stage.config, int(batch.lengths[rows].sum())
    found, widest = [], []
    stage.optimizers[POLICY].zero()
    with stage.using(POLICY):
        for prompts, answers, group in micro_batches(stage, batch, rows):
            logp, entropy = stage.kept or stage.logprobs_of(prompts, answers)
            stage.kept = None
            old, ref, advantage = (
                batch.flat(x, group).to(stage.device) for x in (batch.logp, batch.ref_logp, batch.advantage)
            )
            mask = torch.ones_like(logp, dtype=torch.bool)
            loss = losses.policy_loss(
                logp=logp, old_logp=old, advantage=advantage, mask=mask, clip=config.clip, dual_clip=config.dual_clip
            )
            total = loss
            if config.kl_in == "loss":
                price = progress.beta / progress.spread  # what divided the advantages divides it too
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
            ptx_gradient(stage, progress, len(rows))
    names = ("policy_loss", "approxkl", "policy_clipped", "ratio", "ratio_squared", "off")
    sums = dict(zip(names, torch.stack(found).sum(0).tolist(), strict=True))
    return {**sums, "policy_tokens": float(count), "policy_steps": 1.0}, float(torch.stack(widest).max())


def value_gradient(stage: Stage, batch: Batch, rows: list[int]) -> dict[str, float]:
    """Back-propagate a minibatch's value loss over its micro-batches; sums over its tokens (P13)."""
    config, count = stage.config, int(batch.lengths[rows].sum())
    found = []
    stage.optimizers[VALUE].zero()
    with stage.using(VALUE):
        for prompts, answers, group in micro_batches(stage, batch, rows):
            old, returns = (batch.flat(x, group).to(stage.device) for x in (batch.values, batch.returns))
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


def micro_batches(
    stage: Stage, batch: Batch, rows: list[int]
) -> Iterator[tuple[list[Tensor], list[Tensor], list[int]]]:
    """(prompts, answers, rows) of each micro-batch of a minibatch; a stop request is heard before each."""
    asked = [stage.train[place].ids for place in batch.prompts.tolist()]
    lengths = batch.lengths.tolist()
    for group in packing.answer_batches(asked, lengths, rows, budget=stage.config.microbatch_tokens):
        stage.run.check_stop()
        yield [torch.tensor(asked[row]) for row in group], [batch.answer(row) for row in group], group


def ptx_gradient(stage: Stage, progress: Progress, rows: int) -> None:
    """Add the gradient of the loss on as many SFT rows, weighted by ptx_coef (P16)."""
    config = stage.config
    order = [
        row for step in data.steps_of([1] * len(stage.dialogues), epoch=0, seed=config.seed, batch=1) for row in step
    ]
    first = (progress.rollout * config.epochs * config.minibatches + progress.minibatch) * rows
    chosen = [order[(first + i) % len(order)] for i in range(rows)]
    total = data.counted_weight(stage.dialogues, chosen)
    lengths = [len(example.ids) for example in stage.dialogues]
    for group in packing.micro_batches(lengths, chosen, budget=config.microbatch_tokens):
        part = packing.collate(stage.dialogues, group).to(stage.device)
        hidden = base.trunk(stage.model, part).index_select(0, part.at)
        loss, _ = losses.linear_cross_entropy(
            hidden, base.head_weight(stage.model), part.targets, part.weights, chunk=config.head_chunk
        )
        (config.ptx_coef * loss / total).backward()  # type: ignore[no-untyped-call]  # torch types it not


def clip(stage: Stage, role: str, progress: Progress, batch: Batch, rows: list[int]) -> float:
    """Clip a role's gradient; returns its norm before. Raises not_finite (G7, G10)."""
    own = stage.optimizers[role]
    norm = own.clip(stage.config.clip_norm)
    metrics.require_finite(
        step=progress.rollout + 1,
        rows=[stage.train[batch.prompts[row]].id for row in rows],
        what=f"the {role}'s gradient norm",
        value=norm,
        tensor=own.first_not_finite() if not math.isfinite(norm) else "",
    )
    return norm


def rate(stage: Stage, lr: float, progress: Progress) -> float:
    """The learning rate of the minibatch at hand, over all minibatches of the run (G8)."""
    config = stage.config
    per_rollout = config.epochs * config.minibatches
    return optimizer.rate(
        progress.rollout * per_rollout + progress.minibatch,
        total=stage.rollouts * per_rollout,
        lr=lr,
        schedule=config.schedule,
        warmup_share=config.warmup_share,
        final_lr_share=config.final_lr_share,
    )


def show_first(stage: Stage, batch: Batch) -> None:
    """Write first_batch.json: the first rollout's answers as they are trained on (D8)."""
    prompts = [stage.train[place] for place in batch.prompts[:SHOWN].tolist()]
    examples = [
        data.Example(prompt.id, [*prompt.ids, *answer], [False] * len(prompt.ids) + [True] * len(answer))
        for row, prompt in enumerate(prompts)
        for answer in [batch.answer(row).tolist()]
    ]
    packing.show(stage.run, stage.words, packing.collate(examples, range(len(examples))))


def update_values(tally: dict[str, float]) -> dict[str, float]:
    """The rollout's metrics of step 9, as masked means over all its minibatches (P19)."""
    values = {"policy/skipped": tally.get("skipped", 0.0)}
    if tokens := tally.get("value_tokens"):
        values |= {
            "loss/value_avg": tally["value_loss"] / tokens,
            "val/clipfrac_avg": tally["value_clipped"] / tokens,
            "grad_norm/value": tally["value_norm"] / tally["value_steps"],
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


def _add(sums: dict[str, float], more: dict[str, float]) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, 0.0) + value

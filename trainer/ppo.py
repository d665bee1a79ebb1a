"""Stage `ppo`: an adapter that writes what the reward adapter scores highly, near the policy that it started as.

A step of the run is one rollout; its parts are numbered as in the specification: (1) prompts, (2) generate, (3) score,
(4) normalise, (5) KL, (6) rewards, (7) GAE, (8) whiten: `rollout`; (9) epochs of minibatches: `update`; (10) control.
RLOO and GRPO are the same steps with another advantage: answers to one prompt are held against each other (P20), so
that no value is learned and (6) to (8) fall away.
What is not here: the formulas (`losses`), the roles (`roles`), the sampler (`sampling`), what stops a run (`monitors`).
"""

from dataclasses import asdict

import torch

from trainer import adapters, checkpoint, losses, measure, monitors, samples
from trainer.contract.configs import PpoConfig
from trainer.contract.errors import Stopped
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.data import Prompt
from trainer.policies import Answered, policy_report
from trainer.roles import POLICY, REFERENCE, VALUE, Stage
from trainer.rollout import Batch, Progress, Shown, norm_of, prompts_of, roll_out
from trainer.update import learn_minibatch, rate, show_first, try_largest, update_values

SHOWN = 8  # held-out prompts whose answers samples.jsonl shows
NOTABLE = 20  # answers in each list for people


def train(config: PpoConfig, run: Run) -> None:
    """Train a policy, and a value beside it, against a frozen reward; leaves adapter/, value/ and evaluation.json.

    With advantage rloo or grpo there is no value.
    """
    stage = Stage(config, run)
    progress, batch = start(stage)
    try:
        before = _answers(stage, stage.heldout, REFERENCE, progress) if progress.rollout < stage.rollouts else []
        if not progress.report:
            progress.report = _tell(stage, before, before, progress, step=0)
        while progress.rollout < stage.rollouts:
            if batch is None:
                # (1) to (8)
                batch = roll_out(stage, progress)
                if progress.rollout == 0:
                    show_first(stage, batch)
            # (9) epochs × minibatches
            while progress.minibatch < config.epochs * config.minibatches:
                learn_minibatch(stage, progress, batch)
                if stage.keeper.late():
                    _save(stage, progress, batch)
            # (10) KL controller, monitors, metrics, checkpoint
            _control(stage, progress, batch, before)
            batch = None
    except Stopped:
        _save(stage, progress, batch)
        raise
    _finish(stage, progress)


# --- step 10


def _control(stage: Stage, progress: Progress, batch: Batch, before: list[Answered]) -> None:
    """Metrics, evaluation and samples of the rollout that ends; the next KL coefficient; a checkpoint if one is due.

    Raises Paused where a monitor asks for it, after a checkpoint.
    """
    config, step = stage.config, progress.rollout + 1
    values = {**progress.values, **update_values(progress.tally), "lr": rate(stage, config.lr, progress)}
    tokens = round(progress.values["answer/length"] * config.answers)
    stage.log.write("rollout", step, values, progress=step / stage.rollouts, seconds=stage.clock.lap(), tokens=tokens)
    alarms, last = stage.log.pausing, step == stage.rollouts
    if last:
        stage.take_shadow()
    if last or step % config.eval_steps == 0:
        after = _answers(stage, stage.heldout, POLICY, progress)
        progress.report = _tell(stage, before, after, progress, step=step)
    elif step % config.sample_steps == 0:
        _show(stage, _answers(stage, stage.heldout[:SHOWN], POLICY, progress), step=step)
    progress.notable = _notable(stage, progress, batch, beside=bool(alarms)) if last or alarms else {}
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
    if step in stage.milestones and not last:
        stage.save_policy(f"milestones/step-{step:08d}")
    if last or alarms or stage.keeper.due(step):
        _save(stage, progress, None)
    if alarms:
        _report(stage, progress)
        raise monitors.paused(alarms)


def _notable(stage: Stage, progress: Progress, batch: Batch, *, beside: bool) -> dict[str, list[Shown]]:
    """The rollout's answers with the highest reward, and those on which the reward's heads agree least.

    beside: with the reference's answer to the same prompt, so that people can say which of both is better.
    """
    orders = {"highest_reward": batch.rewards[:, 0]}
    if batch.rewards.shape[1] > 1:
        orders["widest_spread"] = batch.spread
    rows = {name: by.argsort(descending=True, stable=True)[:NOTABLE].tolist() for name, by in orders.items()}
    asked = {int(batch.prompts[row]) for chosen in rows.values() for row in chosen}
    references = _references(stage, progress, sorted(asked)) if beside else {}
    _, seeds = prompts_of(stage, progress.rollout)
    kl = torch.where(batch.mask, losses.kl(batch.logp, batch.ref_logp, "k1"), 0.0).sum(1)

    def shown(row: int) -> Shown:
        place, ids = int(batch.prompts[row]), batch.answer(row).tolist()
        prompt = stage.train[place]
        answer: Shown = {
            "step": progress.rollout + 1,
            "prompt_id": prompt.id,
            "prompt": prompt.messages[-1]["content"],
            "answer": stage.words.decode(ids),
            "tokens": len(ids),
            "finished": bool(batch.finished[row]),
            "reward": float(batch.rewards[row, 0]),
            "kl": float(kl[row]),
            "seed": seeds[row],
            "logprob": float(batch.logp[row, : len(ids)].double().sum()),
        }
        if "widest_spread" in orders:
            answer["spread"] = float(batch.spread[row])
        return {**answer, "reference": references[place]} if beside else answer

    return {name: [shown(row) for row in chosen] for name, chosen in rows.items()}


def _references(stage: Stage, progress: Progress, places: list[int]) -> dict[int, Shown]:
    """One answer of the reference to each of these train prompts, by the prompt's place."""
    prompts = [stage.train[place] for place in places]
    seeds = [seed_for(stage.config.seed, "sample", prompt.id, 0, f"notable-{progress.rollout}") for prompt in prompts]
    found = stage.sample(prompts, seeds, REFERENCE)
    return {
        place: {
            "answer": stage.words.decode(ids.tolist()),
            "tokens": len(ids),
            "finished": bool(found.finished[row]),
            "seed": seeds[row],
            "logprob": float(found.logprob[row, : len(ids)].double().sum()),
        }
        for row, (place, ids) in enumerate(zip(places, found.answers(), strict=True))
    }


# --- evaluation and the end


def _answers(stage: Stage, prompts: list[Prompt], role: str, progress: Progress) -> list[Answered]:
    """One answer of a role to each prompt, the same random numbers each time, with reward r = g·s + b and KL (E4)."""
    seeds = [seed_for(stage.config.seed, "sample", prompt.id, 0, "evaluation") for prompt in prompts]
    rollout = stage.sample(prompts, seeds, role)
    rewards = progress.normed(stage.raw_scores(prompts, rollout))[:, 0]
    kl = torch.zeros(len(prompts))
    if role != REFERENCE:
        logp, _ = stage.logprobs(prompts, rollout, role)
        ref_logp, _ = stage.logprobs(prompts, rollout, REFERENCE)
        kl = torch.where(rollout.mask, losses.kl(logp, ref_logp, "k1"), 0.0).sum(1)
    rows = zip(rollout.answers(), rewards.tolist(), kl.tolist(), rollout.finished.tolist(), strict=True)
    return [Answered(ids.tolist(), reward, nats, finished) for ids, reward, nats, finished in rows]


def _tell(
    stage: Stage, before: list[Answered], after: list[Answered], progress: Progress, *, step: int
) -> measure.Report:
    """Log an evaluation and its first samples; returns the report."""
    report = policy_report(before, after, beta=progress.beta, seed=stage.config.seed)
    numbers = {f"heldout/{name}": value for name, value in report.items() if isinstance(value, float)}
    stage.log.write("eval", step, numbers)
    _show(stage, after[:SHOWN], step=step)
    return report


def _show(stage: Stage, answers: list[Answered], *, step: int) -> None:
    for prompt, answer in zip(stage.heldout, answers, strict=False):
        sample = samples.sample_of(prompt.id, prompt.messages, answer.ids, stage.words, finished=answer.finished)
        samples.write(stage.run, sample, step=step, reward=answer.reward, kl=answer.kl)


def _report(stage: Stage, progress: Progress) -> None:
    """Write evaluation.json: the last report, and the answers that people should see."""
    stage.run.write_json("evaluation.json", {"what": "policy", **progress.report, **progress.notable})


def _finish(stage: Stage, progress: Progress) -> None:
    """Save the adapters and the last evaluation, and close the run."""
    run = stage.run
    _report(stage, progress)
    stage.save_policy("adapter")
    outputs = [("adapter", "policy", "adapter")]
    if stage.config.learns_value:
        head = {"weight": stage.value_weight, "bias": stage.value_bias}
        with run.folder("value") as folder:
            adapters.save_adapter(stage.model, VALUE, folder, heads=head, facts=stage.facts(VALUE))
        outputs.append(("value", "value", "value"))
    outputs.append(("evaluation", "evaluation", "evaluation.json"))
    outputs += [
        (place.name, "milestone", f"milestones/{place.name}") for place in checkpoint.folders_of(run, "milestones")
    ]
    final = measure.figures(progress.report)
    run.finish(outputs, final, steps=progress.rollout, template_sha256=stage.words.template_sha256)


# --- checkpoints


def start(stage: Stage) -> tuple[Progress, Batch | None]:
    """Where the last checkpoint stands; or the beginning, with the scale of scores fixed (P5). The trial pass first."""
    state = checkpoint.resume(stage.run)
    stage.run.step = state.step if state else 0
    try_largest(stage)
    if state is None:
        progress = Progress(beta=stage.config.kl_coef)
        progress.gains, progress.biases = norm_of(stage)
        stage.start_value(gain=progress.gains[0], bias=progress.biases[0])
        return progress, None
    for role, own in stage.optimizers.items():
        own.load_weight(state.roles[role]["weight"])
        own.load(state.optimizers[role])
    if stage.shadow is not None:
        stage.shadow.copy_(state.roles["shadow"]["weight"])
    return Progress(**state.phase), Batch(**state.rollout) if state.rollout else None


def _save(stage: Stage, progress: Progress, batch: Batch | None) -> None:
    """Leave a checkpoint; in mid-update it holds the rollout (P18)."""
    roles = {role: {"weight": own.weight} for role, own in stage.optimizers.items()}
    if stage.shadow is not None:
        roles["shadow"] = {"weight": stage.shadow}
    state = checkpoint.State(
        step=progress.rollout,
        phase=asdict(progress),
        roles=roles,
        optimizers={role: own.state() for role, own in stage.optimizers.items()},
        rollout=batch.tensors() if batch else {},
    )
    checkpoint.save(stage.run, state)
    stage.keeper.saved()

"""Stage `sft`: one LoRA adapter that answers as people answered. N counted tokens, D width."""

from dataclasses import asdict
from pathlib import Path

import torch

from trainer import adapters, base, checkpoint, data, losses, measure, metrics, packing, samples, tokenizer, trial
from trainer.checkpoint import State
from trainer.contract.configs import SftConfig
from trainer.contract.errors import Stopped
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.data import Example, Parts, Prompt
from trainer.optimizer import AdamW, rate
from trainer.tokenizer import Tokenizer

ROLE = "sft"


def train(config: SftConfig, run: Run) -> None:
    """Leave adapter/: the weights whose held-out loss per answer token was lowest, or the last ones (S4)."""
    # 1 the base stays as it is; one adapter learns, new or as an exact copy of its parent (S3)
    device = base.prepare(config)
    model = base.resident(run, config, device)
    words = tokenizer.of_run(run, template=config.template)
    parts = data.dialogues(run, config, words, context=base.context_of(model, config))
    _attach(config, run, model)
    stage = _Stage(config, run, model, words, parts)
    run.write_json("environment.json", base.environment(device))
    checkpoint.require_space(run, weights=2 * stage.optimizer.weight.nbytes, outputs=2 * stage.optimizer.weight.nbytes)

    # 2 where an earlier attempt stopped
    state = checkpoint.resume(run) or State(step=0)
    stage.restore(state)

    # 3 the steps, then the outputs
    try:
        stage.try_largest()
        stage.evaluate_if_due()
        for number in range(run.step, stage.total):
            stage.learn(number)
            stage.mark_if_due()
            stage.evaluate_if_due()
            stage.keep_if_due()
    except Stopped:
        stage.save()
        raise
    stage.save()
    _finish(stage)


def _attach(config: SftConfig, run: Run, model: base.Model) -> None:
    if config.parent_adapter:
        path = run.parent(config.parent_adapter)
        adapters.load_adapter(model, path, "parent", base_sha256=config.base_sha256)
        adapters.copy(model, "parent", ROLE, rank=config.rank, alpha=config.alpha, seed=config.seed)
    else:
        adapters.attach(model, ROLE, rank=config.rank, alpha=config.alpha, seed=config.seed)


class _Stage:
    """What one run of the stage holds, and how far it is (run.step)."""

    def __init__(self, config: SftConfig, run: Run, model: base.Model, words: Tokenizer, parts: Parts[Example]) -> None:
        self.config, self.run, self.model, self.words = config, run, model, words
        self.examples, self.heldout = parts.train, parts.heldout
        self.lengths = [len(example.ids) for example in parts.train]
        self.optimizer = AdamW(adapters.parameters(model, ROLE))
        self.steps = data.steps_of_run(
            self.lengths, epochs=config.epochs, limit=config.max_steps, seed=config.seed, batch=config.batch_rows
        )
        self.total = len(self.steps)
        self.log, self.clock = metrics.Log(run), metrics.Clock()
        self.keeper = checkpoint.Keeper(steps=config.checkpoint_steps, seconds=config.checkpoint_s)
        self.milestones = checkpoint.milestones(self.total)
        self.evaluations: dict[str, dict[str, float]] = {}  # by step
        self.best = self.optimizer.weight.clone()

    def restore(self, state: State) -> None:
        """Go on after the state's last whole step."""
        self.run.step = state.step
        if state.roles:
            self.optimizer.load_weight(state.roles[ROLE]["weight"])
            self.optimizer.load(state.optimizers[ROLE])
            self.evaluations = state.phase["evaluations"]
            self.best.copy_(state.roles["best"]["weight"])

    def save(self) -> None:
        """Save the last whole step."""
        state = State(
            step=self.run.step,
            epoch=self.steps[self.run.step - 1][0] if self.run.step else 0,
            phase={"evaluations": self.evaluations},
            roles={ROLE: {"weight": self.optimizer.weight}, "best": {"weight": self.best}},
            optimizers={ROLE: self.optimizer.state()},
        )
        checkpoint.save(self.run, state)
        self.keeper.saved()

    def mark_if_due(self) -> None:
        """Leave a milestone where the step asks for one; before anything that a stop may interrupt."""
        if self.run.step in self.milestones:
            with self.run.folder(f"milestones/step-{self.run.step:08d}") as folder:
                self.leave(folder)

    def keep_if_due(self) -> None:
        """Leave a checkpoint where the step asks for one; the last step's is left at the end."""
        if self.run.step < self.total and self.keeper.due(self.run.step):
            self.save()

    def leave(self, folder: Path) -> None:
        """Write the adapter as a plain peft folder."""
        facts = {
            "kind": "sft",
            "base_sha256": self.config.base_sha256,
            "template_sha256": self.words.template_sha256,
            "parent_sha256": self.run.parents.get(self.config.parent_adapter, ""),
        }
        adapters.save_adapter(self.model, ROLE, folder, facts=facts)

    def try_largest(self) -> None:
        """The trial pass (M5)."""
        plan = (
            (sum(self.lengths[row] for row in rows), rows)
            for _, step_rows in self.steps[self.run.step :]
            for rows in self._micro_batches(step_rows)
        )
        trial.pass_largest(
            plan,
            lambda rows: self._backward(rows, 1.0, number=0, micro=0),
            run=self.run,
            config=self.config,
            optimizers=[self.optimizer],
            clock=self.clock,
        )

    def _micro_batches(self, rows: list[int]) -> data.Step:
        """Which of a step's rows share a pass."""
        return packing.micro_batches(self.lengths, rows, budget=self.config.microbatch_tokens)

    def learn(self, number: int) -> None:
        """One optimizer step: the weighted loss of the step's rows over their counted weight (S1)."""
        config = self.config
        epoch, step_rows = self.steps[number]
        counted = data.counted_weight(self.examples, step_rows)
        groups = self._micro_batches(step_rows)
        if number == 0:
            packing.show(self.run, self.words, packing.collate(self.examples, groups[0]))
        self.optimizer.zero()
        losses_: list[torch.Tensor] = []
        correct: list[torch.Tensor] = []
        for rows in groups:
            self.run.check_stop()
            loss, right = self._backward(rows, counted, number=number, micro=len(losses_))
            losses_.append(loss)
            correct.append(right)
        loss_, norm = float(torch.stack(losses_).sum()), self.optimizer.clip(config.clip_norm)
        lr = rate(
            number,
            total=self.total,
            lr=config.lr,
            schedule=config.schedule,
            warmup_share=config.warmup_share,
            final_lr_share=config.final_lr_share,
        )
        metrics.require_finite_step(
            step=number + 1,
            rows=[self.examples[row].id for row in step_rows],
            loss=loss_,
            norm=norm,
            first_not_finite=self.optimizer.first_not_finite,
        )
        self.optimizer.step(lr)
        self.run.step = number + 1
        tokens = sum(sum(self.examples[row].mask) for row in step_rows)
        values = {
            "loss": loss_,
            "grad_norm": norm,
            "lr": lr,
            "epoch": float(epoch),
            "accuracy": float(torch.cat(correct).float().mean()),
            "tokens": float(tokens),
        }
        self._write("train", values, tokens=sum(self.lengths[row] for row in step_rows))

    def _backward(
        self, rows: list[int], counted: float, *, number: int, micro: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add one micro-batch's share to the gradient; returns its share of the loss, and which tokens it foresaw."""
        batch = packing.collate(self.examples, rows).to(self.model.device)
        if self.config.lora_dropout:
            torch.manual_seed(seed_for(self.config.seed, "dropout", number, micro))
        with adapters.using(self.model, ROLE, dropout=self.config.lora_dropout):
            hidden = base.trunk(self.model, batch).index_select(0, batch.at)  # [N, D]: S2
            head, chunk = base.head_weight(self.model), self.config.head_chunk
            loss, correct = losses.linear_cross_entropy(hidden, head, batch.targets, batch.weights, chunk=chunk)
            loss = loss / counted
            loss.backward()  # type: ignore[no-untyped-call]  # torch types it not
        return loss.detach(), correct

    def evaluate_if_due(self) -> None:
        """Measure the held-out answers before the first step, every eval_steps, and after the last; keep the best."""
        step = self.run.step
        due = step == 0 or step == self.total or step % self.config.eval_steps == 0
        if not due or str(step) in self.evaluations:
            return
        with adapters.using(self.model, ROLE):
            report = measure.nll(
                self.model,
                self.heldout,
                budget=self.config.microbatch_tokens,
                chunk=self.config.head_chunk,
                stop=self.run.check_stop,
            )
        shown = self._answers() if step in (0, self.total) or step % self.config.sample_steps == 0 else []
        self.evaluations[str(step)] = asdict(report)
        if self.best_step() == step:
            self.best.copy_(self.optimizer.weight)
        for answer in shown:
            samples.write(self.run, answer, step=step)
        self._write("eval", report.values("answer"), tokens=report.tokens)

    def best_step(self) -> int:
        """The step whose evaluation was best; ties go to the earlier (S4)."""
        return min((report["nats_per_token"], int(step)) for step, report in self.evaluations.items())[1]

    def _answers(self) -> list[samples.Sample]:
        """What the adapter answers to the first held-out prompts."""
        shown = self.heldout[: samples.SHOWN]
        asked = [self.words.render(example.prompt, open=True).ids for example in shown]
        return samples.answers(
            self.model,
            [Prompt(one.id, "heldout", one.prompt, ids) for one, ids in zip(shown, asked, strict=True)],
            self.words,
            role=ROLE,
            tokens=samples.SHOWN_TOKENS,
            seed=self.config.seed,
            stop=self.run.check_stop,
        )

    def _write(self, kind: metrics.Kind, values: dict[str, float], *, tokens: int) -> None:
        progress = self.run.step / self.total
        self.log.write(kind, self.run.step, values, progress=progress, seconds=self.clock.lap(), tokens=tokens)


def _finish(stage: _Stage) -> None:
    """Write the chosen weights, the report before and after, and last the result."""
    run = stage.run
    chosen = stage.best_step() if stage.config.select == "best" else stage.total
    if stage.config.select == "best":
        stage.optimizer.load_weight(stage.best)
    with run.folder("adapter") as folder:
        stage.leave(folder)
    before, after = stage.evaluations["0"], stage.evaluations[str(chosen)]
    report = {"what": "answer nll", "before": before, "after": after, "chosen_step": chosen}
    run.write_json("evaluation.json", report)
    final = {
        "heldout_nll_before": before["nats_per_token"],
        "heldout_nll": after["nats_per_token"],
        "heldout_perplexity": after["perplexity"],
        "heldout_bits_per_byte": after["bits_per_byte"],
        "chosen_step": float(chosen),
    }
    outputs = [("adapter", "sft", "adapter"), ("evaluation", "evaluation", "evaluation.json")]
    outputs += [
        (path.name, "milestone", f"milestones/{path.name}") for path in checkpoint.folders_of(run, "milestones")
    ]
    run.finish(outputs, final, steps=stage.total, template_sha256=stage.words.template_sha256)

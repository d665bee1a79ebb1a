"""Stage `evaluate`: what models make of held-out rows (E1), of cloze items, blanks and corrections (E2), of rankings
(E3), and of prompts, token by token (E5).

Nothing learns, and nothing of a parent is touched (E6). One base is resident at a time, with at most one adapter; a
model that fails leaves the others as they are.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from trainer import adapters, base, cloze, data, heldout, measure, metrics, tokenizer, tokens
from trainer.contract.configs import EvaluateConfig
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run
from trainer.tokenizer import Tokenizer

BASE = "base"
LOOKED, REWARD = "looked", "reward"  # the resident adapters' names, whatever parents/ calls them
MOST_TOKENS = 16_000  # of answers, over all models, at some 45 bytes each: evaluation.json stays below 1 MB
Json = dict[str, Any]  # Any: a JSON object


@dataclass(frozen=True)
class Subject:
    """One model to look into: its name in reports, and its folder in parents/.

    step: of its training; None where nothing tells. at: the same in metric lines, there one after the last step known.
    """

    name: str
    step: int | None
    at: int
    sha256: str
    adapter: bool

    @property
    def series(self) -> str:
        """What stands before the keys of its metrics: a curve of its own for each adapter."""
        return f"{self.name.partition('.')[0]}/" if self.adapter else ""


def evaluate(config: EvaluateConfig, run: Run) -> None:
    """Leave evaluation.json, and cloze.jsonl where there are cloze items.

    Raises bad_config where nothing is asked, and the first model's error where no model could answer.
    """
    # 1 what is asked, and of whom
    stage = _Stage(config, run)

    # 2 each model in its turn
    for subject in stage.subjects:
        stage.look(subject)

    # 3 what the reward adapter says, on the base
    if stage.rewarded:
        stage.judge()

    # 4 the outputs
    _finish(stage)


def subjects_of(config: EvaluateConfig, run: Run) -> list[Subject]:
    """The models in their order: states of the base by step, the base itself, and the same for each adapter.

    A state with the hash of the model it led to is that model: it tells its step, and is not looked into twice.
    Raises bad_config where parents/ lacks one.
    """
    wanted = [name or BASE for name in config.adapters]
    states = sorted((_step_of(entry), entry) for entry in config.checkpoints)
    adapter = {one: (run.parent(one) / "adapter_config.json").is_file() for one in {*config.checkpoints, *wanted}}
    found = []
    for name in dict.fromkeys([*wanted, *(entry.partition(".")[0] for _, entry in states)]):
        own = [(step, entry) for step, entry in states if entry.partition(".")[0] == name]
        step = next((step for step, entry in own if name in wanted and run.parents[entry] == run.parents[name]), None)
        found += [Subject(entry, at, at, run.parents[entry], adapter[entry]) for at, entry in own if at != step]
        if name in wanted:
            at = step if step is not None else max((at + 1 for at, _ in own), default=0)
            found.append(Subject(name, step, at, run.parents[name], adapter[name]))
    return sorted(found, key=lambda subject: subject.adapter)


def _step_of(entry: str) -> int:
    name, _, step = entry.partition(".step-")
    if not name or not (step.isascii() and step.isdigit()):
        raise TrainerError("bad_config", f"checkpoints names {entry[:80]}; allowed are names like base.step-00000014.")
    return int(step)


class _Stage:
    """What is asked, and what was answered so far."""

    def __init__(self, config: EvaluateConfig, run: Run) -> None:
        self.config, self.run = config, run
        self.device = base.prepare(config)
        base.check_parent(run, config)
        self.subjects = subjects_of(config, run)
        self.rows = cloze.items(run)
        self.kept_out = heldout.holds(run)
        ranked = any(True for _ in run.rows("RankingRow"))
        self.ranked, self.rewarded = ranked, bool(config.reward_adapter and (ranked or config.answers))
        if not (self.rows or self.kept_out or config.prompts or self.rewarded):
            sentence = (
                "Nothing is asked: give cloze items, held-out documents or dialogues, prompts, or rankings and the "
                "reward_adapter that orders them."
            )
            raise TrainerError("bad_config", sentence)
        if self.rewarded:
            run.parent(config.reward_adapter)
        self.spoken: dict[tuple[str, str], Tokenizer] = {}
        self.template_sha256 = ""  # empty as long as no dialogue is rendered
        self._check_size()
        run.write_json("environment.json", base.environment(self.device))
        run.event("started", f"attempt {run.attempt} starts", step=0)
        self.log = metrics.Log(run)
        self.total, self.done = len(self.subjects) + self.rewarded, 0
        self.failures: list[TrainerError] = []
        self.asked: tuple[str, int, cloze.Asked] | None = None  # by fingerprint and context
        self.held: tuple[str, int, heldout.Held] | None = None  # by fingerprint and context
        self.heldout: list[Json] = []
        self.cloze: list[Json] = []
        self.lines: list[dict[str, object]] = []  # of cloze.jsonl
        self.told: list[list[Json]] = [[] for _ in config.prompts]
        self.rewards: list[Json] = []
        self.ranking: measure.Report = {}

    def _check_size(self) -> None:
        """Refuse answers whose tokens would not fit into the report."""
        answers = self.config.answers
        count = sum(map(len, self._words(None, dialogues=False).encode(answers))) if answers else 0
        if count * len(self.subjects) > MOST_TOKENS:
            sentence = (
                f"answers have {count:,} tokens, for each of {len(self.subjects)} models; allowed are {MOST_TOKENS:,} "
                "in all. Give fewer or shorter answers, or fewer checkpoints."
            )
            raise TrainerError("bad_config", sentence)

    @cached_property
    def model(self) -> base.Model:
        """The base of the run; states of it are looked into before, so that two bases are never resident."""
        return base.resident(self.run, self.config, self.device)

    def look(self, subject: Subject) -> None:
        """Put all questions to one model, and tell how far the run is."""
        began, values = time.monotonic(), {}
        try:
            with self._resident(subject) as model, torch.no_grad():
                values = self._heldout(model, subject) | self._cloze(model, subject)
                entries = [self._next_token(model, subject, prompt) for prompt in self.config.prompts]
        except torch.OutOfMemoryError:
            sentence = "The device has no memory left for this model; a smaller microbatch_tokens needs less."
            entries = self._failed(subject, TrainerError("out_of_memory", sentence))
        except TrainerError as error:
            entries = self._failed(subject, error)
        for told, entry in zip(self.told, entries, strict=True):
            told.append(entry)
        self._write(subject.at, values, seconds=time.monotonic() - began)

    def _failed(self, subject: Subject, error: TrainerError) -> list[Json]:
        """What is said of a model that cannot be asked at all."""
        self._note(subject.name, error)
        return [_unanswered(subject, error) for _ in self.config.prompts]

    def _note(self, name: str, error: TrainerError) -> None:
        self.failures.append(error)
        self.run.event("warning", f"{name} is left out: {error.sentence}", step=0, code=error.code)

    @contextmanager
    def _resident(self, subject: Subject) -> Iterator[base.Model]:
        """The model, its adapter in use."""
        path = self.run.parent(subject.name)
        if subject.adapter:
            adapters.load_adapter(self.model, path, LOOKED, base_sha256=self.config.base_sha256)
            try:
                with adapters.using(self.model, LOOKED):
                    yield self.model
            finally:
                adapters.remove(self.model, LOOKED)
        elif subject.name == BASE:
            yield self.model
        else:
            base.refuse(path, context=self.config.context)
            yield base.load(path, dtype=base.dtype_of(self.config, self.device), device=self.device)

    def _words(self, subject: Subject | None, *, dialogues: bool) -> Tokenizer:
        """A model's tokenizer, the base's with the reward adapter for None.

        Where no dialogue is rendered, none refuses its template; else an adapter of another one is (T7).
        """
        folder = subject.name if subject and not subject.adapter else BASE
        key = folder, self.config.template if dialogues else "touchstone"
        if key not in self.spoken:
            self.spoken = {key: tokenizer.load(self.run.parent(folder), template=key[1])}  # one model at a time
        if dialogues:
            name = subject.name if subject else self.config.reward_adapter
            tokenizer.refuse_other(self.run.parent(name), self.spoken[key])
            self.template_sha256 = self.template_sha256 or self.spoken[key].template_sha256
        return self.spoken[key]

    # E1, and of E2 what is written to the letter

    def _heldout(self, model: base.Model, subject: Subject) -> dict[str, float]:
        """Measure the held-out rows; returns what the metric line says."""
        if not self.kept_out:
            return {}
        held = self._held(subject, base.context_of(model, self.config))
        found = heldout.look(model, held, budget=self.config.microbatch_tokens, stop=self.run.check_stop)
        self.heldout.append({**_named(subject), **found, "noise": held.noise})
        return {subject.series + key: value for key, value in heldout.values(found).items()}

    def _held(self, subject: Subject, context: int) -> heldout.Held:
        """The rows as this model's tokenizer has them; states of one base share theirs."""
        words = self._words(subject, dialogues=heldout.speaks(self.run))
        key = words.fingerprint()
        if self.held is None or self.held[:2] != (key, context):
            self.held = key, context, heldout.held(self.run, self.config, words, context=context)
        return self.held[2]

    # E2

    def _cloze(self, model: base.Model, subject: Subject) -> dict[str, float]:
        """Ask the cloze items; returns what the metric line says."""
        if not self.rows:
            return {}
        words = self._words(subject, dialogues=False)
        asked = self._ask(words, base.context_of(model, self.config))
        scores = cloze.examine(model, asked, budget=self.config.microbatch_tokens, stop=self.run.check_stop)
        figures = cloze.report(asked, scores)
        self.cloze.append({"name": subject.name, "step": subject.step, "sha256": subject.sha256, **figures})
        if subject.name == BASE:
            self.lines = cloze.lines(asked, scores)
        values = {}
        for mode, found in figures.items():
            if found is not None:
                values[f"{subject.series}cloze/{mode}_accuracy"] = found["accuracy"]
                values[f"{subject.series}cloze/{mode}_accuracy_without"] = found["accuracy_without"]
        return values

    def _ask(self, words: Tokenizer, context: int) -> cloze.Asked:
        """The items as this tokenizer puts them; states of one base share theirs."""
        key = words.fingerprint()
        if self.asked and self.asked[:2] == (key, context):
            return self.asked[2]
        asked = cloze.ask(self.rows, words, context=context)
        if not asked.rows:
            sentence = f"None of the {len(self.rows)} cloze items fits into the context of {context} tokens."
            raise TrainerError("context_too_long", sentence)
        if lost := len(self.rows) - len(asked.rows):
            self.run.event("warning", f"{lost} cloze items are longer than the context of {context} tokens", step=0)
        self.asked = key, context, asked
        return asked

    # E5

    def _next_token(self, model: base.Model, subject: Subject, prompt: str) -> Json:
        """The likeliest next tokens after a prompt, and each token of its answers; or why there are none."""
        self.run.check_stop()
        try:
            words = self._words(subject, dialogues=self.config.as_question)
            put = tokens.as_question if self.config.as_question else tokens.as_text
            asked = put(words, prompt, self.config.answers)
            asked.require(context=base.context_of(model, self.config))
            told = tokens.next_token(model, words, asked.ids)
            if self.config.answers:
                told["answers"] = [tokens.answer_tokens(model, words, *pair) for pair in asked.answers]
        except TrainerError as error:
            self._note(subject.name, error)
            return _unanswered(subject, error)
        return {**_named(subject), **told, "error": None}

    # rewards and rankings

    def judge(self) -> None:
        """Score the prompt's answers and the rankings' by the reward adapter."""
        began, name, values = time.monotonic(), self.config.reward_adapter, {}
        try:
            words = self._words(None, dialogues=True)
            scorer = measure.load_scorer(self.model, self.run.parent(name), REWARD, base_sha256=self.config.base_sha256)
            if self.config.answers:
                self._reward(scorer, words)
            if self.ranked:
                self._rank(scorer, words)
                values = {"ranking/accuracy": float(self.ranking["accuracy"])}  # type: ignore[arg-type]  # a number
        except TrainerError as error:
            self._note(name, error)
            if self.config.answers and not self.rewards:
                self.rewards.append(self._rewards([], {"code": error.code, "sentence": error.sentence}))
        self._write(max(subject.at for subject in self.subjects), values, seconds=time.monotonic() - began)

    def _reward(self, scorer: measure.Scorer, words: Tokenizer) -> None:
        """Each answer's normalised reward: always as the answer to a question, since nothing else was ever ranked."""
        asked = tokens.as_question(words, self.config.prompts[0], self.config.answers)
        asked.require(context=base.context_of(self.model, self.config))
        scores = self._scores(scorer, [torch.tensor([*start, *answer]) for start, answer in asked.answers])
        found = scorer.rewards(scores)
        pairs = zip(found[:, 0].tolist(), measure.spread(found), strict=True)
        entries = [{"reward": reward, "spread": spread} for reward, spread in pairs]
        self.rewards.append(self._rewards(entries, None))

    def _rewards(self, answers: list[Json], error: Json | None) -> Json:
        name = self.config.reward_adapter
        return {"name": name, "sha256": self.run.parents[name], "answers": answers, "error": error}

    def _rank(self, scorer: measure.Scorer, words: Tokenizer) -> None:
        """R13, as stage `reward` reports it, on the rankings of this run."""
        parts = data.rankings(self.run, self.config, words, context=base.context_of(self.model, self.config))
        train, heldout = (self._scored(scorer, ranked) for ranked in (parts.train, parts.heldout))
        self.ranking = measure.reward_report(train, heldout, scorer, seed=self.config.seed)

    def _scored(self, scorer: measure.Scorer, ranked: list[data.Ranked]) -> list[measure.Scored]:
        scores = self._scores(scorer, [row for one in ranked for row in one.rows()])
        return list(zip(ranked, torch.split(scores, [len(one.answers) for one in ranked]), strict=True))

    def _scores(self, scorer: measure.Scorer, rows: list[Tensor]) -> Tensor:
        budget = self.config.microbatch_tokens
        return measure.scores_by_head(self.model, rows, scorer, budget=budget, stop=self.run.check_stop)

    def _write(self, step: int, values: dict[str, float], *, seconds: float) -> None:
        self.done += 1
        self.log.write("eval", step, values, progress=self.done / self.total, seconds=seconds)


def _named(subject: Subject) -> Json:
    return {"name": subject.name, "step": subject.step, "sha256": subject.sha256}


def _unanswered(subject: Subject, error: TrainerError) -> Json:
    reason = {"code": error.code, "sentence": error.sentence}
    return {**_named(subject), "entropy": None, "other": None, "next": [], "error": reason}


def _finish(stage: _Stage) -> None:
    """Write the report, and last the result. Raises the first failure where nothing was answered."""
    run, config = stage.run, stage.config
    answered = any(entry["error"] is None for entries in (*stage.told, stage.rewards) for entry in entries)
    if stage.failures and not (stage.heldout or stage.cloze or answered or stage.ranking):
        raise stage.failures[0]
    report: Json = {}
    if stage.heldout:
        report["heldout"] = {"models": stage.heldout}
    if stage.asked:
        report["cloze"] = _cloze_report(stage, stage.asked[2])
    if config.prompts:
        prompts = [{"prompt": prompt, "models": told} for prompt, told in zip(config.prompts, stage.told, strict=True)]
        report["tokens"] = {"as_question": config.as_question, "prompts": prompts, "rewards": stage.rewards}
    if stage.ranking:
        report["ranking"] = {config.reward_adapter: stage.ranking}
    text = json.dumps(report, ensure_ascii=False, separators=(",", ":"))
    run.write_atomic("evaluation.json", text.encode() + b"\n")
    outputs = [("evaluation", "evaluation", "evaluation.json")]
    if stage.lines:
        lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in stage.lines)
        run.write_atomic("cloze.jsonl", lines.encode())
        outputs.append(("cloze", "cloze", "cloze.jsonl"))
    final = _final(report, stage.ranking)
    run.finish(outputs, final, steps=stage.done, template_sha256=stage.template_sha256)


def _cloze_report(stage: _Stage, asked: cloze.Asked) -> Json:
    by_mode = {mode: [row for row in asked.rows if row["mode"] == mode] for mode in cloze.MODES}
    return {
        "items": {mode: len(rows) for mode, rows in by_mode.items()},
        "paragraphs": len({row["paragraph"] for row in asked.rows}),
        "people": {mode: cloze.people(rows, seed=stage.config.seed) for mode, rows in by_mode.items()},
        "models": stage.cloze,
    }


def _final(report: Json, ranking: measure.Report) -> dict[str, float | None]:
    """The figures of the base itself, of people, and of the reward adapter."""
    final: dict[str, float | None] = {}
    for own in report.get("heldout", {"models": []})["models"]:
        final |= heldout.ends(own) if own["name"] == BASE else {}
    found = report.get("cloze", {"models": [], "people": {}})
    base_itself: Json = next((own for own in found["models"] if own["name"] == BASE), {})
    for mode in cloze.MODES:
        if own := base_itself.get(mode):
            final[f"cloze_{mode}_accuracy"] = own["accuracy"]
            final |= {f"cloze_{mode}_accuracy_{end}": own[end] for end in ("low", "high")}
            final[f"cloze_{mode}_gap"] = own["gap"]
        if people := found["people"].get(mode):
            final[f"people_{mode}_accuracy"] = people["accuracy"]
            final |= {f"people_{mode}_accuracy_{end}": people[end] for end in ("low", "high")}
    return final | {f"ranking_{name}": value for name, value in measure.figures(ranking).items()}

"""Stage `generate`: answers of one or several adapters to prompts. The server that the playground asks is `serve`.

Nothing learns here. Answers are drawn by counted randomness, so a run that is done again writes the same file.
"""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch

from trainer import adapters, base, data, measure, metrics, sampling, tokenizer
from trainer.contract.configs import GenerateConfig
from trainer.contract.rows import GenerationLine
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.sampling import Row, Settings
from trainer.tokenizer import Tokenizer

REDRAWS = 3  # how often an answer too like an earlier one is drawn again (A9)
SCORED_TOKENS = 4_096  # of one pass of the reward model


@dataclass
class _Answer:
    """One place among a prompt's answers, and what was drawn for it last."""

    prompt: int
    adapter: str
    temperature: float
    sample_index: int
    ids: list[int] = field(default_factory=list)
    logprob: float = 0.0
    text: str = ""
    finished: bool = False
    near_identical: bool = False


def generate(config: GenerateConfig, run: Run) -> None:
    """Leave generations.jsonl: samples_per_prompt answers of each adapter to each prompt of the run (A9)."""
    device = base.prepare(config)
    run.write_json("environment.json", base.environment(device))
    model = base.resident(run, config, device)
    words = tokenizer.of_run(run, template=config.template)
    prompts = data.prompts(run, config, words, context=base.context_of(model, config))
    for name in sorted({*config.adapters} - {""}):
        adapters.load_adapter(model, run.parent(name), name, base_sha256=config.base_sha256)
    answers = _places(config, len(prompts))
    stage = _Stage(config, run, model, words, prompts, total=len(answers))
    stage.draw(answers)
    redrawn = stage.draw_again(answers)
    rewards = _rewards(config, run, model, prompts, answers)
    lines = [stage.line(answer, own) for answer, own in zip(answers, rewards, strict=True)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    run.write_atomic("generations.jsonl", text.encode())
    final = {
        "answers": len(answers),
        "prompts": len(prompts),
        "finished": sum(answer.finished for answer in answers) / len(answers),
        "tokens": sum(len(answer.ids) for answer in answers) / len(answers),
        "redrawn": redrawn,
        "near_identical": sum(answer.near_identical for answer in answers),
    }
    outputs = [("generations", "generations", "generations.jsonl")]
    run.finish(outputs, final, steps=stage.batches, template_sha256=words.template_sha256)


def _places(config: GenerateConfig, prompts: int) -> list[_Answer]:
    """Every answer to be drawn; sample indices count on over a prompt's adapters, temperatures count around."""
    return [
        _Answer(
            prompt=prompt,
            adapter=name,
            temperature=config.temperatures[j % len(config.temperatures)],
            sample_index=a * config.samples_per_prompt + j,
        )
        for prompt in range(prompts)
        for a, name in enumerate(config.adapters)
        for j in range(config.samples_per_prompt)
    ]


class _Stage:
    """What drawing needs, and how far it is."""

    def __init__(
        self,
        config: GenerateConfig,
        run: Run,
        model: base.Model,
        words: Tokenizer,
        prompts: list[data.Prompt],
        *,
        total: int,
    ) -> None:
        self.config, self.run, self.model, self.words, self.prompts = config, run, model, words, prompts
        self.log = metrics.Log(run)
        self.total, self.done, self.batches = total, 0, 0

    def draw(self, answers: list[_Answer]) -> None:
        """Draw each of the answers, those of one adapter together."""
        for name in sorted({answer.adapter for answer in answers}):
            self._draw_with(name, [answer for answer in answers if answer.adapter == name])

    def _draw_with(self, name: str, answers: list[_Answer]) -> None:
        """Draw answers of one adapter; each decode_rows that are done make a line of the log."""
        settings = {temperature: self._settings(temperature) for temperature in self.config.temperatures}
        prompts = {answer.prompt: torch.tensor(self.prompts[answer.prompt].ids) for answer in answers}
        rows = [Row(prompts[one.prompt], settings[one.temperature], self._seed(one), self._ends) for one in answers]
        began, done = time.monotonic(), list[Row]()
        with adapters.merged(self.model, name or None):
            for row in sampling.write(self.model, rows, decode_rows=self.config.decode_rows, stop=self.run.check_stop):
                done.append(row)
                if len(done) == self.config.decode_rows:
                    self._tell(done, time.monotonic() - began)
                    began, done = time.monotonic(), []
        if done:
            self._tell(done, time.monotonic() - began)
        for answer, row in zip(answers, rows, strict=True):
            answer.ids, answer.logprob, answer.finished = row.ids, sum(row.logprob), row.finished
            answer.text, _ = sampling.cut(self.words.decode(row.ids), self.config.stop_strings)

    def _tell(self, rows: list[Row], seconds: float) -> None:
        self.batches += 1
        self.done = min(self.done + len(rows), self.total)
        tokens = sum(len(row.ids) for row in rows)
        values = {
            "answer/length": tokens / len(rows),
            "answer/eos_rate": sum(row.ids[-1] in row.settings.stop_ids for row in rows) / len(rows),
        }
        progress = self.done / self.total
        self.log.write("rollout", self.batches, values, progress=progress, seconds=seconds, tokens=tokens)

    def _ends(self, ids: Sequence[int]) -> bool:
        """Whether the text of the ids holds a stop string."""
        stops = self.config.stop_strings
        return bool(stops) and sampling.cut(self.words.decode(ids), stops)[1]

    def draw_again(self, answers: list[_Answer]) -> int:
        """Draw again what is too like an earlier answer of its prompt, with the next sample index; count the draws."""
        per_prompt = len(self.config.adapters) * self.config.samples_per_prompt
        used = dict.fromkeys(range(len(self.prompts)), per_prompt)
        redrawn = 0
        for _ in range(REDRAWS):
            alike = too_alike_of(answers, self.config.near_identical)
            for answer in alike:
                answer.sample_index = used[answer.prompt]
                used[answer.prompt] += 1
            self.draw(alike)
            redrawn += len(alike)
        for answer in too_alike_of(answers, self.config.near_identical):
            answer.near_identical = True
        return redrawn

    def line(self, answer: _Answer, rewards: list[float] | None) -> GenerationLine:
        settings = self._settings(answer.temperature)
        line = GenerationLine(
            prompt_id=self.prompts[answer.prompt].id,
            sample_index=answer.sample_index,
            adapter=answer.adapter,
            text=answer.text,
            ids=answer.ids,
            logprob=answer.logprob,
            finished=answer.finished,
            seed=self._seed(answer),
            settings={
                "temperature": settings.temperature,
                "top_p": settings.top_p,
                "top_k": settings.top_k,
                "max_new_tokens": settings.max_new_tokens,
                "stop_strings": self.config.stop_strings,
            },
            adapter_sha256=self.run.parents[answer.adapter] if answer.adapter else "",
            base_sha256=self.config.base_sha256,
            rewards=rewards,
        )
        return {**line, "near_identical": True} if answer.near_identical else line

    def _settings(self, temperature: float) -> Settings:
        return Settings(
            max_new_tokens=self.config.max_new_tokens,
            temperature=temperature,
            top_p=self.config.top_p,
            top_k=self.config.top_k,
            stop_ids=self.words.stop_ids(),
        )

    def _seed(self, answer: _Answer) -> int:
        return seed_for(self.config.seed, "sample", self.prompts[answer.prompt].id, answer.sample_index, 0)


def _rewards(
    config: GenerateConfig, run: Run, model: base.Model, prompts: list[data.Prompt], answers: list[_Answer]
) -> list[list[float] | None]:
    """Each answer's normalised rewards [M], one a head, where a reward adapter is named."""
    if not config.reward_adapter:
        return [None] * len(answers)
    scorer = measure.load_scorer(model, run.parent(config.reward_adapter), "reward", base_sha256=config.base_sha256)
    rows = [torch.tensor(prompts[answer.prompt].ids + answer.ids) for answer in answers]
    found = measure.scores_by_head(model, rows, scorer, budget=SCORED_TOKENS, stop=run.check_stop)
    return list(scorer.rewards(found).tolist())


def too_alike_of(answers: Sequence[_Answer], threshold: float) -> list[_Answer]:
    """The answers whose likeness to an earlier kept one of the same prompt reaches the threshold."""
    found = []
    for _, group in groupby(answers, key=lambda answer: answer.prompt):
        kept: list[frozenset[tuple[str, ...]]] = []
        for answer in group:
            grams = three_grams(answer.text)
            if any(jaccard(grams, other) >= threshold for other in kept):
                found.append(answer)
            else:
                kept.append(grams)
    return found


def three_grams(text: str) -> frozenset[tuple[str, ...]]:
    """The runs of three words of a text without case and punctuation; a shorter text is one run."""
    words = re.findall(r"\w+", text.casefold())
    return frozenset(tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1)))


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """How much of two sets is common to both, 0 to 1."""
    return len(a & b) / len(a | b)

"""Stage `generate`: answers of one or several adapters to prompts; and the server that the playground asks.

Nothing learns here. Answers are drawn by counted randomness, so a run that is done again writes the same file.
"""

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TextIO

import torch

from trainer import adapters, base, data, measure, metrics, sampling, tokenizer
from trainer.contract.configs import GenerateConfig
from trainer.contract.errors import TrainerError
from trainer.contract.rows import ROLES, GenerationLine, Message
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.sampling import Settings
from trainer.tokenizer import Tokenizer

REDRAWS = 3  # how often an answer too like an earlier one is drawn again (A9)
RESIDENT = 8  # adapters that a server keeps at once; the least recently used leaves
POLL_S = 0.2  # between looks at the stop flag while no request is there
SCORED_TOKENS = 4_096  # of one pass of the reward model
BROKEN = "�"  # how a decoder shows bytes that are not yet a whole character


# --- the stage


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
    words = tokenizer.load(run.parent("base"), template=config.template)
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
        """Draw each of the answers, in batches of one adapter, one temperature and like length."""

        def kind(answer: _Answer) -> tuple[str, float]:
            return answer.adapter, answer.temperature

        def order(answer: _Answer) -> tuple[str, float, int]:
            return *kind(answer), len(self.prompts[answer.prompt].ids)

        for (name, temperature), group in groupby(sorted(answers, key=order), key=kind):
            same = list(group)
            for start in range(0, len(same), self.config.decode_rows):
                self._draw_batch(same[start : start + self.config.decode_rows], name, temperature)

    def _draw_batch(self, batch: list[_Answer], name: str, temperature: float) -> None:
        began = time.monotonic()
        rollout = sampling.sample(
            self.model,
            [torch.tensor(self.prompts[answer.prompt].ids) for answer in batch],
            role=name or None,
            settings=self._settings(temperature),
            seeds=[self._seed(answer) for answer in batch],
            decode_rows=self.config.decode_rows,
            stop=self.run.check_stop,
        )
        finished, logprobs = rollout.finished.tolist(), rollout.logprob.double().sum(1).tolist()
        for answer, ids, ended, logprob in zip(batch, rollout.answers(), finished, logprobs, strict=True):
            text = self.words.decode(ids.tolist())
            answer.ids, answer.logprob = ids.tolist(), logprob
            answer.text, cut = _cut(text, self.config.stop_strings)
            answer.finished = ended or cut
        self.batches += 1
        self.done = min(self.done + len(batch), self.total)
        lengths = rollout.lengths.double()
        values = {"answer/length": lengths.mean().item(), "answer/eos_rate": sum(finished) / len(batch)}
        self.log.write(
            "rollout",
            self.batches,
            values,
            progress=self.done / self.total,
            seconds=time.monotonic() - began,
            tokens=int(lengths.sum()),
        )

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


def _cut(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """(text before the first stop string, whether there is one)."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


# --- the server (A10)


@dataclass(frozen=True)
class _Request:
    """One question, as its JSON line asks it."""

    id: str | int
    messages: list[Message]
    adapter: str | None
    settings: Settings
    seed: int
    stop: tuple[str, ...]
    stream: bool


Line = dict[str, Any]  # Any: a JSON object


def serve(config: GenerateConfig, run: Run, input: TextIO, output: TextIO) -> None:
    """Answer requests, one JSON line each, until `{"quit": true}`, the end of the input, or a stop signal.

    One request at a time; a reader thread sees `{"cancel": id}` while an answer is written. Only answers go to output.
    """
    device = base.prepare(config)
    model = base.resident(run, config, device)
    words = tokenizer.load(run.parent("base"), template=config.template)
    inbox = _Inbox(input)
    server = _Server(config, run, model, words, inbox, output)
    for line in inbox.lines(run):
        server.handle(line)


class _Inbox:
    """Reads lines in a thread of its own, so that a cancellation is seen at once."""

    def __init__(self, input: TextIO) -> None:
        self._lines: SimpleQueue[Line | None] = SimpleQueue()
        self._cancelled: set[str | int] = set()
        self._quit = threading.Event()
        threading.Thread(target=self._read, args=(input,), daemon=True).start()

    def lines(self, run: Run) -> Iterator[Line]:
        """The lines in order, until the end of the input, a quit, or a stop signal."""
        while not run.stop_requested():
            try:
                line = self._lines.get(timeout=POLL_S)
            except Empty:
                continue
            if line is None:
                return
            yield line

    def cancelled(self, id: str | int) -> bool:
        """Whether someone has asked to end the request, or all."""
        return id in self._cancelled or self._quit.is_set()

    def forget(self, id: str | int) -> None:
        """Free the id, which may be used again."""
        self._cancelled.discard(id)

    def _read(self, input: TextIO) -> None:
        for text in input:
            if not text.strip():
                continue
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            if not isinstance(line, dict):
                self._lines.put({})
            elif isinstance(line.get("cancel"), str | int):
                self._cancelled.add(line["cancel"])
            elif line.get("quit"):
                self._quit.set()
                break
            else:
                self._lines.put(line)
        self._lines.put(None)


class _Server:
    """One base, and the adapters that were asked for last."""

    def __init__(
        self, config: GenerateConfig, run: Run, model: base.Model, words: Tokenizer, inbox: _Inbox, output: TextIO
    ) -> None:
        self.config, self.run, self.model, self.words = config, run, model, words
        self.inbox, self.output = inbox, output
        self.context = base.context_of(model, config)
        self.resident: OrderedDict[str, None] = OrderedDict()

    def handle(self, line: Line) -> None:
        """Answer one line, or say why not."""
        try:
            if "load" in line:
                self._load(line["load"])
            else:
                self._answer(_request_of(line))
        except TrainerError as error:
            self._refuse(line, error.code, error.sentence)
        except torch.OutOfMemoryError:
            self._refuse(line, "out_of_memory", "The device has no memory left for this request; ask for fewer tokens.")

    def _answer(self, request: _Request) -> None:
        began = time.monotonic()
        role = self._role(request.adapter)
        prompt = self.words.render(request.messages, open=True).ids
        room = self.context - len(prompt)
        if room < 1:
            sentence = f"The dialogue has {len(prompt)} tokens; the model holds {self.context} with its answer."
            raise TrainerError("context_too_long", sentence)
        settings = replace(
            request.settings,
            max_new_tokens=min(request.settings.max_new_tokens, room),
            stop_ids=self.words.stop_ids(),
        )
        said = _Said(self.words.decode, request.stop)
        reason = self._write(request, prompt, role, settings, said)
        if piece := said.rest():
            self._say({"id": request.id, **piece})
        self.inbox.forget(request.id)
        seconds = round(time.monotonic() - began, 3)
        self._say({"id": request.id, "done": True, "reason": reason, "tokens": len(said.ids), "seconds": seconds})

    def _write(self, request: _Request, prompt: list[int], role: str | None, settings: Settings, said: "_Said") -> str:
        """Draw tokens until the answer ends; returns the reason."""
        tokens = sampling.stream(self.model, torch.tensor(prompt), role=role, settings=settings, seed=request.seed)
        with closing(tokens):
            while not (self.inbox.cancelled(request.id) or self.run.stop_requested()):
                token = next(tokens, None)
                if token is None:
                    return "length"
                said.hear(token)
                if token in settings.stop_ids or said.stopped:
                    return "stop"
                if request.stream and (piece := said.ready()):
                    self._say({"id": request.id, **piece})
        return "cancelled"

    def _role(self, name: str | None) -> str | None:
        """The adapter, resident; one that stands in parents/ is loaded when it is first asked for."""
        if not name:
            return None
        if name not in self.resident:
            if not (self.run.path / "parents" / Path(name).name).is_dir() or name == "base":
                there = ", ".join(self.resident) or "none"
                raise TrainerError("bad_adapter", f"no adapter {name!r} is loaded or in parents/; loaded are {there}.")
            self._load({"name": name, "path": str(self.run.parent(name))})
        self.resident.move_to_end(name)
        return name

    def _load(self, wanted: Any) -> None:  # Any: a value as JSON gave it
        if not isinstance(wanted, dict) or not all(isinstance(wanted.get(key), str) for key in ("name", "path")):
            raise TrainerError("bad_request", "load must be {name, path}, both strings.")
        name = wanted["name"]
        if not re.fullmatch(r"[\w-]+", name):
            raise TrainerError("bad_request", f"name is {name!r}; allowed are letters, digits, _ and -.")
        if name in self.resident:
            adapters.remove(self.model, name)
            del self.resident[name]
        adapters.load_adapter(self.model, Path(wanted["path"]), name, base_sha256=self.config.base_sha256)
        self.resident[name] = None
        if len(self.resident) > RESIDENT:
            adapters.remove(self.model, self.resident.popitem(last=False)[0])

    def _refuse(self, line: Line, code: str, sentence: str) -> None:
        self._say({"id": line.get("id"), "error": {"code": code, "sentence": sentence}})

    def _say(self, line: Line) -> None:
        self.output.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.output.flush()


class _Said:
    """An answer as it grows: which text may be shown, in whole characters and without a stop string."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str]) -> None:
        self._decode, self._stops = decode, [stop for stop in stops if stop]
        self.ids: list[int] = []
        self.stopped = False
        self._text = ""  # what is decoded
        self._shown, self._told = 0, 0  # how much of text and ids was given away
        self._from, self._until = 0, 0  # a window of ids that decodes as it does within the whole

    def hear(self, token: int) -> None:
        """Take the next token in."""
        self.ids.append(token)
        known = self._decode(self.ids[self._from : self._until])
        now = self._decode(self.ids[self._from :])
        if not now.endswith(BROKEN):
            self._grow(now[len(known) :])
            self._from, self._until = self._until, len(self.ids)

    def ready(self) -> Line:
        """What may be shown by now and was not yet, as {text, token_ids}; empty where that is nothing."""
        held = max((k for stop in self._stops for k in range(1, len(stop)) if self._text.endswith(stop[:k])), default=0)
        return self._take(len(self._text) - held)

    def rest(self) -> Line:
        """All that was not shown yet; called once, at the end."""
        known = self._decode(self.ids[self._from : self._until])
        self._grow(self._decode(self.ids[self._from :])[len(known) :])
        return self._take(len(self._text), last=True)

    def _grow(self, text: str) -> None:
        if not self.stopped:
            self._text, self.stopped = _cut(self._text + text, self._stops)

    def _take(self, until: int, *, last: bool = False) -> Line:
        text, ids = self._text[self._shown : until], self.ids[self._told :]
        if not text and not (last and ids):
            return {}
        self._shown, self._told = until, len(self.ids)
        return {"text": text, "token_ids": ids}


def _request_of(line: Line) -> _Request:
    """The request that a line makes. Raises bad_request with the first field that is wrong."""
    fields = {**_DEFAULTS, **line}
    for name, (holds, wanted) in _ALLOWED.items():
        if not holds(fields.get(name)):
            raise TrainerError("bad_request", f"{name} is {json.dumps(fields.get(name))[:80]}; it must be {wanted}.")
    return _Request(
        id=fields["id"],
        messages=[Message(role=message["role"], content=message["content"]) for message in fields["messages"]],
        adapter=fields["adapter"],
        settings=Settings(
            max_new_tokens=fields["max_new_tokens"],
            temperature=float(fields["temperature"]),
            top_p=float(fields["top_p"]),
        ),
        seed=fields["seed"],
        stop=tuple(fields["stop"]),
        stream=fields["stream"],
    )


def _messages(value: Any) -> bool:  # Any: a value as JSON gave it
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and one.get("role") in ROLES for one in value)
        and all(isinstance(one.get("content"), str) for one in value)
        and value[-1]["role"] == "user"
    )


def _number(low: float, high: float, *, whole: bool = False) -> Callable[[Any], bool]:
    kinds = (int,) if whole else (int, float)
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high


_DEFAULTS: Line = {
    "adapter": None,
    "max_new_tokens": 256,
    "temperature": 1.0,
    "top_p": 1.0,
    "seed": 0,
    "stop": [],
    "stream": True,
}
_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (lambda value: isinstance(value, str | int) and not isinstance(value, bool), "a string or a number"),
    "messages": (_messages, "a list of {role, content} that ends with the user's"),
    "adapter": (lambda value: value is None or isinstance(value, str), "a name or null"),
    "max_new_tokens": (_number(1, 32_768, whole=True), "a whole number, 1 to 32768"),
    "temperature": (_number(0, 2), "a number, 0 to 2"),
    "top_p": (_number(1e-6, 1), "a number above 0, at most 1"),
    "seed": (_number(0, 2**63 - 1, whole=True), "a whole number, 0 to 2**63 - 1"),
    "stop": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a list of strings",
    ),
    "stream": (lambda value: isinstance(value, bool), "true or false"),
}

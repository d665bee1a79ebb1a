"""Batched generation, and the log-probabilities of what was sampled. The cache and its attention are in `decoding`.

A row's randomness is its own (A2): it gets the same tokens alone, in any batch, in any order.

Letters: B rows, P tokens of the longest prompt, R answer tokens, V vocabulary.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import torch
from torch import Tensor

from trainer import adapters, layers, losses, packing
from trainer.base import Model, head_weight, trunk
from trainer.decoding import Cache

STOP_STEPS = 16  # decode steps between looks at the stop flag (C5)
LIVE_SHARE = 0.75  # share of unfinished rows at which the finished ones leave the batch (A5)


@dataclass(frozen=True)
class Rollout:
    """Answers as they were sampled. R is the longest answer's length; what lies beyond a row's length is 0."""

    ids: Tensor  # [B, R]
    logprob: Tensor  # [B, R], float32, of the untruncated distribution at the temperature (greedy: at 1)
    lengths: Tensor  # [B]
    finished: Tensor  # [B] bool: the answer ends with one of the stop ids

    def answers(self) -> list[Tensor]:
        """Each row's ids, its stop token included."""
        return [row[:length] for row, length in zip(self.ids, self.lengths.tolist(), strict=True)]

    @property
    def mask(self) -> Tensor:
        """[B, R] bool: True on each row's own tokens."""
        return torch.arange(self.ids.shape[1]) < self.lengths[:, None]


@dataclass(frozen=True)
class Settings:
    """How tokens are drawn. temperature 0 is greedy; top_k 0 and top_p 1 truncate nothing."""

    max_new_tokens: int
    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    stop_ids: frozenset[int] = frozenset()


@dataclass
class Row:
    """One answer that is being written."""

    prompt: Tensor  # [P]
    settings: Settings
    seed: int
    ends: Callable[[Sequence[int]], bool] = lambda ids: False  # whether these ids end the answer: a stop string
    ids: list[int] = field(default_factory=list)
    logprob: list[float] = field(default_factory=list)
    finished: bool = False  # one of the stop ids, or `ends`, ended it
    _uniforms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = torch.Generator().manual_seed(self.seed)
        self._uniforms = torch.rand(self.settings.max_new_tokens, dtype=torch.float64, generator=draw).tolist()

    @property
    def done(self) -> bool:
        """Whether nothing more is to be drawn."""
        return self.finished or len(self.ids) == self.settings.max_new_tokens

    @property
    def uniform(self) -> float:
        """The randomness of the next token."""
        return self._uniforms[len(self.ids)]

    def hear(self, token: int, logprob: float) -> None:
        """Take the next token in."""
        self.ids.append(token)
        self.logprob.append(logprob)
        self.finished = token in self.settings.stop_ids or self.ends(self.ids)


def sample(
    model: Model,
    prompts: list[Tensor],
    *,
    role: str | None,
    settings: Settings,
    seeds: list[int],
    decode_rows: int,
    stop: Callable[[], None],
) -> Rollout:
    """One answer of the role's adapter to each prompt (None: the bare base), in the prompts' order.

    prompts: [P_i] ids each; seeds: one a prompt. stop is called every 16 decode steps and may leave by raising.
    decode_rows answers are written at once: memory, never meaning.
    """
    rows = [Row(prompt, settings, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
    with adapters.merged(model, role):
        for _ in write(model, rows, decode_rows=decode_rows, stop=stop):
            pass
    lengths = torch.tensor([len(row.ids) for row in rows], dtype=torch.long)
    longest = int(lengths.max()) if rows else 0
    ids = torch.tensor([row.ids + [0] * (longest - len(row.ids)) for row in rows], dtype=torch.long)
    logprob = torch.tensor([row.logprob + [0.0] * (longest - len(row.ids)) for row in rows])
    finished = torch.tensor([row.finished for row in rows], dtype=torch.bool)
    return Rollout(ids.view(len(rows), longest), logprob.view(len(rows), longest), lengths, finished)


def write(model: Model, rows: Sequence[Row], *, decode_rows: int, stop: Callable[[], None]) -> Iterator[Row]:
    """Write all rows by what is in use, decode_rows at once; each is given as soon as it is done (A5).

    Where a quarter of the places is free, those who wait take them; where nobody waits, the batch shrinks.
    """
    numbers: dict[tuple[int, ...], int] = {}
    order = [(len(row.prompt), numbers.setdefault(tuple(row.prompt.tolist()), len(numbers))) for row in rows]
    waiting = deque(rows[at] for at in sorted(range(len(rows)), key=order.__getitem__))
    batch = Batch(model, head=layers.pack(head_weight(model), decode_rows))
    for step in count():
        if step % STOP_STEPS == 0:
            stop()
        if waiting and len(batch.rows) <= LIVE_SHARE * decode_rows:
            batch.join([waiting.popleft() for _ in range(min(len(waiting), decode_rows - len(batch.rows)))])
        elif not batch.rows:
            return
        else:
            batch.step()
        yield from batch.take_done()


class Batch:
    """Rows that are written together by what is in use; rows join and leave between steps."""

    def __init__(self, model: Model, *, head: Tensor | None = None) -> None:
        """head: the model's, as `layers.pack` lays it. Raises bad_config where the architecture cannot decode."""
        self._model, self._head = model, head
        self._cache = Cache(model)
        self._places: list[Row | None] = []

    @property
    def rows(self) -> list[Row]:
        """The rows in it."""
        return [row for row in self._places if row is not None]

    def join(self, rows: Sequence[Row]) -> None:
        """Pass the rows' prompts, equal ones once (A4), and draw their first tokens. Rows of like length together."""
        need = len(self.rows) + len(rows)
        if need > len(self._places):
            self._lay(need)
        free = [place for place, row in enumerate(self._places) if row is None]
        same: dict[tuple[int, ...], list[int]] = {}
        for place, row in zip(free, rows, strict=False):
            self._places[place] = row
            same.setdefault(tuple(row.prompt.tolist()), []).append(place)
        hidden = self._cache.prefill([torch.tensor(ids) for ids in same], list(same.values()))
        owner = [number for number, places in enumerate(same.values()) for _ in places]
        self._draw(hidden[owner], [place for places in same.values() for place in places])

    def step(self) -> None:
        """Draw one more token of each row. The batch shrinks where rows have left (A5)."""
        places = math.ceil(len(self.rows) / 4) * 4
        if len(self.rows) <= LIVE_SHARE * len(self._places) and places < len(self._places):
            self._lay(places)
        live = [place for place, row in enumerate(self._places) if row is not None]
        tokens = torch.tensor([row.ids[-1] if row else 0 for row in self._places])
        hidden = self._cache.step(tokens, torch.tensor([row is not None for row in self._places]))
        self._draw(hidden if len(live) == len(hidden) else hidden[live], live)

    def leave(self, row: Row) -> None:
        """Free the place of a row."""
        place = next(place for place, other in enumerate(self._places) if other is row)
        self._places[place] = None
        self._cache.filled[place] = 0

    def take_done(self) -> list[Row]:
        """Let the rows leave that are done; returns them."""
        done = [row for row in self.rows if row.done]
        for row in done:
            self.leave(row)
        return done

    def _lay(self, places: int) -> None:
        kept = [place for place, row in enumerate(self._places) if row is not None]
        self._cache.lay(kept, count=places)
        rows = self.rows
        self._places = [*rows, *[None] * (places - len(rows))]

    @torch.no_grad()
    def _draw(self, hidden: Tensor, places: list[int]) -> None:
        """Draw the next token of the rows at these places from their hidden states [B, D]."""
        rows = [row for place in places if (row := self._places[place]) is not None]
        if self._head is None:
            logits = (hidden @ head_weight(self._model).T).float()  # [B, V]
        else:
            logits = layers.packed_linear(hidden, self._head, None)
        alike: dict[Settings, list[int]] = {}
        for number, row in enumerate(rows):
            alike.setdefault(row.settings, []).append(number)
        for settings, numbers in alike.items():
            uniforms = torch.tensor([rows[n].uniform for n in numbers], dtype=torch.float64, device=logits.device)
            tokens, logprob = draw(logits if len(numbers) == len(rows) else logits[numbers], uniforms, settings)
            for n, token, logp in zip(numbers, tokens.tolist(), logprob.tolist(), strict=True):
                rows[n].hear(token, logp)


def answer_logprobs(
    model: Model, prompts: list[Tensor], answers: list[Tensor], *, temperature: float, chunk: int
) -> tuple[Tensor, Tensor]:
    """(log-probability, entropy) of the N answer tokens, row after row, by the training forward.

    With the adapter in use, and with gradients where they are on.
    """
    hidden = answer_hidden(model, prompts, answers)
    targets = torch.cat(answers).to(hidden.device)
    return losses.linear_logprob(hidden, head_weight(model), targets, temperature=temperature, chunk=chunk)


def answer_hidden(model: Model, prompts: list[Tensor], answers: list[Tensor]) -> Tensor:
    """The hidden states [N, D] that predict the answers' tokens, row after row; the first is the prompt's last (P3)."""
    packed = packing.pack_answers(prompts, answers).to(model.device)
    return trunk(model, packed).index_select(0, packed.at)


def draw(logits: Tensor, uniforms: Tensor, settings: Settings) -> tuple[Tensor, Tensor]:
    """(tokens [B], their log-probabilities [B]): the first index whose cumulative probability exceeds u·total (A2).

    logits: [B, V] float32; uniforms: [B] float64 in [0, 1). Cumulated in float64.
    """
    if settings.temperature not in (0, 1):
        logits = logits / settings.temperature
    top = logits.amax(1, keepdim=True)
    p = (logits - top).exp_()  # [B, V], of the likeliest 1
    if settings.temperature == 0:
        tokens, whole = logits.argmax(1), p.sum(1, dtype=torch.float64)
    else:
        total = p.cumsum(1, dtype=torch.float64)
        whole = total[:, -1]
        if settings.top_k or settings.top_p < 1:
            total = _truncated(p, settings).cumsum(1, dtype=torch.float64)
        tokens = torch.searchsorted(total, uniforms[:, None] * total[:, -1:], right=True)[:, 0]
        tokens = tokens.clamp(max=logits.shape[1] - 1)
    return tokens, ((logits.gather(1, tokens[:, None]) - top)[:, 0] - whole.log()).float()


def _truncated(p: Tensor, settings: Settings) -> Tensor:
    """p [B, V] of any total, with 0 in place of what top_k and top_p leave out; the likeliest token always stays."""
    if settings.top_k:
        least = p.topk(min(settings.top_k, p.shape[1]), 1).values[:, -1:]
        p = p.where(p >= least, 0.0)
    if settings.top_p < 1:
        ordered, places = p.sort(1, descending=True)
        before = ordered.cumsum(1) - ordered
        p = torch.zeros_like(p).scatter(
            1, places, ordered.where(before < settings.top_p * ordered.sum(1, keepdim=True), 0.0)
        )
    return p


def cut(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """(text before the first stop string, whether there is one)."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)

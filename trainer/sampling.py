"""Batched generation with a key-value cache, and the log-probabilities of what was sampled.

A row's randomness is its own (A2): it gets the same tokens alone, in any batch, in any order. Rows are padded on the
left here, so that all write the same slot of the cache; the training forward packs them.

Letters: B rows, P tokens of the longest prompt, R answer tokens, V vocabulary.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from trainer import adapters, losses, packing
from trainer.base import Model, head_weight, trunk

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
    ids = torch.zeros(len(prompts), settings.max_new_tokens, dtype=torch.long)
    logprob = torch.zeros(ids.shape)
    lengths = torch.zeros(len(prompts), dtype=torch.long)
    finished = torch.zeros(len(prompts), dtype=torch.bool)
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    with adapters.merged(model, role):
        for start in range(0, len(order), decode_rows):
            batch = torch.tensor(order[start : start + decode_rows])
            chosen = [prompts[row] for row in batch.tolist()]
            uniforms = torch.stack([_uniforms(seeds[row], settings) for row in batch.tolist()])
            for t, step in enumerate(_decode(model, chosen, uniforms, settings)):
                if t % STOP_STEPS == 0:
                    stop()
                rows = batch[step.rows]
                ids[rows, t], logprob[rows, t], finished[rows] = step.tokens, step.logprob, step.finished
                lengths[rows] = t + 1
    longest = int(lengths.max()) if len(prompts) else 0
    return Rollout(ids[:, :longest], logprob[:, :longest], lengths, finished)


def stream(model: Model, prompt: Tensor, *, role: str | None, settings: Settings, seed: int) -> Generator[int]:
    """The tokens of one answer as they are drawn; the same tokens that `sample` gives for this seed."""
    with adapters.merged(model, role):
        for step in _decode(model, [prompt], _uniforms(seed, settings)[None], settings):
            yield int(step.tokens)


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


@dataclass(frozen=True)
class _Step:
    """What one decode step wrote: for rows [n] of the batch, those that were not finished before it."""

    rows: Tensor
    tokens: Tensor
    logprob: Tensor
    finished: Tensor


@torch.no_grad()
def _decode(model: Model, prompts: list[Tensor], uniforms: Tensor, settings: Settings) -> Iterator[_Step]:
    """Decode one batch, a step at a time. uniforms: [B, max_new_tokens]."""
    device = model.device
    stops = torch.tensor(sorted(settings.stop_ids), dtype=torch.long)
    ids = pad_sequence(prompts, batch_first=True, padding_side="left")
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    attention = torch.arange(ids.shape[1]) >= ids.shape[1] - lengths[:, None]
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    rows, live = torch.arange(len(prompts)), torch.ones(len(prompts), dtype=torch.bool)
    cache = DynamicCache(config=model.config)
    for t in range(settings.max_new_tokens):
        hidden = model.get_decoder()(  # type: ignore[no-untyped-call]  # transformers
            input_ids=ids.to(device),
            attention_mask=attention.to(device),
            position_ids=positions.to(device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]  # [B, D]
        logits = (hidden @ head_weight(model).T).float().cpu()
        tokens, logprob = draw(logits, uniforms[rows, t], settings)
        ended = torch.isin(tokens, stops)
        yield _Step(rows[live], tokens[live], logprob[live], ended[live])
        live &= ~ended
        if not live.any():
            return
        ids, positions = tokens[:, None], positions[:, -1:] + 1
        attention = torch.cat([attention, torch.ones(len(rows), 1, dtype=torch.bool)], 1)
        if int(live.sum()) <= LIVE_SHARE * len(rows):
            cache.batch_select_indices(live.to(device).nonzero()[:, 0])
            ids, positions, attention, rows = ids[live], positions[live], attention[live], rows[live]
            live = torch.ones(len(rows), dtype=torch.bool)


def draw(logits: Tensor, uniforms: Tensor, settings: Settings) -> tuple[Tensor, Tensor]:
    """(tokens [B], their log-probabilities [B]): the first index whose cumulative probability exceeds u·total (A2).

    logits: [B, V] float32; uniforms: [B] float64 in [0, 1). Cumulated in float64.
    """
    logp = torch.log_softmax(logits / (settings.temperature or 1.0), 1)
    if settings.temperature == 0:
        tokens = logp.argmax(1)
    else:
        total = _truncated(logp.exp(), settings).cumsum(1, dtype=torch.float64)
        tokens = torch.searchsorted(total, uniforms[:, None] * total[:, -1:], right=True)[:, 0]
        tokens = tokens.clamp(max=logits.shape[1] - 1)
    return tokens, logp.gather(1, tokens[:, None])[:, 0]


def _truncated(p: Tensor, settings: Settings) -> Tensor:
    """p [B, V], with 0 in place of what top_k and top_p leave out; the likeliest token always stays."""
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


def _uniforms(seed: int, settings: Settings) -> Tensor:
    return torch.rand(settings.max_new_tokens, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

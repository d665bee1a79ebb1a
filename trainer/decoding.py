"""The key-value cache of rows that grow token by token, and the attention that reads and fills it.

Rows stand on the left of their places: a token's slot is its position, so a row that leaves frees its place for the
next one and no other row moves. The passes run through transformers' modules without a mask of theirs: attention is a
function of ours, registered in transformers' AttentionInterface and chosen for the length of a pass.

Letters: B places, S slots of a place, H heads (of queries or of keys), N tokens or rows of one pass, D width.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface

from trainer.base import Model
from trainer.contract.errors import TrainerError
from trainer.contract.estimate import PREFILL_TOKENS

NAME = "touchstone_decoding"
SPAN = 32  # slots that a cache grows by: whole tensors are read, so its size follows what is filled
LIKE = 0.7  # shortest of the prompts that attend together, as a share of the longest
KNOWN_LAYERS = {"full_attention", "sliding_attention"}
KNOWN_EXTRAS = ("softcap", "s_aux", "position_bias")  # of other architectures' attention, which ours leaves out


class Cache:
    """Keys and values of B rows, one pre-allocated tensor a layer [B·H, S, width], and the passes that fill them.

    Attention reads whole tensors: on a CPU twice as fast as views of the filled slots, whose gaps stop the prefetcher.
    So S is a multiple of SPAN just above the longest row, and the tensors move when that changes.
    """

    def __init__(self, model: Model) -> None:
        """Raises bad_config where the architecture cannot decode by this attention."""
        _refuse_unknown(model)
        AttentionInterface.register(NAME, _attend)
        self._model = model
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        self._slots = 0
        self.filled = torch.zeros(0, dtype=torch.long)  # [B]: tokens of each place; 0 where it is free

    def lay(self, places: Sequence[int], *, count: int) -> None:
        """Keep these places, in this order, as the first of `count`; the others come up free."""
        filled = torch.zeros(count, dtype=torch.long)
        filled[: len(places)] = self.filled[list(places)]
        self._move(list(places), filled, longest=int(filled.max()))

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Tensor], places: Sequence[Sequence[int]]) -> Tensor:
        """Pass each prompt once and leave its keys and values in all of its places (A4).

        Returns [N, D]: the last hidden state of each prompt. Prompts of like length should stand together.
        """
        for prompt, own in zip(prompts, places, strict=True):
            self.filled[list(own)] = len(prompt)
        if int(self.filled.max()) > self._slots:
            self._move(list(range(len(self.filled))), self.filled, longest=int(self.filled.max()))
        states, device = [], self._model.device
        for start, end in _passes([len(prompt) for prompt in prompts]):
            lengths = [len(prompt) for prompt in prompts[start:end]]
            ends = torch.tensor(lengths).cumsum(0)
            positions = torch.cat([torch.arange(length) for length in lengths])
            prefill = _Prefill.of(self, lengths, places[start:end])
            hidden = self._pass(torch.cat(list(prompts[start:end]))[None], positions[None], prefill)
            states.append(hidden[0, (ends - 1).to(device)])
        if len(self._layers) != self._model.config.get_text_config().num_hidden_layers:
            raise _unknown(self._model, "keeps no keys and values in some of its layers")
        return torch.cat(states)

    @torch.no_grad()
    def step(self, tokens: Tensor, live: Tensor) -> Tensor:
        """Pass one token of every place; returns [B, D]. tokens: [B]; live: [B] bool, where it is kept."""
        if (longest := int(self.filled.max())) >= self._slots:
            self._move(list(range(len(self.filled))), self.filled, longest=longest)
        hidden = self._pass(tokens[:, None], self.filled[:, None], _Step(self, self.filled))
        self.filled = self.filled + live
        return hidden[:, 0]

    def _pass(self, ids: Tensor, positions: Tensor, kind: "_Pass") -> Tensor:
        device = self._model.device
        with _attending(self._model):
            hidden: Tensor = self._model.get_decoder()(  # type: ignore[no-untyped-call]  # transformers
                input_ids=ids.to(device), position_ids=positions.to(device), use_cache=False, decoding=kind
            ).last_hidden_state
        return hidden

    def _move(self, places: list[int], filled: Tensor, *, longest: int) -> None:
        """Take the places over into tensors with room for one token more than the longest row."""
        slots = math.ceil((longest + 1) / SPAN) * SPAN
        before, kept = len(self.filled), min(slots, self._slots)
        index = torch.tensor(places, dtype=torch.long, device=self._model.device)
        same = places == list(range(before))

        def moved(old: Tensor) -> Tensor:
            heads, width = old.shape[0] // before, old.shape[2]
            new = old.new_empty(len(filled), heads, slots, width)
            held = old.view(before, heads, self._slots, width)
            new[: len(places), :, :kept] = held[:, :, :kept] if same else held[index, :, :kept]
            new[: len(places), :, kept:] = 0  # what no query sees still meets a weight of 0, and must be a number
            new[len(places) :] = 0
            return new.view(-1, slots, width)

        for layer, (keys, values) in self._layers.items():
            self._layers[layer] = moved(keys), moved(values)
        self.filled, self._slots = filled, slots

    def write(self, layer: int, keys: Tensor, values: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Put keys and values [N, H, width] into the flat slots of index [N, H]; returns the layer's whole tensors."""
        if layer not in self._layers:
            shape = (len(self.filled) * index.shape[1], self._slots)
            self._layers[layer] = keys.new_zeros(*shape, keys.shape[-1]), values.new_zeros(*shape, values.shape[-1])
        for whole, new in zip(self._layers[layer], (keys, values), strict=True):
            whole.view(-1, whole.shape[-1]).index_copy_(0, index.view(-1), new.reshape(-1, new.shape[-1]))
        return self._layers[layer]

    def index(self, places: Tensor, slots: Tensor, *, heads: int) -> Tensor:
        """[N, H]: where in a layer's flat slots the tokens with these places and slots [N] stand."""
        rows = places[:, None] * heads + torch.arange(heads)
        return (rows * self._slots + slots[:, None]).to(self._model.device)

    def hidden_slots(self, lengths: Tensor, *, window: int | None) -> Tensor:
        """[B, S] bool: True on slots that a query at position `lengths` [B] may not see."""
        slots = torch.arange(self._slots)
        hidden = slots > lengths[:, None]
        return hidden if window is None else hidden | (slots <= lengths[:, None] - window)


class _Pass(Protocol):
    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float | None, window: int | None
    ) -> Tensor: ...


@dataclass
class _Prefill:
    """One pass of packed prompts: each attends to itself alone; keys and values go to all of its places."""

    cache: Cache
    groups: list[tuple[Tensor, Tensor]]  # indices into the pass [n, longest], and which of them are a row's own
    source: Tensor  # [M]: indices into the pass, place after place
    places: Tensor  # [M]
    slots: Tensor  # [M]
    _index: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, cache: Cache, lengths: Sequence[int], places: Sequence[Sequence[int]]) -> "_Prefill":
        starts = [0, *torch.tensor(lengths).cumsum(0).tolist()]
        rows = [(start, length, place) for start, length, own in zip(starts, lengths, places) for place in own]  # noqa: B905  # one start more
        device = cache._model.device
        return cls(
            cache,
            [_group(starts, lengths, first, last, device) for first, last in _like(lengths)],
            torch.cat([torch.arange(start, start + length) for start, length, _ in rows]).to(device),
            torch.cat([torch.full((length,), place) for _, length, place in rows]),
            torch.cat([torch.arange(length) for _, length, _ in rows]),
        )

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float | None, window: int | None
    ) -> Tensor:
        heads = key.shape[1]
        if heads not in self._index:
            self._index[heads] = self.cache.index(self.places, self.slots, heads=heads)
        q_all, k_all, v_all = (states[0].transpose(0, 1) for states in (query, key, value))  # [N, H, width]
        self.cache.write(
            layer, k_all.index_select(0, self.source), v_all.index_select(0, self.source), self._index[heads]
        )
        out = query.new_empty(*q_all.shape[:2], value.shape[-1])  # [N, H, width]
        for index, own in self.groups:
            q, k, v = (
                states.index_select(0, index.reshape(-1)).view(*index.shape, *states.shape[1:]).transpose(1, 2)
                for states in (q_all, k_all, v_all)
            )  # [n, H, longest, width]
            mask = _causal(index.shape[1], window, q.device) if window and window < index.shape[1] else None
            found = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
            )
            out[index[own]] = found.transpose(1, 2)[own]
        return out[None]


@dataclass
class _Step:
    """One pass of one token a place."""

    cache: Cache
    lengths: Tensor  # [B]: the tokens before it
    _index: dict[int, Tensor] = field(default_factory=dict)
    _masks: dict[tuple[int, int | None], Tensor] = field(default_factory=dict)

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float | None, window: int | None
    ) -> Tensor:
        places, heads, _, width = key.shape
        if heads not in self._index:
            self._index[heads] = self.cache.index(torch.arange(places), self.lengths, heads=heads)
        keys, values = self.cache.write(layer, key[:, :, 0], value[:, :, 0], self._index[heads])
        q = query.reshape(places * heads, -1, width)  # [B·H, queries of one key head, width]
        scale = width**-0.5 if scaling is None else scaling
        scores = torch.baddbmm(self._mask(heads, window, q), q, keys.transpose(1, 2), alpha=scale)
        weights = scores.softmax(-1, dtype=torch.float32).to(values.dtype)
        return torch.bmm(weights, values).view(places, 1, query.shape[1], -1)

    def _mask(self, heads: int, window: int | None, like: Tensor) -> Tensor:
        """[B·H, 1, S]: −∞ where a place's query may not look, else 0."""
        if (heads, window) not in self._masks:
            hidden = self.cache.hidden_slots(self.lengths, window=window).to(like.device)
            mask = torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill_(hidden, -math.inf)
            self._masks[heads, window] = mask.repeat_interleave(heads, 0)[:, None]
        return self._masks[heads, window]


@contextmanager
def _attending(model: Model) -> Iterator[None]:
    """Within it the model's attention is ours; before and after whatever was chosen for it."""
    config = model.get_decoder().config  # type: ignore[no-untyped-call]  # transformers
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    decoding: _Pass,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **extras: Any,  # what other attention functions take
) -> tuple[Tensor, None]:
    """What transformers calls in each layer. query, key, value: [B, H, N, width]; returns [B, N, H, width]."""
    if strange := [name for name in KNOWN_EXTRAS if extras.get(name) is not None]:
        raise TrainerError(
            "bad_config", f"the base's attention uses {strange[0]}, which generation here does not know."
        )
    layer: Any = module.layer_idx  # transformers numbers its attention modules
    return decoding.attend(layer, query, key, value, scaling=scaling, window=sliding_window), None


def _refuse_unknown(model: Model) -> None:
    strange = set(getattr(model.config.get_text_config(), "layer_types", None) or []) - KNOWN_LAYERS
    if strange:
        raise _unknown(model, f"has layers of kind {min(strange)}")


def _unknown(model: Model, reason: str) -> TrainerError:
    sentence = f"the base is a {type(model).__name__}, which {reason}; take a base that attends as Llama or Qwen do."
    return TrainerError("bad_config", sentence)


def _passes(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of prompts, from and until, that hold PREFILL_TOKENS at most; a longer one passes alone."""
    start, held = 0, 0
    for place, length in enumerate(lengths):
        if place > start and held + length > PREFILL_TOKENS:
            yield start, place
            start, held = place, 0
        held += length
    yield start, len(lengths)


def _like(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of prompts, from and until, whose shortest has LIKE of the longest."""
    start = 0
    for place in range(1, len(lengths) + 1):
        if place == len(lengths) or min(lengths[start : place + 1]) < LIKE * max(lengths[start : place + 1]):
            yield start, place
            start = place


def _group(
    starts: Sequence[int], lengths: Sequence[int], first: int, last: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """(index [n, longest] of a run of prompts, right-padded with its row's last token; which are no padding)."""
    length = torch.tensor(lengths[first:last])[:, None]
    slots = torch.arange(int(length.max()))
    index = torch.tensor(starts[first:last])[:, None] + slots.minimum(length - 1)
    return index.to(device), (slots < length).to(device)


def _causal(length: int, window: int, device: torch.device) -> Tensor:
    """[T, T] bool: True where a query sees a key, itself and the window - 1 before it."""
    ones = torch.ones(length, length, dtype=torch.bool, device=device)
    return ones.tril() & ones.triu(1 - window)

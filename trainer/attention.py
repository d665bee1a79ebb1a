"""Attention over packed rows: which tokens see which, and a function of ours in place of transformers' own.

A document sees itself, causally. Some documents have a beginning in common, which is stored and computed once: each of
them sees it whole. No mask tensor exists, nothing is padded, and on a CPU nothing is gathered: every product reads a
slice of the packed tensors.

Letters: T packed tokens, H heads, E width of a head.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel

from trainer.contract.errors import TrainerError

NAME = "packed"  # of our function in transformers' table
ALIKE = 0.7  # the shortest row of a padded group over its longest (X2)


@dataclass(frozen=True)
class Branches:
    """Documents with a beginning in common: its length, and how far each goes on from there (K of them)."""

    trunk: int
    branches: tuple[int, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Which packed tokens see which: the trunk of each entry, then its branches, entry after entry (D6, D7).

    A trunk without branches is a document of its own.
    """

    entries: tuple[Branches, ...]

    @property
    def tokens(self) -> int:
        """T."""
        return sum(entry.trunk + sum(entry.branches) for entry in self.entries)

    @property
    def longest(self) -> int:
        """Tokens of the longest document."""
        return max((entry.trunk + max(entry.branches, default=0) for entry in self.entries), default=0)

    def positions(self) -> Tensor:
        """[T]: each token's place in its document, from 0; every branch goes on where its trunk ends."""
        parts = [torch.arange(0)]
        for entry in self.entries:
            parts.append(torch.arange(entry.trunk))
            parts += [torch.arange(entry.trunk, entry.trunk + length) for length in entry.branches]
        return torch.cat(parts)

    def rows(self) -> list[Tensor]:
        """Each document's packed indices in order; a trunk's tokens stand in all of its documents."""
        rows, start = [], 0
        for entry in self.entries:
            trunk = torch.arange(start, start := start + entry.trunk)
            rows += [torch.cat([trunk, torch.arange(start, start := start + length)]) for length in entry.branches]
            rows += [] if entry.branches else [trunk]
        return rows

    def causal(self) -> list[tuple[int, int, int]]:
        """(first token, how many, length) of neighbouring spans of equal length whose tokens see those before them."""
        runs: list[tuple[int, int, int]] = []
        at = 0
        for length in (length for entry in self.entries for length in (entry.trunk, *entry.branches)):
            if not length:
                continue
            if runs and runs[-1][2] == length:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1, length)
            else:
                runs.append((at, 1, length))
            at += length
        return runs

    def shared(self) -> list[tuple[slice, slice]]:
        """(branches' tokens, their trunk's tokens): the first see all of the second."""
        found, start = [], 0
        for entry in self.entries:
            middle, end = start + entry.trunk, start + entry.trunk + sum(entry.branches)
            if entry.trunk and end > middle:
                found.append((slice(middle, end), slice(start, middle)))
            start = end
        return found


@contextmanager
def packed(model: PreTrainedModel) -> Iterator[None]:
    """Within it the model attends by our function, which needs a Layout."""
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    **more: Any,  # Any: what transformers passes to any attention function
) -> tuple[Tensor, None]:
    """What transformers calls in each layer: ([1, T, H, E], no weights). query [1, H, T, E]; fewer heads of key, value.

    Raises ValueError without a Layout, which nobody can guess from positions (D6); bad_config where the base's
    attention is of a kind that packing does not know.
    """
    if layout is None or attention_mask is not None or dropout:
        raise ValueError("packed attention takes a Layout, and neither a mask nor dropout")
    _require_plain(module, layout, more)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scale = scaling or query.shape[-1] ** -0.5
    by = _Slices.apply if query.device.type == "cpu" else by_rows
    out: Tensor = by(query, key, value, layout, scale)
    return out.transpose(1, 2), None


def _require_plain(module: torch.nn.Module, layout: Layout, more: dict[str, Any]) -> None:
    window = more.get("sliding_window") or getattr(module, "sliding_window", None)
    if window and layout.longest > window:
        sentence = f"the base's attention reaches {window} tokens back; set context to at most {window}."
        raise TrainerError("bad_config", sentence)
    if more.get("softcap"):
        raise TrainerError("bad_config", "the base caps its attention logits, which packed attention does not.")


class _Slices(torch.autograd.Function):
    """Attention on slices: each span with itself, branches with their trunk, both halves joined by their log-totals.

    A half's backward with the joined output and log-total is its share of the whole gradient, since
    p = exp(qk − log-total) and d(qk) = p·(dp − out·d_out) name no other half (Dao 2023, FlashAttention-2, section 3.1).
    """

    @staticmethod
    def forward(
        ctx: Any,  # torch's context holds what one likes
        query: Tensor,
        key: Tensor,
        value: Tensor,
        layout: Layout,
        scale: float,
    ) -> Tensor:
        out = _like(query)
        total = query.new_empty(query.shape[:3], dtype=torch.promote_types(query.dtype, torch.float32))  # [1, H, T]
        for run in layout.causal():
            q, k, v = (_run(x, run) for x in (query, key, value))
            part, log_total = _forward(q, k, v, scale=scale, causal=True)
            _run(out, run).copy_(part)
            _run(total[..., None], run).copy_(log_total[..., None])
        for own, trunk in layout.shared():
            q, k, v = query[:, :, own], key[:, :, trunk], value[:, :, trunk]
            part, log_total = _forward(q, k, v, scale=scale, causal=False)
            _join(out[:, :, own], total[:, :, own], part, log_total)
        ctx.save_for_backward(query, key, value, out, total)
        ctx.layout, ctx.scale = layout, scale
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, total = ctx.saved_tensors
        d_query, d_key, d_value = _like(query), _like(query), _like(query)
        for run in ctx.layout.causal():
            given = [_run(x, run) for x in (d_out, query, key, value, out)]
            parts = _backward(given, _run(total[..., None], run)[..., 0], scale=ctx.scale, causal=True)
            for whole, part in zip((d_query, d_key, d_value), parts, strict=True):
                _run(whole, run).copy_(part)
        for own, trunk in ctx.layout.shared():
            q, k, v = query[:, :, own], key[:, :, trunk], value[:, :, trunk]
            given = [d_out[:, :, own], q, k, v, out[:, :, own]]
            parts = _backward(given, total[:, :, own], scale=ctx.scale, causal=False)
            for whole, part, span in zip((d_query, d_key, d_value), parts, (own, trunk, trunk), strict=True):
                whole[:, :, span] += part
        return d_query, d_key, d_value, None, None


def _forward(query: Tensor, key: Tensor, value: Tensor, *, scale: float, causal: bool) -> tuple[Tensor, Tensor]:
    """torch's own CPU kernel: (output [B, H, T, E], log-total [B, H, T])."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, log_total = kernel(query, key, value, 0.0, causal, scale=scale)
    return out, log_total


def _backward(given: Sequence[Tensor], total: Tensor, *, scale: float, causal: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Its gradients in query, key, value. given: d_out, query, key, value, out."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    d_query, d_key, d_value = kernel(*given, total, 0.0, causal, scale=scale)
    return d_query, d_key, d_value


def _like(query: Tensor) -> Tensor:
    """Room for [1, H, T, E] in the order of memory in which a layer's products leave their outputs."""
    _, heads, tokens, width = query.shape
    return query.new_empty(1, tokens, heads, width).transpose(1, 2)


def _run(x: Tensor, run: tuple[int, int, int]) -> Tensor:
    """A run of spans as a batch [count, H, length, E] of views into x [1, H, T, E]."""
    first, count, length = run
    heads, _, width = x.shape[1:]
    return x[0, :, first : first + count * length].view(heads, count, length, width).transpose(0, 1)


def _join(out: Tensor, total: Tensor, part: Tensor, log_total: Tensor) -> None:
    """Add a half of attention to another, in place: weights are each half's share of the total."""
    joined = torch.logaddexp(total, log_total)
    out.mul_((total - joined).exp_()[..., None].to(out.dtype))
    out.addcmul_(part, (log_total - joined).exp_()[..., None].to(out.dtype))
    total.copy_(joined)


def by_rows(query: Tensor, key: Tensor, value: Tensor, layout: Layout, scale: float) -> Tensor:
    """The same on any device: rows of like length gathered side by side, padded on the right, no mask (X2).

    What lies right of a token is never seen by it. A token of several rows takes its output from the first.
    """
    out = torch.zeros_like(query)
    owned = torch.zeros(layout.tokens, dtype=torch.bool)
    for rows in _alike(layout.rows()):
        places = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        new = torch.zeros(places.shape, dtype=torch.bool)
        for at, row in enumerate(rows):
            places[at, : len(row)] = row
            new[at, : len(row)] = ~owned[row]
            owned[row] = True
        places, new = places.to(query.device), new.to(query.device)
        q, k, v = (x[0][:, places].transpose(0, 1) for x in (query, key, value))  # [rows, H, longest, E]
        part = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale).transpose(1, 2)[new]  # [n, H, E]
        out = out.index_copy(2, places[new], part.transpose(0, 1)[None])
    return out


def _alike(rows: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Rows in groups of like length, longest first."""
    group: list[Tensor] = []
    for row in sorted(rows, key=len, reverse=True):
        if group and len(row) < ALIKE * len(group[0]):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


AttentionInterface.register(NAME, attend)

"""The arithmetic of a base's layers: LoRA on layers that see one input, and norm and gated product that keep no more
than they need. No peft, no model: `adapters` says which numbers a layer computes with, `base` which modules are known.

Letters: N tokens, I inputs and O outputs of a layer, r rank, S layers that see one input, D width, F inner width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import SiLUActivation

_Context = Any  # torch's context holds what one likes


@dataclass(frozen=True)
class Live:
    """What one adapted layer computes with at the moment; without a and b it is the bare layer."""

    weight: Tensor  # [O, I]
    bias: Tensor | None
    a: Tensor | None = None  # [r, I]
    b: Tensor | None = None  # [O, r]
    scale: float = 0.0
    dropout: float = 0.0
    packed: Tensor | None = None  # the weight as `pack` lays it; weight is then for its shape and type only

    def merge(self) -> "Live":
        """The bare layer that answers as this one does."""
        if self.a is None or self.b is None:
            return self
        weight = torch.addmm(self.weight.float(), self.b, self.a, alpha=self.scale).to(self.weight.dtype)
        return Live(weight, self.bias)

    def pack(self, rows: int) -> "Live":
        """The bare layer with its weight laid out for products of some `rows` tokens, where this machine can do so."""
        packed = pack(self.weight, rows)
        return self if packed is None else Live(self.weight.new_empty(0), self.bias, packed=packed)


# --- products of few tokens


def pack(weight: Tensor, rows: int) -> Tensor | None:
    """A weight [O, I] in oneDNN's own order, for `packed_linear`; None where that does not help (X4).

    An ordinary product of 32 tokens orders the weight anew each time, which takes a third of it. Only float32 on a CPU.
    """
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    if not plain or not torch.backends.mkldnn.is_available():
        return None
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), rows)
    return packed


def packed_linear(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """xWᵀ + bias of a packed weight, without gradients."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return out


# --- LoRA


def adapted(x: Tensor, live: Live) -> Tensor:
    """One layer's output, without dropout as peft's own forward computes it (L6)."""
    if live.packed is not None:
        return packed_linear(x, live.packed, live.bias)
    if live.a is None or live.b is None:
        return F.linear(x, live.weight, live.bias)
    if live.dropout:
        low = F.linear(F.dropout(x, live.dropout).to(live.a.dtype), live.a)
        return F.linear(x, live.weight, live.bias) + (F.linear(low, live.b) * live.scale).to(x.dtype)
    return adapted_together(x, [live])[0]


def adapted_together(x: Tensor, lives: Sequence[Live]) -> tuple[Tensor, ...]:
    """The outputs of adapted layers that see one input, without dropout: their A's are one product (L6)."""
    whole = _whole_pays(x, lives)
    if whole and not torch.is_grad_enabled():
        return tuple(F.linear(x, _whole(live.weight, live.a, live.b, live.scale), live.bias) for live in lives)
    parts = [part for live in lives for part in (live.weight, live.bias, live.a, live.b)]
    source = vars(x).get("source") or _Source(_itself, (x,))
    out: tuple[Tensor, ...] = _Lora.apply(x, source, _How(tuple(live.scale for live in lives), whole), *parts)
    return out


def _whole_pays(x: Tensor, lives: Sequence[Live]) -> bool:
    """Whether W + sBA, made for one pass, costs less than the thin products that it saves: 2rOI against rN(O + I).

    Never in less than float32: a rounded sum would lose what the adapter has learned.
    """
    if any(live.a is None or live.a.dtype != live.weight.dtype for live in lives):
        return False
    tokens = x.shape[:-1].numel()
    return tokens * sum(sum(live.weight.shape) for live in lives) > 2 * sum(live.weight.numel() for live in lives)


class Siblings:
    """Layers that a model calls one after the other on one input: the first call computes for all of them."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._layers = list(layers)
        self._input: Tensor | None = None
        self._lives: list[Live] = []
        self._waiting: dict[nn.Module, Tensor] = {}

    def output(self, layer: nn.Module, x: Tensor) -> Tensor:
        """The layer's output for x. Each output is kept until it is asked for, or another input comes."""
        lives = [_live(sibling) for sibling in self._layers]
        if any(live.a is None or live.dropout for live in lives):
            return adapted(x, _live(layer))
        same = self._input is x and all(map(_same, self._lives, lives))
        if not same or layer not in self._waiting:
            self._input, self._lives = x, lives
            self._waiting = dict(zip(self._layers, adapted_together(x, lives), strict=True))
        out = self._waiting.pop(layer)
        if not self._waiting:
            self._input, self._lives = None, []
        return out


def _live(layer: Any) -> Live:  # Any: a module with our state on it
    live: Live = layer.live
    return live


def _same(one: object, other: object) -> bool:
    return one is other


class _Source(NamedTuple):
    """Out of which tensors, that are kept anyway, a layer's input is computed again (X4)."""

    again: Callable[..., Tensor]
    of: tuple[Tensor, ...]


def _itself(x: Tensor) -> Tensor:
    return x


class _How(NamedTuple):
    """scales: of each layer. whole: x and dX meet W + sBA, made for one product; else thin products are added."""

    scales: tuple[float, ...]
    whole: bool


def _whole(weight: Tensor, a: Tensor | None, b: Tensor | None, scale: float) -> Tensor:
    """W + sBA [O, I]."""
    return weight if a is None or b is None else torch.addmm(weight, b, a, alpha=scale)


class _Lora(torch.autograd.Function):
    """xWᵀ + s(xAᵀ)Bᵀ for each layer, W frozen; backward dX, dA, dB only, never dW (L6)."""

    @staticmethod
    def forward(ctx: _Context, x: Tensor, source: _Source, how: _How, *parts: Any) -> tuple[Tensor, ...]:
        weights, biases, downs, ups = (parts[place::4] for place in range(4))
        flat = x.reshape(-1, x.shape[-1])  # [N, I]
        a = torch.cat(downs).to(x.dtype) if len(downs) > 1 else downs[0].to(x.dtype)  # [S·r, I]
        bs = [b.to(x.dtype) for b in ups]
        low = flat @ a.T  # [N, S·r]
        lows = low.split([b.shape[1] for b in bs], 1)
        outs = []
        for weight, bias, down, b, own, scale in zip(weights, biases, downs, bs, lows, how.scales, strict=True):
            if how.whole:
                out = F.linear(flat, _whole(weight, down, b, scale), bias)
            else:
                out = F.linear(flat, weight, bias).addmm_(own, b.T, alpha=scale)
            outs.append(out.view(*x.shape[:-1], -1))
        ctx.save_for_backward(low, a, *weights, *bs, *source.of)
        ctx.again, ctx.how, ctx.dtype = source.again, how, downs[0].dtype
        return tuple(outs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: _Context, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        count, scales = len(upstream), ctx.how.scales
        low, a, *rest = ctx.saved_tensors
        weights, bs, kept = rest[:count], rest[count : 2 * count], rest[2 * count :]
        d_outs = [one.reshape(-1, one.shape[-1]) for one in upstream]  # [N, O] each
        d_lows = [(d_out @ b).mul_(scale) for d_out, b, scale in zip(d_outs, bs, scales, strict=True)]
        d_low = torch.cat(d_lows, 1) if count > 1 else d_lows[0]  # [N, S·r]
        ranks = [b.shape[1] for b in bs]
        grads: list[Tensor | None] = [None] * (4 * count)
        if any(ctx.needs_input_grad[5::4]):
            x = ctx.again(*kept)
            grads[2::4] = (d_low.T @ x.reshape(-1, x.shape[-1])).to(ctx.dtype).split(ranks)
        if any(ctx.needs_input_grad[6::4]):
            grads[3::4] = [
                (d_out.T @ own).mul_(scale).to(ctx.dtype)
                for d_out, own, scale in zip(d_outs, low.split(ranks, 1), scales, strict=True)
            ]
        d_x = None
        if ctx.needs_input_grad[0]:
            if ctx.how.whole:
                parts = zip(weights, a.split(ranks), bs, scales, strict=True)
                weights = (_whole(*one) for one in parts)  # one at a time
            weights = iter(weights)
            d_x = d_outs[0] @ next(weights)
            for d_out, weight in zip(d_outs[1:], weights, strict=True):
                d_x.addmm_(d_out, weight)
            if not ctx.how.whole:
                d_x.addmm_(d_low, a)
            d_x = d_x.view(*upstream[0].shape[:-1], -1)
        return d_x, None, None, *grads


# --- norm and gated product (X4)


def install(model: nn.Module) -> None:
    """Give the modules of known classes their functions; all others run as they are."""
    for module in model.modules():
        forward = FORWARDS.get(type(module).__name__)
        if forward and type(module).__module__.startswith("transformers."):
            module.forward = MethodType(forward, module)


def rms_norm(module: Any, x: Tensor) -> Tensor:  # Any: one of transformers' norms
    """weight · x/√(mean x² + eps), computed in float32 or more; what reads it may compute it again."""
    if not torch.is_grad_enabled():
        return _normed(x, _scale_of(x, module.variance_epsilon), module.weight)
    y, scale = _RmsNorm.apply(x, module.weight, module.variance_epsilon)
    vars(y)["source"] = _Source(_normed, (x.detach(), scale, module.weight.detach()))
    out: Tensor = y
    return out


def gated_mlp(module: Any, x: Tensor) -> Tensor:  # Any: one of transformers' gated blocks
    """down(silu(gate(x)) · up(x)), where only gate(x) and up(x) are kept."""
    if not isinstance(module.act_fn, nn.SiLU | SiLUActivation):
        out: Tensor = module.down_proj(module.act_fn(module.gate_proj(x)) * module.up_proj(x))
        return out
    gate, up = module.gate_proj(x), module.up_proj(x)
    if not torch.is_grad_enabled():
        out = module.down_proj(_gated(gate, up))
        return out
    product = _Gated.apply(gate, up)
    vars(product)["source"] = _Source(_gated, (gate.detach(), up.detach()))
    out = module.down_proj(product)
    return out


class _RmsNorm(torch.autograd.Function):
    """Backward with s = 1/√(mean x² + eps), g = dy·w: dx = s·g − s³·x·mean(g·x), dw = Σ dy·s·x."""

    @staticmethod
    def forward(ctx: _Context, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        scale = _scale_of(x, eps)
        ctx.save_for_backward(x, weight, scale)
        ctx.mark_non_differentiable(scale)
        return _normed(x, scale, weight), scale

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: _Context, d_y: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        wide, d_wide = x.to(scale.dtype), d_y.to(scale.dtype)
        d_x = d_weight = None
        if ctx.needs_input_grad[1]:
            d_weight = (d_wide * wide).mul_(scale).flatten(0, -2).sum(0).to(weight.dtype)
        if ctx.needs_input_grad[0]:
            g = d_wide * weight
            lean = torch.linalg.vecdot(g, wide).unsqueeze(-1).mul_(scale.pow(3)).div_(-x.shape[-1])
            d_x = g.mul_(scale).addcmul_(wide, lean).to(x.dtype)
        return d_x, d_weight, None


def _scale_of(x: Tensor, eps: float) -> Tensor:
    """1/√(mean x² + eps), [..., 1], in float32 or more."""
    wide = x if x.dtype == torch.float64 else x.float()
    scale: Tensor = torch.linalg.vecdot(wide, wide).div_(x.shape[-1]).add_(eps).rsqrt_().unsqueeze(-1)
    return scale


def _normed(x: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    if x.dtype == scale.dtype:
        return (x * scale).mul_(weight)
    return weight * (x * scale).to(x.dtype)


class _Gated(torch.autograd.Function):
    """silu(gate)·up, of which nothing but the two inputs is kept."""

    @staticmethod
    def forward(ctx: _Context, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return _gated(gate, up)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: _Context, d_product: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(d_product * up, gate), F.silu(gate).mul_(d_product)


def _gated(gate: Tensor, up: Tensor) -> Tensor:
    return F.silu(gate).mul_(up)


FORWARDS: dict[str, Callable[[Any, Tensor], Tensor]] = {  # classes of transformers that compute just this
    **dict.fromkeys(("LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm"), rms_norm),
    **dict.fromkeys(("LlamaMLP", "MistralMLP", "Qwen2MLP", "Qwen3MLP"), gated_mlp),
}

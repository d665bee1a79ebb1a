"""LoRA adapters on one frozen base: attach, load, copy, switch, save. The only file that knows peft.

peft carries the parameters and their names, so that a saved folder is plain peft; the layers' arithmetic (`layers`) and
the switching between adapters are ours, and `adapter_files` reads and writes the folders. A freshly prepared model is
the bare base; only `using` makes an adapter act.

Letters: N tokens, I inputs and O outputs of a layer, r rank, D width.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from peft import LoraConfig, TaskType, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor
from torch.nn import Parameter
from transformers import PreTrainedModel

from trainer import adapter_files, base
from trainer.contract.errors import TrainerError
from trainer.contract.seeds import seed_for
from trainer.layers import Live, Siblings, adapted

_Layer = Any  # a peft LoraLayer, whose attributes peft does not type, with our `live` state and `siblings`
FEW = 32  # tokens of a pass that merged weights are laid out for
SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))  # called one after the other, on one input


@dataclass(frozen=True)
class Loaded:
    """What a saved adapter brings beside its LoRA weights: its manifest, and its head as `save_adapter` names it."""

    facts: dict[str, Any]  # Any: JSON
    heads: dict[str, Tensor]


def attach(model: PreTrainedModel, name: str, *, rank: int, alpha: float, seed: int) -> None:
    """Give the model a trainable adapter that does nothing yet: A uniform in ±1/√I from the seed, B = 0 (L1).

    All linear layers of the blocks get one, embeddings and head never; both stay float32.
    """
    _inject(model, name, rank=rank, alpha=alpha, targets=_targets(model))
    draw = torch.Generator().manual_seed(seed_for(seed, "init", name))
    for _, layer in _layers(model):
        a, b = _pair(layer, name)
        bound = 1 / math.sqrt(a.shape[1])
        with torch.no_grad():
            a.copy_(torch.empty(a.shape).uniform_(-bound, bound, generator=draw))
            b.zero_()
    _set_trainable(model, name, on=True)


def load_adapter(model: PreTrainedModel, path: Path, name: str, *, base_sha256: str = "") -> Loaded:
    """Give the model a frozen adapter from a peft folder; base_sha256, where given, must be the one it was made on.

    Raises TrainerError with code bad_adapter, naming the first thing that is missing, left over, of another shape or
    type, or not finite; the model is then as before.
    """
    shapes = {module: tuple(layer.weight.shape) for module, layer in _linear(model)}
    saved = adapter_files.read(path, shapes, width=model.config.get_text_config().hidden_size, base_sha256=base_sha256)
    _inject(model, name, rank=saved.rank, alpha=saved.alpha, targets=saved.targets)
    with torch.no_grad():
        for module, layer in _layers(model, name):
            for letter, parameter in zip("AB", _pair(layer, name), strict=True):
                parameter.copy_(saved.tensors[module, letter])
    _set_trainable(model, name, on=False)
    return Loaded(saved.facts, saved.heads)


def copy(model: PreTrainedModel, source: str, name: str, *, rank: int = 0, alpha: float = 0.0, seed: int = 0) -> None:
    """Give the model a trainable adapter that does what another does (L2); bit for bit where the shape is equal.

    rank 0 is the source's, with its alpha. A larger rank grows exactly: A' = [A; fresh], B' = [B·(α/r)/(α'/r'), 0],
    fresh rows from the seed. Raises rank_shrinks.
    """
    shape = _shape(model, source)
    if rank and rank < shape["rank"]:
        sentence = (
            f"rank is {rank}; the adapter it starts from has {shape['rank']}: allowed are {shape['rank']} to 256."
        )
        raise TrainerError("rank_shrinks", sentence)
    if not rank or (rank, alpha) == (shape["rank"], shape["alpha"]):
        _inject(model, name, **shape)
    else:
        attach(model, name, rank=rank, alpha=alpha, seed=seed)
    ratio = (shape["alpha"] / shape["rank"]) / (alpha / rank) if rank else 1.0
    with torch.no_grad():
        for _, layer in _layers(model, source):
            (mine_a, mine_b), (a, b) = _pair(layer, name), _pair(layer, source)
            mine_a[: a.shape[0]] = a
            mine_b[:, : b.shape[1]] = b * ratio
    _set_trainable(model, name, on=True)


def remove(model: PreTrainedModel, name: str) -> None:
    """Take an adapter away and free its memory."""
    with _trainable_kept(model):
        for _, layer in _layers(model, name):
            layer.set_adapter([])  # peft warns where it deletes what it holds for active
            layer.delete_adapter(name)


def names(model: PreTrainedModel) -> list[str]:
    """The adapters that the model carries."""
    return sorted({name for _, layer in _layers(model) for name in layer.lora_A})


def parameters(model: PreTrainedModel, name: str) -> list[Parameter]:
    """An adapter's parameters, float32, layer by layer in the model's order, A before B."""
    return [parameter for _, layer in _layers(model, name) for parameter in _pair(layer, name)]


@contextmanager
def using(model: PreTrainedModel, name: str | None, *, dropout: float = 0.0) -> Iterator[None]:
    """Within it the model answers with the named adapter; None is the bare base (L4).

    The only way to switch. It changes no `requires_grad`, nests, and restores what was on exceptions. A loss must be
    back-propagated within its own block where activations are recomputed. dropout acts before the adapter's A, from
    torch's global generator: a fact of this use, so no other role ever has any (G4).
    """
    with _live(model, {layer: _live_of(layer, name, dropout) for _, layer in _layers(model, name)}):
        yield


@contextmanager
def merged(model: PreTrainedModel, name: str | None) -> Iterator[None]:
    """As `using`, without gradients, on separate buffers W + (α/r)BA: faster where few rows pass often (A8).

    They are laid out for products of few tokens where the machine knows how.

    The base is not touched. Costs a second copy of the adapted layers while it lasts; on a GPU it is `using`.
    """
    with merge(model, name)():
        yield


def merge(model: PreTrainedModel, name: str | None) -> Callable[[], AbstractContextManager[None]]:
    """What puts the adapter in use as `merged` does, as often as one likes: the buffers are made once, now."""
    if name is None or model.device.type != "cpu":
        return lambda: using(model, name)
    with torch.no_grad():
        live = {layer: _live_of(layer, name).merge().pack(FEW) for _, layer in _layers(model, name)}
    return lambda: _live(model, live)


def save_adapter(
    model: PreTrainedModel,
    name: str,
    path: Path,
    *,
    heads: Mapping[str, Tensor] | None = None,
    facts: dict[str, Any],  # Any: JSON
) -> None:
    """Write a plain peft folder, its manifest.json with the facts, and its head (L7).

    heads: {"score": [1, D]} makes it a sequence classification adapter that plain transformers and peft score with, and
    {"heads": [M, D]} beside it goes to reward_head.safetensors; {"weight": [1, D], "bias": [1]} to
    value_head.safetensors.
    """
    task = TaskType.SEQ_CLS if heads and "score" in heads else TaskType.CAUSAL_LM
    tensors = {
        (module, letter): parameter.detach()
        for module, layer in _layers(model, name)
        for letter, parameter in zip("AB", _pair(layer, name), strict=True)
    }
    config = _config(**_shape(model, name), task=task).to_dict()
    adapter_files.write(path, config, tensors, heads=heads or {}, facts=facts)


def save_merged(model: PreTrainedModel, name: str, path: Path) -> None:
    """Write base and adapter as one plain transformers folder, without a tokenizer (L9).

    W + (α/r)BA is summed in float32 and cast to the base's type once; model and adapter stay as they are.
    """
    weights = {
        key.replace(".base_layer.", "."): tensor for key, tensor in model.state_dict().items() if ".lora_" not in key
    }
    with torch.no_grad():
        for module, layer in _layers(model, name):
            weights[f"{module}.weight"] = _live_of(layer, name).merge().weight
    base.save(model, path, weights=weights)


# --- what layers compute with


def _live_of(layer: _Layer, name: str | None, dropout: float = 0.0) -> Live:
    plain = layer.get_base_layer()
    if name is None:
        return Live(plain.weight, plain.bias)
    a, b = _pair(layer, name)
    return Live(plain.weight, plain.bias, a, b, layer.scaling[name], dropout)


def _forward(layer: _Layer, x: Tensor) -> Tensor:
    """Stands in for peft's own forward of a layer, to which it is equal (L6)."""
    if layer.siblings is None:
        return adapted(x, layer.live)
    out: Tensor = layer.siblings.output(layer, x)
    return out


@contextmanager
def _live(model: PreTrainedModel, live: dict[_Layer, Live]) -> Iterator[None]:
    before = {layer: layer.live for layer in live}
    for layer, state in live.items():
        layer.live = state
    try:
        yield
    finally:
        for layer, state in before.items():
            layer.live = state


# --- peft


def _layers(model: PreTrainedModel, name: str | None = None) -> list[tuple[str, _Layer]]:
    """The adapted layers in the model's order; with a name, which the model must carry, all of that adapter."""
    found = [(module, layer) for module, layer in model.named_modules() if isinstance(layer, LoraLayer)]
    if name is None:
        return found
    mine = [(module, layer) for module, layer in found if name in layer.lora_A]
    if not mine:
        raise KeyError(f"no adapter {name!r}; there are {names(model)}")
    return mine


def _pair(layer: _Layer, name: str) -> tuple[Parameter, Parameter]:
    return layer.lora_A[name].weight, layer.lora_B[name].weight


def _targets(model: PreTrainedModel) -> list[str]:
    """The last parts of the names of all linear layers but the head, an explicit list."""
    names = {module.rsplit(".", 1)[-1] for module, _ in _linear(model)}
    if not names:
        raise TrainerError("bad_adapter", "the base has no linear layers that an adapter could stand on.")
    return sorted(names)


def _linear(model: PreTrainedModel) -> list[tuple[str, torch.nn.Linear]]:
    """The base's linear layers but the head, by the names that they have without adapters."""
    head = model.get_output_embeddings()
    return [
        (module.removesuffix(".base_layer"), layer)
        for module, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and layer is not head and ".lora_" not in module
    ]


def _inject(model: PreTrainedModel, name: str, *, rank: int, alpha: float, targets: list[str]) -> None:
    """Add peft's layers. What may be trained stays as it was, but for the base, which freezes at the first adapter."""
    if name in names(model):
        raise ValueError(f"there is an adapter {name!r} already")
    if not names(model):
        model.requires_grad_(requires_grad=False)
    config = _config(rank=rank, alpha=alpha, targets=targets, task=TaskType.CAUSAL_LM)
    with _trainable_kept(model):
        inject_adapter_in_model(config, model, adapter_name=name)
    del model.peft_config  # peft's list of adapters; the layers themselves are ours
    for _, layer in _layers(model, name):
        for parameter in _pair(layer, name):
            parameter.data = parameter.data.float()  # G5: whatever the base is
        if "live" not in vars(layer):
            layer.live, layer.siblings = _live_of(layer, None), None
            layer.forward = MethodType(_forward, layer)
    _join_siblings(model)


def _join_siblings(model: PreTrainedModel) -> None:
    """Let layers that see one input compute together."""
    for module in model.modules():
        for named in SIBLINGS:
            found: list[_Layer] = [getattr(module, name, None) for name in named]
            if all(isinstance(layer, LoraLayer) for layer in found):
                siblings = Siblings(found)
                for layer in found:
                    layer.siblings = siblings


@contextmanager
def _trainable_kept(model: PreTrainedModel) -> Iterator[None]:
    """Undo what peft does to `requires_grad` when it adds or takes layers; new parameters are frozen at first."""
    trainable = {parameter for parameter in model.parameters() if parameter.requires_grad}
    yield
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in trainable)


def _config(*, rank: int, alpha: float, targets: list[str], task: TaskType) -> LoraConfig:
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # peft asks for a whole number and only divides it
        target_modules=targets,
        task_type=task,
        init_lora_weights=False,
    )


def _shape(model: PreTrainedModel, name: str) -> dict[str, Any]:
    """Rank, alpha and targets of an adapter, as `_inject` takes them."""
    found = _layers(model, name)
    _, layer = found[0]
    targets = sorted({module.rsplit(".", 1)[-1] for module, _ in found})
    return {"rank": layer.r[name], "alpha": layer.lora_alpha[name], "targets": targets}


def _set_trainable(model: PreTrainedModel, name: str, *, on: bool) -> None:
    for parameter in parameters(model, name):
        parameter.requires_grad_(on)

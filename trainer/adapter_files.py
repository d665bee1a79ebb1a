"""An adapter's folder, plain peft and our manifest beside it: read whole and checked, or written (L7, L8).

Nothing here knows a model; `adapters` puts the numbers in their places.

Letters: I inputs and O outputs of a layer, r rank, D width, M reward heads.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.contract.errors import TrainerError

PREFIX = "base_model.model."
SCORE = PREFIX + "score.weight"
HEADS = ("value_head.safetensors", "reward_head.safetensors")
FLOATS = (torch.float32, torch.float16, torch.bfloat16)
PLAIN = {  # what of peft's many kinds of LoRA an adapter here may not use
    "use_dora": False,
    "use_rslora": False,
    "lora_bias": False,
    "bias": "none",
    "fan_in_fan_out": False,
    "rank_pattern": {},
    "alpha_pattern": {},
}


@dataclass(frozen=True)
class Saved:
    """What a folder holds. tensors: A [r, I] and B [O, r] by layer and letter; heads as `adapters.save_adapter` has."""

    rank: int
    alpha: float
    targets: list[str]
    tensors: dict[tuple[str, str], Tensor]
    heads: dict[str, Tensor]
    facts: dict[str, Any]  # Any: JSON


def read(path: Path, shapes: Mapping[str, tuple[int, ...]], *, width: int, base_sha256: str) -> Saved:
    """The adapter of a folder, for a base whose linear layers have these shapes [O, I], by name.

    base_sha256, where given, must be the one that it was made on. The weights are read with safetensors itself: peft
    would fall back to a pickle. Raises bad_adapter, naming the first thing that is missing, left over, of another shape
    or type, or not finite.
    """
    config = _read_json(path / "adapter_config.json")
    facts = _read_json(path / "manifest.json") if (path / "manifest.json").exists() else {}
    if base_sha256 and facts.get("base_sha256", base_sha256) != base_sha256:
        raise _bad(path, f"it was made on base {facts['base_sha256']}, this run's is {base_sha256}")
    rank, alpha, targets = _plain(path, config)
    named, heads = _read_tensors(path / "adapter_model.safetensors"), {}
    if SCORE in named:
        heads["score"] = named.pop(SCORE)
    for name in HEADS:
        if (path / name).exists():
            heads |= _read_tensors(path / name)
    expected = _expected(shapes, targets, rank)
    _check_tensors(path, named, expected)
    _check_heads(path, heads, width)
    tensors = {place: named[_name(*place)] for place in expected}
    return Saved(rank, alpha, targets, tensors, {key: head.to(torch.float32) for key, head in heads.items()}, facts)


def write(
    path: Path,
    config: Mapping[str, Any],  # Any: peft's
    tensors: Mapping[tuple[str, str], Tensor],
    *,
    heads: Mapping[str, Tensor],
    facts: Mapping[str, Any],  # Any: JSON
) -> None:
    """Fill a folder with peft's config and these tensors, by layer and letter, their heads and the manifest."""
    path.mkdir(parents=True, exist_ok=True)
    named = {_name(*place): _whole(tensor) for place, tensor in tensors.items()}
    if "score" in heads:
        named[SCORE] = _whole(heads["score"])
    beside = {key: _whole(head) for key, head in heads.items() if key != "score"}
    if beside:
        kind = "reward" if "score" in heads else "value"
        save_file(beside, path / f"{kind}_head.safetensors", metadata={"format": "pt"})
    save_file(named, path / "adapter_model.safetensors", metadata={"format": "pt"})
    values = {key: _as_json(value) for key, value in config.items()}
    values |= {"inference_mode": True, "modules_to_save": ["score"] if "score" in heads else None}
    _write_json(path / "adapter_config.json", values)
    _write_json(path / "manifest.json", {"schema": 1, **facts})


# --- reading (L8)


def _name(layer: str, letter: str) -> str:
    return f"{PREFIX}{layer}.lora_{letter}.weight"


def _plain(path: Path, config: dict[str, Any]) -> tuple[int, float, list[str]]:
    """Rank, alpha and targets of a plain LoRA config. Raises bad_adapter."""
    if config.get("peft_type") != "LORA":
        raise _bad(path, f"its peft_type is {config.get('peft_type')}; allowed is LORA")
    for key, allowed in PLAIN.items():
        if config.get(key) not in (allowed, None):
            raise _bad(path, f"{key} is {config[key]}; allowed is {allowed}")
    rank, alpha, targets = config.get("r"), config.get("lora_alpha"), config.get("target_modules")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise _bad(path, f"r is {rank} and lora_alpha {alpha}; allowed are a whole number and a number above 0")
    if not isinstance(targets, list) or not targets or not all(isinstance(target, str) for target in targets):
        raise _bad(path, "target_modules is not a list of names")
    return rank, float(alpha), targets


def _expected(
    shapes: Mapping[str, tuple[int, ...]], targets: list[str], rank: int
) -> dict[tuple[str, str], tuple[int, int]]:
    """The shapes of the tensors that an adapter on these layers holds, by layer and letter."""
    expected = {}
    for layer, (outputs, inputs) in shapes.items():
        if any(layer == target or layer.endswith("." + target) for target in targets):
            expected[layer, "A"] = (rank, inputs)
            expected[layer, "B"] = (outputs, rank)
    return expected


def _check_tensors(path: Path, named: dict[str, Tensor], expected: Mapping[tuple[str, str], tuple[int, int]]) -> None:
    wanted = {_name(*place): shape for place, shape in expected.items()}
    for name in sorted(wanted.keys() ^ named.keys()):
        raise _bad(path, f"{name} is {'missing' if name in wanted else 'left over'}")
    if not wanted:
        raise _bad(path, "none of its target_modules is in the base")
    for name, shape in wanted.items():
        _check_tensor(path, name, named[name], shape)


def _check_heads(path: Path, heads: dict[str, Tensor], width: int) -> None:
    shapes: dict[str, tuple[int, ...]] = {"score": (1, width), "weight": (1, width), "bias": (1,)}
    if "heads" in heads:
        shapes["heads"] = (max(1, len(heads["heads"])), width)
    for name, tensor in heads.items():
        if name not in shapes:
            raise _bad(path, f"{name} is left over")
        _check_tensor(path, name, tensor, shapes[name])


def _check_tensor(path: Path, name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise _bad(path, f"{name} has shape {list(tensor.shape)}; the base needs {list(shape)}")
    if tensor.dtype not in FLOATS:
        raise _bad(path, f"{name} is {tensor.dtype}; allowed are {', '.join(map(str, FLOATS))}")
    if not tensor.isfinite().all():
        raise _bad(path, f"{name} holds numbers that are not finite")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _bad(path.parent, f"{path.name} cannot be read ({error})") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _bad(path.parent, f"{path.name} cannot be read ({error})") from None
    if not isinstance(value, dict):
        raise _bad(path.parent, f"{path.name} is not a JSON object")
    return value


def _bad(path: Path, reason: str) -> TrainerError:
    return TrainerError("bad_adapter", f"adapter {path.name}: {reason}.")


# --- writing


def _whole(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _as_json(value: Any) -> Any:
    """peft's sets and enums as sorted lists and strings, so that equal adapters are equal files."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    return value.value if isinstance(value, Enum) else value


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")

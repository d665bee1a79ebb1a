"""What a field of a config is: its kind, unit, limits and sentence, and the refusal of what lies outside."""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field
from typing import Any, Literal

from trainer.contract.errors import TrainerError

Value = bool | int | float | str | list[str] | list[float]
Kind = Literal["integer", "number", "flag", "choice", "text", "texts", "numbers"]


@dataclass(frozen=True)
class FormField:
    """One field as a launch form shows it. `limits` is what a refusal says is allowed."""

    name: str
    kind: Kind
    required: bool
    default: Value | None
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    limits: str
    help: str
    advanced: bool


def meta(
    kind: Kind,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    zero: str = "",
    choices: tuple[str, ...] = (),
    advanced: bool = False,
) -> dict[str, Any]:  # Any: dataclasses' metadata holds what we put in
    """above: an exclusive lower limit. zero: what 0 means, where 0 is allowed beside the limits."""
    return {
        "kind": kind,
        "help": help,
        "unit": unit,
        "low": low,
        "high": high,
        "above": above,
        "zero": zero,
        "choices": choices,
        "advanced": advanced,
    }


def integer(default: int, unit: str, low: int, high: int, help: str, *, zero: str = "", advanced: bool = False) -> int:
    """A field that holds a whole number within limits."""
    return field(
        default=default, metadata=meta("integer", help, unit=unit, low=low, high=high, zero=zero, advanced=advanced)
    )


def number(
    default: float,
    unit: str,
    low: float,
    high: float,
    help: str,
    *,
    exclusive: bool = False,
    zero: str = "",
    advanced: bool = False,
) -> float:
    """A field that holds a real number; exclusive leaves the lower limit itself out."""
    bounds: dict[str, float | None] = {"above": low, "low": None} if exclusive else {"above": None, "low": low}
    return field(
        default=default,
        metadata=meta(
            "number",
            help,
            unit=unit,
            low=bounds["low"],
            above=bounds["above"],
            high=high,
            zero=zero,
            advanced=advanced,
        ),
    )


def choice(default: str, choices: tuple[str, ...], help: str, *, advanced: bool = False) -> str:
    """A field that holds one of a few words."""
    return field(default=default, metadata=meta("choice", help, choices=choices, advanced=advanced))


def rate(default: float, help: str = "Highest learning rate of the schedule.") -> float:
    """A field that holds a learning rate."""
    return number(default, "per step", 0.0, 1.0, help, exclusive=True)


def form_field(item: Field[Any]) -> FormField:  # Any: a field of any type
    """The field as a launch form shows it."""
    meta = item.metadata
    default = None if item.default is MISSING else item.default
    if item.default_factory is not MISSING:
        default = item.default_factory()
    return FormField(
        name=item.name,
        kind=meta["kind"],
        required=required(item),
        default=default,
        unit=meta["unit"],
        low=0 if meta["zero"] else meta["low"] if meta["low"] is not None else meta["above"],
        high=meta["high"],
        choices=meta["choices"],
        limits=limits(item),
        help=meta["help"],
        advanced=meta["advanced"],
    )


def required(item: Field[Any]) -> bool:  # Any: a field of any type
    """Whether the field has no default."""
    return item.default is MISSING and item.default_factory is MISSING


def as_number(item: Field[Any], value: Any) -> Any:  # Any: a value as JSON gave it
    """JSON writes 1.0 as 1; a whole number in a field of numbers is that number."""
    if item.metadata["kind"] == "number" and _is_integer(value) and abs(value) < 2**63:
        return float(value)
    if item.metadata["kind"] == "numbers" and isinstance(value, list):
        return [float(entry) if _is_integer(entry) and abs(entry) < 2**63 else entry for entry in value]
    return value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check(item: Field[Any], value: object) -> None:  # Any: a field of any type
    """Refuse a value of the wrong type or out of its limits."""
    if not _fits(item, value):
        raise bad(item.name, value, limits(item))


def _fits(item: Field[Any], value: object) -> bool:  # Any: a field of any type
    meta = item.metadata
    match meta["kind"]:
        case "integer":
            return _is_integer(value) and _within(meta, value)
        case "number":
            return isinstance(value, float) and _within(meta, value)
        case "flag":
            return isinstance(value, bool)
        case "choice":
            return isinstance(value, str) and value in meta["choices"]
        case "text":
            return isinstance(value, str)
        case "texts":
            return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        case _:
            return isinstance(value, list) and all(isinstance(entry, float) and _within(meta, entry) for entry in value)


def _within(meta: Mapping[str, Any], value: Any) -> bool:  # Any: an int or float, checked before
    if not math.isfinite(value):
        return False
    if value == 0 and meta["zero"]:
        return True
    low, above, high = meta["low"], meta["above"], meta["high"]
    return (low is None or value >= low) and (above is None or value > above) and (high is None or value <= high)


def limits(item: Field[Any]) -> str:  # Any: a field of any type
    """What is allowed, as a refusal says it."""
    meta = item.metadata
    if meta["choices"]:
        return ", ".join(meta["choices"])
    words = {"flag": "true or false", "text": "a string", "texts": "a list of strings"}
    if meta["kind"] in words:
        return words[meta["kind"]]
    low = f"above {meta['above']:g}" if meta["above"] is not None else f"{meta['low']:,}"
    bounds = f"{low} to {meta['high']:,}"
    prefix = {"integer": "a whole number, ", "number": "", "numbers": "a list of numbers, "}[meta["kind"]]
    zero = f"0 ({meta['zero']}) or " if meta["zero"] else ""
    return f"{prefix}{zero}{bounds}"


def check_sha256(name: str, value: str) -> None:
    """Refuse what is no SHA-256 in small hexadecimal digits."""
    if len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise bad(name, value or "empty", "64 hexadecimal digits, as `python -m trainer init` writes them")


def bad(name: str, value: object, allowed: str) -> TrainerError:
    """The refusal of a field's value, with what is allowed."""
    shown = value if isinstance(value, str) else json.dumps(value, default=repr)
    return TrainerError("bad_config", f"{name} is {str(shown)[:80]}; allowed: {allowed}.")

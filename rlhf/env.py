"""The environment, read here and nowhere else: typed functions that refuse nonsense by the setting's name.

A secret NAME may also stand in the file that NAME_FILE names. No refusal shows a value.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def flag(name: str, *, default: bool) -> bool:
    value = text(name, str(default)).lower()
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} must be one of 1, 0, true, false, yes, no, on, off.")
    return value in TRUE


def integer(name: str, *, default: int, low: int, high: int) -> int:
    value = text(name, str(default))
    if not value.lstrip("-").isdecimal() or not low <= int(value) <= high:
        raise ImproperlyConfigured(f"{name} must be a whole number from {low:,} to {high:,}.")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """The entries of a list that is parted by commas."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def choice(name: str, *allowed: str) -> str:
    """One of the allowed words; the first where the variable is not set."""
    value = text(name, allowed[0])
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}.")
    return value


def secret(name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE names; empty where neither is set."""
    path = text(f"{name}_FILE")
    if not path:
        return text(name)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        raise ImproperlyConfigured(f"{name}_FILE names a file that cannot be read.") from None


def kept_secret(path: Path) -> str:
    """A secret made once and kept in a file that only its owner reads."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(made := secrets.token_urlsafe(48))
    return made


def names() -> list[str]:
    """The names of all variables, for the check that forbids some."""
    return list(os.environ)


def for_children(*kept: str) -> dict[str, str]:
    """What a child process needs to start at all, and these variables; none of the service's secrets."""
    wanted = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", *kept}
    return {name: value for name, value in os.environ.items() if name in wanted or name.startswith(("CUDA_", "HIP_"))}


def everything() -> dict[str, str]:
    """The environment as it is, for children that are the service itself."""
    return dict(os.environ)

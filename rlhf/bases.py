"""Base models that an operator brings: what may come in from a folder or the hub, and what is refused.

Only safetensors, JSON and tokenizer files are taken; code and pickles refuse the whole folder, with the reason.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from annotate.models import Project
from rlhf import registry
from rlhf.errors import LaunchError
from rlhf.models import Model

TAKEN = ("*.safetensors", "*.json", "*.jinja", "merges.txt", "vocab.txt", "tokenizer.model")
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
CODE_KEYS = ("auto_map", "auto_mapping", "custom_pipelines")
LONGEST_HEADER = 100_000_000
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def import_base(*, project: Project, folder: Path, name: str, licence: str) -> Model:
    """The base model of a local folder, recorded for a project; the same folder gives the same row.

    Raises LaunchError with code no_folder, own_code, no_safetensors, pickled_weights, not_safetensors, no_tokenizer
    or bad_config.
    """
    if not folder.is_dir():
        raise LaunchError("no_folder", f"{folder} is no folder.")
    _refuse_code(folder)
    _check_weights(folder)
    if not any((folder / one).is_file() for one in ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")):
        raise LaunchError("no_tokenizer", f"{folder} holds no tokenizer; it must lie beside the weights.")
    with TemporaryDirectory() as place:
        for file in _taken(folder):
            shutil.copyfile(file, Path(place) / file.name)
        return registry.record_base(project=project, name=name, licence=licence, folder=Path(place))


def fetch_base(*, project: Project, hub_name: str, licence: str) -> Model:
    """The base model of a hub repository at one commit, `id@<40 digits>`; the only thing here that uses the network.

    Raises LaunchError with code model_not_allowed, fetch_failed, or one of `import_base`.
    """
    allowed = settings.BASE_MODELS
    if not HUB_NAME.fullmatch(hub_name) or (allowed and hub_name not in allowed):
        sentence = "Name a repository as owner/name@ and a full commit hash of 40 digits"
        raise LaunchError("model_not_allowed", f"{sentence}{', one of BASE_MODELS' if allowed else ''}.")
    from huggingface_hub import snapshot_download  # half a second that no other command needs
    from huggingface_hub.errors import HfHubHTTPError

    repository, commit = hub_name.split("@")
    with TemporaryDirectory() as place:
        try:
            snapshot_download(repository, revision=commit, local_dir=place, allow_patterns=list(TAKEN))
        except (HfHubHTTPError, OSError, ValueError) as error:
            raise LaunchError("fetch_failed", f"{repository} could not be fetched: {type(error).__name__}.") from None
        return import_base(project=project, folder=Path(place), name=repository, licence=licence)


def _taken(folder: Path) -> list[Path]:
    return sorted(file for pattern in TAKEN for file in folder.glob(pattern) if file.is_file())


def _refuse_code(folder: Path) -> None:
    scripts = sorted(file.name for file in folder.rglob("*.py"))
    if scripts:
        raise LaunchError("own_code", f"{folder} brings code of its own ({scripts[0]}), which is never run.")
    for file in sorted(folder.glob("*.json")):
        try:
            content = json.loads(file.read_bytes())
        except ValueError:
            raise LaunchError("bad_config", f"{file.name} is not JSON.") from None
        found = [key for key in CODE_KEYS if isinstance(content, dict) and key in content]
        if found:
            raise LaunchError("own_code", f"{file.name} asks for code of its own ({found[0]}), which is never run.")


def _check_weights(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise LaunchError("bad_config", f"{folder} holds no config.json; is it a transformers model?")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLED)
        if pickled:
            sentence = (
                f"{folder} holds pickled weights only ({pickled[0]}), which can run code; convert to safetensors."
            )
            raise LaunchError("pickled_weights", sentence)
        raise LaunchError("no_safetensors", f"{folder} holds no safetensors file.")
    for path in weights:
        problem = safetensors_problem(path)
        if problem:
            raise LaunchError("not_safetensors", f"{path.name}: {problem}.")


def safetensors_problem(path: Path) -> str:
    """What is wrong with a safetensors file's header, in words; empty where nothing is. Reads the header only."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            return "its header is longer than the file"
        try:
            header = json.loads(file.read(length), object_pairs_hook=_once)
            spans = sorted(tuple(entry["data_offsets"]) for key, entry in header.items() if key != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return "its header is not that of a safetensors file"
    end = 0
    for span in spans:
        if len(span) != 2 or not all(isinstance(offset, int) for offset in span) or span[0] != end or span[1] < end:
            return "its tensors overlap or leave gaps"
        end = span[1]
    return "" if end == size - 8 - length else "its tensors do not fill the file"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: JSON values
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a key stands twice")
    return dict(pairs)

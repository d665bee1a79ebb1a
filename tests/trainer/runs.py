"""Run directories for tests, and children that do a run and may die in it."""

import gzip
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file

from trainer.__main__ import main
from trainer.contract.rundir import Run, canonical_lines, folder_sha256

TEXT = "the cat saw a small dog near this old house and then it ran home while rain fell on every open door"
WORDS = TEXT.split()
C = TypeVar("C")
Row = dict[str, Any]  # Any: JSON
TYPES = {
    "corpus": "CorpusRow",
    "correction": "CorrectionRow",
    "sft": "SftRow",
    "ranking": "RankingRow",
    "prompts": "PromptRow",
    "cloze": "ClozeRow",
}


def sentence(seed: int, *, words: int = 8) -> str:
    """A sentence of known words, the same for the same seed."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    return " ".join(WORDS[byte % len(WORDS)] for byte in digest[:words]) + "."


def split_of(number: int) -> str:
    return "heldout" if number % 5 == 0 else "train"


def corpus_rows(count: int = 40) -> list[Row]:
    return [{"id": f"d{n}", "split": split_of(n), "text": sentence(n, words=12 + n % 7)} for n in range(count)]


def sft_rows(count: int = 40) -> list[Row]:
    return [
        {
            "id": f"r{n}",
            "prompt_id": f"p{n}",
            "split": split_of(n),
            "messages": [
                {"role": "user", "content": f"What of the {WORDS[n % len(WORDS)]} {n}?"},
                {"role": "assistant", "content": sentence(n, words=3 + n % 5)},
            ],
            "weight": 1.0,
            "source": "write",
        }
        for n in range(count)
    ]


def lay_out(path: Path, config: Row, *, base: Path | None = None, packed: bool = False, **files: Any) -> Path:
    """A run directory: config, lists of rows by the names of TYPES, and the base. base_sha256 is filled in."""
    data = path / "data"
    data.mkdir(parents=True)
    entries = []
    for name, rows in files.items():
        place = data / (f"{name}.jsonl.gz" if packed else f"{name}.jsonl")
        text = "".join(json.dumps(row) + "\n" for row in rows).encode()
        place.write_bytes(gzip.compress(text) if packed else text)
        sha256 = hashlib.sha256(place.read_bytes()).hexdigest()
        entry = {"name": place.name, "type": TYPES[name], "rows": len(rows), "sha256": sha256, "snapshot": "s"}
        entries.append(entry)
    (data / "manifest.json").write_text(json.dumps({"files": entries}))
    if base is not None:
        (path / "parents").mkdir()
        (path / "parents" / "base").symlink_to(base)
        config = {"base_sha256": folder_sha256(base), **config}
    (path / "config.json").write_text(json.dumps({"seed": 7, "threads": 1, **config}))
    return path


def config_of(path: Path, kind: type[C]) -> C:
    """The config of a run, known to be of one stage."""
    config = Run(path).config
    assert isinstance(config, kind)
    return config


def in_child(argv: list[str], *, sabotage: Callable[[], None] = lambda: None) -> int:
    """The exit code of `python -m trainer` in a forked child; a child killed by signal n ends with -n.

    sabotage is called in the child before the run; it may patch what it likes, nothing of it comes back.
    """
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            quiet = os.open(os.devnull, os.O_RDWR)
            for handle in (0, 1, 2):
                os.dup2(quiet, handle)
            sabotage()
            code = main(argv)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die(after: int) -> Callable[..., None]:
    """A function that kills its process, by signal 9, at its call number `after` (from 0)."""
    return at_call(after, lambda: os.kill(os.getpid(), signal.SIGKILL))


def at_call(after: int, act: Callable[[], None]) -> Callable[..., None]:
    """A function that acts at its call number `after` (from 0), and does nothing at others."""
    calls = 0

    def called(*_: object, **__: object) -> None:
        nonlocal calls
        if calls == after:
            act()
        calls += 1

    return called


def before(owner: object, name: str, act: Callable[..., None]) -> None:
    """Patch a function or method so that `act` is called first."""
    inner = getattr(owner, name)

    def patched(*args: object, **named: object) -> object:
        act(*args, **named)
        return inner(*args, **named)

    setattr(owner, name, patched)


def outcome(path: Path) -> Row:
    """All that must be equal, bit for bit, between an undisturbed run and one that died and went on (C10)."""
    newest = max((path / "checkpoints").iterdir())
    result = json.loads((path / "result.json").read_text())
    tensors = {
        f"{file.name}/{name}": tensor.numpy().tobytes()
        for file in sorted(newest.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }
    metrics = [(line["step"], line["kind"], line["values"]) for line in canonical_lines(path / "metrics.jsonl")]
    samples = [{**line, "attempt": 0} for line in canonical_lines(path / "samples.jsonl")]
    return {
        "checkpoint": tensors,
        "phase": json.loads((newest / "state.json").read_text())["phase"],
        "metrics": metrics,
        "samples": samples,
        "outputs": result["outputs"],
        "final": result["final"],
        "steps": result["steps"],
    }


def run_of(path: Path) -> Path:
    """The same run directory, after its stage has run in this process to its end."""
    assert main([json.loads((path / "config.json").read_text())["stage"], str(path)]) == 0
    return path


def result(path: Path) -> Row:
    """The result.json of a run."""
    found: Row = json.loads((path / "result.json").read_text())
    return found


def failure(path: Path) -> Row:
    """The failure.json of a run."""
    found: Row = json.loads((path / "failure.json").read_text())
    return found


def values(path: Path, kind: str) -> list[Row]:
    """The values of a run's metric lines of one kind."""
    return [line["values"] for line in canonical_lines(path / "metrics.jsonl") if line["kind"] == kind]


def events(path: Path) -> list[str]:
    """The kinds of a run's events, in order."""
    return [json.loads(line)["kind"] for line in (path / "events.jsonl").read_text().splitlines()]

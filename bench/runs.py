"""What the trainer's benches share: rows of real data, run directories, and a clock that watches a run from outside.

Ours runs as `python -m trainer <stage> <run dir>`. A peer runs as a script that appends the same kind of lines to a
metrics.jsonl, so that one clock serves both: the process CPU time at the moment a line appears.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.contract.rundir import folder_sha256
from trainer.contract.seeds import seed_for

ROOT = Path(__file__).parents[1]
HOME = ROOT / "var" / "bench"  # all that the benches write; git does not see it
DATA = ROOT.parent / "shared" / "data"
SEED = 7
OFF = 1_000_000  # steps between things that a bench does not want
TYPES = {"corpus": "CorpusRow", "sft": "SftRow", "ranking": "RankingRow", "prompts": "PromptRow"}
ROWS_READ, REFERENCE = "data_report.json", "cache/reference.safetensors"  # what DPO leaves before its first step
POLL_S = 0.005
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ALONE = {  # one thread, no network, nothing printed that is not asked for
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONUNBUFFERED": "1",
}
Row = dict[str, Any]  # Any: JSON


class Missing(Exception):
    """What a bench needs is not there; the message says what, and is shown in the table's place."""


# Real data


def lines(path: Path) -> Iterator[Row]:
    """The rows of a JSON Lines file, packed or not. Raises Missing."""
    if not path.is_file():
        raise Missing(f"{path} is not there; the real data is read from ../shared/data, or from --data")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as text:
        for line in text:
            yield json.loads(line)


def questions(data: Path) -> Iterator[tuple[str, str]]:
    """(instruction, answer) as people wrote them."""
    return ((row["instruction"], row["answer"]) for row in lines(data / "dolly" / "pairs.jsonl"))


def fives(data: Path) -> Iterator[tuple[str, list[str]]]:
    """(instruction, five answers): the person's first, then those of four models, the largest first."""
    sizes = ("human", "flan-t5-xl", "flan-t5-large", "flan-t5-base", "flan-t5-small")
    for row in lines(data / "dolly" / "outputs.jsonl.gz"):
        found = {output["model"]: output["text"] for output in row["outputs"]}
        texts = [found.get(name, "").strip() for name in sorted(found, key=lambda name: _place(name, sizes))]
        if len(set(texts)) == len(sizes) and all(texts):
            yield row["instruction"], texts


def _place(name: str, sizes: Sequence[str]) -> int:
    return next((place for place, size in enumerate(sizes) if size in name), 0)


def comparisons(data: Path) -> Iterator[tuple[list[Row], str, str]]:
    """(dialogue up to the last question, chosen, rejected) of people's comparisons."""
    for row in lines(data / "hh" / "harmless-base.jsonl.gz"):
        chosen, rejected = (turns(row[name]) for name in ("chosen", "rejected"))
        answers = chosen[-1]["content"], rejected[-1]["content"]
        if chosen[:-1] == rejected[:-1] and len(chosen) > 1 and all(answers) and answers[0] != answers[1]:
            yield chosen[:-1], *answers


def turns(text: str) -> list[Row]:
    """The messages of a dialogue written as Human: and Assistant: paragraphs."""
    messages: list[Row] = []
    for part in text.split("\n\nHuman:")[1:]:
        asked, *answers = part.split("\n\nAssistant:")
        messages.append({"role": "user", "content": asked.strip()})
        messages += [{"role": "assistant", "content": answer.strip()} for answer in answers]
    return messages


def user(text: str) -> list[Row]:
    return [{"role": "user", "content": text}]


def sft_row(name: str, question: str, answer: str, *, split: str) -> Row:
    messages = [*user(question), {"role": "assistant", "content": answer}]
    return {
        "id": name,
        "prompt_id": f"p-{name}",
        "split": split,
        "messages": messages,
        "weight": 1.0,
        "source": "write",
    }


def ranking_row(name: str, messages: list[Row], answers: Sequence[str], groups: list[list[int]], *, split: str) -> Row:
    return {
        "id": name,
        "prompt_id": f"p-{name}",
        "split": split,
        "messages": messages,
        "answers": [{"id": f"{name}-{place}", "text": text} for place, text in enumerate(answers)],
        "groups": groups,
        "unplaced": [],
        "acceptable_groups": None,
        "strength": None,
        "weight": 1.0,
        "source": "rank",
    }


def prompt_row(name: str, question: str, *, split: str) -> Row:
    return {"id": name, "split": split, "messages": user(question)}


def in_order_of_run(rows: Sequence[Row], *, seed: int = SEED) -> list[Row]:
    """Training rows as a run's first epoch takes them (D3), for a peer that does not shuffle."""
    import numpy as np

    return [rows[place] for place in np.random.default_rng(seed_for(seed, "order", 0)).permutation(len(rows))]


# Run directories


def lay(
    path: Path, config: Row, *, base: Path | None = None, parents: Mapping[str, Path] | None = None, **files: list[Row]
) -> Path:
    """A fresh run directory: config, rows by the names of TYPES, links to the base and to adapters."""
    shutil.rmtree(path, ignore_errors=True)
    (path / "data").mkdir(parents=True)
    (path / "parents").mkdir()
    entries = []
    for name, rows in files.items():
        place = path / "data" / f"{name}.jsonl"
        write_lines(place, rows)
        sha256 = hashlib.sha256(place.read_bytes()).hexdigest()
        entry = {"name": place.name, "type": TYPES[name], "rows": len(rows), "sha256": sha256, "snapshot": "bench"}
        entries.append(entry)
    write_json(path / "data" / "manifest.json", {"files": entries})
    links = {**({"base": base} if base else {}), **(parents or {})}
    for name, folder in links.items():
        (path / "parents" / name).symlink_to(folder.resolve())
    if base:
        config = {"base_sha256": folder_sha256(base), **config}
    write_json(path / "config.json", {"schema": 1, "seed": SEED, "threads": 1, **config})
    return path


def write_lines(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


# The clock


@dataclass(frozen=True)
class Mark:
    """A line of metrics.jsonl, and the process when it appeared. peak_bytes: since the first step's line."""

    kind: str
    step: int
    values: Row
    cpu_s: float
    rss_bytes: int
    peak_bytes: int


@dataclass
class Watched:
    """A finished process. files: the CPU time at which a file of its directory first stood there."""

    path: Path
    code: int
    marks: list[Mark] = field(default_factory=list)
    files: dict[str, float] = field(default_factory=dict)

    def steps(self, kind: str) -> list[Mark]:
        return [mark for mark in self.marks if mark.kind == kind]

    def result(self) -> Row:
        found: Row = json.loads((self.path / "result.json").read_text())
        return found


def ours(stage: str, path: Path) -> Watched:
    """Our trainer on a run directory. Raises Missing where it refuses it."""
    found = watch([sys.executable, "-m", "trainer", stage, str(path)], path)
    if found.code:
        raise Missing(f"{stage}: exit {found.code}: {last_words(path)}")
    return found


def watch(argv: Sequence[str], path: Path) -> Watched:
    """Run a command that appends to path/metrics.jsonl, and note its CPU time and memory at each line."""
    watched, offset = Watched(path, -1), 0
    with (path / "bench.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, **ALONE}, stdout=log, stderr=log)
        try:
            while watched.code < 0:
                ended = process.poll()
                for name in (ROWS_READ, REFERENCE):
                    if name not in watched.files and (path / name).exists():
                        watched.files[name] = cpu_s(process.pid)
                offset = _read_on(watched, process.pid, offset)
                if ended is not None:
                    watched.code = ended % 256
                time.sleep(POLL_S)
        finally:
            if process.poll() is None:
                process.kill()
    return watched


def _read_on(watched: Watched, pid: int, offset: int) -> int:
    """Mark the new whole lines; returns the offset after them."""
    place = watched.path / "metrics.jsonl"
    if not place.exists() or place.stat().st_size == offset:
        return offset
    with place.open("rb") as text:
        text.seek(offset)
        new = text.read()
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.splitlines():
        row = json.loads(line)
        rss, peak = memory(pid)
        watched.marks.append(Mark(row["kind"], row["step"], row["values"], cpu_s(pid), rss, peak))
        if row["kind"] != "loaded" and row["step"] <= 1:
            forget_peak(pid)
    return offset + len(whole)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, user and system, all threads; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * TICK_S


def memory(pid: int) -> tuple[int, int]:
    """(resident bytes, their peak); zeros where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    sizes = {line.split(":")[0]: line.split()[1] for line in text.splitlines() if line.startswith("Vm")}
    return int(sizes.get("VmRSS", 0)) * 1_024, int(sizes.get("VmHWM", 0)) * 1_024


def forget_peak(pid: int) -> None:
    """Let the peak begin anew, so that loading does not count."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return


def last_words(path: Path) -> str:
    text = (path / "bench.log").read_text(errors="replace").strip().splitlines()
    return text[-1][:300] if text else "it said nothing"


# Environments of peers


def environment(name: str) -> Path:
    """The Python of an environment with bench/requirements-<name>.txt, made where it is not there or differs."""
    wanted = ROOT / "bench" / f"requirements-{name}.txt"
    home = HOME / "env" / name
    stamp, python = home / ".made", home / "bin" / "python"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"making an environment of {wanted.name} (once, minutes)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)]
    if subprocess.run(pip, check=False, stderr=subprocess.DEVNULL).returncode:
        raise Missing(f"{wanted.name} could not be installed")
    stamp.write_text(digest)
    return python

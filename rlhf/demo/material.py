"""What the demo imports: the standard library's documentation, or a folder of the user's own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from rlhf.demo.client import Json
from rlhf.demo.loop import Material
from rlhf.demo.people import words

ASKED = 300  # prompts that people answer in the queue
MOST_BYTES = 2_000_000
PLAIN = {".txt", ".md", ".html"}


class NoMaterial(Exception):
    """The user's folder holds nothing that the loop could learn from."""


def from_library(folder: Path) -> Material:
    """folder: where the files are written. The other pairs than those asked are imported as such."""
    subprocess.run([sys.executable, "-m", "rlhf.demo.library", str(folder)], check=True, stdin=subprocess.DEVNULL)
    pairs = questions(lines(folder / "pairs.jsonl"))
    return material(
        documents=[folder / "documents.jsonl"],
        pairs=pairs,
        folder=folder,
        source="Python standard library",
        licence="PSF-2.0",
    )


def from_folder(data: Path, folder: Path) -> Material:
    """The user's own: *.txt, *.md, *.html, and JSON Lines with `text`, or with `instruction` and `answer`.

    At most 2 MB of documents and 300 pairs are taken, in the order of their hashes. Without documents the answers serve
    as such; without pairs those of the standard library.
    """
    rows = [row for file in sorted(data.glob("*.jsonl")) for row in lines(file)]
    pairs = questions(row for row in rows if {"instruction", "answer"} <= row.keys())
    texts: list[Json] = [row for row in rows if isinstance(row.get("text"), str)]
    plain = sorted(
        (file for file in data.iterdir() if file.suffix in PLAIN),
        key=lambda file: sha256(file.read_bytes()).hexdigest(),
    )
    if not (pairs or texts or plain):
        raise NoMaterial(
            f"{data} holds no *.txt, *.md, *.html and no *.jsonl with `text`, or `instruction` and `answer`."
        )
    room = MOST_BYTES
    documents = []
    for file in plain:
        if file.stat().st_size <= room:
            room -= file.stat().st_size
            documents.append(file)
    if not pairs:
        subprocess.run([sys.executable, "-m", "rlhf.demo.library", str(folder)], check=True, stdin=subprocess.DEVNULL)
        pairs = questions(lines(folder / "pairs.jsonl"))
    if not documents and not texts:
        pairs = [pair | {"group": pair["instruction"][:200]} for pair in pairs]
        texts = [{"text": pair["answer"], "group": pair["group"]} for pair in pairs]
    if texts:
        taken = list(fitting(in_hash_order(texts, "text"), room))
        documents.append(save(folder / "own-documents.jsonl", ({k: r[k] for k in r if k in KEPT} for r in taken)))
    return material(documents=documents, pairs=pairs[:ASKED], folder=folder, source=data.name, licence="the user's own")


KEPT = {"text", "group", "address"}


def material(*, documents: list[Path], pairs: list[Json], folder: Path, source: str, licence: str) -> Material:
    asked, others = pairs[:ASKED], pairs[ASKED:]
    known = {word for file in documents for word in words(file.read_text(encoding="utf-8", errors="replace"))}
    known |= {word for pair in pairs for word in words(pair["instruction"] + " " + pair["answer"])}
    return Material(
        documents=documents,
        asked=save(
            folder / "asked.jsonl", ({k: row[k] for k in row if k in {"instruction", "group"}} for row in asked)
        ),
        pairs=save(folder / "answered.jsonl", others) if others else None,
        references={pair["instruction"]: pair["answer"] for pair in asked},
        known=frozenset(known),
        source=source,
        licence=licence,
    )


def lines(file: Path) -> Iterator[Json]:
    with file.open(encoding="utf-8") as rows:
        yield from (json.loads(row) for row in rows if row.strip())


def in_hash_order(rows: Iterable[Json], key: str) -> list[Json]:
    return sorted(rows, key=lambda row: sha256(row[key].encode()).hexdigest())


def questions(rows: Iterable[Json]) -> list[Json]:
    """Each instruction once, in the order of their hashes."""
    return in_hash_order({row["instruction"]: row for row in rows}.values(), "instruction")


def fitting(rows: Iterable[Json], room: int) -> Iterator[Json]:
    for row in rows:
        room -= len(row["text"].encode())
        if room < 0:
            return
        yield row


def save(file: Path, rows: Iterable[Json]) -> Path:
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return file

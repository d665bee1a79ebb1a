"""A trained start as the file that both languages read: `LMT1`, a JSON header, the weights in float16.

Anything that is not exactly such a file is refused, here and in `f16.js`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NoReturn  # headers are JSON

import numpy as np

from annotate.errors import AnnotateError
from annotate.tinynet.net import D, H, Net
from annotate.tinynet.words import SIZE, SPECIAL, Vocabulary

MAGIC = b"LMT1"
FORMAT = 1
Json = Mapping[str, Any]

_WHY = {
    "magic": "It does not begin with LMT1.",
    "header": "Its header is not the JSON that it should be.",
    "format": f"Only format {FORMAT} is known.",
    "shape": f"The network must have at most {SIZE} words, {D} numbers a word and {H} hidden nodes.",
    "length": "It is longer or shorter than its header says.",
    "not_finite": "A weight is not a finite number in 16 bits.",
}


@dataclass(frozen=True)
class Start:
    """net and vocabulary; where they come from; held_out: the table of `held_out.table`, empty until it is made."""

    net: Net
    vocabulary: Vocabulary
    language: str
    seed: int
    config: Json
    corpus_sha256: str
    code: str
    held_out: Json = field(default_factory=dict)

    @property
    def items_seed(self) -> str:
        """What items are drawn by: the version of the file without its table, as the table is made of items."""
        return version(write(replace(self, held_out={})))


def version(data: bytes) -> str:
    return sha256(data).hexdigest()


def sent(data: bytes) -> bytes:
    """The file as it is stored and sent; equal files give equal bytes."""
    return gzip.compress(data, 9, mtime=0)


def write(start: Start) -> bytes:
    """Raises AnnotateError bad_start where a weight does not fit into 16 bits."""
    header = {
        "format": FORMAT,
        "v": len(start.vocabulary),
        "d": D,
        "h": H,
        "language": start.language,
        "vocab": start.vocabulary.words,
        "count": start.vocabulary.counts,
        "total": start.vocabulary.total,
        "seed": start.seed,
        "config": start.config,
        "corpus_sha256": start.corpus_sha256,
        "code": start.code,
        "held_out": start.held_out,
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    with np.errstate(over="ignore"):
        weights = np.concatenate([array.ravel() for array in start.net.arrays()]).astype("<f2")
    if not np.isfinite(weights).all():
        _refuse("not_finite")
    return MAGIC + len(text).to_bytes(4, "little") + text + weights.tobytes()


def read(data: bytes) -> Start:
    """The start with its weights widened exactly.

    Raises AnnotateError bad_start, whose fact `reason` is magic, header, format, shape, length or not_finite.
    """
    if data[:4] != MAGIC:
        _refuse("magic")
    end = 8 + int.from_bytes(data[4:8], "little")
    header = _header(data[8:end])
    vocabulary = Vocabulary(tuple(header["vocab"]), tuple(header["count"]), header["total"])
    shapes = _shapes(header["v"])
    sizes = [int(np.prod(shape)) for shape in shapes]
    if len(data) != end + 2 * sum(sizes):
        _refuse("length")
    weights = np.frombuffer(data[end:], "<f2").astype(np.float64)
    if not np.isfinite(weights).all():
        _refuse("not_finite")
    pieces = np.split(weights, np.cumsum(sizes)[:-1])
    arrays = [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
    told = {name: header[name] for name in ("language", "seed", "config", "corpus_sha256", "code", "held_out")}
    return Start(net=Net(vocabulary.u, *arrays), vocabulary=vocabulary, **told)


def _shapes(v: int) -> list[tuple[int, ...]]:
    return [(v, D), (H, 3 * D), (H,), (v, H), (v,), (1,), (D,)]


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode())
    except ValueError:
        _refuse("header")
    if not isinstance(header, dict):
        _refuse("header")
    if header.get("format") != FORMAT:
        _refuse("format")
    kinds = {"v": int, "total": int, "vocab": list, "count": list, "language": str, "seed": int, "config": dict}
    kinds |= {"corpus_sha256": str, "code": str, "held_out": dict}
    if not all(type(header.get(name)) is kind for name, kind in kinds.items()):
        _refuse("header")
    words, counts, v = header["vocab"], header["count"], header["v"]
    if (header.get("d"), header.get("h")) != (D, H) or not len(SPECIAL) < v <= SIZE:
        _refuse("shape")
    if not len(words) == len(counts) == v:
        _refuse("shape")
    named = all(type(word) is str for word in words) and tuple(words[: len(SPECIAL)]) == SPECIAL
    counted = all(type(count) is int and count >= 0 for count in counts)
    if not named or not counted or header["total"] < max(1, sum(counts)):
        _refuse("header")
    return header


def _refuse(reason: str) -> NoReturn:
    raise AnnotateError("bad_start", f"This is no start of the game. {_WHY[reason]}", reason=reason)

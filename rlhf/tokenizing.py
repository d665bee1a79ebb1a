"""What the tokenizer of a registered model makes of a text, read from its tokenizer.json in the web process.

Nothing here loads a model or keeps a text. The way from bytes to tokens is `merges`.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from tokenizers import Encoding
from tokenizers import Tokenizer as Inner

from annotate.models import Project, Role, User
from rlhf import storage
from rlhf.access import model_for
from rlhf.errors import LaunchError
from rlhf.merges import NotReplayable, Rules, Step, byte_letters, from_bytes, pieces_after, replay, rules_of
from rlhf.models import Model

FILE = "tokenizer.json"
LARGEST_BYTES = 20_000_000
LONGEST = 2_000  # characters of a text
KEPT = 4  # tokenizers in memory: the largest takes some 100 MB
READERS = {Role.REVIEWER, Role.ADMIN}
WHY_NOT: dict[str, str | Promise] = {
    "other_model": _("This tokenizer is no byte-pair encoding: it chooses its pieces without merges."),
    "not_bytes": _("The merges of this tokenizer start from characters, not from bytes, and are not shown."),
    "random": _("This tokenizer leaves out merges at random, so that there is no one way to show."),
    "affixes": _("This tokenizer marks inside its pieces where words begin or end; its merges are not shown."),
    "differs": _(
        "For this text the merges replayed here do not end in the tokenizer's own tokens; they are not shown."
    ),
}


@dataclass(frozen=True)
class Loaded:
    """A tokenizer in memory. rules: None where it has no merges to replay, for the reason `why`."""

    sha256: str
    inner: Inner
    kind: str
    bytewise: bool
    rules: Rules | None
    why: str
    added: frozenset[int]

    @property
    def size(self) -> int:
        """Tokens in the vocabulary, added ones included."""
        return self.inner.get_vocab_size(with_added_tokens=True)

    def bytes_of(self, token: int) -> bytes:
        """What a token stands for."""
        name = self.inner.id_to_token(token) or ""
        return name.encode() if token in self.added else self.decoded(name)

    def decoded(self, piece: str) -> bytes:
        """The bytes of a piece as the vocabulary writes it."""
        if self.bytewise:
            letters = _letters()
            return bytes(letters[letter] for letter in piece if letter in letters)
        fallback = piece.startswith("<0x") and piece.endswith(">") and len(piece) == 6
        return bytes.fromhex(piece[3:5]) if fallback else piece.replace("▁", " ").encode()


@dataclass(frozen=True)
class Token:
    """start, end: the characters it comes from, as the library gives them."""

    id: int
    start: int
    end: int
    bytes: bytes


@dataclass(frozen=True)
class Piece:
    """What a text begins with, before any merge: a byte, or a token that is never built."""

    id: int
    bytes: bytes


@dataclass(frozen=True)
class Merge:
    """One merge: the rule's rank, where its left piece stands among those of the beginning, the id it makes."""

    rank: int
    position: int
    id: int


@dataclass(frozen=True)
class LastMerge:
    """The rule that made a token, and what it joined."""

    rank: int
    left: bytes
    right: bytes


@dataclass(frozen=True)
class Encoded:
    """A text as tokens. first and steps lead there; both are empty where `why` says that they cannot be shown."""

    text: str
    tokens: list[Token]
    first: list[Piece]
    steps: list[Merge]
    why: str

    @property
    def reason(self) -> str:
        """A sentence that says why there are no merges; empty where there are."""
        return str(WHY_NOT[self.why]) if self.why else ""

    @property
    def last_merges(self) -> list[LastMerge | None]:
        """For each token the merge that made it; None for one that was there at the beginning, or without steps."""
        standing, ends = [piece.bytes for piece in self.first], list(range(1, len(self.first) + 1))
        made: dict[int, LastMerge] = {}
        for step in self.steps:
            right = ends[step.position]
            made[step.position] = LastMerge(step.rank, standing[step.position], standing[right])
            standing[step.position] += standing[right]
            ends[step.position] = ends[right]
        starts, at = [], 0
        while at < len(ends):
            starts.append(at)
            at = ends[at]
        return [made.get(start) for start in starts] or [None] * len(self.tokens)

    @property
    def counts(self) -> dict[str, int]:
        return {
            "tokens": len(self.tokens),
            "characters": len(self.text),
            "bytes": len(self.text.encode()),
            "words": len(self.text.split()),
        }


def newest_base(project: Project) -> Model | None:
    """The model whose tokenizer everybody in the project may try."""
    return bases(project).first()


def bases(project: Project) -> QuerySet[Model]:
    """The models that bring a tokenizer, the newest first, with their runs."""
    return Model.objects.filter(project=project, kind=Model.Kind.BASE).select_related("run").order_by("-number")


def model_with_tokenizer(user: User, uuid: Any) -> Model:  # Any: a UUID, as the address gave it
    """The model, if user may try its tokenizer: readers any, others the newest base's, which has no name for them."""
    model = model_for(user, uuid)
    if user.roles(model.project) & READERS or model == newest_base(model.project):
        return model
    raise PermissionDenied


def loaded(model: Model) -> Loaded:
    """The tokenizer of a model, of an adapter its base's; kept in memory by its hash.

    Raises LaunchError with code no_tokenizer, tokenizer_too_large, tokenizer_missing or bad_tokenizer.
    """
    owner = model.base or model
    file = next((one for one in owner.files if one["path"] == FILE), None)
    if file is None:
        sentence = _("This model has no tokenizer.json, which is the only form that can be shown here.")
        raise LaunchError("no_tokenizer", str(sentence), status=409)
    if file["bytes"] > LARGEST_BYTES:
        found, allowed = f"{file['bytes'] / 1e6:.0f}", f"{LARGEST_BYTES / 1e6:.0f}"
        sentence = _("The tokenizer.json has %(found)s MB; at most %(allowed)s MB are read here.")
        raise LaunchError("tokenizer_too_large", sentence % {"found": found, "allowed": allowed}, status=409)
    return _load(file["sha256"])


def read(text: str, *, sha256: str) -> Loaded:
    """The tokenizer of a tokenizer.json. Raises LaunchError with code bad_tokenizer."""
    try:
        inner = Inner.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        sentence = _("The tokenizer.json of this model cannot be read: %(error)s.")
        raise LaunchError("bad_tokenizer", sentence % {"error": str(error)[:200]}, status=409) from None
    inner.no_truncation()
    inner.no_padding()
    inner.encode_special_tokens = True
    description = json.loads(text)
    try:
        rules, why = rules_of(description), ""
    except NotReplayable as refusal:
        rules, why = None, refusal.code
    bytewise = from_bytes(description)
    added = frozenset(inner.get_added_tokens_decoder())
    return Loaded(sha256, inner, _kind(description, bytewise=bytewise), bytewise, rules, why, added)


def encode(tokenizer: Loaded, text: str) -> Encoded:
    """The tokens of a text, and the merges that made them. A special token's name in the text is text, as in training.

    Raises LaunchError with code too_long.
    """
    if len(text) > LONGEST:
        sentence = _("The text has %(found)s characters; at most %(allowed)s are shown here.")
        values = {"found": f"{len(text):,}", "allowed": f"{LONGEST:,}"}
        raise LaunchError("too_long", sentence % values, status=413)
    found = tokenizer.inner.encode(text, add_special_tokens=False)
    tokens = _tokens(tokenizer, found, text)
    first, steps, why = _way(tokenizer, found) if tokenizer.rules else ([], [], tokenizer.why)
    return Encoded(text, tokens, first, steps, why)


def shown(data: bytes) -> str:
    """Bytes as people read them: a space as ·, a line end as ↵, what is no whole or no visible character as ⟨e2⟩.

    `shown` in rlhf/tokens.js says the same.
    """
    said = []
    at = 0
    while at < len(data):
        length, sign = _sign(data, at)
        said.append(sign)
        at += length
    return "".join(said)


def _sign(data: bytes, at: int) -> tuple[int, str]:
    """How many bytes are shown from a place on, and as what."""
    lead = data[at]
    length = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    piece = data[at : at + length]
    try:
        letter = piece.decode()
    except UnicodeDecodeError:
        return 1, f"⟨{lead:02x}⟩"
    if letter in " \n":
        return 1, "·" if letter == " " else "↵"
    if unicodedata.category(letter) in {"Cc", "Cf", "Zs", "Zl", "Zp"}:
        return length, "".join(f"⟨{byte:02x}⟩" for byte in piece)
    return length, letter


@cache
def _letters() -> dict[str, int]:
    return byte_letters()


@lru_cache(maxsize=KEPT)
def _load(sha256: str) -> Loaded:
    try:
        text = storage.fetch(sha256).read_text(encoding="utf-8")
    except storage.MissingFile as missing:
        raise LaunchError("tokenizer_missing", str(missing), status=409) from None
    return read(text, sha256=sha256)


def _kind(description: dict[str, Any], *, bytewise: bool) -> str:  # Any: the JSON of a tokenizer.json
    name = description["model"].get("type", "")
    return "ByteLevelBPE" if name == "BPE" and bytewise else name


def _tokens(tokenizer: Loaded, found: Encoding, text: str) -> list[Token]:
    rows = zip(found.ids, found.tokens, found.offsets, strict=True)
    return [Token(id_, start, end, _own(tokenizer, id_, name, text[start:end])) for id_, name, (start, end) in rows]


def _own(tokenizer: Loaded, id_: int, name: str, source: str) -> bytes:
    """The bytes of a token; of a whole character that the vocabulary writes otherwise, those of the text."""
    if id_ in tokenizer.added:
        return name.encode()
    if tokenizer.bytewise or name.startswith("<0x"):
        return tokenizer.decoded(name)
    return source.encode()


def _way(tokenizer: Loaded, found: Encoding) -> tuple[list[Piece], list[Merge], str]:
    """The pieces of the beginning and the merges, or the reason why they do not lead to the library's own ids."""
    assert tokenizer.rules is not None
    words = _words(tokenizer, found)
    steps = replay(words, tokenizer.rules)
    pieces = [piece for word in words for piece in word]
    ends = [tokenizer.inner.token_to_id(piece) for piece in pieces_after(pieces, steps)]
    if ends != found.ids:
        return [], [], "differs"
    return [_piece(tokenizer, piece) for piece in pieces], [_merge(tokenizer, step) for step in steps], ""


def _words(tokenizer: Loaded, found: Encoding) -> list[list[str]]:
    """The pre-tokens as single bytes; a token that was added to the vocabulary is one piece."""
    words = []
    for _word, rows in groupby(zip(found.word_ids, found.ids, found.tokens, strict=True), key=lambda row: row[0]):
        same = list(rows)
        whole = len(same) == 1 and same[0][1] in tokenizer.added
        words.append([same[0][2]] if whole else list("".join(name for _word, _id, name in same)))
    return words


def _piece(tokenizer: Loaded, piece: str) -> Piece:
    id_ = tokenizer.inner.token_to_id(piece)
    return Piece(-1 if id_ is None else id_, piece.encode() if id_ in tokenizer.added else tokenizer.decoded(piece))


def _merge(tokenizer: Loaded, step: Step) -> Merge:
    id_ = tokenizer.inner.token_to_id(step.piece)
    return Merge(step.rank, step.position, -1 if id_ is None else id_)

"""Text to ids and back: a byte-level BPE of our own, any base's tokenizer, and the one rendering of dialogues.

Nothing else in the trainer encodes a dialogue. Masks come from where contents stand, never from token values.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from tokenizers import Tokenizer as Bpe
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from trainer.contract import strict
from trainer.contract.errors import TrainerError
from trainer.contract.rows import Message
from trainer.contract.rundir import Run

RESERVED = (  # T2: ids 0 to 31 on day one, so that embeddings are never resized
    "<|pad|>",
    "<|bos|>",
    "<|eos|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fix|>",
    "<|to|>",
    "<|blank|>",
    *(f"<|reserved_{number}|>" for number in range(12, 32)),
)
PAD, BOS, EOS = 0, 1, 2
FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE = 6, 7, 8
FIX, TO = 9, 10
TEMPLATE = (  # T3
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- if message['role'] not in ['system', 'user', 'assistant'] -%}"
    "{{- raise_exception('unknown role') -}}"
    "{%- endif -%}"
    "{{- '<|' + message['role'] + '|>' -}}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- generation -%}{{- message['content'] + eos_token -}}{%- endgeneration -%}"
    "{%- else -%}"
    "{{- message['content'] + eos_token -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
_OPEN, _CLOSE = "\ue000", "\ue001"  # private use: a content's place in the rendered template
_PROBES = (("user",), ("user", "assistant", "user"), ("system", "user"), ("system", "user", "assistant", "user"))


@dataclass(frozen=True)
class Rendered:
    """A dialogue as ids; mask is True on what the assistant says and on the end token that closes it (T6)."""

    ids: list[int]
    mask: list[bool]


@dataclass(frozen=True)
class _Frame:
    """What a template puts around the contents of one sequence of roles: ids before, between and after them.

    ends: for each content, how many ids of the piece after it reach through the token that ends it; 0 for none.
    """

    pieces: list[list[int]]
    order: list[int]
    ends: list[int]


class Tokenizer:
    """A tokenizer with its chat template."""

    def __init__(self, inner: PreTrainedTokenizerFast, *, template: str, stops: Iterable[int] = ()) -> None:
        self._inner = inner
        self._template = template
        self._stops = frozenset(stops)
        self._frames: dict[tuple[tuple[str, ...], bool], _Frame] = {}

    def __len__(self) -> int:
        return len(self._inner)

    @property
    def template_sha256(self) -> str:
        """The hash of the chat template."""
        return hashlib.sha256(self._template.encode()).hexdigest()

    def fingerprint(self) -> str:
        """One hash of vocabulary, merges and template."""
        text = self._inner.backend_tokenizer.to_str() + "\n" + self._template
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _all_stops(self) -> frozenset[int]:
        own = {self._inner.eos_token_id} if self._inner.eos_token_id is not None else set()
        try:
            piece = self._render_pieces(("user", "assistant"), open=False)[0][-1]
        except TrainerError:
            piece = []
        special = set(self._inner.all_special_ids)
        return self._stops | own | set([token for token in piece if token in special][:1])

    def stop_ids(self) -> frozenset[int]:
        """What ends an answer: EOS, the template's end of a turn, the base's own list. Raises no_end_token."""
        if not self._all_stops:
            raise TrainerError("no_end_token", "The tokenizer names no end token; set eos_token in its config.")
        return self._all_stops

    @property
    def start_id(self) -> int:
        """The id that opens a document: BOS, or an end token where there is none, as that one parts documents."""
        bos = self._inner.bos_token_id
        return bos if bos is not None else min(self.stop_ids())

    @property
    def pad_id(self) -> int:
        """The id that fills rows; any id serves under a False mask, so a tokenizer without PAD lends its first (G1)."""
        return self._inner.pad_token_id if self._inner.pad_token_id is not None else 0

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of plain texts: a special token's name in a text is text."""
        if not texts:
            return []
        ids = self._inner(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [list(one) for one in ids]

    def decode(self, ids: Sequence[int]) -> str:
        """Text for people; it is never encoded again (G13)."""
        return str(self._inner.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def token_text(self, token: int) -> str:
        """How one token is shown, special or not."""
        return str(self._inner.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def render(self, messages: Sequence[Message], *, open: bool) -> Rendered:
        """A dialogue as ids and mask; open: with the marker after which an answer is due.

        `render(prompt, open=True).ids` is a true prefix of `render(prompt + [answer], open=False).ids` (T5).
        Raises no_template where the template refuses the roles.
        """
        return self.render_many([messages], open=open)[0]

    def render_many(self, dialogues: Sequence[Sequence[Message]], *, open: bool) -> list[Rendered]:
        """Many dialogues in one call of the encoder, each as `render` gives it."""
        contents = iter(self.encode([message["content"] for messages in dialogues for message in messages]))
        return [self._join(messages, [next(contents) for _ in messages], open=open) for messages in dialogues]

    def save(self, path: Path) -> None:
        """Write the tokenizer as a plain transformers folder, template included."""
        self._inner.save_pretrained(path)

    def _join(self, messages: Sequence[Message], contents: list[list[int]], *, open: bool) -> Rendered:
        frame = self._frame(tuple(message["role"] for message in messages), open=open)
        ids, mask = list(frame.pieces[0]), [False] * len(frame.pieces[0])
        for index, piece, end in zip(frame.order, frame.pieces[1:], frame.ends, strict=True):
            spoken = messages[index]["role"] == "assistant"
            ids += contents[index] + piece
            mask += [spoken] * len(contents[index])
            mask += [spoken and place == end - 1 for place in range(len(piece))]
        return Rendered(ids=ids, mask=mask)

    def _frame(self, roles: tuple[str, ...], *, open: bool) -> _Frame:
        if (roles, open) not in self._frames:
            pieces, order = self._render_pieces(roles, open=open)
            stops = self.stop_ids()
            ends = [next((at + 1 for at, token in enumerate(piece) if token in stops), 0) for piece in pieces[1:]]
            if not open and roles and roles[-1] == "assistant" and not ends[-1]:
                pieces[-1] = [min(stops), *pieces[-1]]  # R1: the end token is appended where a template leaves it out
                ends[-1] = 1
            self._frames[roles, open] = _Frame(pieces=pieces, order=order, ends=ends)
        return self._frames[roles, open]

    def _render_pieces(self, roles: tuple[str, ...], *, open: bool) -> tuple[list[list[int]], list[int]]:
        """The encoded pieces around placeholders, and the message of each placeholder (T4). Raises no_template."""
        messages = [{"role": role, "content": f"{_OPEN}{at}{_CLOSE}"} for at, role in enumerate(roles)]
        try:
            text = self._inner.apply_chat_template(
                messages,
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=open,
                strftime_now=lambda form: "01 Jan 2025",  # T7: the same ids on any day
                date_string="01 Jan 2025",
            )
        except (TemplateError, ValueError, TypeError) as error:
            sentence = f"The chat template refuses the roles {', '.join(roles)}: {error}."
            raise TrainerError("no_template", sentence) from None
        first, *rest = str(text).split(_OPEN)
        marked = [part.split(_CLOSE, 1) for part in rest]
        order = [int(part[0]) for part in marked]
        if order != list(range(len(roles))):
            sentence = f"The chat template does not say each of {', '.join(roles)} once and in order."
            raise TrainerError("no_template", sentence)
        texts = [first, *(part[1] for part in marked)]
        return [self._inner.encode(piece, add_special_tokens=False) if piece else [] for piece in texts], order


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many ids two encodings begin with alike."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def train_bpe(texts: Iterable[str], *, size: int) -> Tokenizer:
    """A byte-level BPE of at most `size` tokens, with our reserved tokens and template (T1, T2, T3)."""
    bpe = Bpe(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(RESERVED), initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    inner = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=RESERVED[PAD],
        bos_token=RESERVED[BOS],
        eos_token=RESERVED[EOS],
        additional_special_tokens=list(RESERVED[3:]),
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE,
    )
    return Tokenizer(inner, template=TEMPLATE)


def load(path: Path, *, template: str) -> Tokenizer:
    """The tokenizer of a base folder with its own template, or with ours where template is "touchstone" (T3).

    Raises no_template (none, or one that breaks T5 on a probe), no_end_token.
    """
    inner = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    if not isinstance(inner, PreTrainedTokenizerFast):
        raise TrainerError("no_template", "The base's tokenizer has no tokenizer.json; convert it to one that has.")
    text = TEMPLATE if template == "touchstone" else inner.chat_template
    if not isinstance(text, str):
        sentence = 'The base has no chat template; template: "touchstone" renders dialogues in plain text.'
        raise TrainerError("no_template", sentence)
    if inner.bos_token is None:
        text = text.replace("{{- bos_token -}}", "") if text == TEMPLATE else text
    tokenizer = Tokenizer(inner, template=text, stops=_listed_stops(path / "generation_config.json"))
    tokenizer.stop_ids()
    _probe(tokenizer)
    return tokenizer


def of_run(run: Run, *, template: str) -> Tokenizer:
    """The tokenizer of a run's base, refused where one of its adapters was made with another template (T7).

    Raises as `load`, and template_differs.
    """
    own = load(run.parent("base"), template=template)
    for place in sorted((run.path / "parents").glob("*/manifest.json")):
        refuse_other(place.parent, own)
    return own


def refuse_other(adapter: Path, own: Tokenizer) -> None:
    """Raise template_differs where the folder's manifest names another template than the tokenizer has (T7)."""
    place = adapter / "manifest.json"
    made = _facts(place).get("template_sha256") or own.template_sha256
    if made != own.template_sha256:
        hashes = f"{str(made)[:12]}…; this run's is {own.template_sha256[:12]}…"
        sentence = f"adapter {adapter.name} was made with the chat template {hashes} Set template as its run had."
        raise TrainerError("template_differs", sentence)


def _facts(place: Path) -> dict[str, Any]:  # Any: JSON
    """A manifest's object; empty where it cannot be read, which the adapter's own loading refuses."""
    try:
        facts = strict.loads(place.read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _listed_stops(path: Path) -> list[int]:
    """The EOS ids of a generation config; it may name none, one or several."""
    listed: Any = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.is_file() else None
    return [int(token) for token in (listed if isinstance(listed, list) else [listed]) if token is not None]


def _probe(tokenizer: Tokenizer) -> None:
    """Refuse a template under which an open prompt is no prefix of the answered dialogue (T5)."""
    for roles in _PROBES:
        messages = [Message(role=role, content=f"word {at}") for at, role in enumerate(roles)]
        try:
            prompt = tokenizer.render(messages, open=True).ids
            whole = tokenizer.render([*messages, Message(role="assistant", content="yes")], open=False).ids
        except TrainerError:
            if "system" in roles:
                continue
            raise
        if whole[: len(prompt)] != prompt or len(whole) == len(prompt):
            sentence = 'The base\'s chat template changes a prompt once it is answered; use template: "touchstone".'
            raise TrainerError("no_template", sentence)

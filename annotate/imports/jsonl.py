"""JSON Lines: a row a line. A bad row is refused with its line, the rest goes on; the position is a byte offset."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO

from annotate.documents import Document, Refusal, Role, Turn, Unreadable, What
from annotate.imports.sources import MOST_BYTES, Coding, Line, coding, lines, not_in

DEEPEST = 20
_TEXT = ("text", "content", "body")
_INSTRUCTION = ("instruction", "prompt", "question")
_ANSWER = ("answer", "output", "response", "completion")
_KNOWN = {
    "address": ("address", "url"),
    "licence": ("licence", "license"),
    "language": ("language", "lang"),
    "collected_at": ("collected_at", "date"),
    "group": ("group",),
}
_ROLES: dict[object, Role] = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
_EXPECTED = {
    "documents": "text, content or body",
    "prompts": "instruction, or messages",
    "pairs": "instruction and answer, or messages",
}

Row = dict[str, object]


class _Refused(Exception):
    """Why one row cannot be taken."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


def read(
    stream: BinaryIO, *, start: int, encoding: str | None, what: What, fields: Mapping[str, str]
) -> Iterator[Document | Refusal]:
    """Documents or dialogues, one a line, from byte start on; empty lines are passed over.

    fields: which column is `text`, `instruction` or `answer`, where the usual names do not serve.

    Raises Unreadable as `sources.coding` does, and with code
        empty  there are only blank lines
        field  the first row has none of the columns that are looked for; the sentence names those found
    """
    found = coding(stream, wanted=encoding)
    make = _maker(what, fields)
    unchecked, empty = start == 0, start == 0
    for line in lines(stream, found, start=start, number=_lines_before(stream, found, start)):
        try:
            row = _row(line, found)
            if row is None:
                continue
            empty = False
            if unchecked:
                _check_columns(row, what, fields)
                unchecked = False
            yield make(row, line)
        except _Refused as refused:
            empty = False
            yield _refusal(line, found, refused)
    if empty:
        raise Unreadable("empty", "The file holds no row, only blanks.")


def _lines_before(stream: BinaryIO, found: Coding, start: int) -> int:
    """How many lines end before start; one pass over the bytes, only where an import resumes."""
    return sum(1 for line in lines(stream, found, start=0) if line.end <= start) if start else 0


def _refusal(line: Line, found: Coding, refused: _Refused) -> Refusal:
    return Refusal(
        place=f"line {line.number}",
        code=refused.code,
        sentence=refused.sentence,
        start=line.start.decode(found.name, "replace")[:80],
        end=line.end,
    )


def _row(line: Line, found: Coding) -> Row | None:
    """The JSON object of a line; None where the line is empty."""
    if line.data is None:
        raise _Refused("too_long", f"The line has more than {MOST_BYTES // 10**6} MB.")
    try:
        text = line.data.decode(found.name)
    except UnicodeDecodeError as error:
        raise _Refused("encoding", not_in(found.name, error, line.data)) from None
    if not text.strip():
        return None
    row = _parsed(text)
    if not isinstance(row, dict):
        raise _Refused("row", "The line holds no JSON object.")
    return row


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except RecursionError:
        raise _Refused("depth", f"The row is nested deeper than {DEEPEST} levels.") from None
    except ValueError as error:
        raise _Refused("json", f"The line is no JSON: {str(error)[:200]}.") from None
    if text.count("{") + text.count("[") > DEEPEST and _depth(value) > DEEPEST:
        raise _Refused("depth", f"The row is nested deeper than {DEEPEST} levels.")
    return value


def _without_twins(pairs: list[tuple[str, object]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise _Refused("duplicate_key", "The row names a key twice.")
    return row


def _no_constant(name: str) -> object:
    raise _Refused("json", f"The line is no JSON: {name} is no number.")


def _depth(value: object) -> int:
    """Levels of objects and lists, level by level, so that depth costs no stack."""
    level, depth = [value], 0
    while inner := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [child for one in inner for child in (one.values() if isinstance(one, dict) else one)]
    return depth


def _check_columns(row: Row, what: What, fields: Mapping[str, str]) -> None:
    """Raises Unreadable where the first row shows that the file has other columns."""
    columns = ", ".join(str(name)[:40] for name in list(row)[:20]) or "none"
    missing = [name for name in fields.values() if name not in row]
    if missing:
        raise Unreadable("field", f"There is no column “{missing[0][:40]}”. The file has: {columns}.")
    wanted = {
        "documents": _first(row, fields, "text", _TEXT) is not None,
        "prompts": "messages" in row or _first(row, fields, "instruction", _INSTRUCTION) is not None,
        "pairs": "messages" in row
        or (
            _first(row, fields, "instruction", _INSTRUCTION) is not None
            and _first(row, fields, "answer", _ANSWER) is not None
        ),
    }
    if not wanted[what]:
        raise Unreadable("field", f"The columns looked for are {_EXPECTED[what]}. The file has: {columns}.")


def _first(row: Row, fields: Mapping[str, str], field: str, names: tuple[str, ...]) -> str | None:
    """The column that holds field: the named one, else the first usual one that the row has."""
    for name in (fields[field],) if field in fields else names:
        if name in row:
            return name
    return None


def _maker(what: What, fields: Mapping[str, str]) -> Callable[[Row, Line], Document]:
    if what == "documents":
        return lambda row, line: _document(row, line, fields)
    return lambda row, line: _dialogue(row, line, fields, answered=what == "pairs")


def _document(row: Row, line: Line, fields: Mapping[str, str]) -> Document:
    column = _column(row, fields, "text", _TEXT)
    return _with_rest(row, line, used={column}, text=_string(row[column], column), turns=())


def _dialogue(row: Row, line: Line, fields: Mapping[str, str], *, answered: bool) -> Document:
    if "messages" in row and "instruction" not in fields:
        turns, used = _messages(row["messages"]), {"messages"}
    else:
        asked = _column(row, fields, "instruction", _INSTRUCTION)
        turns, used = [Turn("user", _string(row[asked], asked))], {asked}
        if answered:
            answer = _column(row, fields, "answer", _ANSWER)
            turns.append(Turn("assistant", _string(row[answer], answer)))
            used.add(answer)
    if answered and turns[-1].role != "assistant":
        raise _Refused("messages", "The last message must be the assistant's.")
    if not answered and turns[-1].role != "user":
        raise _Refused("messages", "The last message of a prompt must be the user's.")
    return _with_rest(row, line, used=used, text=turns[0].text, turns=tuple(turns))


def _messages(value: object) -> list[Turn]:
    """Turns of user and assistant in alternation, the user first."""
    if not isinstance(value, list) or not value:
        raise _Refused("messages", "messages must be a list with at least one message.")
    turns = []
    for nth, message in enumerate(value):
        role = _ROLES.get(message.get("role")) if isinstance(message, dict) and _is_text(message.get("role")) else None
        if role is None or role != ("user", "assistant")[nth % 2]:
            raise _Refused("messages", "Messages must alternate between user and assistant, the user first.")
        turns.append(Turn(role, _string(message.get("content"), "content")))
    return turns


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _column(row: Row, fields: Mapping[str, str], field: str, names: tuple[str, ...]) -> str:
    name = _first(row, fields, field, names)
    if name is None:
        raise _Refused("field", f"The row has no column {fields.get(field) or ' or '.join(names)}.")
    return name


def _string(value: object, column: str) -> str:
    if not isinstance(value, str):
        raise _Refused("not_text", f"{column[:40]} must be a string, here it is {_kind(value)}.")
    if not value.strip():
        raise _Refused("no_text", f"{column[:40]} is empty.")
    return value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}[type(value)]


def _with_rest(row: Row, line: Line, *, used: set[str], text: str, turns: tuple[Turn, ...]) -> Document:
    """The document with what else the row says about it; unknown columns go to meta."""
    known: dict[str, str] = {}
    for field, names in _KNOWN.items():
        for name in names:
            value = row.get(name)
            if field not in known and name not in used and isinstance(value, str) and value:
                known[field] = value
                used = used | {name}
    return Document(
        text=text,
        turns=turns,
        place=f"line {line.number}",
        end=line.end,
        address=known.get("address", ""),
        licence=known.get("licence", ""),
        language=known.get("language", ""),
        group=known.get("group", ""),
        collected_at=_instant(known.get("collected_at", "")),
        meta={name: value for name, value in row.items() if name not in used},
    )


def _instant(value: str) -> datetime | None:
    """An ISO date with its zone, UTC where none is named; None where it is no date."""
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)

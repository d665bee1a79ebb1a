"""Readers: bytes in, documents and refusals out."""

import io
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from annotate.documents import Document, Refusal, Turn, Unreadable, What
from annotate.imports import sources
from annotate.imports.parts import cut
from annotate.imports.readers import format_of, read


def take(
    data: bytes,
    file_format: str = "jsonl",
    *,
    what: What = "documents",
    start: int = 0,
    encoding: str | None = None,
    fields: dict[str, str] | None = None,
) -> list[Any]:
    stream = io.BytesIO(data)
    return list(read(stream, file_format=file_format, what=what, start=start, encoding=encoding, fields=fields or {}))


def rows(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def code_of(data: bytes, file_format: str, **how: Any) -> str:
    with pytest.raises(Unreadable) as refused:
        take(data, file_format, **how)
    return refused.value.code


# whole files


@pytest.mark.parametrize(
    "data",
    [b"caf\xc3\xa9", b"\xef\xbb\xbfcaf\xc3\xa9", "café".encode("utf-16"), b"\xfe\xff" + "café".encode("utf-16-be")],
)
def test_text_is_read_in_utf_8_and_in_utf_16_with_a_mark(data):
    [document] = take(data, "text")
    assert document.text == "café"
    assert document.end == len(data)


def test_nothing_is_read_twice_from_a_file_that_is_one_document():
    assert take(b"some text", "text", start=9) == []


@pytest.mark.parametrize("file_format", ["text", "markdown", "html", "jsonl"])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"abc\x00def", "format"),
        (b"%PDF-1.7 ...", "format"),
        (b"PK\x03\x04...", "format"),
        (b"\x1f\x8b\x08...", "format"),
        (b"PAR1....", "format"),
    ],
)
def test_what_is_no_text_is_refused_as_a_whole(file_format, data, code):
    assert code_of(data, file_format) == code


def test_xml_is_refused():
    assert code_of(b"<?xml version='1.0'?><a>text</a>", "text") == "format"


def test_an_unknown_format_is_refused_with_what_can_be_read():
    with pytest.raises(Unreadable, match="JSON Lines"):
        take(b"a,b", "csv")


def test_other_encodings_are_named_and_never_guessed():
    data = "Größe und Maße für Häuser, schöne Grüße".encode("cp1252")
    with pytest.raises(Unreadable, match="likeliest encoding is") as refused:
        take(data, "text")
    assert refused.value.code == "encoding"
    assert take(data, "text", encoding="cp1252")[0].text.startswith("Größe")


@pytest.mark.parametrize("encoding", ["nonsense", "base64", "rot13", "\x00"])
def test_an_encoding_that_is_none_is_refused(encoding):
    assert code_of(b"abc", "text", encoding=encoding) == "encoding"


def test_a_document_over_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(sources, "MOST_BYTES", 10)
    assert code_of(b"x" * 11, "text") == "too_long"
    assert take(b"x" * 10, "text")[0].text == "x" * 10


def test_blanks_alone_are_no_text():
    [refusal] = take(b" \n\t\n", "text")
    assert refusal.code == "no_text"


def test_front_matter_goes_to_meta_and_markdown_stays_as_written():
    [document] = take(b"---\ntitle: A page\nlicense: MIT\ntags:\n - a\n---\n# Head\n\n*text*\n", "markdown")
    assert document.text == "# Head\n\n*text*\n"
    assert document.meta == {"title": "A page", "license": "MIT", "front_matter": "tags:\n - a"}
    assert document.licence == "MIT"


def test_a_rule_in_markdown_is_no_front_matter():
    [document] = take(b"---\nonce upon a time", "markdown")
    assert document.text == "---\nonce upon a time"


@pytest.mark.parametrize(
    ("name", "expected"), [("a.txt", "text"), ("b.MD", "markdown"), ("c.htm", "html"), ("d.tar.jsonl", "jsonl")]
)
def test_the_ending_of_a_name_tells_the_format(name, expected):
    assert format_of(name) == expected


@pytest.mark.parametrize("name", ["a.pdf", "a.csv", "a", ".txt/x"])
def test_other_endings_are_refused(name):
    with pytest.raises(Unreadable):
        format_of(name)


# HTML

ARTICLE = "<p>" + "A sentence that says something of interest. " * 12 + "</p>"


def test_a_page_gives_its_title_and_its_main_text():
    page = f"<html><head><title>A  page</title></head><body><nav>Home About</nav><main>{ARTICLE}</main></body></html>"
    [document] = take(page.encode(), "html")
    assert document.text.startswith("A page\n\nA sentence")
    assert "Home" not in document.text
    assert not document.visible


def test_a_page_without_main_text_gives_all_that_is_visible():
    page = f"<body><nav>{'menu entry ' * 60}</nav><main><p>short</p></main><script>x()</script></body>"
    [document] = take(page.encode(), "html")
    assert document.visible
    assert "menu entry" in document.text
    assert "x()" not in document.text


def test_a_page_without_text_is_refused():
    [refusal] = take(b"<html><body><img src=x><script>var a</script></body></html>", "html")
    assert (refusal.code, refusal.start[:6]) == ("no_text", "<html>")


def test_a_page_is_read_in_the_encoding_that_it_declares():
    page = f"<meta charset=iso-8859-1><p>caf\xe9 {ARTICLE}".encode("latin-1")
    assert "café" in take(page, "html")[0].text


def test_the_licence_of_a_page_is_the_one_that_it_links():
    page = f"<main>{ARTICLE}</main><a rel='license nofollow' href='https://c.org/by'>licence</a>"
    assert take(page.encode(), "html")[0].licence == "https://c.org/by"


def test_a_page_of_very_deep_elements_is_read_without_looking_for_its_main_text():
    began = time.process_time()
    [document] = take(b"<div>" * 100_000 + b"hello", "html")
    assert (document.text, document.visible) == ("hello", True)
    assert time.process_time() - began < 20  # looking for the main text would take minutes


# JSON Lines


def test_a_row_is_a_document_and_what_else_it_says_goes_along():
    row = {
        "text": "hello", "url": "https://a.org/x", "license": "MIT", "lang": "en", "group": "g1",
        "date": "2024-05-06T07:08:09", "stars": 3, "nested": {"a": [1]},
    }  # fmt: skip
    [document] = take(rows(row))
    assert isinstance(document, Document)
    assert (document.text, document.address, document.licence) == ("hello", "https://a.org/x", "MIT")
    assert (document.language, document.group, document.place) == ("en", "g1", "line 1")
    assert document.collected_at is not None
    assert document.collected_at.isoformat() == "2024-05-06T07:08:09+00:00"
    assert document.meta == {"stars": 3, "nested": {"a": [1]}}


@pytest.mark.parametrize("column", ["text", "content", "body"])
def test_the_usual_names_of_the_text_are_known(column):
    assert take(rows({column: "hello"}))[0].text == "hello"


def test_a_named_column_is_the_text():
    assert take(rows({"text": "no", "page": "yes"}), fields={"text": "page"})[0].text == "yes"


@pytest.mark.parametrize(("row", "fields"), [({"titel": "x"}, {}), ({"text": "x"}, {"text": "txt"})])
def test_a_file_without_the_column_fails_with_those_it_has(row, fields):
    with pytest.raises(Unreadable, match=next(iter(row))) as refused:
        take(rows(row), fields=fields)
    assert refused.value.code == "field"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"text": "x"', "json"),
        (b"{'text': 'x'}", "json"),
        (b'{"text": "x", "n": NaN}', "json"),
        (b'{"text": "x", "n": ' + b"9" * 5000 + b"}", "json"),
        (b'{"text": "x", "deep": ' + b"[" * 20 + b"]" * 20 + b"}", "depth"),
        (b"[" * 100_000, "depth"),
        (b'{"text": "x", "text": "y"}', "duplicate_key"),
        (b'{"text": "x", "in": {"a": 1, "a": 2}}', "duplicate_key"),
        (b'["text"]', "row"),
        (b"17", "row"),
        (b'{"text": 5}', "not_text"),
        (b'{"text": null}', "not_text"),
        (b'{"text": " "}', "no_text"),
        (b'{"other": "x"}', "field"),
        (b'{"text": "caf\xe9"}', "encoding"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_the_rest_goes_on(line, code):
    first, refusal, last = take(rows({"text": "a"}) + line + b"\n" + rows({"text": "b"}))
    assert (first.text, last.text) == ("a", "b")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.place) == (code, "line 2")
    assert refusal.start == line.decode("utf-8", "replace")[:80]


def test_twenty_levels_are_not_too_deep():
    line = b'{"text": "x", "deep": ' + b"[" * 19 + b"]" * 19 + b"}"
    assert take(line)[0].text == "x"


def test_a_line_over_the_limit_is_refused_and_reading_goes_on_at_the_next(monkeypatch):
    monkeypatch.setattr(sources, "MOST_BYTES", 100)
    monkeypatch.setattr(sources, "_CHUNK_BYTES", 64)
    data = rows({"text": "a"}, {"text": "x" * 1000}, {"text": "b"})
    first, refusal, last = take(data)
    assert (first.text, refusal.code, last.text) == ("a", "too_long", "b")
    assert refusal.start.startswith('{"text": "xxx')
    assert last.end == len(data)


@pytest.mark.full
def test_a_line_of_sixty_five_megabytes_is_never_held():
    data = rows({"text": "a"}) + b'{"text": "' + b"x" * 65_000_000 + b'"}\n' + rows({"text": "b"})
    assert [getattr(item, "code", "ok") for item in take(data)] == ["ok", "too_long", "ok"]


def test_a_lone_surrogate_reaches_the_normaliser():
    assert take(b'{"text": "a\\ud800b"}')[0].text == "a\ud800b"


def test_blank_lines_are_passed_over_but_counted():
    [document] = take(b"\n\r\n" + rows({"text": "a"}))
    assert document.place == "line 3"


def test_a_file_of_blank_lines_is_empty():
    assert code_of(b"\n \n", "jsonl") == "empty"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("chunk", [2, 64, 1_000_000])
def test_reading_goes_on_at_the_byte_where_it_stopped(monkeypatch, encoding, chunk):
    monkeypatch.setattr(sources, "_CHUNK_BYTES", chunk)
    text = "".join(json.dumps({"text": f"ਊ{nth} 😀"}, ensure_ascii=False) + "\n" for nth in range(4)).rstrip("\n")
    data = ("\ufeff" + text).encode(encoding)
    every = take(data)
    assert [item.text for item in every] == [f"ਊ{nth} 😀" for nth in range(4)]
    assert every[-1].end == len(data)
    for nth, item in enumerate(every):
        assert take(data, start=item.end) == every[nth + 1 :]


# dialogues


@pytest.mark.parametrize(("question", "answer"), [("instruction", "answer"), ("prompt", "response")])
def test_a_pair_is_a_dialogue_of_two_turns(question, answer):
    [document] = take(rows({question: "Why?", answer: "Because.", "group": "g"}), what="pairs")
    assert document.turns == (Turn("user", "Why?"), Turn("assistant", "Because."))
    assert (document.text, document.group, document.meta) == ("Why?", "g", {})


def test_messages_are_a_dialogue():
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    [document] = take(rows({"messages": messages}), what="pairs")
    assert [turn.text for turn in document.turns] == ["a", "b"]


def test_a_prompt_needs_no_answer():
    assert take(rows({"instruction": "Why?"}), what="prompts")[0].turns == (Turn("user", "Why?"),)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": []},
        {"messages": "x"},
        {"messages": ["x"]},
        {"messages": [{"role": ["user"], "content": "x"}]},
        {"messages": [{"role": "assistant", "content": "x"}]},
        {"messages": [{"role": "system", "content": "x"}, {"role": "assistant", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x"}]},
    ],
)
def test_messages_that_do_not_alternate_or_lack_an_answer_are_refused(row):
    [refusal] = take(rows(row), what="pairs")
    assert refusal.code == "messages"


def test_pairs_are_not_read_from_a_page():
    assert code_of(b"<p>x", "html", what="pairs") == "format"


# parts


@given(some.text(some.sampled_from("ab é😀\n"), max_size=200), some.integers(8, 40))
def test_parts_are_small_and_together_the_body(body, most):
    pieces = list(cut(body, most_bytes=most))
    assert "".join(pieces) == body
    assert all(0 < len(piece.encode()) <= most for piece in pieces)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("aa bb\ncc\n\ndd ee ff", ["aa bb\ncc\n\n", "dd ee ff"]),
        ("aa bb\ncc dd ee ff", ["aa bb\n", "cc dd ee ff"]),
        ("aa bb ccc ddd", ["aa bb ccc ", "ddd"]),
        ("abcdefghijklmno", ["abcdefghijkl", "mno"]),
    ],
)
def test_a_long_text_is_cut_at_a_blank_line_else_a_line_end_else_a_blank(body, parts):
    assert list(cut(body, most_bytes=12)) == parts

"""What templates, styles and scripts may hold, so that the policy is constant and words can be translated."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from rlhf.static_files import without_comments

ROOT = Path(__file__).parent.parent
APPS = ["annotate", "rlhf"]
OWN = [
    path for app in APPS for path in (ROOT / app / "static").rglob("*") if path.is_file() and "vendor" not in path.parts
]
TEMPLATES = [path for app in APPS for path in (ROOT / app / "templates").rglob("*.html")]
SCRIPTS = [path for path in OWN if path.suffix == ".js"]
STYLES = [path for path in OWN if path.suffix == ".css"]
VENDORS = [*ROOT.glob("*/static/*/vendor/VENDOR.toml"), ROOT / "tests" / "vendor" / "VENDOR.toml"]
SVG = "http://www.w3.org/2000/svg"
WORDS = re.compile(r"[A-Z][a-z]+( [A-Za-z]+)+[.?:]?")  # a sentence, or the beginning of one


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def found(pattern: str, text: str) -> list[str]:
    return [match.group(0)[:80] for match in re.finditer(pattern, text, re.IGNORECASE | re.DOTALL)]


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_a_template_has_no_script_or_style_of_its_own(path):
    text = re.sub(r"{%.*?%}|{#.*?#}", "", path.read_text())
    inline = r"<script(?![^>]*\bsrc=)[^>]*>|<style\b|\sstyle\s*=|\son[a-z]+\s*=|\bhx-on\b|\bjs:|javascript:"
    assert found(inline, text) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_scripts_stand_in_the_head(path):
    text = path.read_text()
    heads = re.findall(
        r"<head>.*?</head>|{% block (?:head|island|first_script) %}.*?(?={% block (?:content|material|frame|main) )",
        text,
        re.DOTALL,
    )
    inside = sum(head.count("<script") for head in heads)
    assert text.count("<script") == inside


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_writes_no_markup_and_runs_no_text(path):
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setTimeout\(\s*[\"'`]"
    assert found(unsafe, path.read_text()) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_no_text_of_a_script_spans_lines(path):
    """Else a line of it that begins as a comment would be gone where files are collected."""
    assert [line for line in path.read_text().splitlines() if line.count("`") % 2] == []


def test_a_collected_script_has_neither_comments_nor_ends_of_lines_that_say_nothing():
    script = (
        '/**\n * Says so.\n */\n\nfunction f() {\n  // why\n  g("//", // a\'s, kept\n    1); // gone\n\n  return 2\n}\n'
    )
    assert without_comments(script) == 'function f() {g("//", // a\'s, kept\n1);return 2\n}\n'


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_holds_no_words_for_people(path):
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    strings = re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'", code)
    said = [text for pair in strings for text in pair if WORDS.fullmatch(text)]
    assert said == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_an_island_is_one_element_named_after_its_file(path):
    names = re.findall(r"customElements\.define\(\"([a-z-]+)\"", path.read_text())
    assert names in ([], [path.stem], ["live-poll"])


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_has_at_most_two_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 200


@pytest.mark.parametrize("path", OWN, ids=name)
def test_a_static_file_names_no_other_host(path):
    assert [url for url in found(r"https?://[^\s\"')]+", path.read_text()) if url != SVG] == []


@pytest.mark.parametrize("path", STYLES, ids=name)
def test_colours_stand_in_the_variables_alone(path):
    text = "" if path.name == "variables.css" else path.read_text()
    assert found(r"#[0-9a-f]{3,8}\b(?![^{]*\{)|\brgba?\(|\bhsla?\(", text) == []


@pytest.mark.parametrize("path", VENDORS, ids=name)
def test_vendored_files_are_those_that_their_list_names(path):
    listed = tomllib.loads(path.read_text())
    files = {file: digest for one in listed.values() for file, digest in one["files"].items()}
    present = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in path.parent.iterdir() if one != path}
    assert present == files


@pytest.mark.parametrize("path", VENDORS, ids=name)
def test_vendored_files_have_a_version_and_a_licence(path):
    listed = tomllib.loads(path.read_text())
    assert [one for one in listed.values() if not (one["name"] and one["version"] and one["licence"])] == []


@pytest.mark.parametrize("path", STYLES, ids=name)
def test_a_size_of_type_stands_in_font(path):
    """It brings its line's height: `font-size` takes no such value, and the text keeps the size around it."""
    assert found(r"font-size: var\(--(xs|sm|md|lg|xl|xxl)\)", path.read_text()) == []

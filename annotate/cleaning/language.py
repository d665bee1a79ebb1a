"""In what script, and which of seven languages, a text is written: by its letters and its function words.

It says nothing rather than guess: short texts, code, mixed texts and other languages have no language here. Function
words are the most frequent ones of each language that few others share (own list).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

LEAST_LETTERS = 8
MOST_SHARE = 0.6  # of the letters, from which a script is the text's
LEAST_HITS = 3
LEAST_SHARE = 0.12  # of the words, that must be function words of the language
LEAD = 2  # times the hits of the next language
SAMPLE = 10_000  # characters that are read
LATIN = "latin"
ONE = {"hiragana": "japanese", "katakana": "japanese", "cjk": "han"}

FUNCTION_WORDS = {
    "en": "the of and to is that it for with as are was be this by from not have has what which you do does how why",
    "de": "der die das und ist nicht ein eine einen dem den von zu mit für auf sich auch wird werden wie warum sind im",
    "nl": "het een en van is dat niet zijn op met voor aan wat hoe waarom wordt worden ook deze dit naar bij of er",
    "fr": "le la les des et est une un que qui dans pour pas sur avec ce cette sont du au plus comment nous vous",
    "es": "el la los las que y es una por con para no se su como más pero cómo qué del al está son lo muy",
    "it": "il la che di e è un una per con non sono del della come più ma gli nel anche questo perché dei alla",
    "pt": "o a os as que e é um uma por com para não se como mais mas do da dos das em no na são isso você",
}
KNOWN = frozenset(FUNCTION_WORDS)

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")
_LANGUAGES = {word: set[str]() for words in FUNCTION_WORDS.values() for word in words.split()}
for _code, _words in FUNCTION_WORDS.items():
    for _word in _words.split():
        _LANGUAGES[_word].add(_code)


@dataclass(frozen=True)
class Tongue:
    """script: by Unicode's names of its letters, "" where none leads. language: a code of KNOWN; "" where unsure."""

    script: str
    language: str = ""


def tongue_of(text: str) -> Tongue:
    """What the beginning of a text is written in, its code and links aside."""
    prose = _CODE.sub(" ", text[:SAMPLE])
    letters = Counter(character for character in prose if character.isalpha())
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        scripts[_script(letter)] += count
    if scripts["japanese"]:
        scripts["japanese"] += scripts.pop("han", 0)
    most = scripts.most_common(1)
    if scripts.total() < LEAST_LETTERS or most[0][1] < MOST_SHARE * scripts.total():
        return Tongue("")
    return Tongue(most[0][0], _language(prose) if most[0][0] == LATIN else "")


def differ(one: Tongue, other: Tongue) -> bool:
    """Whether two texts are surely not in one language."""
    if one.script and other.script and one.script != other.script:
        return True
    return bool(one.language and other.language and one.language != other.language)


def _script(letter: str) -> str:
    first = unicodedata.name(letter, "other").split()[0].lower()
    return ONE.get(first, first)


def _language(prose: str) -> str:
    words = [word.lower() for word in _WORD.findall(prose)]
    hits = Counter(code for word in words for code in _LANGUAGES.get(word, ()))
    ranked = hits.most_common(2)
    if not ranked or ranked[0][1] < max(LEAST_HITS, LEAST_SHARE * len(words)):
        return ""
    return ranked[0][0] if len(ranked) < 2 or ranked[0][1] >= LEAD * ranked[1][1] else ""

"""What each stage's explanation says, at three depths: one Markdown file a stage and language.

A file begins with front matter (title, version, stages: the run stages whose config fields it may name as code) and
has the sections Basic, Medium and Detailed. {names} of NUMBERS stand for what a project's rows add up to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from annotate.learning.files import folder_of

STAGES = (
    "collecting",
    "cleaning",
    "tokenizing",
    "pretraining",
    "instruction_tuning",
    "ranking",
    "reward_model",
    "ppo",
    "dpo",
    "evaluation",
    "game",
    "map",
)
DEPTHS = ("basic", "medium", "detailed")
MOST_WORDS = {"basic": 60, "medium": 180, "detailed": 500}
NUMBERS = frozenset(
    {
        "documents",
        "documents_kept",
        "documents_rejected",
        "documents_waiting",
        "sources",
        "findings",
        "prompts",
        "answers",
        "answers_waiting",
        "rankings",
        "rankings_waiting",
        "rankers",
        "corpus_snapshots",
        "bases",
        "instruct_models",
        "reward_models",
        "policies",
        "generations",
    }
)
UNKNOWN = "–"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_SECTION = re.compile(r"^# (\w+)\n", re.MULTILINE)


@dataclass(frozen=True)
class StageText:
    """sections: Markdown by depth. run_stages: whose config fields the text may name."""

    stage: str
    title: str
    version: int
    run_stages: tuple[str, ...]
    sections: Mapping[str, str]


def stage_text(stage: str, language: str) -> StageText:
    """The text of one of STAGES."""
    return _read(folder_of(language, below="texts") / f"{stage}.md")


def placeholders(section: str) -> set[str]:
    """The names of numbers that a section asks for."""
    return set(_PLACEHOLDER.findall(section))


def filled(section: str, numbers: Mapping[str, int]) -> str:
    """The section with its numbers; a dash where nobody supplies one."""

    def written(match: re.Match[str]) -> str:
        value = numbers.get(match[1])
        return UNKNOWN if value is None else f"{value:,}"

    return _PLACEHOLDER.sub(written, section)


@cache
def _read(path: Path) -> StageText:
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(front)
    pieces = _SECTION.split(body)[1:]
    sections = {name.lower(): text.strip() for name, text in zip(pieces[::2], pieces[1::2], strict=True)}
    return StageText(path.stem, facts["title"], facts["version"], tuple(facts["stages"]), sections)

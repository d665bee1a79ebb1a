"""Where the texts to learn from lie: one folder a language, English where a language has none."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any  # YAML

import yaml

HOME = Path(__file__).parent
FALLBACK = "en"


def folder_of(language: str, *, below: str = "") -> Path:
    """The folder of a language or of its main part (nl for nl-be), below `below`; that of English where neither is."""
    home = HOME / below
    wanted = (language.lower(), language.lower().split("-")[0])
    return next((home / one for one in wanted if one.isalpha() and (home / one).is_dir()), home / FALLBACK)


@cache
def read_yaml(path: Path) -> Any:  # Any: whatever the file holds
    return yaml.safe_load(path.read_text(encoding="utf-8"))

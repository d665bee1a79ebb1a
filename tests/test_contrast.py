"""The colours of variables.css, read as a browser does: text at 4.5 to 1, edges and graphics at 3 to 1."""

import re
from pathlib import Path

import pytest

VARIABLES = (Path(__file__).parent.parent / "annotate" / "static" / "annotate" / "variables.css").read_text()
GROUNDS = ["page", "surface", "sunken"]
TEXTS = ["text", "muted", "accent", "good", "warn", "bad", "info"]
SERIES = [f"series-{number}" for number in range(1, 7)]
THEMES = ["light", "dark", "contrast light", "contrast dark"]
OWN_SOFT = ["accent", "good", "warn", "bad", "info"]


def colours(theme: str) -> dict[str, str]:
    """The value of each token in a theme."""
    normal, _, contrast = VARIABLES.partition(':root[data-theme="contrast"]')
    block = contrast if theme.startswith("contrast") else normal
    pairs = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", block)
    return {name: light if theme.endswith("light") else dark for name, light, dark in pairs}


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, relative luminance."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(theme: str, one: str, other: str) -> float:
    found = colours(theme)
    low, high = sorted([luminance(found[one]), luminance(found[other])])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("token", TEXTS)
def test_text_can_be_read_on_every_ground(theme, ground, token):
    assert contrast(theme, token, ground) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("token", OWN_SOFT)
def test_a_state_can_be_read_on_its_own_soft_ground(theme, token):
    assert contrast(theme, token, f"{token}-soft") >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("ink", "ground"), [("accent-ink", "accent"), ("bad-ink", "bad"), ("text", "mark")])
def test_ink_can_be_read_on_what_it_stands_on(theme, ink, ground):
    assert contrast(theme, ink, ground) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("token", ["edge", "focus", *SERIES])
def test_edges_focus_and_lines_stand_out(theme, ground, token):
    assert contrast(theme, token, ground) >= 3


def test_every_token_has_a_value_in_the_contrast_theme():
    assert set(colours("contrast light")) == set(colours("light"))


@pytest.mark.parametrize(("token", "least"), [("text", 13.6), ("muted", 5.8), ("edge", 3.3), ("focus", 5.4)])
def test_tokens_keep_the_contrast_that_the_design_names(token, least):
    assert min(contrast(theme, token, ground) for theme in ["light", "dark"] for ground in GROUNDS) >= least - 0.05

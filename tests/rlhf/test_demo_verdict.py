"""What the demo's end says, and what it asks for."""

import pytest

from rlhf.demo import verdict

POOR = {
    "perplexity_fall": 21.8,
    "heldout_perplexity": 95.8,
    "answer_fall": 0.07,
    "accuracy": 0.847,
    "accuracy_low": 0.772,
}
FACTS: dict[str, object] = {
    "project": "Demo",
    "stages": [{"title": "Freeze the corpus", "seconds": 2.0, "changed": "7,181 rows to learn from"}],
    "figures": POOR,
    "sample": None,
    "seconds": 298.0,
    "seed": 1,
}


def test_a_missed_bar_is_named_with_its_figure():
    shown = verdict.shown(FACTS | {"own_texts": False})
    assert "held-out perplexity ends below 60 (heldout_perplexity 95.800)" in shown.missed


def test_a_figure_that_was_never_computed_is_missed():
    shown = verdict.shown(FACTS | {"own_texts": False})
    assert any("win rate" in line for line in shown.missed)


@pytest.mark.parametrize("own_texts", [True, False])
def test_what_is_met_and_missed_is_shown(own_texts):
    lines = verdict.shown(FACTS | {"own_texts": own_texts}).text.splitlines()
    assert "   met  reward accuracy is at least 0.70" in lines
    assert "missed  held-out perplexity ends below 60" in lines


def test_nothing_is_required_of_ones_own_texts():
    assert verdict.shown(FACTS | {"own_texts": True}).missed == []

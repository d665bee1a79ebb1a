"""Every page at a phone's width and a desk's: no finding of axe, no sideways scroll."""

import pytest

from tests.browser.pages import PAGES
from tests.browser.site import HEIGHTS, findings, sideways


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_fits_phone_and_desk_and_axe_finds_nothing(page, full, site):
    shown = site.visit(full.people.get(page.who), page.address(full))
    at_the_desk = (findings(shown), sideways(shown))
    shown.set_viewport_size({"width": 360, "height": HEIGHTS[360]})
    assert (at_the_desk, (findings(shown), sideways(shown))) == (([], 0), ([], 0))


@pytest.mark.full
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_right_at_other_widths_and_in_both_themes(page, width, theme, full, site):
    shown = site.visit(full.people.get(page.who), page.address(full), width=width, theme=theme)
    assert (findings(shown), sideways(shown)) == ([], 0)

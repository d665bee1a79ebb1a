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
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_right_at_other_widths_in_the_dark_and_at_twice_its_size(page, full, site):
    shown = site.visit(full.people.get(page.who), page.address(full), width=320, theme="dark")
    found = {}
    for width, theme in [(320, "dark"), (768, "light"), (1_280, "dark")]:
        shown.emulate_media(color_scheme=theme)
        shown.set_viewport_size({"width": width, "height": HEIGHTS[width]})
        found[width, theme] = (findings(shown), sideways(shown))
    shown.set_viewport_size({"width": 640, "height": 400})  # what 1,280 × 800 leave at 200 %
    found[640, "twice"] = ([], sideways(shown))
    assert {kind: wrong for kind, wrong in found.items() if wrong != ([], 0)} == {}

"""What every HTML answer carries."""

import pytest
from django.http import HttpResponse, HttpResponseBase
from django.test import RequestFactory
from django.urls import ResolverMatch

from rlhf.csp import POLICY, policy


def answer(content_type: str, url_name: str = "home") -> HttpResponseBase:
    request = RequestFactory().get("/")
    request.resolver_match = ResolverMatch(lambda: None, (), {}, url_name=url_name)
    return policy(lambda request: HttpResponse("x", content_type=content_type))(request)


def test_a_page_carries_the_policy():
    assert answer("text/html")["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize("unsafe", ["unsafe-inline", "unsafe-eval", "http:", "https:", "*", "data:"])
def test_the_policy_allows_nothing_unsafe(unsafe):
    assert unsafe not in POLICY


def test_a_screen_that_shows_what_a_model_wrote_adds_trusted_types():
    assert answer("text/html", "playground")["Content-Security-Policy"].endswith("trusted-types 'none'")


def test_json_carries_none():
    assert "Content-Security-Policy" not in answer("application/json")


def test_an_error_page_carries_the_policy(client, db):
    assert client.get("/no/such/page/")["Content-Security-Policy"] == POLICY

"""The policy that every HTML answer carries, error pages included. It is constant; nothing can loosen it for a page."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TRUSTED_TYPES = "; require-trusted-types-for 'script'; trusted-types 'none'"
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

View = Callable[[HttpRequest], HttpResponseBase]


def policy(get_response: View) -> View:
    """Middleware: the policy on HTML, with Trusted Types on the screens that show what a model wrote."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response["Permissions-Policy"] = PERMISSIONS
        if response.get("Content-Type", "").startswith("text/html"):
            name = request.resolver_match.url_name if request.resolver_match else None
            response["Content-Security-Policy"] = POLICY + TRUSTED_TYPES * (name in settings.TRUSTED_TYPES_PAGES)
        return response

    return answer

"""Signing in and out."""

from __future__ import annotations

from django.contrib.auth import login as sign_in
from django.contrib.auth import logout as sign_out
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from annotate.pages.request import Request


@sensitive_post_parameters("password")
@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    """One message for all failures; then back to where one was."""
    onward = _onward(request)
    if request.user.is_authenticated:
        return redirect(onward)
    form = AuthenticationForm(request, data=request.POST or None)
    if request.method == "POST" and form.is_valid():
        sign_in(request, form.get_user())
        return redirect(onward)
    failed = request.method == "POST"
    context = {"next": onward, "failed": failed, "name": request.POST.get("username", "")}
    return render(request, "annotate/login.html", context, status=422 if failed else 200)


@require_POST
def logout(request: Request) -> HttpResponse:
    """Ends the session; the browser also forgets the drafts that it kept."""
    sign_out(request)
    response = redirect("login")
    response["Clear-Site-Data"] = '"storage"'
    return response


def _onward(request: HttpRequest) -> str:
    """The page that asked for the log-in, if it is one of ours."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else "/"

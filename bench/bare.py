"""The service's addresses and a view that does nothing: what Django and its middleware cost by themselves."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from rlhf.urls import handler400, handler403, handler404, handler500
from rlhf.urls import urlpatterns as served

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


@csrf_exempt  # it reads nothing and changes nothing, and exists in the bench's service only
@login_not_required
def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [path("bench/bare", bare), *served]

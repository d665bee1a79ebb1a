"""All addresses: pages without a namespace, the API below /api/v1/ in the namespace `api`."""

from __future__ import annotations

from django.urls import include, path

from annotate.api.urls import urlpatterns as annotate_api
from rlhf.api.urls import urlpatterns as rlhf_api

urlpatterns = [
    path("api/v1/", include(([*annotate_api, *rlhf_api], "api"))),  # first: each address before costs every answer
    path("", include("annotate.pages.urls")),
    path("", include("rlhf.pages.urls")),
]

handler400 = "annotate.pages.errors.bad_request"
handler403 = "annotate.pages.errors.forbidden"
handler404 = "annotate.pages.errors.not_found"
handler500 = "annotate.pages.errors.failed"

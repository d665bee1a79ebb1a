"""What gunicorn serves. It refuses to start on settings that are unsafe."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rlhf.settings")
application = get_wsgi_application()

from rlhf.checks import refuse_unsafe  # noqa: E402 needs the apps

refuse_unsafe(accounts=True)

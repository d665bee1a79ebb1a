"""What the service refuses to start on (`spec/security.md` 1). Messages name the setting, never its value.

Web, worker and beat call `refuse_unsafe` when they start; `manage.py check` shows the same errors. APP_ENV=dev relaxes
what is marked so there, and then the server binds to loopback only.
"""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from rlhf import env

WEAK_PASSWORDS = frozenset({"", "admin", "changeme", "password", "postgres", "redis", "root", "secret", "touchstone"})
DOCUMENTED_PASSWORDS = ("touchstone",)
PUBLISHED_KEYS = frozenset({"replace-this-with-fifty-random-characters-or-more-0123"})  # in docs and examples
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
LEAST_VERSIONS = {"torch": (2, 10, 0), "jinja2": (3, 1, 6), "celery": (5, 2, 2)}
APPEND_ONLY = {"annotate_revision", "annotate_presentation", "annotate_leaseevent"}
FULL_COMMIT = re.compile(r"[^@\s]+@[0-9a-f]{40}")


def refuse_unsafe(*, accounts: bool) -> None:
    """End the process with code 1 and a line for each setting that is unsafe.

    accounts: look also for accounts with a documented password; only the web process may read them.
    """
    found = [*settings_are_safe(None), *database_is_ready(None, databases=["default"])]
    if accounts and not found:
        found += no_account_has_a_documented_password(None, databases=["default"])
    if found:
        sys.exit("\n".join(str(error.msg) for error in found))


@checks.register
def settings_are_safe(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[checks.CheckMessage]:
    """All rows that need no database."""
    sentences = [*_secrets(), *_broker(), *_models(), *_libraries(), *_folder()]
    if not settings.DEV:
        sentences += [*_hosts(), *_cookies(), *_database_password()]
    return [_error(sentence) for sentence in sentences]


@checks.register(checks.Tags.database)
def database_is_ready(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: object
) -> list[checks.CheckMessage]:
    """Every migration is applied, and what may only be appended to has its triggers."""
    if not databases:
        return []
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return [_error("DATABASE_URL: the database lacks migrations; run manage.py migrate.")]
    endings = ("append_only", "keep") if connection.vendor == "postgresql" else ("refuse_update", "refuse_delete")
    if not {f"{table}_{ending}" for table in APPEND_ONLY for ending in endings} <= _triggers():
        return [_error("DATABASE_URL: the database lacks its append-only triggers; restore it from a backup.")]
    return []


@checks.register(checks.Tags.database)
def no_account_has_a_documented_password(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: object
) -> list[checks.CheckMessage]:
    """Accounts that the documentation would let anyone into. One password hash an account that can sign in."""
    if not databases or database_is_ready(None, databases=databases):
        return []
    people = [user for user in get_user_model().objects.filter(is_active=True) if user.has_usable_password()]
    weak = [user for user in people if any(user.check_password(known) for known in DOCUMENTED_PASSWORDS)]
    return [_error(f"Accounts: {len(weak)} active with a documented password; change it.")] if weak else []


def _triggers() -> set[str]:
    postgres = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    sqlite = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    with connection.cursor() as cursor:
        cursor.execute(postgres if connection.vendor == "postgresql" else sqlite)
        return {name for (name,) in cursor.fetchall()}


def _error(sentence: str) -> checks.Error:
    return checks.Error(sentence, id=f"touchstone.{sentence.split(':')[0]}")


def _value(name: str) -> Any:  # Any: a setting of any type
    try:
        return getattr(settings, name)
    except ImproperlyConfigured:
        return ""


def _secrets() -> Iterator[str]:
    secret, ticket = _value("SECRET_KEY"), settings.TICKET_KEY
    for name, key in (("SECRET_KEY", secret), ("TICKET_KEY", ticket)):
        if not key:
            yield f"{name}: absent; set it, or {name}_FILE, to 50 random characters or more."
        elif len(key) < 50 or len(set(key)) < 5:
            yield f"{name}: too simple; it needs 50 random characters or more."
        elif key.startswith("django-insecure-") or key in PUBLISHED_KEYS:
            yield f"{name}: published; make a new one."
    passwords = [settings.DATABASES["default"].get("PASSWORD"), urlsplit(settings.REDIS_URL).password]
    if secret and secret in [ticket, *passwords]:
        yield "SECRET_KEY: equal to another secret; each needs its own."


def _broker() -> Iterator[str]:
    for name in ("TASK_SERIALIZER", "RESULT_SERIALIZER", "EVENT_SERIALIZER"):
        if _value(f"CELERY_{name}") != "json":
            yield f"CELERY_{name}: only json is allowed."
    for name in ("ACCEPT_CONTENT", "RESULT_ACCEPT_CONTENT"):
        if list(_value(f"CELERY_{name}")) != ["json"]:
            yield f"CELERY_{name}: only json is allowed."
    address = urlsplit(settings.REDIS_URL)
    weak = address.scheme in ("redis", "rediss") and (address.password or "") in WEAK_PASSWORDS
    if weak and not (settings.DEV and address.hostname in LOOPBACK):
        yield "REDIS_URL: Redis over TCP needs a password that is no known default."


def _models() -> Iterator[str]:
    if not all(FULL_COMMIT.fullmatch(entry) for entry in settings.BASE_MODELS):
        yield "BASE_MODELS: every entry is a hub id, @ and a full commit hash of 40 digits."
    names = [*dir(settings), *env.names()]
    if any("trust_remote_code" in name.lower() for name in names):
        yield "TRUST_REMOTE_CODE: no such switch exists; remove it."


def _libraries() -> Iterator[str]:
    for name, least in LEAST_VERSIONS.items():
        found = _version(name)
        if found and found < least:
            yield f"{name}: older than {'.'.join(map(str, least))}, which has known holes; upgrade it."


def _version(name: str) -> tuple[int, ...]:
    """The installed release, empty where the package is absent."""
    try:
        return tuple(int(part) for part in re.findall(r"\d+", version(name).split("+")[0])[:3])
    except PackageNotFoundError:
        return ()


def _folder() -> Iterator[str]:
    home, static, source = settings.HOME, Path(settings.STATIC_ROOT), settings.SOURCE
    if home.is_dir() and home.stat().st_mode & stat.S_IWOTH:
        yield "TOUCHSTONE_HOME: anyone on this machine may write to it; take that right away."
    if not settings.DEV and (home.is_relative_to(source) or home.is_relative_to(static)):
        yield "TOUCHSTONE_HOME: inside the source tree or the static files; put it elsewhere."


def _hosts() -> Iterator[str]:
    if settings.DEBUG:
        yield "DEBUG: on; it shows secrets to visitors."
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        yield "ALLOWED_HOSTS: must name the hosts of this service, without *."
    if any("*" in origin or origin.startswith("http://") for origin in settings.CSRF_TRUSTED_ORIGINS):
        yield "CSRF_TRUSTED_ORIGINS: only full https:// addresses are allowed."
    if "*" in settings.FORWARDED_ALLOW_IPS:
        yield "FORWARDED_ALLOW_IPS: must name the proxies, without *."


def _cookies() -> Iterator[str]:
    for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS"):
        if not _value(name):
            yield f"{name}: off; the service is served over TLS only."
    if settings.SECURE_PROXY_SSL_HEADER:
        yield "SECURE_PROXY_SSL_HEADER: trusts every caller; name the proxies in FORWARDED_ALLOW_IPS instead."


def _database_password() -> Iterator[str]:
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3") and (database.get("PASSWORD") or "") in WEAK_PASSWORDS:
        yield "DATABASE_URL: the password is empty or a known default."

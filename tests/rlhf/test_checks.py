"""Settings that refuse to boot: each names itself, and never shows its value."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from annotate.models import User
from rlhf import checks
from rlhf.management.commands import migrate

KEY, OTHER_KEY = "abcdefghij" * 6, "jihgfedcba" * 6


@pytest.fixture(autouse=True)
def safe(settings, tmp_path, monkeypatch):
    """Settings as a careful operator makes them."""
    settings.DEV = settings.DEBUG = False
    settings.SECRET_KEY, settings.TICKET_KEY = KEY, OTHER_KEY
    settings.ALLOWED_HOSTS = ["touchstone.example"]
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 1
    settings.HOME = tmp_path
    settings.REDIS_URL = "redis://:long-and-random@redis:6379/0"
    database = {"ENGINE": "django.db.backends.postgresql", "PASSWORD": "long-and-random"}
    monkeypatch.setitem(settings.DATABASES, "default", database)


def named() -> list[str]:
    return [str(error.msg).split(":")[0] for error in checks.settings_are_safe(None)]


def test_careful_settings_pass():
    assert named() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "abcdefghij" * 4),
        ("SECRET_KEY", "a" * 60),
        ("SECRET_KEY", "django-insecure-" + KEY),
        ("SECRET_KEY", next(iter(checks.PUBLISHED_KEYS))),
        ("SECRET_KEY", OTHER_KEY),
        ("TICKET_KEY", ""),
        ("TICKET_KEY", "short"),
        ("DEBUG", True),
        ("ALLOWED_HOSTS", []),
        ("ALLOWED_HOSTS", ["*"]),
        ("REDIS_URL", "redis://redis:6379/0"),
        ("REDIS_URL", "redis://:redis@redis:6379/0"),
        ("CELERY_TASK_SERIALIZER", "pickle"),
        ("CELERY_ACCEPT_CONTENT", ["json", "pickle"]),
        ("CELERY_RESULT_ACCEPT_CONTENT", ["yaml"]),
        ("SESSION_COOKIE_SECURE", False),
        ("CSRF_COOKIE_SECURE", False),
        ("SECURE_HSTS_SECONDS", 0),
        ("SECURE_PROXY_SSL_HEADER", ("HTTP_X_FORWARDED_PROTO", "https")),
        ("FORWARDED_ALLOW_IPS", ["*"]),
        ("CSRF_TRUSTED_ORIGINS", ["http://touchstone.example"]),
        ("CSRF_TRUSTED_ORIGINS", ["https://*.example"]),
        ("BASE_MODELS", ["owner/name@main"]),
    ],
)
def test_an_unsafe_setting_is_refused_by_its_name(settings, name, value):
    setattr(settings, name, value)
    assert named() == [name]


@pytest.mark.parametrize("password", ["", "postgres", "password"])
def test_a_database_with_a_known_password_is_refused(settings, password):
    settings.DATABASES["default"]["PASSWORD"] = password
    assert named() == ["DATABASE_URL"]


def test_a_home_inside_the_source_tree_is_refused(settings):
    settings.HOME = settings.SOURCE / "var"
    assert named() == ["TOUCHSTONE_HOME"]


def test_a_home_that_anyone_may_write_to_is_refused(settings, tmp_path):
    tmp_path.chmod(0o777)
    assert named() == ["TOUCHSTONE_HOME"]


def test_a_switch_for_remote_code_is_refused_by_its_name(monkeypatch):
    monkeypatch.setenv("HF_TRUST_REMOTE_CODE", "1")
    assert named() == ["TRUST_REMOTE_CODE"]


def test_an_old_library_is_refused(monkeypatch):
    monkeypatch.setattr(checks, "version", lambda name: "2.9.1+cpu" if name == "torch" else version(name))
    assert named() == ["torch"]


def test_dev_allows_what_only_matters_on_a_network(settings):
    settings.DEV = True
    settings.ALLOWED_HOSTS, settings.SESSION_COOKIE_SECURE, settings.REDIS_URL = [], False, "redis://127.0.0.1:6379"
    assert named() == []


def test_dev_does_not_allow_a_redis_of_another_machine_without_password(settings):
    settings.DEV, settings.REDIS_URL = True, "redis://10.0.0.7:6379"
    assert named() == ["REDIS_URL"]


def test_an_account_with_a_documented_password_is_refused(db):
    User.objects.create(name="ada", password=make_password(checks.DOCUMENTED_PASSWORDS[0]))
    found = checks.no_account_has_a_documented_password(None, databases=["default"])
    assert [str(error.msg) for error in found] == ["Accounts: 1 active with a documented password; change it."]


def test_a_database_with_all_migrations_passes(db):
    assert checks.database_is_ready(None, databases=["default"]) == []


def test_a_database_without_its_append_only_triggers_is_refused(db):
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER annotate_revision_refuse_update")
    assert [str(error.msg)[:12] for error in checks.database_is_ready(None, databases=["default"])] == ["DATABASE_URL"]


SECRET = "only-for-this-test"


def boot(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TOUCHSTONE_HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, *command], env={**kept, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "command",
    [("-c", "import rlhf.wsgi"), ("-m", "celery", "-A", "rlhf.celery", "worker", "-Q", "train", "--pool", "solo")],
    ids=["web", "worker"],
)
def test_a_process_with_an_unsafe_setting_ends_with_1_and_one_line_that_names_it(command):
    ended = boot(*command, APP_ENV="dev", SECRET_KEY=SECRET, DATABASE_URL="sqlite://:memory:")
    assert ended.returncode == 1
    assert [line for line in ended.stderr.splitlines() if "SECRET_KEY:" in line]
    assert SECRET not in ended.stdout + ended.stderr


def test_nonsense_in_the_environment_is_refused_by_name():
    ended = boot("manage.py", "check", APP_ENV="dev", DEBUG="perhaps")
    assert (ended.returncode, ended.stderr.strip().splitlines()[-1]) == (
        1,
        "DEBUG must be one of 1, 0, true, false, yes, no, on, off.",
    )


def test_migrate_does_not_refuse_a_database_for_what_it_is_about_to_bring(settings, tmp_path, monkeypatch, db):
    monkeypatch.setattr("rlhf.checks.MigrationExecutor.migration_plan", lambda *_: ["one that is not applied"])
    with pytest.raises(SystemCheckError, match="lacks migrations"):
        call_command("check", databases=["default"])
    migrate.Command().check(databases=["default"])  # as the command itself asks before it begins

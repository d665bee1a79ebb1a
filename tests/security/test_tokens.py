"""Personal tokens: scope, end, revocation; and CSRF where a cookie signs in (`spec/security.md` 10)."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from annotate.actions.revoke_token import forget_tokens
from annotate.models import Project, Token
from tests.api import ROOT, Caller, program


def test_a_token_signs_its_person_in(ana, project):
    assert program(ana, "read").get("me/")["name"] == "ana"


@pytest.mark.parametrize("key", ["ts_unknown", "", "ts_" + "x" * 43])
def test_an_unknown_key_is_refused(db, key):
    response = Client().get(ROOT + "me/", headers={"Authorization": f"Bearer {key}"})
    assert (response.status_code, response.json()["code"]) == (401, "bad_token")


def test_an_expired_token_is_refused(ana):
    caller = program(ana)
    Token.objects.update(expires_at=now() - timedelta(seconds=1))
    assert caller.get("me/", expect=401)["code"] == "bad_token"


def test_a_revoked_token_is_refused(ana):
    caller = program(ana)
    Caller(ana).delete(f"tokens/{Token.objects.get().uuid}/")
    assert caller.get("me/", expect=401)["code"] == "bad_token"


def revoked(client: Client, *, back: bool = False) -> int:
    """The status of the answer."""
    address = reverse("token-revoke", args=[Token.objects.get().uuid])
    return client.post(address, {"revoked": "0"} if back else {}).status_code


def test_a_revoked_token_that_is_taken_back_opens_with_the_same_key(ana, client):
    caller = program(ana)
    client.force_login(ana)
    assert revoked(client) == 302
    assert caller.get("me/", expect=401)["code"] == "bad_token"
    assert revoked(client, back=True) == 302
    assert caller.get("me/")["name"] == "ana"


def test_a_revoked_token_is_nowhere_to_be_seen(ana, client):
    program(ana)
    client.force_login(ana)
    prefix = Token.objects.get().prefix
    assert prefix in client.get(reverse("me")).content.decode()
    revoked(client)
    assert prefix not in client.get(reverse("me")).content.decode()
    assert Caller(ana).get("tokens/")["results"] == []
    Caller(ana).delete(f"tokens/{Token.objects.get().uuid}/", expect=404)


def test_a_token_comes_back_for_its_person_only(ana, abe, client):
    program(ana)
    Token.objects.update(revoked_at=now())
    client.force_login(abe)
    assert revoked(client, back=True) == 404
    assert Token.objects.get().revoked_at is not None


def test_a_token_that_was_revoked_a_week_ago_is_gone_for_good(ana, client):
    program(ana)
    Token.objects.update(revoked_at=now() - timedelta(days=7, seconds=1))
    client.force_login(ana)
    assert revoked(client, back=True) == 409
    assert forget_tokens() == 1
    assert not Token.objects.exists()


def test_a_token_that_stands_or_was_just_revoked_is_kept(ana, abe):
    program(ana)
    Token.objects.update(revoked_at=now())
    program(abe)
    assert forget_tokens() == 0


def test_a_token_of_a_closed_account_is_refused(ana):
    caller = program(ana)
    ana.is_active = False
    ana.save(update_fields=["is_active"])
    assert caller.get("me/", expect=401)["code"] == "bad_token"


def test_a_session_of_a_closed_account_is_refused(ana):
    caller = Caller(ana)
    ana.is_active = False
    ana.save(update_fields=["is_active"])
    assert caller.get("me/", expect=401)["code"] == "not_authenticated"


def test_a_bad_token_is_not_rescued_by_a_session(ana):
    caller = Caller(ana)
    caller.headers = {"Authorization": "Bearer ts_wrong"}
    assert caller.get("me/", expect=401)["code"] == "bad_token"


def test_reading_takes_the_scope_read(ana):
    assert program(ana, "annotate", "manage", "train").get("me/", expect=403)["code"] == "scope_missing"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("queues/{queue}/claim", "annotate"),
        ("members/", "manage"),
        ("guidelines/", "manage"),
        ("sources/", "manage"),
        ("imports/", "manage"),
        ("snapshots/", "train"),
        ("runs/", "train"),
        ("playground/chat", "train"),
    ],
)
def test_writing_takes_the_scope_of_its_operation(ada, project, path, wanted):
    others = [scope for scope in Token.Scope.values if scope != wanted]
    address = path.format(queue=project.queues.get(kind="rank").uuid)
    assert program(ada, *others).post(address, {}, expect=403)["code"] == "scope_missing"


def test_a_token_gives_no_more_than_its_person_may(ana, project):
    body = {"project": str(project.uuid), "body": "1. Obey."}
    assert program(ana).post("guidelines/", body, expect=403)["code"] == "not_allowed"


def test_a_key_is_stored_nowhere(ana):
    caller = program(ana)
    key = caller.headers["Authorization"].removeprefix("Bearer ")
    stored = Token.objects.values().get()
    assert key not in str(stored)
    assert stored["sha256"] == Token.digest(key)


def test_use_is_noted_once_a_minute(ana):
    caller = program(ana)
    caller.get("me/")
    seen = Token.objects.get().last_used_at
    assert seen is not None
    assert now() - seen < timedelta(minutes=1)
    caller.get("me/")
    assert Token.objects.get().last_used_at == seen


def test_a_write_under_a_cookie_needs_the_csrf_token(ada, project):
    response = Caller(ada, csrf=True).ask("PATCH", f"projects/{project.uuid}/", {"name": "Stolen"})
    assert (response.status_code, response.json()["code"]) == (403, "not_allowed")
    assert Project.objects.get().name == "Docs"


def test_a_claim_needs_the_csrf_token_too(ana, project):
    queue = project.queues.get(kind="rank")
    assert Caller(ana, csrf=True).ask("POST", f"queues/{queue.uuid}/claim", {}).status_code == 403


def test_a_keepalive_draft_needs_the_csrf_token_too(ana, project):
    missing = "00000000-0000-4000-8000-000000000000"
    assert Caller(ana, csrf=True).ask("PUT", f"slots/{missing}/draft", {"body": {}}).status_code == 403


def test_a_write_under_a_token_needs_none(ada, project):
    caller = program(ada)
    caller.client = Client(enforce_csrf_checks=True)
    assert caller.patch(f"projects/{project.uuid}/", {"name": "Prose"})["name"] == "Prose"


def test_no_other_origin_is_invited(ana):
    response = Caller(ana).ask("GET", "me/", Origin="https://elsewhere.example")
    assert "Access-Control-Allow-Origin" not in response


def test_a_cookie_is_out_of_reach_of_scripts(settings):
    assert settings.SESSION_COOKIE_HTTPONLY
    assert settings.SESSION_COOKIE_SAMESITE == "Lax"

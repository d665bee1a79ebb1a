"""Cards come again when FSRS says, within a day's measure; what people rated is never lost."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from annotate import deck
from annotate.actions.add_card import add_card, retire_card
from annotate.actions.review_card import review_card
from annotate.errors import AnnotateError
from annotate.learning import glossary
from annotate.models import Card, CardReview, CardState
from tests.api import Caller

TERMS = glossary.terms("en").values()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKEN = "term/token/means"
AGAIN, HARD, GOOD, EASY = 1, 2, 3, 4


@pytest.fixture
def rate(project, ana):
    """rate(rating, at) rates the card that comes next, or the one named."""

    def act(rating: int, at: datetime = NOON, *, card: str = "", user=ana) -> CardState:
        found = deck.hand(user, project, at=at)
        key = card or (found.face.key if found.face else "")
        before = CardState.objects.filter(user=user, card=key).first()
        number = before.reviews + 1 if before else 1
        return review_card(user=user, project=project, card=key, number=number, rating=rating, at=at, ms=1_500)

    return act


@pytest.fixture
def hand(project, ana):
    def look(at: datetime = NOON) -> deck.Hand:
        return deck.hand(ana, project, at=at)

    return look


def test_a_deck_has_each_term_in_both_directions(project):
    found = deck.faces(project)
    assert found[TOKEN].front == found["term/token/is"].back == "token"


def test_new_cards_come_in_the_order_of_the_stages(hand):
    assert hand().face.term in {one.slug for one in TERMS if one.stage == "collecting"}


def test_ten_cards_are_new_on_a_day(rate, hand):
    for minute in range(10):
        rate(EASY, NOON + timedelta(minutes=minute))
    found = hand(NOON + timedelta(minutes=30))
    assert (found.face, found.due) == (None, 0)
    assert found.next_at == datetime(2026, 3, 2, tzinfo=UTC)
    assert hand(NOON + timedelta(days=1)).new == 10


def test_a_card_rated_again_comes_back_first(rate, hand):
    first = rate(AGAIN).card
    for second in range(1, 10):
        rate(GOOD, NOON + timedelta(seconds=second))
    found = hand(NOON + timedelta(minutes=1))
    assert found.face is not None
    assert found.face.key == first


def test_a_card_in_learning_comes_before_a_new_one_once_it_is_due(rate, hand):
    first = rate(AGAIN).card
    found = hand(NOON + timedelta(minutes=2))
    assert found.face is not None
    assert found.face.key == first


def test_a_card_in_learning_comes_before_one_that_has_been_due_for_days(rate, hand):
    rate(EASY, card=TOKEN)
    later = NOON + timedelta(days=60)
    rate(AGAIN, later, card="term/policy/is")
    found = hand(later + timedelta(minutes=1))
    assert found.face is not None
    assert found.face.key == "term/policy/is"


def test_at_most_fifty_are_due_on_a_day(rate, hand, project, ana):
    keys = list(deck.faces(project))[:60]
    for key in keys:
        rate(EASY, NOON, card=key)
    later = NOON + timedelta(days=30)
    assert hand(later).due == 50 + 10
    rate(EASY, later, card=keys[0])
    assert hand(later + timedelta(minutes=1)).due == 49 + 10


def test_a_rating_is_kept_with_what_was_shown_and_what_computed_it(rate, project):
    rate(GOOD, card=TOKEN)
    review = CardReview.objects.get()
    assert (review.rating, review.at, review.ms, review.shown) == (3, NOON, 1_500, deck.faces(project)[TOKEN].shown)
    assert review.library.startswith("fsrs 6.")


def test_a_form_sent_twice_counts_once(rate, project, ana):
    rate(GOOD, card=TOKEN)
    with pytest.raises(AnnotateError) as refusal:
        review_card(user=ana, project=project, card=TOKEN, number=1, rating=GOOD, at=NOON, ms=None)
    assert (refusal.value.code, CardReview.objects.count()) == ("already_reviewed", 1)


@pytest.mark.parametrize("rating", [0, 5])
def test_another_rating_is_refused(project, ana, rating):
    with pytest.raises(AnnotateError) as refusal:
        review_card(user=ana, project=project, card=TOKEN, number=1, rating=rating, at=NOON, ms=None)
    assert (refusal.value.code, CardReview.objects.count()) == ("bad_rating", 0)


def test_a_card_that_is_not_in_the_deck_is_refused(project, ana):
    with pytest.raises(AnnotateError) as refusal:
        review_card(user=ana, project=project, card="term/moss/is", number=1, rating=GOOD, at=NOON, ms=None)
    assert refusal.value.code == "unknown_card"


def test_rebuilding_gives_the_same_states(rate, ana, abe):
    for day, rating in enumerate([GOOD, GOOD, AGAIN, HARD, EASY, GOOD]):
        rate(rating, NOON + timedelta(days=3 * day, seconds=day), card=TOKEN)
        rate(GOOD, NOON + timedelta(days=day), card="term/policy/is")
    fields = [one.name for one in CardState._meta.fields if one.name != "id"]
    before = list(CardState.objects.order_by("card").values_list(*fields))
    CardState.objects.update(stability_days=0, reviews=0)
    call_command("rebuild_cards", verbosity=0)
    assert list(CardState.objects.order_by("card").values_list(*fields)) == before


@pytest.mark.parametrize("sql", ["UPDATE annotate_cardreview SET rating = 4", "DELETE FROM annotate_cardreview"])
def test_the_database_refuses_to_change_a_rating(database, rate, sql):
    rate(GOOD, card=TOKEN)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert CardReview.objects.get().rating == GOOD


def test_a_changed_definition_marks_the_card_and_keeps_its_date(rate, hand, project, rex):
    card = add_card(project=project, front="Moss", back="A plant.", example="", by=rex)
    state = rate(AGAIN, card=f"own/{card.uuid}")
    Card.objects.filter(pk=card.pk).update(back="A small plant.")
    found = hand(state.due_at)
    assert found.face is not None
    assert (found.face.back, found.changed, found.number) == ("A small plant.", True, 2)


def test_an_own_card_comes_after_the_glossary_and_goes_when_taken_out(project, other_project, rex):
    card = add_card(project=project, front="Moss", back="A plant.", example="", by=rex)
    assert list(deck.faces(project))[-1] == f"own/{card.uuid}"
    assert f"own/{card.uuid}" not in deck.faces(other_project)
    retire_card(card=card)
    assert f"own/{card.uuid}" not in deck.faces(project)


def test_cards_are_private(rate, project, ana, abe):
    rate(EASY, card=TOKEN)
    assert deck.hand(abe, project, at=NOON).number == 1
    assert not CardState.objects.filter(user=abe).exists()


def test_a_hand_costs_two_queries_however_much_was_rated(rate, hand, django_assert_num_queries):
    for _ in range(10):
        rate(EASY)
    with django_assert_num_queries(2):
        hand()


# pages


@pytest.fixture
def as_ana(project, ana) -> Client:
    client = Client()
    client.force_login(ana)
    return client


def fields_of(response: Any) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', response.content.decode()))


def test_a_card_is_rated_by_its_form_and_the_next_one_comes(as_ana, ana):
    page = as_ana.get(reverse("cards"))
    following = as_ana.post(reverse("card-review"), fields_of(page) | {"rating": "3"}, follow=True)
    review = CardReview.objects.get(user=ana)
    assert review.rating == GOOD
    assert review.ms is not None
    assert fields_of(following)["card"] != review.card


def test_the_second_press_on_a_rating_changes_nothing(as_ana, ana):
    sent = fields_of(as_ana.get(reverse("cards"))) | {"rating": "3"}
    as_ana.post(reverse("card-review"), sent)
    assert as_ana.post(reverse("card-review"), sent).status_code == 302
    assert CardReview.objects.count() == 1


def test_learn_says_how_many_cards_wait(as_ana):
    assert "10 for today" in as_ana.get(reverse("learn")).content.decode()


def test_nothing_due_says_when_the_next_card_comes(as_ana, rate, monkeypatch):
    for _ in range(10):
        rate(EASY)
    monkeypatch.setattr("annotate.pages.cards.now", lambda: NOON)
    assert "Next card: 2 Mar, 00:00 UTC." in as_ana.get(reverse("cards")).content.decode()


def test_a_reviewer_adds_a_card_and_takes_it_out(project, rex):
    client = Client()
    client.force_login(rex)
    url = reverse("own-cards", args=[project.uuid])
    assert client.post(url, {"front": "Moss", "back": "A plant."}).status_code == 302
    card = Card.objects.get()
    client.post(reverse("card-change", args=[card.uuid]), {"to": "out"})
    assert "Moss" not in str(deck.faces(project))
    client.post(reverse("card-change", args=[card.uuid]), {"to": "in"})
    assert "Moss" in str(deck.faces(project))


def test_an_empty_card_is_refused_and_what_was_typed_stays(project, rex):
    client = Client()
    client.force_login(rex)
    response = client.post(reverse("own-cards", args=[project.uuid]), {"front": "Moss", "back": " "})
    assert (response.status_code, Card.objects.count()) == (422, 0)
    assert 'value="Moss"' in response.content.decode()


# the API


def test_a_program_can_learn_too(project, ana):
    caller = Caller(ana)
    first = caller.get(f"learn/cards/next?project={project.uuid}")
    body = {"project": str(project.uuid), "card": first["card"]["key"], "number": first["number"], "rating": 4}
    following = caller.post("learn/cards/review", body)
    assert following["card"]["key"] != first["card"]["key"]
    assert caller.post("learn/cards/review", body, expect=409)["code"] == "already_reviewed"


def test_a_reviewer_can_add_and_remove_cards_by_the_api(project, rex):
    caller = Caller(rex)
    card = caller.post("learn/cards/", {"project": str(project.uuid), "front": "Moss", "back": "A plant."}, expect=201)
    assert [one["id"] for one in caller.get(f"learn/cards/?project={project.uuid}")["results"]] == [card["id"]]
    caller.delete(f"learn/cards/{card['id']}/")
    assert caller.get(f"learn/cards/?project={project.uuid}")["results"] == []

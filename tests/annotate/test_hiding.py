"""What upsets a person is hidden from them for the rest of their day, where they wish it; on both databases."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from annotate import contested
from annotate import queue as claims
from annotate.actions.flag_texts import ask_about
from annotate.actions.hide import forget_hidden, hide, keep_hidden, local_midnight, show_again
from annotate.actions.skip import skip
from annotate.actions.undo_skip import undo_skip
from annotate.actions.withdraw import withdraw
from annotate.cleaning.thresholds import Thresholds
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Flag, Hiding, Judgement, LeaseEvent, Project, Queue, Slot, Task, Text, User

from .conftest import answer, ask_to_clean, build, leased, make_document, mark_harmful, rank_item, send

pytestmark = pytest.mark.usefixtures("database")

HARM, OTHER_HARM = "sex_crimes", "violent_crimes"
KEEP = {"decision": "keep"}


def marked(text: Text, category: str = HARM) -> Text:
    return mark_harmful(text, category=category)


def harmful(project: Project, body: str, category: str = HARM) -> Text:
    return marked(make_document(project, body), category)


def upset(queue: Queue, user: User, *categories: str, until=None) -> Slot:
    """Skips what user holds or gets, and hides these categories from them."""
    slot = leased(queue, user)
    skip(
        slot=slot,
        by=user,
        token=slot.token,
        reason="upsetting",
        note="",
        hide_categories=categories,
        hide_until=until,
    )
    return slot


def given(queue: Queue, user: User) -> list[str]:
    """The documents that user gets, one after the other, until nothing is left for them."""
    bodies = []
    while slot := claims.claim(queue, user).slot:
        bodies.append(slot.task.texts.get().body)
        send(slot, user, KEEP)
    return sorted(bodies)


@pytest.fixture
def upsetting(database, project, cleaning, rex) -> Task:
    """What rex holds."""
    task = ask_to_clean(cleaning, harmful(project, "The first."))
    leased(cleaning, rex)
    return task


@pytest.fixture
def likewise(database, upsetting, project, cleaning) -> Task:
    """Another that is marked so, and one that is not, behind it."""
    task = ask_to_clean(cleaning, harmful(project, "Likewise."))
    ask_to_clean(cleaning, make_document(project, "Harmless."))
    return task


def test_what_is_marked_so_does_not_come_to_who_hid_it_and_comes_to_others(
    database, project, cleaning, upsetting, likewise, rex, ana
):
    upset(cleaning, rex, HARM)
    assert given(cleaning, rex) == ["Harmless."]
    assert given(cleaning, ana) == ["Likewise.", "The first."]


def test_the_cause_of_nothing_says_until_when_it_is_hidden(database, project, cleaning, upsetting, likewise, rex):
    ends = now() + timedelta(hours=3)
    upset(cleaning, rex, HARM, until=ends)
    given(cleaning, rex)
    found = claims.claim(cleaning, rex)
    assert (found.cause, found.until) == ("hidden", ends)


def test_what_is_built_or_marked_while_it_holds_does_not_come_either(database, project, cleaning, upsetting, rex):
    upset(cleaning, rex, HARM)
    ask_to_clean(cleaning, harmful(project, "Built later."))
    late = make_document(project, "Marked later.")
    ask_to_clean(cleaning, late)
    marked(late)
    keep_hidden(project.pk, [late.pk])
    assert claims.claim(cleaning, rex).cause == "hidden"


def test_a_check_that_marks_what_waits_hides_it_and_what_it_asks_about(database, project, cleaning, upsetting, rex):
    upset(cleaning, rex, HARM)
    found = harmful(project, "Checked later.")
    ask_about([found], project=project, limits=Thresholds.of({}))
    assert cleaning.tasks.filter(texts=found).exists()
    assert claims.claim(cleaning, rex).cause == "hidden"


def test_it_ends_by_itself(database, project, cleaning, upsetting, likewise, rex):
    upset(cleaning, rex, HARM)
    past = now() - timedelta(seconds=1)
    Hiding.objects.update(until=past)
    Exclusion.objects.filter(reason="hidden").update(until=past)
    assert given(cleaning, rex) == ["Harmless.", "Likewise."]  # what rex skipped stays skipped
    assert forget_hidden() == 1
    assert not Hiding.objects.exists()
    assert Exclusion.objects.get().reason == "skipped"


def test_undo_of_the_skip_takes_the_hiding_back(database, project, cleaning, upsetting, likewise, rex):
    leased(cleaning, rex)
    slot = upset(cleaning, rex, HARM)
    again = undo_skip(slot=Slot.objects.select_related("queue__project").get(pk=slot.pk), by=rex)
    assert again is not None
    assert again.task == upsetting
    assert not Hiding.objects.exists()
    assert not Exclusion.objects.exists()


def test_undo_of_a_later_skip_leaves_what_was_hidden_before(database, project, cleaning, upsetting, rex):
    upset(cleaning, rex, HARM)
    both = ask_to_clean(cleaning, marked(make_document(project, "Another."), OTHER_HARM))
    slot = upset(cleaning, rex, OTHER_HARM)
    assert slot.task == both
    undo_skip(slot=Slot.objects.select_related("queue__project").get(pk=slot.pk), by=rex)
    assert Hiding.objects.get().category == HARM


def test_what_is_shown_again_comes_but_for_what_another_hiding_keeps(
    database, project, cleaning, upsetting, likewise, rex
):
    upset(cleaning, rex, HARM)
    marked(upsetting.texts.get(), OTHER_HARM)
    ask_to_clean(cleaning, marked(harmful(project, "Both."), OTHER_HARM))
    hide(project=project, by=rex, categories=[OTHER_HARM], until=None, task=None)
    show_again(hiding=Hiding.objects.select_related("project").get(category=HARM))
    assert given(cleaning, rex) == ["Harmless.", "Likewise."]


def test_what_was_put_off_is_put_off_again_where_it_is_shown_again(database, project, cleaning, upsetting, rex):
    slot = leased(cleaning, rex)
    skip(slot=slot, by=rex, token=slot.token, reason="later", note="")
    before = Exclusion.objects.values("reason", "skip", "until").get()
    [hiding] = hide(project=project, by=rex, categories=[HARM], until=None, task=None)
    assert claims.claim(cleaning, rex).cause == "hidden"
    show_again(hiding=hiding)
    assert Exclusion.objects.values("reason", "skip", "until").get() == before


def test_what_was_put_off_long_ago_is_hidden_too(database, project, cleaning, upsetting, rex):
    slot = leased(cleaning, rex)
    skip(slot=slot, by=rex, token=slot.token, reason="later", note="")
    Exclusion.objects.update(until=now() - timedelta(hours=1))
    hide(project=project, by=rex, categories=[HARM], until=None, task=None)
    assert claims.claim(cleaning, rex).cause == "hidden"


def test_a_lease_on_what_is_hidden_ends_and_its_draft_stays(database, project, cleaning, ranking, upsetting, rex):
    item = rank_item(project, ["One.", "Two."])
    held = leased(build(ranking, item).queue, rex)
    marked(item.texts[1][0])
    held.drafts.create(user=rex, body={})
    upset(cleaning, rex, HARM)
    held.refresh_from_db()
    assert (held.status, held.drafts.count()) == ("open", 1)
    assert LeaseEvent.objects.get(slot=held).ending == "released"


def test_it_counts_as_no_skip_but_the_one_that_was_made(database, project, cleaning, upsetting, likewise, rex):
    upset(cleaning, rex, HARM)
    assert contested.skips([upsetting.pk, likewise.pk]) == {upsetting.pk: ([("upsetting", 1)], [])}
    assert LeaseEvent.objects.filter(ending="skipped").count() == 1


def test_other_categories_detectors_people_and_projects_are_not_hidden(
    database, project, other_project, cleaning, upsetting, rex, eve
):
    upset(cleaning, rex, HARM)
    ask_to_clean(cleaning, harmful(project, "Of another kind.", OTHER_HARM))
    of_another = make_document(project, "Of a detector that finds no harm.")
    ask_to_clean(cleaning, mark_harmful(of_another, category=HARM, detector="personal"))
    elsewhere = other_project.queues.get(kind="clean")
    ask_to_clean(elsewhere, harmful(other_project, "Elsewhere."))
    assert given(cleaning, rex) == ["Of a detector that finds no harm.", "Of another kind."]
    assert given(elsewhere, rex) == ["Elsewhere."]


def test_a_flag_that_was_retired_hides_nothing(database, project, cleaning, upsetting, likewise, rex):
    Flag.objects.filter(text__tasks=likewise).update(retired_at=now())
    upset(cleaning, rex, HARM)
    assert given(cleaning, rex) == ["Harmless.", "Likewise."]


@pytest.mark.parametrize(
    ("reason", "category", "ends"),
    [
        ("other", HARM, None),
        ("upsetting", OTHER_HARM, None),
        ("upsetting", HARM, timedelta(hours=26)),
        ("upsetting", HARM, timedelta(seconds=-1)),
    ],
)
def test_only_what_marks_an_upsetting_task_is_hidden_and_for_a_day_at_most(
    database, cleaning, upsetting, rex, reason, category, ends
):
    slot = leased(cleaning, rex)
    with pytest.raises(AnnotateError) as refusal:
        skip(
            slot=slot,
            by=rex,
            token=slot.token,
            reason=reason,
            note="Why.",
            hide_categories=[category],
            hide_until=now() + ends if ends else None,
        )
    assert refusal.value.code == "bad_hide"
    assert not Exclusion.objects.exists()
    assert Slot.objects.get().status == "leased"


def test_without_a_word_of_when_it_lasts_until_the_services_midnight(database, project, cleaning, upsetting, rex):
    upset(cleaning, rex, HARM)
    ends = Hiding.objects.get().until
    assert ends == local_midnight()
    assert timedelta() < ends - now() <= timedelta(days=1)
    assert (ends.hour, ends.minute, ends.second) == (0, 0, 0)


def test_who_withdraws_an_answer_is_not_asked_again_when_it_is_shown_again(database, project, ranking, rex):
    ranking.overlap = 2
    ranking.save(update_fields=["overlap"])
    item = rank_item(project, ["One.", "Two."])
    build(ranking, item)
    revision = answer(ranking, rex, {"groups": [["A"], ["B"]]})
    marked(item.texts[1][0])
    [hiding] = hide(project=project, by=rex, categories=[HARM], until=None, task=None)
    judgement = Judgement.objects.select_related("task__queue__project", "slot").get(pk=revision.judgement_id)
    withdraw(judgement=judgement, by=rex, note="")
    show_again(hiding=hiding)
    assert claims.claim(ranking, rex).slot is None


def test_what_somebody_hides_takes_no_place_under_the_cap(database, project, cleaning, upsetting, rex):
    cleaning.intake_cap = 1
    cleaning.save(update_fields=["intake_cap"])
    upset(cleaning, rex, HARM)
    Exclusion.objects.update(reason="hidden", until=local_midnight())
    ask_to_clean(cleaning, make_document(project, "Harmless."))
    assert given(cleaning, rex) == ["Harmless."]

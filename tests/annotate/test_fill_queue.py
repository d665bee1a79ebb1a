"""Where comparisons, ratings and repairs come from, and who may ask for them."""

from collections import Counter

import pytest
from django.urls import reverse

from annotate.actions.add_queue import add_queue
from annotate.actions.build_tasks import TaskItem
from annotate.actions.fill_queue import fill_queue
from annotate.actions.undo import undo
from annotate.errors import AnnotateError
from annotate.models import Queue, TaskText, Text

from .conftest import answer, build, make_prompt, make_text


@pytest.fixture
def answered(project):
    """Three prompts with three answers of models each, one of which repeats another."""
    prompts = [make_prompt(project, f"Question {number}") for number in range(3)]
    for prompt in prompts:
        for body in ("One.", "Two.", "Two."):
            make_text(project, body, parent=prompt)
    return prompts


def about(queue: Queue) -> list[tuple[str, ...]]:
    """What each task of the queue shows, in neutral order: prompt and answers."""
    return [
        tuple(task.texts.order_by("task_texts__position").values_list("body", flat=True))
        for task in queue.tasks.order_by("pk")
    ]


def rate(rating: Queue, said: Text, by, **body):
    assert said.parent is not None
    build(rating, TaskItem(texts=[(said.parent, "prompt"), (said, "answer")]))
    return answer(rating, by, body)


def test_a_pair_queue_asks_about_two_different_answers_of_each_prompt(comparing, answered):
    assert fill_queue(queue=comparing) == 3
    assert about(comparing) == [(f"Question {number}", *about(comparing)[number][1:]) for number in range(3)]
    assert {frozenset(bodies[1:]) for bodies in about(comparing)} == {frozenset({"One.", "Two."})}


def test_a_second_fill_asks_only_what_was_not_asked(comparing, answered, project):
    fill_queue(queue=comparing)
    assert fill_queue(queue=comparing) == 0
    make_text(project, "Three.", parent=answered[0])
    assert fill_queue(queue=comparing) == 1
    assert "Three." in about(comparing)[-1]


def test_a_rate_queue_asks_about_one_answer_of_each_prompt_at_a_time(rating, answered):
    assert [fill_queue(queue=rating) for _ in range(3)] == [3, 3, 0]
    assert Counter(about(rating)) == Counter((f"Question {n}", body) for n in range(3) for body in ("One.", "Two."))


def test_a_rank_queue_asks_about_all_different_answers_once(ranking, answered):
    assert [fill_queue(queue=ranking) for _ in range(2)] == [3, 0]
    assert {frozenset(bodies[1:]) for bodies in about(ranking)} == {frozenset({"One.", "Two."})}


def test_answers_that_people_wrote_or_put_right_are_not_asked_about(comparing, project, ana):
    prompt = make_prompt(project)
    first = make_text(project, "One.", parent=prompt)
    make_text(project, "Two.", parent=prompt, author=ana)
    make_text(project, "", parent=prompt)
    make_text(project, "Three.", parent=prompt, author=ana, edited_from=first)
    assert fill_queue(queue=comparing) == 0


def test_a_task_keeps_the_chance_that_it_had(comparing, project):
    prompt = make_prompt(project)
    for body in ("One.", "Two.", "Three."):
        make_text(project, body, parent=prompt)
    fill_queue(queue=comparing)
    kept = comparing.tasks.get().selection
    assert (kept["selection"], kept["propensity"], kept["policy"]) == ("random", 1 / 3, 1)  # three pairs of three


def test_every_pair_is_drawn_alike(comparing, project):
    for number in range(120):
        prompt = make_prompt(project, f"Question {number}")
        for body in ("One.", "Two.", "Three."):
            make_text(project, body, parent=prompt)
    fill_queue(queue=comparing)
    drawn = Counter(frozenset(bodies[1:]) for bodies in about(comparing))
    assert len(drawn) == 3
    assert min(drawn.values()) >= 18  # of 120 at a third each: fewer, one time in 100,000


def test_no_more_are_built_than_asked_for(comparing, answered):
    assert fill_queue(queue=comparing, most=2) == 2
    assert fill_queue(queue=comparing, prompts=[answered[0].pk]) == 0
    assert fill_queue(queue=comparing, prompts=[answered[2].pk]) == 1


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"overall": 3}, True),
        ({"overall": 4}, False),
        ({"overall": 4, "axes": {"helpful": 1}}, False),
        ({"axes": {"helpful": 3, "truthful": 7}}, True),
        ({"overall": 7, "flags": {"sexual": True}}, True),
        ({"overall": 7, "flags": {"sexual": False}}, False),
    ],
)
def test_a_repair_queue_asks_about_what_was_rated_low_or_flagged(rating, repairing, project, ana, body, asked):
    rate(rating, make_text(project, "One.", parent=make_prompt(project)), ana, **body)
    assert fill_queue(queue=repairing) == asked


def test_an_answer_is_repaired_once_and_follows_its_rating(rating, repairing, project, ana, abe):
    said = make_text(project, "One.", parent=make_prompt(project))
    first = rate(rating, said, ana, overall=1)
    rate(rating, said, abe, overall=2)
    assert [fill_queue(queue=repairing) for _ in range(2)] == [1, 0]
    task = repairing.tasks.get()
    assert task.follows == first.judgement
    assert [(row.part, row.text_id) for row in TaskText.objects.filter(task=task)] == [
        ("prompt", said.parent_id),
        ("answer", said.pk),
    ]
    assert set(task.exclusions.values_list("user", flat=True)) == {ana.pk, abe.pk}


def test_a_rating_that_was_taken_back_asks_for_nothing(rating, repairing, project, ana):
    rated = rate(rating, make_text(project, "One.", parent=make_prompt(project)), ana, overall=1)
    undo(judgement=rated.judgement, by=ana)
    assert fill_queue(queue=repairing) == 0


def test_a_queue_with_tasks_of_its_own_is_not_filled(cleaning):
    with pytest.raises(AnnotateError) as refusal:
        fill_queue(queue=cleaning)
    assert refusal.value.code == "bad_queue"


def test_another_projects_answers_stay_there(other_project, comparing):
    prompt = make_prompt(other_project)
    for body in ("One.", "Two."):
        make_text(other_project, body, parent=prompt)
    assert fill_queue(queue=comparing) == 0


def test_an_added_queue_asks_what_its_kind_asks(project):
    queue = add_queue(project=project, kind="rate", name=" How good ")
    assert (queue.name, queue.axes[0], queue.critique_least, queue.closed_at) == ("How good", "overall", 0, None)
    assert "false_claim" in queue.flags


@pytest.mark.parametrize(
    ("kind", "name", "field", "status"),
    [
        ("clean", "More", "kind", 400),
        ("pair", "", "name", 400),
        ("pair", "x" * 81, "name", 400),
        ("pair", "Rank answers", "name", 409),
    ],
)
def test_a_queue_that_cannot_be_is_refused(project, kind, name, field, status):
    before = project.queues.count()
    with pytest.raises(AnnotateError) as refusal:
        add_queue(project=project, kind=kind, name=name)
    assert (refusal.value.facts["field"], refusal.value.status) == (field, status)
    assert project.queues.count() == before


def test_an_admin_adds_fills_closes_and_undoes(client, project, ada, answered):
    client.force_login(ada)
    page = reverse("queues", args=[project.uuid])
    client.post(page, {"kind": "pair", "name": "Which is better"})
    queue = project.queues.get(name="Which is better")
    client.post(reverse("queue-fill", args=[queue.uuid]))
    assert queue.tasks.count() == 3
    assert "Tasks built: 3." in client.get(page).content.decode()
    close = reverse("queue-close", args=[queue.uuid])
    client.post(close, {"closed": "1"})
    queue.refresh_from_db()
    assert queue.closed_at is not None
    client.post(close, {"closed": "0"})
    queue.refresh_from_db()
    assert queue.closed_at is None


def test_a_refused_queue_keeps_what_was_typed(client, project, ada):
    client.force_login(ada)
    found = client.post(reverse("queues", args=[project.uuid]), {"kind": "pair", "name": "Rank answers"})
    assert found.status_code == 422
    assert "Another queue of this project is called Rank answers" in found.content.decode()
    assert 'value="Rank answers"' in found.content.decode()


def test_the_api_adds_and_fills(client, project, ada, answered):
    client.force_login(ada)
    body = {"project": str(project.uuid), "kind": "pair", "name": "Which is better"}
    made = client.post("/api/v1/queues/", body, content_type="application/json")
    assert (made.status_code, made.json()["kind"], made.json()["waiting"]) == (201, "pair", 0)
    filled = client.post(f"/api/v1/queues/{made.json()['id']}/fill", {}, content_type="application/json")
    assert (filled.status_code, filled.json()) == (200, {"made": 3})


def test_a_fill_costs_as_many_queries_with_thirty_prompts_as_with_three(
    comparing, answered, project, django_assert_max_num_queries
):
    for number in range(30):
        prompt = make_prompt(project, f"More {number}")
        for body in ("One.", "Two."):
            make_text(project, body, parent=prompt)
    with django_assert_max_num_queries(14):
        assert fill_queue(queue=comparing) == 33

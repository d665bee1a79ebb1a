"""The answers that a paused run lists become comparisons that people judge."""

from __future__ import annotations

import pytest
from django.urls import reverse

from annotate.actions.add_queue import add_queue
from annotate.actions.change_queue import change_queue
from annotate.models import Task, Text
from rlhf import generations
from rlhf.models import Generation
from tests.annotate.conftest import make_prompt
from tests.rlhf.conftest import text_of
from tests.rlhf.filled import pause

pytestmark = pytest.mark.django_db


@pytest.fixture
def paused(filled):
    """A PPO run that a monitor paused: one answer, with the reference's beside it."""
    pause(filled.runs["running"])
    return filled.runs["running"]


@pytest.fixture
def queues(project):
    """Opens queues; the project's other ones are closed."""
    for queue in project.queues.all():
        change_queue(queue=queue, closed=True)

    def opened(kind: str):
        return add_queue(project=project, kind=kind, name=f"Mine of {kind}")

    return opened


def bodies(task: Task) -> list[str]:
    return sorted(task.texts.filter(kind=Text.Kind.ANSWER).values_list("body", flat=True))


def listed(run, *answers: dict, name: str = "highest_reward") -> None:
    """Let the run list these answers, each as the one that `pause` gives it, but for what is told."""
    (first,) = run.result["evaluation"]["highest_reward"]
    run.result = {"evaluation": {"what": "policy", name: [first | answer for answer in answers]}}
    run.save(update_fields=["result"])


def test_a_listed_answer_stands_beside_the_references(paused, queues):
    queue = queues("rank")
    assert generations.ask_about_noted(paused).made == 1
    task = queue.tasks.get()
    assert bodies(task) == ["It opens.", "lock lock lock"]
    assert task.selection["run"] == str(paused.uuid)


def test_answers_on_which_heads_differ_are_asked_about_too(paused, queues):
    queue = queues("rank")
    listed(paused, {"answer": "Heads differ."}, name="widest_spread")
    generations.ask_about_noted(paused)
    assert bodies(queue.tasks.get()) == ["Heads differ.", "It opens."]


def test_a_comparison_tells_how_each_of_its_answers_was_written(paused, queues):
    queues("rank")
    generations.ask_about_noted(paused)
    own, reference = Generation.objects.filter(run=paused).order_by("sample_index")
    assert (own.model, own.text.body, own.tokens, own.finished, own.seed) == (None, "lock lock lock", 9, False, 5)
    assert reference.model is not None
    assert (reference.model.kind, reference.text.body, reference.logprob) == ("sft", "It opens.", -3.5)


def test_without_a_parent_adapter_the_reference_is_the_base(paused, queues):
    queues("rank")
    paused.config["parent_adapter"] = ""
    generations.ask_about_noted(paused)
    assert Generation.objects.filter(run=paused, sample_index=1, model__kind="base").exists()


def test_a_queue_to_rank_is_asked_before_one_to_compare(paused, queues):
    pairs, ranks = queues("pair"), queues("rank")
    assert generations.ask_about_noted(paused).queue == ranks
    assert not pairs.tasks.exists()


def test_a_queue_to_compare_gets_the_first_listed_answer_and_the_references(paused, queues):
    pairs = queues("pair")
    listed(paused, {"answer": "First."}, {"answer": "Second."})
    generations.ask_about_noted(paused)
    assert bodies(pairs.tasks.get()) == ["First.", "It opens."]


def test_a_queue_to_rank_gets_all_listed_answers_of_a_prompt_at_once(paused, queues):
    ranks = queues("rank")
    listed(paused, {"answer": "First."}, {"answer": "Second."})
    generations.ask_about_noted(paused)
    assert bodies(ranks.tasks.get()) == ["First.", "It opens.", "Second."]


def test_an_answer_like_the_references_is_no_comparison(paused, queues):
    queues("rank")
    listed(paused, {"answer": " It opens. "})
    assert generations.ask_about_noted(paused).made == 0
    assert not Generation.objects.filter(run=paused).exists()


def test_asking_twice_asks_once(paused, queues):
    queues("rank")
    generations.ask_about_noted(paused)
    assert generations.ask_about_noted(paused).made == 0
    assert Generation.objects.filter(run=paused).count() == 2


def test_answers_of_a_later_pause_are_asked_about_too(paused, queues):
    ranks = queues("rank")
    generations.ask_about_noted(paused)
    listed(paused, {"answer": "unlock unlock"})
    assert generations.ask_about_noted(paused).made == 1
    assert ranks.tasks.count() == 2


def test_a_run_that_lists_no_reference_has_nothing_to_ask(as_ada, paused, queues):
    queues("rank")
    (first,) = paused.result["evaluation"]["highest_reward"]
    del first["reference"]
    paused.save(update_fields=["result"])
    answer = as_ada.post(reverse("run-ask", args=[paused.uuid]))
    assert (answer.status_code, "lists no answers" in text_of(answer)) == (409, True)


def test_a_run_of_another_stage_has_nothing_to_ask(as_ada, filled):
    assert as_ada.post(reverse("run-ask", args=[filled.runs["sft"].uuid])).status_code == 409


def test_the_button_asks_and_its_undo_takes_it_back(as_ada, paused, queues):
    ranks = queues("rank")
    page = text_of(as_ada.post(reverse("run-ask", args=[paused.uuid]), follow=True))
    assert "Comparisons in Mine of rank: 1." in page
    batch = ranks.tasks.get().selection["batch"]
    assert f'name="batch" value="{batch}"' in page
    as_ada.post(reverse("queue-empty", args=[ranks.uuid]), {"batch": batch})
    assert ranks.tasks.get().state == Task.State.VOID
    assert generations.ask_about_noted(paused).made == 1


def test_a_second_press_says_that_people_are_asked(as_ada, paused, queues):
    queues("rank")
    generations.ask_about_noted(paused)
    page = text_of(as_ada.post(reverse("run-ask", args=[paused.uuid]), follow=True))
    assert "Mine of rank asks about all of these already." in page


def test_without_an_open_queue_the_page_says_where_to_open_one(as_ada, paused, queues):
    page = text_of(as_ada.get(reverse("run", args=[paused.uuid])))
    assert "Open a queue to rank or compare answers" in page
    assert reverse("run-ask", args=[paused.uuid]) not in page
    answer = as_ada.post(reverse("run-ask", args=[paused.uuid]))
    assert (answer.status_code, "No queue to rank" in text_of(answer)) == (409, True)
    assert not Generation.objects.filter(run=paused).exists()


def test_a_reviewer_is_offered_no_button(as_rex, paused, queues):
    queues("rank")
    assert reverse("run-ask", args=[paused.uuid]) not in text_of(as_rex.get(reverse("run", args=[paused.uuid])))


def test_what_a_run_wrote_on_the_way_names_no_model_in_the_api(as_ada, paused, queues):
    queues("rank")
    generations.ask_about_noted(paused)
    rows = as_ada.get(reverse("api:generations"), {"run": paused.uuid}).json()["results"]
    assert [row["model"] is None for row in rows] == [True, False]


def test_asking_costs_as_many_queries_for_20_prompts_as_for_1(paused, queues, project, django_assert_max_num_queries):
    queues("rank")
    prompts = [make_prompt(project, f"What is {n}?") for n in range(20)]
    listed(paused, *({"prompt_id": str(prompt.pk), "answer": f"Of {prompt.pk}."} for prompt in prompts))
    with django_assert_max_num_queries(20):
        assert generations.ask_about_noted(paused).made == 20

"""How far the work is: what the tables count, who sees whom, what they cost."""

from __future__ import annotations

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from annotate.actions.skip import skip
from annotate.models import Judgement, Queue, Slot, User
from annotate.progress import Figure, people, record, stages
from tests.annotate.conftest import answer, ask_to_write, build, leased, make_prompt, rank_item, taken_back
from tests.api import Caller
from tests.conftest import make_project


@pytest.fixture
def signed_in():
    def enter(user) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return enter


def write(queue: Queue, by: User, *, times: int) -> list[Judgement]:
    """Answers of one person to as many new prompts."""
    start = queue.tasks.count()
    for number in range(times):
        ask_to_write(queue, make_prompt(queue.project, f"What is {queue.pk}-{start + number}?"))
    return [answer(queue, by, {"text": f"It is {start + number}."}).judgement for number in range(times)]


def of(project, queue):
    return next(one for one in stages(project) if one.queue == queue)


def row_of(project, user):
    return next(one for one in people(project) if one.user == user)


# by stage


def test_a_stage_counts_tasks_by_how_far_they_are(project, writing, ana, abe):
    for number in range(4):
        ask_to_write(writing, make_prompt(project, f"What is {number}?"))
    answer(writing, ana, {"text": "It is one."})
    leased(writing, abe)
    one = of(project, writing)
    assert (one.wanted, one.done, one.begun, one.left) == (4, 1, 1, 3)


def test_a_held_task_wants_as_many_answers_as_its_queue_asks_for(project, ranking):
    Queue.objects.filter(pk=ranking.pk).update(overlap=3)
    build(ranking, rank_item(project, ["One.", "Two."]))
    assert of(project, ranking).left == 3


def test_skips_with_a_reason_count_and_later_does_not(project, writing, ana, abe):
    for who, reason in ((ana, "upsetting"), (abe, "later")):
        ask_to_write(writing, make_prompt(project, f"What does {who} skip?"))
        slot = leased(writing, who)
        skip(slot=slot, by=who, token=slot.token, reason=reason, note="")
    assert (of(project, writing).skipped, row_of(project, ana).skips, row_of(project, abe).skips) == (1, 1, 0)


def test_a_surplus_answer_is_counted_apart(project, writing, ana):
    (judgement,) = write(writing, ana, times=1)
    Judgement.objects.filter(pk=judgement.pk).update(counted=False)
    assert of(project, writing).surplus == 1


def test_the_rate_is_of_the_days_that_there_are_and_gives_the_time_left(project, writing, ana):
    write(writing, ana, times=8)
    Slot.objects.filter(queue=writing).update(leased_at=now() - timedelta(days=2))
    for number in range(6):
        ask_to_write(writing, make_prompt(project, f"What waits {number}?"))
    one = of(project, writing)
    # 8 answers in 2 days are 4 a day; the 6 that are left take 1.5 days
    assert (one.per_day.value, one.per_day.n) == (pytest.approx(4, abs=0.01), 8)
    assert one.days_left.value == pytest.approx(1.5, abs=0.01)


def test_a_rate_of_four_answers_is_none_and_says_why(project, writing, ana):
    write(writing, ana, times=4)
    assert of(project, writing).per_day == Figure(None, 4, "too_few")


# by person


def test_a_person_counts_what_stands_and_what_was_undone(project, writing, ana):
    *_, last = write(writing, ana, times=3)
    taken_back(last, ana)
    found = row_of(project, ana)
    assert (found.counted, found.today, found.week, found.undos) == (2, 2, 2, 1)


def test_answers_of_the_week_are_not_of_today(project, writing, ana):
    first, _ = write(writing, ana, times=2)
    Judgement.objects.filter(pk=first.pk).update(created_at=now() - timedelta(days=3))
    found = row_of(project, ana)
    assert (found.today, found.week) == (1, 2)


def test_the_median_takes_pauses_off_and_names_its_answers(project, writing, ana):
    write(writing, ana, times=5)
    assert row_of(project, ana).median_s == Figure(4.0, 5)  # BY_KEYBOARD: 4,000 ms active each


def test_another_projects_answers_count_nowhere(project, writing, ana):
    elsewhere = make_project("Elsewhere", {ana: "assessor"})
    write(elsewhere.queues.select_related("project").get(kind="write_answer"), ana, times=5)
    found = row_of(project, ana)
    assert (found.counted, found.week, found.median_s.n, record(project, only=ana).week) == (0, 0, 0, 0)


# a person's own record


def test_a_record_counts_the_days_and_leaves_out_what_is_older(project, writing, ana, abe):
    first, second, *_ = write(writing, ana, times=4)
    write(writing, abe, times=1)
    Judgement.objects.filter(pk=first.pk).update(created_at=now() - timedelta(days=13))
    Judgement.objects.filter(pk=second.pk).update(created_at=now() - timedelta(days=14))
    found = record(project, only=ana)
    assert ([day.answers for day in found.days], found.today) == ([1, *[0] * 12, 2], 2)


def test_the_record_of_all_counts_people_and_their_answers(project, writing, ana, abe):
    write(writing, ana, times=2)
    write(writing, abe, times=1)
    found = record(project)
    assert (found.today, found.people, found.most) == (3, 2, 3)


# who sees whom


def test_an_assessor_sees_nobody_else_and_no_surplus(signed_in, project, ana, abe, writing):
    write(writing, abe, times=1)
    page = signed_in(ana).get(reverse("progress", args=[project.uuid]))
    assert [row.name for row in page.context["rows"]] == [ana.pseudonym(project)]
    assert "Surplus" not in page.content.decode()
    (person,) = Caller(ana).get(f"progress/?project={project.uuid}")["people"]
    assert person["person"] == ana.pseudonym(project)


def test_a_reviewer_sees_everybody_under_pseudonyms(signed_in, project, rex, ana, abe, writing):
    User.objects.filter(pk=ana.pk).update(name="planted-name")
    write(writing, ana, times=1)
    page = signed_in(rex).get(reverse("progress", args=[project.uuid])).content.decode()
    assert "planted-name" not in page
    assert all(one.pseudonym(project) in page for one in (ana, abe, rex))


def test_numbers_of_the_api_name_what_they_rest_on(project, rex, writing, ana):
    write(writing, ana, times=5)
    found = Caller(rex).get(f"progress/?project={project.uuid}")
    mine = next(one for one in found["people"] if one["person"] == ana.pseudonym(project))
    assert (mine["median_s"], mine["is_me"]) == ({"value": 4.0, "n": 5, "why": ""}, False)
    assert [one["per_day"]["n"] for one in found["stages"] if one["kind"] == "write_answer"] == [5]


def test_the_cursor_changes_with_an_answer_and_only_then(project, rex, writing, ana):
    ask_to_write(writing, make_prompt(project))
    caller = Caller(rex)

    def cursor() -> str:
        return str(caller.get(f"progress/live?project={project.uuid}")["cursor"])

    before = cursor()
    assert cursor() == before
    answer(writing, ana, {"text": "It is one."})
    assert cursor() != before


# tables


def test_people_are_sorted_by_the_column_of_the_link(signed_in, project, rex, ana, abe, writing):
    write(writing, ana, times=2)
    write(writing, abe, times=1)
    address = reverse("progress", args=[project.uuid])

    def order(sort: str) -> list[str]:
        return [row.name for row in signed_in(rex).get(address, {"sort": sort}).context["rows"]]

    assert order("-counted") == [one.pseudonym(project) for one in (ana, abe, rex)]
    assert order("counted")[-1] == ana.pseudonym(project)
    assert order("nonsense") == order("-week")


def test_a_long_table_goes_on_from_a_row(signed_in, project, rex):
    make_members(project, 60)
    client, address = signed_in(rex), reverse("progress", args=[project.uuid])
    first = client.get(address, {"sort": "name"}).context
    second = client.get(address + first["older"]).context
    names = [row.name for row in [*first["rows"], *second["rows"]]]
    assert (len(first["rows"]), first["newer"], second["older"]) == (50, "", "")
    assert names == sorted(set(names))
    assert client.get(address + second["newer"]).context["rows"] == first["rows"]


def test_a_cell_of_the_file_is_no_formula(signed_in, project, rex, writing):
    Queue.objects.filter(pk=writing.pk).update(name='=HYPERLINK("http://example")')
    found = signed_in(rex).get(reverse("progress-csv", args=[project.uuid, "stages"])).content.decode()
    assert '\'=HYPERLINK("http://example")' in {row["queue"] for row in csv.DictReader(StringIO(found))}


def test_the_file_of_people_holds_what_the_table_shows(signed_in, project, rex, ana, writing):
    write(writing, ana, times=5)
    found = signed_in(rex).get(reverse("progress-csv", args=[project.uuid, "people"])).content.decode()
    mine = next(row for row in csv.DictReader(StringIO(found)) if row["person"] == ana.pseudonym(project))
    assert (mine["counted"], mine["median_s"], mine["median_n"]) == ("5", "4.0", "5")


def test_a_table_that_does_not_exist_is_a_404(signed_in, project, rex):
    assert signed_in(rex).get(reverse("progress-csv", args=[project.uuid, "secrets"])).status_code == 404


def test_the_page_costs_the_same_with_thirty_queues_and_people(signed_in, project, rex, ana, writing):
    write(writing, ana, times=1)
    with_few = cost(signed_in(rex), reverse("progress", args=[project.uuid]))
    Queue.objects.bulk_create(Queue(project=project, kind="rank", name=f"Rank {n}") for n in range(30))
    make_members(project, 30)
    write(writing, ana, times=30)
    assert cost(signed_in(rex), reverse("progress", args=[project.uuid])) == with_few <= 20


def make_members(project, count: int) -> None:
    users = User.objects.bulk_create(User(name=f"p{n}", password="!") for n in range(count))
    project.memberships.bulk_create(
        [project.memberships.model(project=project, user=user, role="assessor") for user in users]
    )


def cost(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_both_databases_count_alike(database, project, writing, ana, rex):
    *_, last = write(writing, ana, times=6)
    taken_back(last, ana)
    (one,) = [stage for stage in stages(project) if stage.queue == writing]
    found = row_of(project, ana)
    assert (one.done, one.left, one.skipped, one.per_day.n) == (5, 1, 0, 5)
    assert (found.counted, found.week, found.undos, found.median_s) == (5, 5, 1, Figure(4.0, 6))
    assert (record(project, only=ana).today, record(project).people) == (6, 1)
    assert Caller(rex).get(f"progress/live?project={project.uuid}")["state"] == "open"

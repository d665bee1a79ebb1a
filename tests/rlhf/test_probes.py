"""What models believe: which runs a question needs, what is asked again and what is not, and how answers are put
together."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client

from annotate.models import Task
from rlhf.beliefs import columns, reweighted, table
from rlhf.errors import LaunchError
from rlhf.models import Probe
from rlhf.probes import earlier_of, newest_lineage
from rlhf.readings import lines, shown
from tests.annotate.conftest import build, leased, rank_item, send
from tests.api import Caller
from tests.rlhf.believed import PROMPT, fail, failed, finish_all, runs, tops, weighed
from tests.rlhf.conftest import make_model

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_messages")]
ANSWERS = ["blue.", "green."]


# which runs are needed


def test_one_run_looks_into_a_base_its_states_and_its_adapters(project, asked, lineage):
    asked(*lineage.values(), answers=ANSWERS, checkpoints=earlier_of(lineage["base"]))
    [run] = runs(project)
    assert run.config["prompts"] == [PROMPT]
    assert run.config["answers"] == ANSWERS
    assert run.config["adapters"] == ["", "sft", "policy"]
    assert run.config["checkpoints"] == ["base.step-00000014", "base.step-00000098"]
    assert run.config["reward_adapter"] == "reward"


def test_a_run_has_one_base_and_two_adapters_that_answer(project, asked, lineage, tmp_path):
    third = make_model(project, tmp_path, kind="sft", base=lineage["base"], content="third")
    other = make_model(project, tmp_path, content="other")
    asked(lineage["sft"], lineage["policy"], third, other)
    used = [{one.name: str(one.used) for one in run.inputs.all()} for run in runs(project)]
    assert used == [
        {"base": "base-1", "sft": "sft-2", "policy": "sft-5"},
        {"base": "base-1", "sft": "policy-4"},
        {"base": "base-6"},
    ]


def test_long_answers_are_asked_of_few_models_a_run_so_that_the_result_is_kept(project, asked, base):
    asked(base, answers=["é" * 1_000, "è" * 1_000], checkpoints=earlier_of(base))  # 4,000 bytes: two models a run
    assert [(run.config["adapters"], run.config["checkpoints"]) for run in runs(project)] == [
        ([""], ["base.step-00000014"]),
        ([""], ["base.step-00000098"]),
    ]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x" * 2_001}, "prompt"),
        ({"answers": ["a", "b", "c", "d", "e"]}, "answers"),
        ({"answers": ["a", "a"]}, "answers"),
        ({"answers": ["x" * 1_001]}, "answers"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_queued(project, asked, base, said, field):
    with pytest.raises(LaunchError) as refusal:
        asked(base, **said)
    assert (refusal.value.code, list(refusal.value.fields)) == ("bad_probe", [field])
    assert (runs(project), Probe.objects.count()) == ([], 0)


def test_a_reward_model_needs_an_answer_to_score(asked, lineage):
    with pytest.raises(LaunchError) as refusal:
        asked(lineage["reward"])
    assert list(refusal.value.fields) == ["answers"]


def test_a_model_of_another_project_is_refused(asked, other_project, tmp_path):
    with pytest.raises(LaunchError) as refusal:
        asked(make_model(other_project, tmp_path))
    assert list(refusal.value.fields) == ["models"]


def test_nobody_waits_for_more_than_four(project, asked, base):
    for number in range(4):
        asked(base, prompt=f"Text {number}")
    with pytest.raises(LaunchError) as refusal:
        asked(base, prompt="One more")
    assert refusal.value.code == "too_many"
    assert len(runs(project)) == 4


# what is asked again


def test_the_same_wish_finds_the_probe_that_stands(project, asked, base):
    assert asked(base) == asked(base)
    assert len(runs(project)) == 1


def test_the_same_wish_under_one_key_is_carried_out_once(project, asked, base):
    first = asked(base, key="k")
    fail(runs(project)[0])
    assert asked(base, key="k") == first
    assert len(runs(project)) == 1


def test_what_a_run_answered_for_somebody_is_not_asked_again(database, project, asked, base, ada):
    asked(base)
    finish_all(project)
    other = asked(base, by=ada)
    assert len(runs(project)) == 1
    assert columns(other)[0].state == "here"


def test_only_what_is_missing_is_asked(project, asked, lineage):
    asked(lineage["base"])
    finish_all(project)
    asked(lineage["base"], lineage["sft"])
    assert [run.config["adapters"] for run in runs(project)] == [[""], ["sft"]]


def test_other_words_are_another_question(project, asked, base):
    asked(base)
    asked(base, as_question=True)
    assert [run.config["as_question"] for run in runs(project)] == [False, True]


def test_what_failed_is_asked_again(project, asked, base):
    asked(base)
    fail(runs(project)[0])
    asked(base)
    assert len(runs(project)) == 2


# how answers are put together


def test_columns_stand_by_age_then_by_stage(asked, lineage):
    probe = asked(*reversed(lineage.values()), answers=ANSWERS, checkpoints=earlier_of(lineage["base"]))
    assert [(one.kind, one.step) for one in columns(probe)] == [
        ("base", 14),
        ("base", 98),
        ("base", None),
        ("sft", None),
        ("policy", None),
        ("reward", None),
    ]


def test_each_column_of_the_table_sums_to_one(project, asked, lineage):
    probe = asked(lineage["base"], lineage["sft"], lineage["policy"])
    finish_all(project, told={"sft": tops(3, other=0.25), "policy": tops(9, other=0.0)})
    found = columns(probe)
    shown = table(found)
    for place in range(3):
        masses = [row.cells[place] or 0.0 for row in shown.rows]
        assert sum(masses) + (shown.others[place] or 0.0) == pytest.approx(1, abs=1e-6)


def test_the_table_holds_the_union_of_the_ten_likeliest(project, asked, lineage):
    probe = asked(lineage["base"], lineage["sft"])
    finish_all(project, told={"sft": tops(3)})
    found = columns(probe)
    texts = {row.text for row in table(found).rows}
    assert texts == {text for column in found for text, _p in column.next[:10]}
    assert len(texts) == 13


def test_tokens_that_read_the_same_count_together(project, asked, base):
    probe = asked(base)
    same = tops()
    same["next"][1]["text"] = same["next"][0]["text"]
    finish_all(project, told={"base": same})
    [first, *_rest] = table(columns(probe)).rows
    assert first.cells[0] == pytest.approx(same["next"][0]["p"] + same["next"][1]["p"])


def test_temperature_one_gives_the_stored_probabilities():
    top = [(one["text"], one["p"]) for one in tops()["next"]]
    assert reweighted(top, 1.0) == [p for _text, p in top]


def test_another_temperature_shares_out_among_the_stored_tokens():
    # p ∝ (0.6, 0.2)^(1/0.5) = (0.36, 0.04): 0.9 and 0.1
    assert reweighted([("a", 0.6), ("b", 0.2)], 0.5) == pytest.approx([0.9, 0.1])
    # p ∝ sqrt: (0.7746, 0.4472): 0.634 and 0.366
    assert reweighted([("a", 0.6), ("b", 0.2)], 2.0) == pytest.approx([0.634, 0.366], abs=1e-3)


def test_other_is_told_at_temperature_one_only(project, asked, base):
    probe = asked(base)
    finish_all(project)
    assert table(columns(probe), 1.0).others[0] == pytest.approx(0.1 + sum(p["p"] for p in tops()["next"][10:]))
    assert table(columns(probe), 0.7).others == [None]


def test_each_token_of_an_answer_has_its_own_log_probability(project, asked, base):
    probe = asked(base, answers=["blue.", "green."])
    finish_all(project, told={"base": tops() | {"answers": [weighed(" blue", "."), weighed(" green", ".")]}})
    [first, second] = columns(probe)[0].answers
    assert [token.logp for token in first.tokens] == [-1.0, -0.5]
    assert (second.sum, second.mean) == (-4.5, -2.25)


def test_one_model_that_failed_leaves_the_others(project, asked, lineage):
    probe = asked(lineage["base"], lineage["sft"])
    finish_all(project, told={"sft": failed()})
    assert [one.state for one in columns(probe)] == ["here", "failed"]
    assert "memory" in columns(probe)[1].sentence


def test_what_is_under_way_waits_and_what_failed_says_why(project, asked, base):
    probe = asked(base)
    assert columns(probe)[0].state == "waiting"
    fail(runs(project)[0])
    assert columns(probe)[0].state == "failed"
    assert "fewer" in columns(probe)[0].sentence


# who may ask and read what


@pytest.fixture
def waiting(project, ana):
    """A comparison that waits to be judged."""
    queue = project.queues.get(kind="rank")
    return build(queue, rank_item(project, ANSWERS, prompt="What colour is the sky?"))


@pytest.mark.parametrize("said", [{"prompt": "What colour is the sky?"}, {"answers": ["blue. "]}])
def test_an_assessor_may_not_ask_about_a_text_that_waits(project, asked, base, ana, waiting, said):
    with pytest.raises(LaunchError) as refusal:
        asked(base, by=ana, **said)
    assert refusal.value.code == "open_task"
    assert runs(project) == []


def test_a_reviewer_may(asked, base, waiting):
    assert asked(base, prompt="What colour is the sky?")


def test_an_assessor_may_once_the_task_is_complete(project, asked, base, ana, waiting):
    Task.objects.filter(queue__project=project).update(state=Task.State.COMPLETE)
    assert asked(base, by=ana, prompt="What colour is the sky?")


def test_an_assessor_reads_roles_and_no_names(project, asked, lineage, ana):
    probe = asked(*lineage.values(), answers=ANSWERS, checkpoints=earlier_of(lineage["base"])[:1], by=ana)
    finish_all(project, rewards=[0.1, 0.2])
    labels = [one["label"] for one in shown(probe, ana)["columns"]]
    assert labels == ["after step 14", "base", "after instruction tuning", "after preference training", "reward model"]


def test_a_reviewer_reads_names(asked, lineage, rex):
    probe = asked(lineage["base"], lineage["sft"], checkpoints=earlier_of(lineage["base"])[:1])
    assert [one["label"] for one in shown(probe, rex)["columns"]] == ["base-1, step 14", "base-1", "sft-2"]


# rewards beside people's ranking


def test_a_planted_order_of_rewards_is_kept(project, asked, lineage, rex):
    probe = asked(lineage["reward"], answers=ANSWERS)
    finish_all(project, rewards=[-0.4, 1.7])
    assert [one["value"] for one in shown(probe, rex)["columns"][0]["rewards"]] == [-0.4, 1.7]


def test_peoples_ranking_stands_beside_it_once_the_task_is_complete(project, asked, base, ana, rex, waiting):
    probe = asked(base, prompt="What colour is the sky?", answers=ANSWERS, as_question=True)
    assert shown(probe, rex)["ranking"] is None
    queue = project.queues.get(kind="rank")
    slot = leased(queue, ana)
    letters = {text.body: letter for letter, text in _letters(slot).items()}
    groups = [[letters["green."]], [letters["blue."]]]
    send(slot, ana, {"groups": groups, "acceptable_groups": None, "unplaced": [], "ratings": {}})
    Task.objects.filter(queue=queue).update(state=Task.State.COMPLETE)
    assert shown(probe, rex)["ranking"] == {"places": [2.0, 1.0], "people": 1}


def _letters(slot):
    from annotate.presentation import shown as presented

    return presented(slot.task, slot.user).by_letter()


# the API


def test_a_probe_is_asked_and_watched_at_the_api(project, base, ana):
    caller = Caller(ana)
    body = {"project": str(project.uuid), "prompt": PROMPT, "models": ["base"], "checkpoints": ["base"]}
    probe = caller.post("probes", body, expect=201)
    before = caller.get(f"probes/{probe['id']}/live")
    assert (before["state"], [one["state"] for one in before["columns"]]) == ("running", ["waiting"] * 3)
    finish_all(project)
    after = caller.get(f"probes/{probe['id']}/live?after={before['cursor']}")
    assert (after["state"], [one["state"] for one in after["columns"]]) == ("finished", ["here"] * 3)
    assert after["columns"][2]["next"][0][0] == tops(2)["next"][0]["text"] or after["columns"][2]["next"]


def test_an_assessor_cannot_name_a_model(project, base, ana):
    body = {"project": str(project.uuid), "prompt": PROMPT, "models": [str(base.uuid)]}
    assert Caller(ana).post("probes", body, expect=400)["code"] == "bad_probe"


def test_somebody_elses_probe_is_not_found_unless_it_stands(project, asked, base, ana):
    own, standing = asked(base), asked(base, prompt="Two", standing=True)
    caller = Caller(ana)
    caller.get(f"probes/{own.uuid}/live", expect=404)
    assert caller.get(f"probes/{standing.uuid}/live")["columns"]


def test_only_reviewers_and_admins_make_a_question_stand(project, base, ana):
    body = {"project": str(project.uuid), "prompt": PROMPT, "models": ["base"], "standing": True}
    Caller(ana).post("probes", body, expect=403)


def test_the_numbers_come_as_a_table(project, asked, base, rex):
    probe = asked(base, answers=ANSWERS)
    finish_all(project, told={"base": tops() | {"answers": [weighed(" blue", "."), weighed(" green", ".")]}})
    client = Client()
    client.force_login(rex)
    response = client.get(f"/api/v1/probes/{probe.uuid}.csv")
    rows = list(csv.reader(io.StringIO(response.content.decode())))
    assert rows[0] == ["what", "model", "step", "answer", "place", "token", "value"]
    assert ["log p", "base-1", "", "2", "1", " green", "-4.0"] in rows
    assert len(rows) == 1 + len(list(lines(probe, rex)))


def test_a_table_holds_no_formula(project, asked, base, rex):
    probe = asked(base)
    bad = tops()
    bad["next"][0]["text"] = '=HYPERLINK("x")'
    finish_all(project, told={"base": bad})
    client = Client()
    client.force_login(rex)
    assert ",'=HYPERLINK" in client.get(f"/api/v1/probes/{probe.uuid}.csv").content.decode().replace('"', "")


def test_the_newest_lineage_is_the_newest_base_and_its_newest_adapters(project, lineage, tmp_path):
    newer = make_model(project, tmp_path, kind="sft", base=lineage["base"], content="newer")
    assert newest_lineage(project) == lineage | {"sft": newer}

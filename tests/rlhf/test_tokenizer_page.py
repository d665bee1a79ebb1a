"""The tokenizer page without its script: what it shows, to whom, and what it says where there is nothing to show."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from rlhf import tokenizing
from tests.rlhf.conftest import make_model
from tests.rlhf.filled import make_run
from tests.rlhf.vocabularies import usage_report, written

pytestmark = pytest.mark.django_db
TEXT = "the other tokens"


@pytest.fixture(autouse=True)
def nothing_kept():
    tokenizing._load.cache_clear()


@pytest.fixture
def base(project, ada, tmp_path):
    run = make_run(project, ada, stage="pretrain", state="finished", inputs={}, final={})
    return make_model(project, tmp_path, run=run, tokenizer=written("byte_level"))


@pytest.fixture
def other(project, base, tmp_path):
    return make_model(project, tmp_path, tokenizer=written("byte_level", size=300))


@pytest.fixture
def see(project):
    """see(rex, model=…) is the page's context and text; with text=… the form was sent."""

    def visit(who, *, status=200, **data):
        client = Client()
        client.force_login(who)
        address = reverse("tokenizer", args=[project.uuid])
        response = client.post(address, data) if "text" in data or "example" in data else client.get(address, data)
        assert response.status_code == status
        return response.context, response.content.decode()

    return visit


# what it shows


def test_the_newest_tokenizer_is_shown_first(see, rex, base, other):
    context, _ = see(rex)
    assert [side.model for side in context["sides"]] == [other]


def test_a_text_is_shown_as_tokens_with_their_merges(see, rex, base):
    side = see(rex, text=TEXT)[0]["sides"][0]
    box = side.boxes[0]
    assert "".join(one.text for one in side.boxes) == "·the·other·tokens"
    assert (box.text, box.left + box.right, box.characters) == ("·the", "·the", "0–3")
    assert box.rank is not None


def test_each_token_stands_in_a_table_without_a_script(see, rex, base):
    context, page = see(rex, text=TEXT)
    box = context["sides"][0].boxes[0]
    assert f"<td><code>{box.bytes}</code></td>" in page
    assert f"<bdi>{box.left}</bdi> + <bdi>{box.right}</bdi>" in page


def test_the_numbers_are_those_of_the_text(see, rex, base):
    context, _ = see(rex, text=TEXT)
    tokens = len(context["sides"][0].boxes)
    values = {row.name: row.values for row in context["numbers"]}
    assert values == {
        "tokens": [str(tokens)],
        "characters": [f"{16 / tokens:.2f}"],
        "bytes": [f"{16 / tokens:.2f}"],
        "words": [f"{3 / tokens:.2f}"],
    }


def test_two_tokenizers_stand_side_by_side_with_their_difference(see, rex, base, other):
    context, _ = see(rex, text=TEXT, model=str(base.uuid), **{"with": str(other.uuid)})
    tokens = [len(side.boxes) for side in context["sides"]]
    assert [side.model for side in context["sides"]] == [base, other]
    assert context["numbers"][0].difference == f"{tokens[1] - tokens[0]:+}"


def test_an_adapter_is_shown_by_its_base_and_the_page_says_so(see, rex, project, base, tmp_path):
    adapter = make_model(project, tmp_path, kind="sft", base=base)
    context, page = see(rex, model=str(adapter.uuid))
    assert context["sides"][0].model == base
    assert f"{adapter} reads with the tokenizer of its base, {base}." in page


def test_the_line_ends_of_a_form_are_those_that_were_typed(see, rex, base):
    side = see(rex, text="a\r\nb")[0]["sides"][0]
    assert side.found.text == "a\nb"


def test_the_example_is_shown_at_a_press(see, rex, base):
    context, _ = see(rex, example="naïve 🙂", text="")
    assert (context["text"], bool(context["sides"][0].boxes)) == ("naïve 🙂", True)


def test_an_example_is_offered_where_nothing_was_typed(see, rex, base):
    context, page = see(rex)
    assert "Try an example" in page
    assert context["sides"][0].boxes == []


# what it says


def test_a_text_that_is_too_long_is_kept_and_said(see, rex, base):
    context, page = see(rex, text="a" * 2_001, status=422)
    assert "The text has 2,001 characters; at most 2,000 are shown here." in page
    assert (len(context["text"]), context["sides"][0].boxes) == (2_001, [])


def test_a_fresh_project_leads_its_admin_to_a_pretrain_run(see, ada, project):
    assert reverse("launch", args=[project.uuid, "pretrain"]) in see(ada)[1]


def test_a_fresh_project_tells_others_what_is_missing(see, ana, project):
    page = see(ana)[1]
    assert "There is no tokenizer yet." in page
    assert reverse("launch", args=[project.uuid, "pretrain"]) not in page


@pytest.mark.parametrize("asked", [{"model": str(uuid4())}, {"with": "no id"}])
def test_a_model_that_is_not_there_is_said_and_the_newest_shown(see, rex, base, asked):
    context, page = see(rex, **asked)
    assert "it may have been withdrawn" in page
    assert context["sides"][0].model == base


def test_a_model_of_another_project_is_not_there(see, rex, base, other_project, tmp_path):
    (tmp_path / "far").mkdir()
    foreign = make_model(other_project, tmp_path / "far", tokenizer=written("byte_level"))
    assert "it may have been withdrawn" in see(rex, model=str(foreign.uuid))[1]


def test_a_base_without_a_tokenizer_json_says_so(see, rex, project, tmp_path):
    make_model(project, tmp_path)
    assert "This model has no tokenizer.json" in see(rex, text=TEXT)[1]


def test_a_tokenizer_without_merges_says_so(see, rex, project, tmp_path):
    make_model(project, tmp_path, tokenizer=written("unigram"))
    context, page = see(rex, text=TEXT)
    assert "it chooses its pieces without merges" in page
    assert all(box.rank is None for box in context["sides"][0].boxes)


# who sees what


def test_an_assessor_reads_no_name_of_a_model(see, ana, base, other):
    page = see(ana, text=TEXT)[1]
    assert "The project’s newest tokenizer" in page
    assert not any(model.name in page for model in (base, other))


def test_an_assessor_cannot_choose_another_model(see, ana, base, other):
    context, _ = see(ana, model=str(base.uuid), text=TEXT)
    assert [side.model for side in context["sides"]] == [other]


def test_a_reviewer_reads_the_names(see, rex, base, other):
    page = see(rex)[1]
    assert all(model.name in page for model in (base, other))


# the corpus


def test_the_corpus_is_shown_as_its_run_counted_it(see, rex, base):
    base.run.result["evaluation"] = {"tokenizer": usage_report()}
    base.run.save(update_fields=["result"])
    corpus = see(rex)[0]["corpora"][0]
    assert corpus["most"][0][1] == usage_report()["most"][0]["count"]
    assert [share["name"] for share in corpus["shares"][0][1]] == ["manual", ""]


def test_a_run_that_did_not_count_its_corpus_says_so(see, rex, base):
    assert "did not count its corpus" in see(rex)[1]


def test_an_imported_base_has_no_corpus_to_show(see, rex, other, base):
    assert "An operator brought this base." in see(rex)[1]


def test_an_assessor_reads_no_source_of_the_corpus(see, ana, base):
    base.run.result["evaluation"] = {"tokenizer": usage_report()}
    base.run.save(update_fields=["result"])
    assert "manual" not in see(ana)[1]


# the ways there


def test_learn_leads_to_the_tokenizer(client, ana, project):
    client.force_login(ana)
    assert reverse("tokenizer", args=[project.uuid]) in client.get(reverse("learn")).content.decode()


def test_a_models_page_leads_to_its_tokenizer(client, rex, project, base):
    client.force_login(rex)
    address = f"{reverse('tokenizer', args=[project.uuid])}?model={base.uuid}"
    assert address in client.get(reverse("model", args=[base.uuid])).content.decode()


def test_many_bases_cost_as_many_queries_as_few(client, rex, project, base, tmp_path, django_assert_max_num_queries):
    client.force_login(rex)
    address = reverse("tokenizer", args=[project.uuid])
    with django_assert_max_num_queries(20) as few:
        client.get(address)
    for _ in range(10):
        make_model(project, tmp_path, tokenizer=written("byte_level"))
    with django_assert_max_num_queries(20) as many:
        client.get(address)
    assert len(many) == len(few)

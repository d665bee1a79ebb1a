"""Votes on which of three words is the odd one: what is asked, what is kept, and how it is held against the model."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from annotate.actions.play import erase_play, record_consent
from annotate.actions.vote_similarity import vote_similarity
from annotate.errors import AnnotateError
from annotate.models import SimilarityVote
from annotate.similarity import standing_votes
from rlhf import maps, similar, storage
from tests.rlhf.mapped import make_map, words

pytestmark = pytest.mark.django_db

# Of six words with two neighbours each: a and b list each other, so do c and d, and nobody lists e or f.
LABELS = ["alder", "birch", "cedar", "dogwood", "elm", "fir"]
TRUE = [[1, 2], [0, 2], [3, 0], [2, 0], [3, 2], [0, 1]]
COSINE = [[0.9, 0.5], [0.9, 0.4], [0.8, 0.5], [0.8, 0.3], [0.2, 0.1], [0.6, 0.55]]


@pytest.fixture(autouse=True)
def nothing_kept():
    maps._read.cache_clear()
    maps._lists.cache_clear()


@pytest.fixture
def drawn(project, ada):
    return make_map(project, ada)


@pytest.fixture
def tiny(project, ada, monkeypatch, tmp_path):
    """A map of the six words above."""
    monkeypatch.setattr(maps, "STORED", 2)
    run = make_map(project, ada, texts=LABELS)
    assert run.result is not None
    for name, rows, kind in (("true.u32", TRUE, "<u4"), ("cosine.f32", COSINE, "<f4")):
        np.array(rows, dtype=kind).tofile(tmp_path / name)
        assert run.result
        found = next(one for one in run.result["files"]["map"] if one["path"] == name)
        found["sha256"] = storage.put(tmp_path / name)
    return run


@pytest.fixture
def willing(project, ana):
    record_consent(project=project, by=ana, scopes=["annotation"])
    return ana


def vote(project, by, odd, of=("birch", "alder", "elm")):
    return vote_similarity(project=project, words=of, odd=odd, by=by)


# what is asked


@pytest.mark.parametrize("seed", range(10))
def test_two_of_three_list_each_other_and_the_third_is_in_neither_list(drawn, seed):
    asked = similar.three(drawn, seed=seed)
    places = {label.text: at for at, label in enumerate(maps.loaded(drawn).labels)}
    odd = similar.odd_one(drawn, asked)
    assert odd in asked
    one, other = (places[word] for word in asked if word != odd)
    lists = {at: {near.place for near in maps.neighbours(drawn, at)} for at in (one, other)}
    assert (other in lists[one], one in lists[other]) == (True, True)
    assert places[odd] not in lists[one] | lists[other]


@pytest.mark.parametrize("seed", range(10))
def test_no_two_of_three_begin_alike(drawn, seed):
    assert len({word[:3] for word in similar.three(drawn, seed=seed)}) == 3


def test_a_map_of_documents_asks_nothing(project, ada):
    assert similar.three(make_map(project, ada, kind="documents"), seed=1) == []


# what the model leaves over


@pytest.mark.parametrize(
    ("asked", "odd"),
    [
        (("alder", "birch", "elm"), "elm"),  # 0.9 is held; alder–elm ≤ 0.1, birch–elm ≤ 0.1
        (("cedar", "dogwood", "alder"), "alder"),  # all three are held: 0.8, 0.5 and 0.3
        (("elm", "Birch", "ALDER"), "elm"),
        (("alder", "cedar", "birch"), "cedar"),
        (("dogwood", "elm", "birch"), None),  # dogwood–elm 0.2 is held, but dogwood–birch may be 0.3
        (("alder", "fir", "elm"), "elm"),  # fir lists alder, 0.6; the others at most 0.1
        (("alder", "birch", "yew"), None),
        (("alder", "birch", "Alder"), None),
    ],
)
def test_the_odd_one_is_told_where_the_lists_and_their_ends_suffice(tiny, asked, odd):
    assert similar.odd_one(tiny, asked) == odd


@pytest.mark.parametrize(("one", "other"), [(5, 4), (4, 5)])
def test_a_pair_that_no_list_holds_is_at_most_as_near_as_the_nearer_end(tiny, one, other):
    cosine, held = maps.near(tiny).cosine_of(one, other)  # fir's list ends at 0.55, elm's at 0.1
    assert (round(cosine, 6), held) == (0.1, False)


def test_agreement_counts_the_votes_that_the_map_can_tell(tiny, project, willing, abe):
    record_consent(project=project, by=abe, scopes=["annotation"])
    vote(project, willing, "elm")
    vote(project, abe, "birch")
    vote(project, abe, "elm", of=("dogwood", "elm", "birch"))  # cannot be told
    assert similar.agreement(tiny) == similar.Agreement(votes=3, told=2, agreed=1)


# what is kept


def test_the_newest_vote_on_the_same_words_holds_however_they_stood(project, willing):
    vote(project, willing, "elm")
    vote(project, willing, "birch", of=("elm", "birch", "alder"))
    assert standing_votes(project) == [(("alder", "birch", "elm"), "birch")]


def test_a_vote_taken_back_is_a_row_more_and_counts_no_more(project, willing):
    vote(project, willing, "elm")
    vote(project, willing, "")
    assert (standing_votes(project), SimilarityVote.objects.count()) == ([], 2)


@pytest.mark.parametrize(
    ("of", "odd", "code"),
    [
        (("elm", "fir"), "elm", "bad_words"),
        (("elm", "fir", "fir"), "elm", "bad_words"),
        (("elm", "fir", ""), "elm", "bad_words"),
        (("elm", "fir", "x" * 81), "elm", "bad_words"),
        (("elm", "fir", "yew"), "oak", "bad_odd"),
    ],
)
def test_a_vote_on_other_than_three_words_is_refused(project, willing, of, odd, code):
    with pytest.raises(AnnotateError) as refusal:
        vote(project, willing, odd, of=of)
    assert (refusal.value.code, SimilarityVote.objects.exists()) == (code, False)


def test_nothing_is_kept_of_who_did_not_allow_it(project, ana):
    with pytest.raises(AnnotateError) as refusal:
        vote(project, ana, "elm")
    assert (refusal.value.code, SimilarityVote.objects.exists()) == ("no_consent", False)


@pytest.mark.parametrize("change", [lambda rows: rows.update(odd="fir"), lambda rows: rows._raw_delete("default")])
def test_votes_only_append(project, willing, change):
    vote(project, willing, "elm")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        change(SimilarityVote.objects.all())
    assert SimilarityVote.objects.get().odd == "elm"


@pytest.mark.parametrize("erase", [erase_play, lambda **of: record_consent(scopes=[], **of)])
def test_an_erasure_takes_ones_own_votes(project, willing, abe, erase):
    record_consent(project=project, by=abe, scopes=["annotation"])
    vote(project, willing, "elm")
    vote(project, abe, "elm")
    erase(project=project, by=willing)
    assert SimilarityVote.objects.get().user == abe


# page and API


@pytest.fixture
def as_ana(willing):
    client = Client()
    client.force_login(willing)
    return client


def test_the_form_keeps_a_vote_and_its_undo_takes_it_back(as_ana, project, drawn):
    page = as_ana.get(reverse("map", args=[project.uuid]))
    given = dict(page.context["similar"]["words"])
    odd = given["word-2"]
    said = as_ana.post(reverse("map-similar", args=[drawn.uuid]), {**given, "odd": odd}, follow=True)
    assert SimilarityVote.objects.get().odd == odd
    assert "Kept." in said.content.decode()
    assert "Votes of people: 1." in said.content.decode()
    undo = said.context["toast"]
    as_ana.post(undo["undo"], undo["fields"])
    assert standing_votes(project) == []


def test_who_did_not_allow_it_is_led_to_the_consent(project, abe, drawn):
    client = Client()
    client.force_login(abe)
    page = client.get(reverse("map", args=[project.uuid])).content.decode()
    assert "Votes are kept only after you allow it." in page
    assert 'name="odd"' not in page


def test_the_api_asks_and_keeps_and_says_what_the_model_thinks(as_ana, drawn):
    address = reverse("api:map-similar", args=[drawn.uuid])
    asked = as_ana.get(address).json()
    assert (len(asked["words"]), asked["votes"]) == (3, 0)
    own = similar.odd_one(drawn, asked["words"])
    said = as_ana.post(address, {"words": asked["words"], "odd": own}, content_type="application/json")
    assert (said.status_code, said.json()) == (201, {"model": own})
    after = as_ana.get(address).json()
    assert (after["votes"], after["told"], after["agreed"]) == (1, 1, 1)


def test_words_that_are_not_on_the_map_are_refused(as_ana, drawn):
    body = {"words": [*words(2), "secret"], "odd": "secret"}
    said = as_ana.post(reverse("api:map-similar", args=[drawn.uuid]), body, content_type="application/json")
    assert (said.status_code, said.json()["code"]) == (422, "bad_words")
    assert not SimilarityVote.objects.exists()

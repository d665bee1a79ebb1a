"""What the report on a corpus and its vocabulary counts, by hand."""

import json

import pytest

from tests.trainer.runs import corpus_rows, lay_out
from trainer.__main__ import main
from trainer.objectives import Document
from trainer.usage import Origin, usage

MANUAL, FORUM = Origin(source="manual", language="en"), Origin(source="forum", language="nl")


@pytest.fixture(scope="module")
def report():
    """Of 40 tokens 8 are not reserved: 33 stands there 3 times, 35 twice, 39 once."""
    documents = [
        Document("a", "one two", [33, 33, 35]),
        Document("b", "three", [35, 39]),
        Document("c", "vier", [33]),
    ]
    return usage(documents, vocabulary=40, origins={"a": MANUAL, "b": MANUAL, "c": FORUM})


def test_the_sums_are_those_of_the_documents(report):
    assert (report["documents"], report["characters"], report["tokens"], report["vocabulary"]) == (3, 16, 6, 8)


def test_the_most_frequent_token_stands_first(report):
    assert [(one["id"], one["count"]) for one in report["most"]] == [(33, 3), (35, 2), (39, 1)]


def test_a_token_that_no_document_holds_is_unused_and_a_reserved_one_is_not_asked(report):
    assert (report["unused"], report["first_unused"]) == (5, [32, 34, 36, 37, 38])


def test_each_source_and_language_has_its_characters_and_tokens(report):
    manual = {"documents": 2, "characters": 12, "tokens": 5}
    forum = {"documents": 1, "characters": 4, "tokens": 1}
    assert report["by_source"] == [{"name": "manual", **manual}, {"name": "forum", **forum}]
    assert report["by_language"] == [{"name": "en", **manual}, {"name": "nl", **forum}]


def test_the_least_frequent_are_in_use_and_no_token_stands_at_both_ends():
    document = Document("a", "", [32 + token for token in range(30) for _ in range(30 - token)])
    found = usage([document], vocabulary=70, origins={"a": MANUAL})
    assert [one["id"] for one in found["most"]] == list(range(32, 52))
    assert [(one["id"], one["count"]) for one in found["least"][:2]] == [(61, 1), (60, 2)]
    assert len(found["least"]) == 10


def test_a_pretraining_run_reports_on_its_training_documents(tmp_path):
    rows = [row | {"source": "manual", "language": "en"} for row in corpus_rows(20)]
    config = {"stage": "pretrain", "size": "toy", "batch_tokens": 200, "microbatch_tokens": 128, "max_steps": 1}
    path = lay_out(tmp_path / "run", config, corpus=rows)
    assert main(["pretrain", str(path)]) == 0
    found = json.loads((path / "evaluation.json").read_text())["tokenizer"]
    texts = [row["text"] for row in rows if row["split"] == "train"]
    assert (found["documents"], found["characters"]) == (len(texts), sum(map(len, texts)))
    assert [share["name"] for share in found["by_source"]] == ["manual"]


def test_a_corpus_that_names_no_source_is_counted_all_the_same(pretrained):
    found = json.loads((pretrained / "evaluation.json").read_text())["tokenizer"]
    assert [(share["name"], share["tokens"]) for share in found["by_source"]] == [("", found["tokens"])]

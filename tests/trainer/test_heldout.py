"""E1 and E2 in stage `evaluate`: what models make of held-out rows, of blanks, and of texts to put right."""

import json
import shutil

import pytest
import torch

from tests.trainer.looks import naive_logprob, report
from tests.trainer.runs import corpus_rows, result, run_of, sft_rows
from tests.trainer.test_corrections import correction_rows
from trainer import base, cloze, heldout, measure, sampling
from trainer.contract.rundir import canonical_lines
from trainer.data import Example
from trainer.objectives import Document
from trainer.sampling import Settings
from trainer.tokenizer import BOS, EOS, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, FIX, TO

near = 1e-4


@pytest.fixture
def toy(toy_base):
    return base.load(toy_base, dtype=torch.float32, device=torch.device("cpu"))


def models(path):
    return {own["name"]: own for own in report(path)["heldout"]["models"]}


def heldout_texts():
    return [row["text"] for row in corpus_rows() if row["split"] == "heldout"]


# --- E1


def test_e1_the_loss_is_that_of_plain_loops(evaluate_run, toy_base, words):
    path = run_of(evaluate_run(rows=[], files={"corpus": corpus_rows()}))
    rows = [[BOS, *ids, EOS] for ids in words.encode(heldout_texts())]
    total = -sum(naive_logprob(toy_base, ids, 1) for ids in rows)
    found = models(path)["base"]["nll"]["next"]
    assert found["tokens"] == sum(len(ids) - 1 for ids in rows)
    assert found["nats_per_token"] == pytest.approx(total / found["tokens"], abs=near)
    size = sum(len(text.encode()) for text in heldout_texts())
    assert found["bits_per_byte"] == pytest.approx(total / 0.6931471805599453 / size, abs=near)
    assert result(path)["final"]["heldout_next_nll"] == found["nats_per_token"]


def test_e1_states_report_what_their_pretraining_reported(evaluate_run, pretrained):
    states = {int(one.name[5:]): one for one in sorted((pretrained / "milestones").iterdir())}
    more = {f"base.step-{min(states):08d}": states[min(states)]}
    files = {"corpus": corpus_rows()}
    path = run_of(evaluate_run(rows=[], files=files, of=pretrained / "model", more=more, checkpoints=list(more)))
    theirs = json.loads((pretrained / "evaluation.json").read_text())["after"]["next"]
    mine = models(path)["base"]["nll"]["next"]
    assert mine["nats_per_token"] == pytest.approx(theirs["nats_per_token"], abs=near)
    assert models(path)[next(iter(more))]["nll"]["next"]["nats_per_token"] > mine["nats_per_token"]
    values = [line["values"] for line in canonical_lines(path / "metrics.jsonl")]
    assert [round(one["heldout/next_nats_per_token"], 6) for one in values] == [
        round(own["nll"]["next"]["nats_per_token"], 6) for own in models(path).values()
    ]


def test_e1_the_answers_of_an_adapter_are_told_as_sft_told_them(evaluate_run, tuned):
    files, more = {"sft": sft_rows()}, {"sft": tuned / "adapter"}
    path = run_of(evaluate_run(rows=[], files=files, more=more, adapters=["", "sft"]))
    theirs = json.loads((tuned / "evaluation.json").read_text())
    own = {name: one["nll"]["answers"]["nats_per_token"] for name, one in models(path).items()}
    assert own["base"] == pytest.approx(theirs["before"]["nats_per_token"], abs=near)
    assert own["sft"] == pytest.approx(theirs["after"]["nats_per_token"], abs=near)
    assert "sft/heldout/answers_nats_per_token" in canonical_lines(path / "metrics.jsonl")[1]["values"]


def test_e1_at_most_so_many_rows_are_measured(evaluate_run, words):
    path = run_of(evaluate_run(rows=[], files={"corpus": corpus_rows()}, heldout_rows=2))
    sizes = [len(ids) + 1 for ids in words.encode(heldout_texts())]
    found = models(path)["base"]
    assert min(sizes) * 2 <= found["nll"]["next"]["tokens"] <= max(sizes) * 2
    assert found["blanks"]["rows"] == 2
    assert found["corrections"]["rows"] == found["false_alarms"]["rows"] == 2


def test_e1_at_most_so_many_of_peoples_corrections_and_answers_are_measured(evaluate_run):
    files = {"corpus": corpus_rows(), "correction": correction_rows(40), "sft": sft_rows()}
    found, whole = (
        models(run_of(evaluate_run(str(most), rows=[], files=files, heldout_rows=most)))["base"] for most in (1, 100)
    )
    assert (found["corrections"]["rows"], found["noise"]) == (1, False)
    assert whole["corrections"]["rows"] > 1
    assert found["nll"]["answers"]["tokens"] < whole["nll"]["answers"]["tokens"]


def test_e1_the_passages_of_a_long_document_are_so_many_too(evaluate_run):
    long = {**corpus_rows()[0], "id": "long", "split": "heldout", "text": " ".join(heldout_texts() * 20)}
    found = models(run_of(evaluate_run(rows=[], files={"corpus": [long]}, heldout_rows=3)))["base"]
    assert found["corrections"]["rows"] == found["false_alarms"]["rows"] == 3


def test_rows_that_are_all_to_learn_from_ask_nothing(evaluate_run):
    rows = [row | {"split": "train"} for row in corpus_rows()]
    path = run_of(evaluate_run(files={"corpus": rows}))
    assert "heldout" not in report(path)


# --- E2: blanks


def blank_of(text, words, **how) -> Example:
    found = heldout._blank(Document("d", text, words.encode([text])[0]), words, **how)
    assert found is not None
    return found


def test_e2_a_blank_is_one_word_and_only_it_counts(words):
    text = "the cat saw this old house"
    blank = blank_of(text, words, context=64, seed=1)
    at = blank.ids.index(FIM_MIDDLE)
    prefix, suffix, middle = (
        blank.ids[1 : blank.ids.index(FIM_SUFFIX)],
        blank.ids[blank.ids.index(FIM_SUFFIX) + 1 : at],
        blank.ids[at + 1 : -1],
    )
    assert (blank.ids[0], blank.ids[-1]) == (FIM_PREFIX, EOS)
    assert words.decode(prefix) + words.decode(middle) + words.decode(suffix) == text
    assert words.decode(middle).strip() in text.split()
    assert blank.mask == [place > at for place in range(len(blank.ids))]


def test_e2_a_long_document_is_cut_around_its_blank(words):
    text = " ".join(f"the cat saw {n} old houses" for n in range(60))
    for seed in range(8):
        blank = blank_of(text, words, context=40, seed=seed)
        at = blank.ids.index(FIM_MIDDLE)
        cut = blank.ids.index(FIM_SUFFIX)
        whole = words.decode([*blank.ids[1:cut], *blank.ids[at + 1 : -1], *blank.ids[cut + 1 : at]])
        assert len(blank.ids) == 40
        assert whole in text


def greedy(model, prompt, count):
    settings = Settings(max_new_tokens=count, temperature=0.0, stop_ids=frozenset())
    rollout = sampling.sample(
        model, [torch.tensor(prompt)], role=None, settings=settings, seeds=[1], decode_rows=1, stop=lambda: None
    )
    return rollout.ids[0].tolist()


def row(prompt, rest, name="r"):
    return Example(name, [*prompt, *rest], [False] * len(prompt) + [True] * len(rest), size=len(rest))


def test_e2_what_is_recited_is_what_greedy_writing_writes(toy):
    prompts = [[FIX, 40, 41, TO], [FIX, 50, TO], [FIX, 60, 61, 62, TO]]
    written = [greedy(toy, prompt, 5) for prompt in prompts]
    other = [[*written[0][:4], (written[0][4] + 1) % 512], [(written[1][0] + 1) % 512, *written[1][1:]]]
    rows = [row(prompts[0], written[0]), row(prompts[0], other[0]), row(prompts[1], other[1])]
    rows += [row(prompts[2], written[2]), row(prompts[1], written[1])]
    for budget in (16, 1_000):
        found = measure.recited(toy, rows, budget=budget, chunk=8, stop=lambda: None)
        assert found == [True, False, False, True, True]


def test_e2_shares_count_rows_written_to_the_letter_and_false_alarms_the_others(toy):
    prompts = [[FIX, 40 + n, TO] for n in range(4)]
    written = [row(prompt, greedy(toy, prompt, 3)) for prompt in prompts]
    wrong = [row(prompt, [*greedy(toy, prompt, 2), 5]) for prompt in prompts]
    held = heldout.Held(
        surprises={"fix": written},
        recited={"blanks": wrong[:2], "corrections": [*written[:3], wrong[3]], "clean": [*written[:3], wrong[3]]},
        noise=False,
    )
    found = heldout.look(toy, held, budget=1_000, stop=lambda: None)
    assert [found[name]["share"] for name in ("blanks", "corrections", "false_alarms")] == [0, 0.75, 0.25]
    low, high = cloze.wilson(3, 4)
    assert (found["corrections"]["low"], found["corrections"]["high"], found["corrections"]["rows"]) == (low, high, 4)
    assert heldout.values(found)["heldout/false_alarms"] == 0.25


# --- E2: corrections


def test_e2_peoples_own_corrections_are_measured_where_there_are_any(evaluate_run):
    files = {"corpus": corpus_rows(), "correction": correction_rows(20)}
    path = run_of(evaluate_run(rows=[], files=files))
    own = models(path)["base"]
    kept = [row for row in correction_rows(20) if row["split"] == "heldout"]
    assert (own["corrections"]["rows"], own["noise"]) == (len(kept), False)
    assert set(own["nll"]) == {"next", "middle", "fix"}
    final = result(path)["final"]
    assert final["heldout_corrections"] == own["corrections"]["share"]
    assert final["heldout_false_alarms"] == own["false_alarms"]["share"]


def test_e2_without_peoples_corrections_words_are_spoilt_and_it_says_so(evaluate_run):
    path = run_of(evaluate_run(rows=[], files={"corpus": corpus_rows()}))
    own = models(path)["base"]
    assert (own["corrections"]["rows"], own["noise"]) == (len(heldout_texts()), True)
    assert own["false_alarms"]["rows"] == len(heldout_texts())


def test_e2_a_tokenizer_without_the_tokens_is_asked_no_blanks(evaluate_run, monkeypatch):
    monkeypatch.setattr(heldout, "RESERVED", ["other"] * 32)
    own = models(run_of(evaluate_run(rows=[], files={"corpus": corpus_rows()})))["base"]
    assert (set(own["nll"]), "blanks" in own, "corrections" in own) == ({"next"}, False, False)


# --- T7


@pytest.fixture
def other_template(tuned, tmp_path):
    adapter = shutil.copytree(tuned / "adapter", tmp_path / "adapter")
    facts = json.loads((adapter / "manifest.json").read_text())
    (adapter / "manifest.json").write_text(json.dumps(facts | {"template_sha256": "f" * 64}))
    return adapter


def test_t7_an_adapter_of_another_template_is_asked_no_question(evaluate_run, other_template, words):
    asked = {"prompts": ["Who?"], "as_question": True}
    path = run_of(evaluate_run(rows=[], more={"sft": other_template}, adapters=["", "sft"], **asked))
    found = report(path)["tokens"]["prompts"][0]["models"]
    assert [own["error"] and own["error"]["code"] for own in found] == [None, "template_differs"]
    assert result(path)["template_sha256"] == words.template_sha256


def test_t7_a_text_has_no_template_to_differ_in(evaluate_run, other_template):
    path = run_of(evaluate_run(rows=[], more={"sft": other_template}, adapters=["", "sft"], prompts=["the cat"]))
    assert [own["error"] for own in report(path)["tokens"]["prompts"][0]["models"]] == [None, None]
    assert result(path)["template_sha256"] == ""


def test_t3_texts_are_asked_of_a_base_without_a_template(evaluate_run, toy_base, tmp_path):
    bare = shutil.copytree(toy_base, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    path = run_of(evaluate_run(of=bare, prompts=["the cat"], files={"corpus": corpus_rows()}))
    assert report(path)["tokens"]["prompts"][0]["models"][0]["error"] is None
    assert models(path)["base"]["nll"]["next"]["tokens"] > 0


def test_t7_a_reward_adapter_of_another_template_scores_nothing(evaluate_run, other_template):
    asked = {"prompts": ["Who?"], "answers": ["rain"], "reward_adapter": "reward"}
    path = run_of(evaluate_run(rows=[], more={"reward": other_template}, **asked))
    (found,) = report(path)["tokens"]["rewards"]
    assert found["error"]["code"] == "template_differs"


def test_documents_of_an_evaluation_need_no_least_number(evaluate_run):
    rows = [row for row in corpus_rows() if row["split"] == "heldout"][:1]
    assert models(run_of(evaluate_run(rows=[], files={"corpus": rows})))["base"]["blanks"]["rows"] == 1

"""What the service relies on without torch: configs, rows, run directories, seeds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.runs import corpus_rows, lay_out
from trainer.contract import configs, rows
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run, canonical, folder_sha256, read_since
from trainer.contract.seeds import seed_for

ROOT = Path(__file__).parents[2]
NEEDED = {"seed": 1, "base_sha256": "a" * 64, "adapters": ["sft"], "reward_adapter": "reward"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({item.name for stage in configs.STAGES for item in configs.fields_for_form(stage)})


def given_for(stage: str, **changed: Any) -> dict[str, Any]:
    """The least that a config of a stage must say."""
    known = {item.name for item in configs.fields_for_form(stage)}
    return {"stage": stage, **{name: value for name, value in NEEDED.items() if name in known}, **changed}


def refusal_of(values: object) -> str:
    with pytest.raises(TrainerError) as refusal:
        configs.parse(values)
    assert refusal.value.code == "bad_config"
    return refusal.value.sentence


def test_the_contract_needs_the_standard_library_only():
    names = ("configs", "estimate", "machine", "rows", "rundir", "seeds", "strict")
    code = "import " + ", ".join(f"trainer.contract.{name}" for name in names)
    subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": ""})


# --- configs


@pytest.mark.parametrize("stage", configs.STAGES)
def test_a_config_survives_dump_and_load(stage, tmp_path):
    config = configs.parse(given_for(stage, seed=2**63 - 1))
    (tmp_path / "config.json").write_text(json.dumps(configs.dump(config)))
    assert configs.load(tmp_path / "config.json") == config


@pytest.mark.parametrize("stage", configs.STAGES)
@pytest.mark.parametrize("preset", configs.PRESETS)
def test_every_preset_is_a_config(stage, preset):
    assert configs.parse({**given_for(stage), **configs.preset(stage, preset)}).stage == stage


@pytest.mark.parametrize(
    ("stage", "name", "value", "allowed"),
    [
        ("sft", "lr", 0, "above 0 to 1.0"),
        ("sft", "lr", "fast", "above 0 to 1.0"),
        ("sft", "batch_rows", 0, "a whole number, 1 to 4,096"),
        ("sft", "batch_rows", 2.5, "a whole number, 1 to 4,096"),
        ("sft", "batch_rows", True, "a whole number, 1 to 4,096"),
        ("sft", "select", "worst", "best, last"),
        ("sft", "context", 8, "a whole number, 0 (the base's) or 16 to 131,072"),
        ("sft", "base_sha256", "abc", "64 hexadecimal digits"),
        ("sft", "warmup_share", float("nan"), "0.0 to 0.5"),
        ("pretrain", "size", "huge", "toy, nano, micro, small"),
        ("ppo", "minibatches", 65, "at most the 64 answers of a rollout"),
        ("ppo", "dual_clip", 1.0, "0 (off) or above 1"),
        ("ppo", "reward_adapter", "", "the name of a folder in parents/"),
        ("generate", "adapters", [], "a list with at least one entry"),
        ("generate", "temperatures", [3.0], "a list of numbers, 0.0 to 2.0"),
    ],
)
def test_c7_a_value_out_of_its_limits_is_refused_with_what_is_allowed(stage, name, value, allowed):
    sentence = refusal_of(given_for(stage, **{name: value}))
    assert sentence.startswith(f"{name} is ")
    assert allowed in sentence


def test_c7_an_unknown_field_is_refused_by_name():
    assert "batch_row is no field of sft" in refusal_of(given_for("sft", batch_row=4))


def test_c7_a_field_without_default_is_missed_by_name():
    assert refusal_of({"stage": "sft", "base_sha256": "a" * 64}).startswith("seed is missing")


def test_comments_in_a_config_are_ignored():
    assert configs.parse(given_for("sft", **{"// lr": "why"})) == configs.parse(given_for("sft"))


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*FIELDS, "stage", "schema"]), JSON, max_size=6), st.sampled_from([*configs.STAGES])
)
def test_any_malformed_config_ends_in_a_refusal_with_a_code(values, stage):
    code = "none"
    try:
        configs.parse({**given_for(stage), **values})
    except TrainerError as refusal:
        code = refusal.code
    assert code in ("none", "bad_config")


@pytest.mark.parametrize("name", sorted(configs.FREE - {"device", "monitors_off"}))
def test_c4_memory_and_checkpoint_fields_do_not_make_another_run(name):
    values = (False, True) if name == "recompute_activations" else (70, 77)
    first, second = (configs.parse(given_for("sft", **{name: value})) for value in values)
    assert configs.sha256(first) == configs.sha256(second)


def test_c4_monitors_that_a_person_turned_off_do_not_make_another_run():
    first, second = (configs.parse(given_for("sft", monitors_off=names)) for names in ([], ["loss_spike"]))
    assert configs.sha256(first) == configs.sha256(second)


def test_a_monitor_that_is_not_the_stages_cannot_be_turned_off():
    with pytest.raises(TrainerError, match="monitors_off is kl_budget; allowed: loss_spike"):
        configs.parse(given_for("sft", monitors_off=["kl_budget"]))


GROUPS: dict[str, object] = {"advantage": "rloo", "samples_per_prompt": 4}
IMPOSSIBLE: dict[str, dict[str, object]] = {
    "one answer has no others": {"advantage": "rloo"},
    "no rewards of tokens to whiten": {**GROUPS, "whiten_rewards": True},
    "no rewards of tokens to discount": {**GROUPS, "gamma": 0.9},
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_p20_what_has_no_meaning_among_a_prompts_answers_is_refused(case):
    configs.parse(given_for("ppo", **GROUPS))
    with pytest.raises(TrainerError) as refusal:
        configs.parse(given_for("ppo", **IMPOSSIBLE[case]))
    assert refusal.value.code == "bad_config"


def test_c4_a_learning_rate_makes_another_run():
    first, second = (configs.parse(given_for("sft", lr=lr)) for lr in (1e-3, 2e-3))
    assert configs.sha256(first) != configs.sha256(second)


@pytest.mark.parametrize("stage", configs.STAGES)
def test_every_field_has_a_sentence_and_limits(stage):
    assert all(item.help.endswith(".") and item.limits for item in configs.fields_for_form(stage))


def test_b1_what_is_left_at_0_comes_from_the_size():
    config = configs.PretrainConfig(seed=1, size="micro")
    assert (config.vocab_size, config.peak_lr, config.context_tokens) == (4_096, 1e-3, 512)


# --- rows


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "split", "messages", "answers", "groups", "weight"]), JSON), JSON)
def test_any_malformed_row_ends_in_sentences(row, other):
    assert rows.check(row, "RankingRow")
    rows.check(other, "PromptRow")


def test_a_row_of_right_types_has_no_faults_whatever_else_it_holds():
    assert rows.check({"id": "1", "split": "train", "text": "x", "licence": "CC0"}, "CorpusRow") == []


def read_all(path: Path) -> list[Any]:
    return list(Run(path).rows("CorpusRow"))


def test_rows_are_read_from_packed_files(tmp_path):
    path = lay_out(tmp_path / "run", {"stage": "pretrain"}, packed=True, corpus=corpus_rows(6))
    assert [row["id"] for _, row in Run(path).rows("CorpusRow", "heldout")] == ["d0", "d5"]


def test_c7_a_row_of_wrong_type_is_refused_with_file_line_and_reason(tmp_path):
    wrong = [*corpus_rows(2), {"id": 3, "split": "train", "text": "x"}]
    path = lay_out(tmp_path / "run", {"stage": "pretrain"}, corpus=wrong)
    with pytest.raises(TrainerError, match=r"^bad_data: corpus.jsonl, line 3: id is not a string"):
        read_all(path)


def test_c7_a_file_that_changed_since_its_manifest_is_refused(tmp_path):
    path = lay_out(tmp_path / "run", {"stage": "pretrain"}, corpus=corpus_rows(2))
    with (path / "data" / "corpus.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(TrainerError, match=r"^bad_data: data/corpus.jsonl is not the file"):
        read_all(path)


@settings(max_examples=100, deadline=None)
@given(manifest=JSON)
def test_any_malformed_manifest_ends_in_a_refusal_with_a_code(manifest, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    (path / "data").mkdir()
    (path / "data" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TrainerError) as refusal:
        read_all(path)
    assert refusal.value.code == "bad_data"


# --- run directories


def test_c2_read_since_takes_each_line_once_over_any_split_of_the_bytes(tmp_path):
    path, lines = tmp_path / "log.jsonl", [{"n": 1, "text": "ü\u2028"}, {"n": 22}, {"n": 333}]
    data = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.integers(0, len(data)), max_size=5).map(sorted))
    def holds(cuts):
        path.unlink(missing_ok=True)
        found, offset = [], 0
        for cut in [*cuts, len(data)]:
            path.write_bytes(data[:cut])
            new, offset = read_since(path, offset)
            found += new
        assert found == lines

    holds()


def test_c2_a_resume_undoes_the_lines_beyond_its_step():
    lines = [{"attempt": 1, "step": 1}, {"attempt": 1, "step": 2}, {"attempt": 2, "step": 2}]
    events = [{"kind": "started", "attempt": 1}, {"kind": "resumed", "attempt": 2, "from_step": 1}]
    assert canonical(lines, events) == [lines[0], lines[2]]


def test_c2_a_start_from_nothing_undoes_all_earlier_lines():
    lines = [{"attempt": 1, "step": 0}, {"attempt": 2, "step": 0}]
    assert canonical(lines, [{"kind": "started", "attempt": n} for n in (1, 2)]) == lines[1:]


def test_c2_a_torn_last_line_goes_when_an_attempt_begins(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step":1}\n{"st')
    Run(tmp_path).begin()
    assert (tmp_path / "metrics.jsonl").read_bytes() == b'{"step":1}\n'


def test_an_attempt_counts_on_from_the_last_one_that_the_events_name(tmp_path):
    run = Run(tmp_path)
    run.event("started", "", step=0)
    assert Run(tmp_path).attempt == run.attempt + 1 == 2


def test_c6_a_second_process_on_a_run_is_busy(tmp_path):
    with Run(tmp_path).lock(), pytest.raises(TrainerError, match=r"^busy"), Run(tmp_path).lock():
        pass


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(FileNotFoundError), Run(tmp_path).folder("model") as folder:
        (folder / "half").joinpath("rest").touch()
    assert not (tmp_path / "model").exists()


def test_a_folders_hash_follows_names_and_contents(tmp_path):
    hashes = set()
    for name, text in (("a", "x"), ("a", "y"), ("b", "y")):
        folder = tmp_path / name / text
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
        hashes.add(folder_sha256(folder))
    assert len(hashes) == 3


def test_g9_a_seed_is_the_first_8_bytes_of_the_hash_of_its_names():
    # printf '[5,"order",2]' | sha256sum
    assert seed_for(5, "order", 2) == 0x70504EB9E77C0B90

"""The command: init, check, dry runs, refusals, exit codes."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.trainer.runs import corpus_rows, events, failure, sft_rows
from trainer import __main__ as command
from trainer import pretrain, sft
from trainer.__main__ import main, sft_rate
from trainer.contract import configs
from trainer.contract.rundir import Run, folder_sha256

ROOT = Path(__file__).parents[2]


def python(*arguments, **named):
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True, **named)


def files(path):
    return sorted(file.name for file in path.iterdir())


def test_c6_a_finished_run_is_left_as_it_is(tuned):
    before = folder_sha256(tuned)
    assert main(["sft", str(tuned)]) == 0
    assert folder_sha256(tuned) == before


def test_c6_the_result_names_all_that_makes_the_run(tuned):
    result = json.loads((tuned / "result.json").read_text())
    run = Run(tuned)
    assert result["config_sha256"] == configs.sha256(run.config)
    assert result["data_sha256"] == run.data_sha256
    assert result["outputs"][0] == {
        "name": "adapter",
        "kind": "sft",
        "path": "adapter",
        "sha256": folder_sha256(tuned / "adapter"),
        "bytes": sum(file.stat().st_size for file in (tuned / "adapter").iterdir()),
    }


def test_a_run_tells_its_environment(tuned):
    environment = json.loads((tuned / "environment.json").read_text())
    assert {"torch", "transformers", "peft", "threads", "device", "code_version"} < set(environment)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"lr": 2}, "bad_config"),
        ({"stage": "reward"}, "bad_config"),
        ({"base_sha256": "0" * 64}, "other_base"),
        ({"context": 4_096}, "context_too_long"),
        ({"device": "cuda"}, "no_device"),
        ({"parent_adapter": "absent"}, "bad_config"),
        ({"min_rows": 1_000}, "too_few_rows"),
    ],
    ids=str,
)
def test_c7_a_refused_run_leaves_its_reason_and_nothing_that_looks_like_work(sft_run, changed, code):
    path = sft_run(**changed)
    assert main(["sft", str(path)]) == 2
    assert failure(path)["code"] == code
    reports = {"data_report.json"} if code in ("too_few_rows", "bad_config") else set()
    assert set(files(path)) - reports == {"config.json", "data", "parents", "failure.json", "run.lock"}


def test_c7_rows_of_another_stage_are_refused(pretrain_run, capfd):
    path = pretrain_run(rows=[])
    manifest = json.loads((path / "data" / "manifest.json").read_text())
    manifest["files"][0]["type"] = "SftRow"
    (path / "data" / "manifest.json").write_text(json.dumps(manifest))
    assert main(["pretrain", str(path)]) == 2
    assert "names no file of type CorpusRow; its types are SftRow" in capfd.readouterr().err.splitlines()[-1]


def test_a_failure_goes_when_the_next_attempt_starts(sft_run):
    path = sft_run(lr=2)
    assert main(["sft", str(path)]) == 2
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "lr": 1e-3, "max_steps": 1}))
    assert main(["sft", str(path)]) == 0
    assert "failure.json" not in files(path)


def test_c6_a_second_process_exits_8_and_touches_nothing(sft_run):
    path = sft_run()
    with Run(path).lock():
        before = folder_sha256(path)
        assert main(["sft", str(path)]) == 8
        assert folder_sha256(path) == before


@pytest.mark.parametrize(
    ("error", "exit_code", "code"),
    [
        (MemoryError(), 4, "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 4, "out_of_memory"),
        (OSError(28, "No space left on device"), 5, "disk_full"),
        (ZeroDivisionError("division by zero"), 1, "unexpected"),
    ],
    ids=str,
)
def test_c6_an_error_that_is_not_ours_has_its_code(sft_run, monkeypatch, error, exit_code, code):
    def fail(*_):
        raise error

    monkeypatch.setattr(sft, "train", fail)
    path = sft_run()
    assert main(["sft", str(path)]) == exit_code
    assert failure(path)["code"] == code


def test_c8_a_dry_run_writes_beside_the_run(pretrain_run):
    path = pretrain_run()
    assert main(["pretrain", str(path), "--steps", "2"]) == 0
    assert files(path) == ["config.json", "data", "dry", "run.lock"]
    assert json.loads((path / "dry" / "result.json").read_text())["steps"] == 2


@pytest.mark.parametrize("stage", configs.STAGES)
def test_c8_init_writes_a_config_with_its_sentences(tmp_path, toy_base, stage):
    (tmp_path / "parents").mkdir()
    (tmp_path / "parents" / "base").symlink_to(toy_base)
    assert main(["init", stage, str(tmp_path), "--preset", "smoke"]) == 0
    written = json.loads((tmp_path / "config.json").read_text())
    config = configs.load(tmp_path / "config.json")
    assert config.stage == stage
    assert all(f"// {name}" in written for name in written if name not in ("schema", "stage") and name[0] != "/")


def test_c8_init_does_not_overwrite(tmp_path):
    assert main(["init", "pretrain", str(tmp_path)]) == 0
    before = (tmp_path / "config.json").read_bytes()
    assert main(["init", "pretrain", str(tmp_path)]) == 2
    assert (tmp_path / "config.json").read_bytes() == before


@pytest.mark.parametrize(("width", "expected"), [(128, 3e-4), (2_048, 2e-4), (4_096, 1.6e-4), (10**9, 5e-5)])
def test_s4_the_proposed_rate_falls_with_the_width(width, expected):
    # 2e-4 · (2000/4096)^0.3 = 1.613e-4; 2e-4 · (2000/2048)^0.3 = 1.986e-4; the ends are clipped
    assert sft_rate(width) == pytest.approx(expected)


def test_c8_check_says_that_a_run_may_start(sft_run, capsys):
    path = sft_run()
    assert main(["check", str(path)]) == 0
    assert re.fullmatch(r"sft: 40 rows, ready to start; about [\d,]+ MiB and [\d,]+ s\n", capsys.readouterr().out)
    assert files(path) == ["config.json", "data", "parents"]


def test_c8_check_says_what_would_refuse_a_run(sft_run, capsys):
    assert main(["check", str(sft_run(base_sha256="0" * 64))]) == 2
    assert json.loads(capsys.readouterr().err)["code"] == "other_base"


def test_l9_merge_leaves_a_run_as_one_plain_model(tuned, tmp_path):
    out = tmp_path / "merged"
    assert main(["merge", str(tuned), str(out)]) == 0
    words = AutoTokenizer.from_pretrained(out)
    plain = AutoModelForCausalLM.from_pretrained(out, use_safetensors=True)
    base = AutoModelForCausalLM.from_pretrained(tuned / "parents" / "base", use_safetensors=True)
    adapted = PeftModel.from_pretrained(base, tuned / "adapter")
    ids = torch.tensor([words("the cat saw").input_ids])
    with torch.no_grad():
        torch.testing.assert_close(plain(ids).logits, adapted(ids).logits, rtol=0, atol=1e-4)
        with adapted.disable_adapter():
            assert (plain(ids).logits - adapted(ids).logits).abs().max() > 0.01


def test_l9_merge_takes_no_place_that_is_taken(tuned, tmp_path, capsys):
    (tmp_path / "mine").write_text("mine")
    assert main(["merge", str(tuned), str(tmp_path)]) == 2
    assert json.loads(capsys.readouterr().err)["code"] == "bad_config"
    assert files(tmp_path) == ["mine"]


def test_l9_merge_refuses_a_stage_without_an_adapter_that_writes(pretrain_run, tmp_path, capsys):
    assert main(["merge", str(pretrain_run()), str(tmp_path / "merged")]) == 2
    assert json.loads(capsys.readouterr().err)["code"] == "bad_config"


def test_c8_a_refusal_does_not_wait_for_torch(pretrain_run):
    path = pretrain_run(lr=3)
    run = f"from trainer.__main__ import main; main(['pretrain', {str(path)!r}])"
    assert python("-c", f"import sys; {run}; sys.exit('torch' in sys.modules)").wait() == 0


def test_c5_the_end_of_a_workers_pipe_stops_its_child(pretrain_run):
    path = pretrain_run(max_steps=0, epochs=100, rows=corpus_rows(400))
    child = python("-m", "trainer", "pretrain", str(path), "--attempt", "1", stdin=subprocess.PIPE)
    child.stdin.close()
    assert child.wait(timeout=120) == 7
    assert events(path)[-1] == "cancelled"


def test_standard_input_by_hand_stops_nothing(monkeypatch):
    watched = []
    monkeypatch.setattr(threading, "Thread", lambda **named: watched.append(named))
    with Path(os.devnull).open() as nothing:
        keep = os.dup(0)
        os.dup2(nothing.fileno(), 0)
        command._heed_stdin(Run(Path("nowhere")))
        os.dup2(keep, 0)
    assert watched == []


def test_every_stage_of_the_contract_has_its_module():
    assert set(command.STAGES) == set(configs.STAGES)
    assert command.STAGES["pretrain"] == (pretrain.__name__, "train")


def test_held_out_rows_are_needed(sft_run):
    path = sft_run(rows=[{**row, "split": "train"} for row in sft_rows()])
    assert main(["sft", str(path)]) == 2
    assert failure(path)["code"] == "no_heldout"

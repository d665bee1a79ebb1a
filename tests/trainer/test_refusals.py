"""C7: each refusal once, with its sentence, and nothing left that looks like work."""

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.conftest import SFT
from tests.trainer.preferences import lay
from tests.trainer.runs import Row, corpus_rows, failure, lay_out, sft_rows
from trainer.__main__ import main
from trainer.contract.errors import TrainerError
from trainer.contract.exits import EXIT_OF, REFUSED
from trainer.contract.rundir import Run, file_sha256, folder_sha256

READ = {"config.json", "data", "parents", "failure.json", "run.lock"}
REPORTS = {"data_report.json"}  # names the rows that a refusal of data is about


@pytest.fixture
def own_base(toy_base, tmp_path):
    """A copy of the base that a test may spoil."""
    folder = tmp_path / "own" / "base"
    folder.mkdir(parents=True)
    for file in toy_base.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def change(path: Path, **changed: object) -> None:
    """Rewrite some of a JSON file's keys; None takes one away."""
    facts = {**json.loads(path.read_text()), **changed}
    path.write_text(json.dumps({key: value for key, value in facts.items() if value is not None}))


def refused(path: Path, code: str, sentence: str) -> None:
    """The run is refused so, and leaves its reason only."""
    assert main(["sft", str(path)]) == 2
    found = failure(path)
    assert found["code"] == code
    assert re.search(sentence, found["sentence"]), found["sentence"]
    assert {file.name for file in path.iterdir()} - REPORTS <= READ


@pytest.mark.parametrize(
    ("changed", "code", "sentence"),
    [
        ({"lr": 2}, "bad_config", r"lr is 2.*; allowed: above 0 to 1\.0\."),
        ({"min_rows": 1_000}, "too_few_rows", r"32 usable training rows; at least 1000 are needed\. Dropped: none\."),
        ({"base_sha256": "0" * 64}, "other_base", r"parents/base has the hash .*, base_sha256 is 0000"),
        ({"context": 4_096}, "context_too_long", r"context is 4096; the base allows at most 128\."),
        ({"device": "cuda"}, "no_device", r"device is cuda; this machine has none .* Set cpu or auto\."),
        ({"max_memory_bytes": 2**20}, "too_big", r"microbatch_tokens is 128; max_memory_bytes allows 0\.0 GiB and"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)
def test_c7_of_the_config(sft_run, changed, code, sentence):
    refused(sft_run(**changed), code, sentence)


@pytest.mark.parametrize(
    ("rows", "code", "sentence"),
    [
        ([*sft_rows(2), {"id": 3}], "bad_data", r"sft\.jsonl, line 3: id is not a string\."),
        ([{**row, "prompt_id": "p"} for row in sft_rows()], "heldout_in_train", r"p stands among train and heldout"),
        ([{**row, "split": "train"} for row in sft_rows()], "no_heldout", r"No usable row is held out"),
    ],
    ids=["bad_data", "heldout_in_train", "no_heldout"],
)
def test_c7_of_the_rows(sft_run, rows, code, sentence):
    refused(sft_run(rows=rows), code, sentence)


def rename(folder: Path, old: str, new: str) -> None:
    (folder / old).rename(folder / new)


SPOILT = {
    "own_code": (lambda base: change(base / "config.json", auto_map={}), r"names code of its own \(auto_map\)"),
    "pickled_weights": (
        lambda base: rename(base, "model.safetensors", "pytorch_model.bin"),
        r"holds only pytorch_model\.bin, which can run code when read; convert it to safetensors",
    ),
    "no_safetensors": (lambda base: (base / "model.safetensors").unlink(), r"holds no \*\.safetensors"),
    "no_template": (lambda base: template(base, "{{ messages[0].content }}"), r"chat template"),
    "no_end_token": (lambda base: without_end(base), r"names no end token; set eos_token"),
}


def template(base: Path, text: str) -> None:
    """Give the base another chat template."""
    (base / "chat_template.jinja").unlink(missing_ok=True)
    change(base / "tokenizer_config.json", chat_template=text)


def without_end(base: Path) -> None:
    """Take away all that could end an answer."""
    template(base, "{% for m in messages %}{{ m.content }} {% endfor %}")
    change(base / "tokenizer_config.json", eos_token=None)
    for name in ("special_tokens_map.json", "generation_config.json"):
        (base / name).unlink(missing_ok=True)


@pytest.mark.parametrize("code", SPOILT)
def test_c7_of_the_base(sft_run, own_base, code):
    spoil, sentence = SPOILT[code]
    spoil(own_base)
    refused(sft_run(base=own_base), code, sentence)


@pytest.fixture
def on_adapter(toy_base, tuned, tmp_path):
    """A run that starts from a copy of the tuned adapter, which `spoil` may change."""

    def lay_on(spoil=lambda folder: None, **changed: object) -> Path:
        own = tmp_path / "adapter"
        own.mkdir()
        for file in (tuned / "adapter").iterdir():
            (own / file.name).write_bytes(file.read_bytes())
        spoil(own)
        config: Row = {**SFT, "parent_adapter": "sft", **changed}
        return lay(tmp_path / "run", config, base=toy_base, parents={"sft": own}, sft=sft_rows())

    return lay_on


def test_c7_an_adapter_that_cannot_be_read(on_adapter):
    path = on_adapter(lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x"))
    refused(path, "bad_adapter", r"adapter sft: adapter_model\.safetensors cannot be read")


def test_c7_a_smaller_rank(on_adapter):
    refused(on_adapter(rank=2), "rank_shrinks", r"rank is 2; the adapter it starts from has 4: allowed are 4 to 256")


def test_t7_an_adapter_of_another_template(on_adapter):
    path = on_adapter(lambda folder: change(folder / "manifest.json", template_sha256="f" * 64))
    refused(path, "template_differs", r"adapter sft was made with the chat template ffffffffffff…; this run's is")


def test_t7_an_adapter_that_names_no_template_is_taken(on_adapter):
    path = on_adapter(lambda folder: change(folder / "manifest.json", template_sha256=None), max_steps=1)
    assert main(["sft", str(path)]) == 0


def test_t7_the_result_names_the_template(tuned, words):
    assert json.loads((tuned / "result.json").read_text())["template_sha256"] == words.template_sha256


def test_c7_a_disk_without_room(sft_run, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    refused(
        sft_run(), "no_space", r"0 MiB are free where the run writes; three checkpoints and the outputs need \d+ MiB"
    )


@pytest.fixture
def begun(sft_run):
    """A run with a checkpoint and without a result."""
    path = sft_run(max_steps=2)
    assert main(["sft", str(path)]) == 0
    (path / "result.json").unlink()
    return path


def again(path: Path, **changed: object) -> str:
    """The code with which the changed run is refused, or nothing where it goes on."""
    change(path / "config.json", **changed)
    return str(failure(path)["code"]) if main(["sft", str(path)]) else ""


def test_c4_another_learning_rate_is_another_run(begun):
    assert again(begun, lr=1e-4) == "changed_run"


@pytest.mark.parametrize(
    "field", ["max_memory_bytes", "microbatch_tokens", "head_chunk", "checkpoint_steps", "checkpoint_s"]
)
def test_c4_what_memory_and_safety_need_may_change(begun, field):
    assert again(begun, **{field: 2**33 if field == "max_memory_bytes" else 256}) == ""


def test_c3_a_foreign_file_refuses_a_resume(begun):
    (max((begun / "checkpoints").iterdir()) / "extra.bin").write_bytes(b"x")
    assert again(begun) == "foreign_file"


def test_c7_every_code_of_a_refusal_is_tried_here():
    told = Path(__file__).read_text()
    assert [code for code, number in EXIT_OF.items() if number == REFUSED and f'"{code}"' not in told] == []


# --- whatever is given


def code_of(path: Path) -> str:
    """With what code reading all that a run reads before torch is refused; empty where it is not."""
    run = Run(path)
    try:
        list(run.rows("CorpusRow"))
    except TrainerError as refusal:
        return refusal.code
    return ""


BYTES = st.binary(max_size=40) | st.sampled_from(
    [
        b"",
        b"[" * 100_000,
        b'{"stage": "\\ud800"}',
        b'{"stage": "sft", "seed": 1e999}',
        b"\xff\xfe",
        b"9" * 5_000,
        b"NaN",
    ]
)


@settings(max_examples=100, deadline=None)
@given(data=BYTES)
def test_any_bytes_in_config_json_end_in_a_refusal(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    (path / "data").mkdir()
    (path / "data" / "manifest.json").write_text('{"files": []}')
    (path / "config.json").write_bytes(data)
    with pytest.raises(TrainerError, match=r"^bad_config"):
        assert Run(path).config


@settings(max_examples=100, deadline=None)
@given(line=BYTES, packed=st.booleans(), torn=st.booleans())
def test_any_bytes_among_the_rows_end_in_a_refusal(line, packed, torn, tmp_path_factory):
    path = lay_out(tmp_path_factory.mktemp("run") / "run", {"stage": "pretrain"}, packed=packed, corpus=corpus_rows(2))
    (place,) = (path / "data").glob("corpus*")
    if packed:
        data = gzip.compress(gzip.decompress(place.read_bytes()) + line)
        place.write_bytes(data[: len(data) // 2] if torn else data)
    else:
        place.write_bytes(place.read_bytes() + line)
    manifest = path / "data" / "manifest.json"
    files = json.loads(manifest.read_text())["files"]
    manifest.write_text(json.dumps({"files": [{**files[0], "sha256": file_sha256(place)}]}))
    assert code_of(path) in ("", "bad_data")


@settings(max_examples=100, deadline=None)
@given(
    data=BYTES,
    key=st.sampled_from(["name", "type", "sha256", "rows"]),
    wrong=st.sampled_from([None, [], {}, "x\0", -1]),
)
def test_any_manifest_ends_in_a_refusal(data, key, wrong, tmp_path_factory):
    path = lay_out(tmp_path_factory.mktemp("run") / "run", {"stage": "pretrain"}, corpus=corpus_rows(2))
    manifest = path / "data" / "manifest.json"
    files = json.loads(manifest.read_text())["files"]
    for text in (data, json.dumps({"files": [{**files[0], key: wrong}]}).encode()):
        manifest.write_bytes(text)
        assert code_of(path) in ("", "bad_data")


def test_half_a_character_in_a_row_is_refused_with_its_line(tmp_path):
    rows = [*corpus_rows(1), {"id": "d1", "split": "train", "text": "\ud800"}]
    path = lay_out(tmp_path / "run", {"stage": "pretrain"}, corpus=rows)
    with pytest.raises(TrainerError, match=r"^bad_data: corpus.jsonl, line 2: .*surrogates not allowed"):
        list(Run(path).rows("CorpusRow"))


def test_a_refused_run_reads_its_parents_only(on_adapter):
    path = on_adapter(rank=2)
    before = folder_sha256(path / "parents" / "base")
    assert main(["sft", str(path)]) == 2
    assert folder_sha256(path / "parents" / "base") == before

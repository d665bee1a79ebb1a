"""Which base models an operator may bring."""

import json

import pytest
from django.core.management import CommandError, call_command

from rlhf.bases import fetch_base, import_base, safetensors_problem
from rlhf.errors import LaunchError
from rlhf.models import Model


def weights(header: dict, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


GOOD = weights({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "little-llama"
    place.mkdir()
    (place / "config.json").write_text('{"model_type": "llama"}')
    (place / "tokenizer.json").write_text("{}")
    (place / "model.safetensors").write_bytes(GOOD)
    return place


def refusal(project, folder) -> str:
    with pytest.raises(LaunchError) as error:
        import_base(project=project, folder=folder, name="x", licence="MIT")
    assert not Model.objects.exists()
    return error.value.code


def test_a_folder_becomes_a_base_of_the_project(project, folder):
    call_command("import_base", str(folder), project="Docs", licence="MIT")
    base = Model.objects.get()
    assert (base.kind, base.name, base.licence, base.project) == ("base", "little-llama", "MIT", project)


def test_the_same_folder_is_recorded_once(project, folder):
    first = import_base(project=project, folder=folder, name="a", licence="MIT")
    assert import_base(project=project, folder=folder, name="b", licence="MIT") == first


def test_other_files_are_not_taken(project, folder):
    (folder / "README.exe").write_text("x")
    base = import_base(project=project, folder=folder, name="a", licence="MIT")
    assert [file["path"] for file in base.files] == ["config.json", "model.safetensors", "tokenizer.json"]


def test_a_base_without_safetensors_is_refused(project, folder):
    (folder / "model.safetensors").unlink()
    assert refusal(project, folder) == "no_safetensors"


def test_a_base_with_pickled_weights_only_is_refused(project, folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert refusal(project, folder) == "pickled_weights"


def test_a_base_with_a_script_is_refused(project, folder):
    (folder / "modeling_x.py").write_text("")
    assert refusal(project, folder) == "own_code"


def test_a_base_that_asks_for_its_own_code_is_refused(project, folder):
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "x.Y"}}')
    assert refusal(project, folder) == "own_code"


def test_a_base_without_a_tokenizer_is_refused(project, folder):
    (folder / "tokenizer.json").unlink()
    assert refusal(project, folder) == "no_tokenizer"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02}q\x00.",
        (2**63).to_bytes(8, "little") + b"{}",
        weights({"w": {"data_offsets": [0, 4]}, "v": {"data_offsets": [2, 6]}}, b"\0" * 6),
        weights({"w": {"data_offsets": [0, 400]}}, b"\0" * 4),
        weights({"w": {"shape": [1]}}, b""),
    ],
    ids=["empty", "pickle", "huge header", "overlap", "beyond the end", "no offsets"],
)
def test_what_is_no_safetensors_file_is_refused(project, folder, content):
    (folder / "model.safetensors").write_bytes(content)
    assert refusal(project, folder) == "not_safetensors"


def test_a_good_header_has_no_problem(folder):
    assert safetensors_problem(folder / "model.safetensors") == ""


@pytest.mark.parametrize("name", ["owner/name", "owner/name@main", "/etc/passwd", "owner/name@" + "0" * 39])
def test_a_hub_model_without_a_full_commit_is_refused(project, name):
    with pytest.raises(LaunchError) as error:
        fetch_base(project=project, hub_name=name, licence="MIT")
    assert error.value.code == "model_not_allowed"


def test_a_hub_model_outside_the_operators_list_is_refused(project, settings):
    settings.BASE_MODELS = ["owner/name@" + "0" * 40]
    with pytest.raises(LaunchError) as error:
        fetch_base(project=project, hub_name="owner/other@" + "0" * 40, licence="MIT")
    assert error.value.code == "model_not_allowed"


def test_the_command_names_a_project_that_is_not_there(project, folder):
    with pytest.raises(CommandError, match="No project is named Nowhere"):
        call_command("import_base", str(folder), project="Nowhere")

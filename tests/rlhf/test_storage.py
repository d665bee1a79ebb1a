"""Files by their hash."""

import pytest

from rlhf import storage


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "model"
    (place / "deep").mkdir(parents=True)
    (place / "a.json").write_text("{}")
    (place / "deep" / "b.json").write_text("[]")
    return place


def test_what_is_put_is_fetched_by_its_hash(folder):
    assert storage.fetch(storage.put(folder / "a.json")).read_text() == "{}"


def test_a_damaged_file_is_not_given_out(folder):
    sha256 = storage.put(folder / "a.json")
    storage.fetch(sha256).write_text("other")
    with pytest.raises(storage.MissingFile):
        storage.fetch(sha256)


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", ""])
def test_what_was_never_put_is_missing(name):
    with pytest.raises(storage.MissingFile):
        storage.fetch(name)


def test_a_folder_is_laid_out_as_it_was(folder, tmp_path):
    storage.lay_out(storage.put_folder(folder), tmp_path / "again")
    assert (tmp_path / "again" / "deep" / "b.json").read_text() == "[]"


def test_a_path_that_leads_out_of_the_folder_is_refused(folder, tmp_path):
    sha256 = storage.put(folder / "a.json")
    with pytest.raises(storage.MissingFile):
        storage.lay_out([{"path": "../stolen", "sha256": sha256}], tmp_path / "again")
    assert not (tmp_path / "stolen").exists()


def test_an_area_drops_what_is_not_kept(folder):
    kept, dropped = (storage.put(folder / name, area="checkpoints/1") for name in ("a.json", "deep/b.json"))
    storage.drop_others("checkpoints/1", keep={kept})
    assert storage.fetch(kept, area="checkpoints/1").exists()
    with pytest.raises(storage.MissingFile):
        storage.fetch(dropped, area="checkpoints/1")

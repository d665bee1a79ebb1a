"""The map: planted groups come out as neighbours, what a picture keeps is counted right, and the same seed draws it."""

import json
from itertools import product

import numpy as np
import pytest
import torch

from tests.trainer.preferences import lay
from tests.trainer.runs import config_of, events, failure, values
from trainer import base, layout, map, metrics, tokenizer
from trainer.__main__ import main
from trainer.contract.configs import MapConfig
from trainer.contract.exits import CANCELLED, EXIT_OF
from trainer.contract.rundir import Run, folder_sha256

WORDS = ["".join(letters) for letters in product("bdgkmt", "ae", "lnrsx")]  # 60, of three letters each
GROUPS = 6
MAP = {"stage": "map", "points": 60, "earlier_points": 55, "perplexity": 6.0, "microbatch_tokens": 64}
EARLIER = "base.step-00000014"


def group_of(word):
    return WORDS.index(word) % GROUPS


def corpus(words=WORDS):
    """Documents in which the first word is the most frequent, the last the least; half of them of another source."""
    texts = [f" {word}" * (len(words) + 20 - place) for place, word in enumerate(words)]
    return [
        {"id": f"d{place}", "split": "train", "text": text, "source": f"source {place % 2}", "language": "en"}
        for place, text in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def vocabulary():
    """A tokenizer with one token a word."""
    return tokenizer.train_bpe([row["text"] for row in corpus()], size=512)


def base_in(folder, vocabulary, *, planted):
    """A toy; planted: each word's embedding lies near the middle of its group."""
    model = base.make("toy", vocab=512, seed=3)
    draw = torch.Generator().manual_seed(1)
    middles = torch.randn(GROUPS, 64, generator=draw)
    table = model.get_input_embeddings().get_parameter("weight")
    with torch.no_grad():
        for word, [token] in zip(WORDS, vocabulary.encode([f" {word}" for word in WORDS]), strict=True):
            noise = torch.randn(64, generator=draw)
            table[token] = 0.3 * noise + planted * middles[group_of(word)]
    base.save(model, folder)
    vocabulary.save(folder)
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory, vocabulary):
    """The base with its groups, and the state before it, which has none."""
    folder = tmp_path_factory.mktemp("bases")
    return base_in(folder / "last", vocabulary, planted=1), base_in(folder / "first", vocabulary, planted=0)


@pytest.fixture(scope="module")
def lay_map(bases):
    def lay_out_map(path, *, rows=None, **changed):
        rows = corpus() if rows is None else rows
        return lay(path, {**MAP, **changed}, base=bases[0], parents={EARLIER: bases[1]}, corpus=rows)

    return lay_out_map


@pytest.fixture(scope="module")
def placed(lay_map, tmp_path_factory):
    """A finished map of words at two states."""
    path = lay_map(tmp_path_factory.mktemp("placed") / "run", checkpoints=[EARLIER])
    assert main(["map", str(path)]) == 0
    return path


def facts(path):
    return json.loads((path / "map" / "labels.json").read_text())


def stored(path, name, kind="<f4"):
    return np.fromfile(path / "map" / name, dtype=kind)


def points(path, name):
    return stored(path, name).reshape(-1, 2)


def naive_neighbours(distances, count):
    """Of each row the places of the least, itself left out."""
    return [sorted((far, other) for other, far in enumerate(row) if other != one) for one, row in enumerate(distances)]


# --- neighbours


def test_the_words_of_a_planted_group_are_each_others_neighbours(placed):
    true = stored(placed, "true.u32", "<u4").reshape(60, 20)
    words = [label["text"] for label in facts(placed)["labels"]]
    near = [{group_of(words[other]) for other in row[:9]} for row in true]
    assert near == [{group_of(word)} for word in words]


def test_neighbours_are_exact_and_stand_nearest_first():
    draw = np.random.default_rng(4)
    vectors = layout.unit(draw.normal(size=(70, 8)))
    places, cosines = layout.neighbours(vectors, 5, stop=lambda: None)
    wanted = [[other for _, other in row[:5]] for row in naive_neighbours(-(vectors @ vectors.T), 5)]
    assert places.tolist() == wanted
    assert np.allclose(cosines[3], [vectors[3] @ vectors[other] for other in wanted[3]], atol=1e-6)


def test_a_large_set_is_taken_in_parts_and_gives_the_same(monkeypatch):
    vectors = layout.unit(np.random.default_rng(4).normal(size=(70, 8)))
    whole = layout.neighbours(vectors, 5, stop=lambda: None)
    monkeypatch.setattr(layout, "CHUNK", 16)
    parts = layout.neighbours(vectors, 5, stop=lambda: None)
    assert (whole[0].tolist(), np.allclose(whole[1], parts[1], atol=1e-6)) == (parts[0].tolist(), True)


# --- what a picture keeps


def test_the_kept_share_equals_a_naive_count():
    draw = np.random.default_rng(5)
    picture, vectors = draw.normal(size=(60, 2)).astype(np.float32), layout.unit(draw.normal(size=(60, 4)))
    true, _ = layout.neighbours(vectors, 10, stop=lambda: None)
    distances = ((picture[:, None] - picture[None]) ** 2).sum(2)
    near = [{other for _, other in row[:10]} for row in naive_neighbours(distances, 10)]
    hits = sum(len(near[one] & set(row)) for one, row in enumerate(true.tolist()))
    assert layout.kept(picture, true) == pytest.approx(hits / 600)


def test_pictures_of_planted_groups_keep_most_neighbours_and_a_random_one_few(placed):
    kept = facts(placed)["kept"]["15"]
    assert min(kept["tsne"], kept["pca"]) > 0.8  # nine of ten stand in the group
    assert kept["random"] == pytest.approx(10 / 59, abs=0.06)  # of 600 chances; three deviations are 0.05


def test_what_is_kept_stands_in_the_result_and_in_the_metrics(placed):
    final = json.loads((placed / "result.json").read_text())["final"]
    kept = facts(placed)["kept"]["15"]
    assert (final["kept_tsne"], final["kept_pca"], final["points"]) == (kept["tsne"], kept["pca"], 60)
    assert [line["map/kept_tsne"] for line in values(placed, "eval")] == [
        kept["tsne"],
        facts(placed)["kept"]["14"]["tsne"],
    ]


def test_the_gap_grows_from_noise_to_meaning(placed):
    noise, meaning = (line["gap"] for line in facts(placed)["curve"])
    assert abs(noise) < 0.1  # 200 pairs of random directions in 64 dimensions: the mean's deviation is 0.009
    assert meaning > 0.5


def test_the_gaps_pairs_share_no_token_where_neighbours_do_not():
    points = [map.Point(map._label(str(at), 1, "", ""), [at // 2, 100 + at]) for at in range(60)]  # in twos
    true = np.array([[at ^ 1, (at + 2) % 60] for at in range(60)], dtype=np.uint32)
    near, chance = map.pairs_of(points, true, seed=1, apart=True)
    assert sorted(near.tolist()) == [[at, (at + 2) % 60] for at in range(60)]
    assert (len(chance), {one // 2 == other // 2 for one, other in chance.tolist()}) == (200, {False})


def test_where_all_neighbours_share_a_token_they_are_the_pairs():
    points = [map.Point(map._label(str(at), 1, "", ""), [7, at + 8]) for at in range(60)]
    true = np.array([[(at + 1) % 60] for at in range(60)], dtype=np.uint32)
    near, _ = map.pairs_of(points, true, seed=1, apart=True)
    assert len(near) == 60


# --- pictures


def test_procrustes_undoes_a_turn_and_a_mirror():
    picture = np.random.default_rng(6).normal(size=(50, 2)).astype(np.float32)
    picture -= picture.mean(0)
    turn = np.array([[0.6, 0.8], [0.8, -0.6]], dtype=np.float32)  # a mirror
    assert np.allclose(layout.turned(picture @ turn + 3, onto=picture), picture, atol=1e-5)


def test_pca_shows_the_two_directions_of_greatest_variance():
    along = np.array([[3, 0, 0], [-3, 0, 0], [0, 0, 2], [0, 0, -2], [0, 1, 0], [0, -1, 0]], dtype=np.float32)
    assert np.allclose(layout.pca(along), [[3, 0], [-3, 0], [0, 2], [0, -2], [0, 0], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("name", ["pca-15", "tsne-15", "pca-14", "tsne-14"])
def test_a_picture_fills_the_square(placed, name):
    found = points(placed, f"{name}.f32")
    assert len(found) == (60 if name.endswith("15") else 55)
    assert np.abs(found).max() == pytest.approx(1)


def test_an_earlier_picture_lies_as_the_later_one(placed):
    later, earlier = points(placed, "tsne-15.f32")[:55], points(placed, "tsne-14.f32")
    again = layout.turned(earlier, onto=later)
    assert np.allclose(again, earlier - earlier.mean(0), atol=1e-4)  # nothing is left to turn


def test_the_same_seed_gives_the_same_bytes(placed, lay_map, tmp_path):
    path = lay_map(tmp_path / "again", checkpoints=[EARLIER])
    assert main(["map", str(path)]) == 0
    assert folder_sha256(path / "map") == folder_sha256(placed / "map")


# --- points


def test_the_most_frequent_words_come_first_with_their_counts(placed):
    first = facts(placed)["labels"][:2]
    assert [(one["text"], one["count"]) for one in first] == [(WORDS[0], 80), (WORDS[1], 79)]


def test_a_word_is_written_as_it_is_most_often_and_named_by_its_main_source(lay_map, tmp_path):
    paris = [
        {"id": "x", "split": "train", "text": "Paris " * 99, "source": "atlas"},
        {"id": "y", "split": "train", "text": "paris PARIS d’accord", "source": "notes", "language": "fr"},
        {"id": "z", "split": "heldout", "text": "Paris unseen " * 99},
    ]
    path = lay_map(tmp_path / "run", rows=[*corpus(), *paris])
    assert main(["map", str(path)]) == 0
    first = facts(path)["labels"][0]
    assert first == {"text": "Paris", "count": 101, "source": "atlas", "language": ""}


def test_a_text_of_no_model_has_words_too():
    assert map.WORD.findall("It’s 3 o'clock, naïve_東京 x2") == ["It’s", "o'clock", "naïve", "東京", "x"]


def test_a_word_of_several_tokens_lies_in_their_middle(bases, vocabulary, lay_map, tmp_path):
    config = config_of(lay_map(tmp_path / "run"), MapConfig)
    model = base.load(bases[0], dtype=torch.float32, device=torch.device("cpu"))
    ids = vocabulary.encode([f" {WORDS[0]}{WORDS[1]}"])[0]
    assert len(ids) > 1
    [found] = map.vectors_of(model, [map.Point(map._label("", 1, "", ""), ids)], config, stop=lambda: None)
    middle = model.get_input_embeddings().get_parameter("weight")[ids].mean(0).numpy()
    assert np.allclose(found, middle / np.linalg.norm(middle), atol=1e-6)


def test_documents_are_placed_by_their_mean_state_whatever_shares_their_batch(bases, lay_map, tmp_path):
    path = lay_map(tmp_path / "run", kind="documents", points=50)
    assert main(["map", str(path)]) == 0
    run, config = Run(path), config_of(path, MapConfig)
    words = tokenizer.load(bases[0], template="touchstone")
    model = base.load(bases[0], dtype=torch.float32, device=torch.device("cpu"))
    found = map.points_of(config, run, words, context=128)
    together = map.vectors_of(model, found, config, stop=lambda: None)
    alone = map.vectors_of(model, found[7:8], config, stop=lambda: None)
    assert np.allclose(together[7], alone[0], atol=1e-5)
    counts = [label["count"] for label in facts(path)["labels"]]
    assert (len(counts), counts) == (50, sorted(counts, reverse=True))


# --- refusals and ends


def test_too_few_points_are_refused_before_anything_is_drawn(lay_map, tmp_path):
    path = lay_map(tmp_path / "run", rows=corpus(WORDS[:49]))
    assert main(["map", str(path)]) == EXIT_OF["too_few_rows"]
    assert (failure(path)["code"], (path / "map").exists()) == ("too_few_rows", False)
    assert failure(path)["sentence"].startswith("The corpus gives 49 words to place; at least 50 are needed.")


def test_what_is_no_state_of_the_base_is_refused(lay_map, tmp_path, bases):
    path = lay_map(tmp_path / "run", checkpoints=["base"])
    assert main(["map", str(path)]) == EXIT_OF["bad_config"]
    assert failure(path)["sentence"].startswith("checkpoints names base;")


def test_a_wish_to_stop_is_heard_within_a_picture_and_leaves_nothing(lay_map, tmp_path, monkeypatch):
    path = lay_map(tmp_path / "run")
    write = metrics.Log.write
    heard = []

    def asked(log, kind, step, *given, **named):
        heard.append(kind)
        if len(heard) == 3:
            log._run.request_stop()
        write(log, kind, step, *given, **named)

    monkeypatch.setattr(metrics.Log, "write", asked)
    assert main(["map", str(path)]) == CANCELLED
    assert (heard, events(path)[-1]) == (["system"] * 3, "cancelled")
    assert not (path / "map").exists()


def test_progress_reaches_its_end_and_never_falls(placed):
    lines = [json.loads(line)["progress"] for line in (placed / "metrics.jsonl").read_text().splitlines()]
    assert (lines == sorted(lines), lines[-1]) == (True, 1)

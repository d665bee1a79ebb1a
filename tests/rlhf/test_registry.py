"""From a model down to what formed it, and from a text up to all that it reached. Two rounds of training, planted."""

import pytest

from annotate.models import Group, Text
from rlhf import registry
from rlhf.models import Run, RunInput
from tests.rlhf.conftest import make_model, make_snapshot


def make_run(project, by, stage, **inputs) -> Run:
    run = Run.objects.create(
        project=project, number=project.runs.count() + 1, stage=stage, config={}, config_sha256="", seed=1,
        code_version="", created_by=by,
    )  # fmt: skip
    for name, row in inputs.items():
        kind = "model" if hasattr(row, "size_bytes") else "snapshot"
        RunInput.objects.create(run=run, name=name, **{kind: row})
    return run


def make_text(project, body: str, **fields) -> Text:
    group, _ = Group.objects.get_or_create(project=project, first_sha256="0" * 64, split="train")
    return Text.objects.create(
        project=project, body=body, sha256=body[:64], group=group, origin="import", **{"kind": "document"} | fields
    )


@pytest.fixture
def world(project, ada, tmp_path):
    """corpus → base; answers → sft; generated → ranked → reward; a second round ranks what the policy wrote."""
    texts = {name: make_text(project, name) for name in ("document", "elsewhere")}
    texts["prompt"] = make_text(project, "prompt", kind="prompt")

    def snapshot(kind, rows, **card):
        made = make_snapshot(project, ada, tmp_path, kind=kind, name=f"{kind}.jsonl", rows=rows)
        made.card |= card
        made.save(update_fields=["card"])
        return made

    corpus = snapshot("corpus", [{"id": str(texts["document"].pk), "split": "train"}], decisions=1, people={"p1": 1})
    base = make_model(project, tmp_path, run=make_run(project, ada, "pretrain", corpus=corpus))
    answers = [{"id": "900", "prompt_id": str(texts["prompt"].pk), "split": "train"}]
    pairs = snapshot("sft", answers, decisions=1, people={"p2": 1})
    tuned = make_run(project, ada, "sft", sft=pairs, base=base)
    sft = make_model(project, tmp_path, kind="sft", base=base, run=tuned)
    prompts = snapshot("prompt", [{"id": str(texts["prompt"].pk), "split": "train"}])
    wrote = make_run(project, ada, "generate", prompts=prompts, base=base, sft=sft)
    ranking = [{"id": "7", "prompt_id": str(texts["prompt"].pk), "split": "train", "answers": [{"id": "901"}]}]
    ranked = snapshot("ranking", ranking, decisions=3, people={"p1": 2, "p3": 1}, scripted=3, runs=[wrote.number])
    judged = make_run(project, ada, "reward", ranking=ranked, base=base, sft=sft)
    reward = make_model(project, tmp_path, kind="reward", base=base, run=judged)
    return {**texts, "base": base, "sft": sft, "reward": reward, "corpus": corpus, "ranked": ranked, "wrote": wrote}


def names(nodes) -> set[str]:
    return {node["name"] for node in nodes}


def test_a_reward_models_lineage_reaches_everything_that_formed_it(world):
    found = registry.lineage(world["reward"])
    assert found["nodes"][0]["name"] == world["reward"].name
    assert names(found["nodes"]) == {
        "reward-3", "run 4", "rankings-4", "base-1", "sft-2", "answers-2", "run 1", "corpus-1", "run 2", "run 3",
        "prompts-3",
    }  # fmt: skip


def test_an_edge_goes_from_what_was_used_to_what_was_made(world):
    found = registry.lineage(world["base"])
    ids = {node["name"]: node["id"] for node in found["nodes"]}
    assert sorted(found["edges"]) == sorted([[ids["corpus-1"], ids["run 1"]], [ids["run 1"], ids["base-1"]]])


def test_a_ranking_leads_back_to_the_run_that_wrote_its_answers(world):
    found = registry.lineage(world["reward"])
    ids = {(node["type"], node["name"]): node["id"] for node in found["nodes"]}
    assert [ids["run", "run 3"], ids["snapshot", "rankings-4"]] in found["edges"]


def test_the_decisions_of_a_model_are_counted_by_kind(world):
    found = {row["kind"]: (row["decisions"], row["people"]) for row in registry.decisions(world["reward"])}
    assert found == {"corpus": (1, 1), "sft": (1, 1), "prompt": (0, 0), "ranking": (3, 2)}


def test_a_document_reaches_every_model_above_its_base(world):
    found = registry.affected_by(world["document"])
    assert names(found["models"]) == {"base-1", "sft-2", "reward-3"}
    assert "corpus-1" in names(found["snapshots"])


def test_a_text_that_was_never_frozen_reached_nothing(world):
    assert registry.affected_by(world["elsewhere"]) == {"snapshots": [], "models": []}


def test_an_edit_that_was_frozen_counts_for_the_text_that_it_replaced(world, project):
    Text.objects.filter(pk=world["document"].pk).update(edited_from=world["elsewhere"])
    assert names(registry.affected_by(world["elsewhere"])["models"]) == {"base-1", "sft-2", "reward-3"}


def test_lineage_asks_no_more_of_a_wide_graph_than_of_a_narrow_one(
    world, project, ada, tmp_path, django_assert_num_queries
):
    for number in range(10):
        more = make_snapshot(project, ada, tmp_path, name=f"{number}.jsonl", rows=[{"id": "1", "split": "train"}])
        RunInput.objects.create(run=world["base"].run, name=f"corpus{number}", snapshot=more)
    with django_assert_num_queries(2):
        registry.lineage(world["base"])


def test_a_document_that_is_played_reaches_its_benchmark(world, project, ada, tmp_path):
    row = {"id": "12-missing", "split": "heldout", "document": str(world["document"].pk)}
    make_snapshot(project, ada, tmp_path, kind="cloze", type="ClozeRow", name="cloze.jsonl", rows=[row])
    assert "cloze-5" in names(registry.affected_by(world["document"])["snapshots"])
    assert "cloze-5" not in names(registry.affected_by(world["prompt"])["snapshots"])


def test_what_learned_from_corrections_of_the_game_is_marked(world):
    pairs = world["sft"].run.inputs.get(name="sft").snapshot
    pairs.card |= {"sources": {"game": 2, "write": 40}}
    pairs.save(update_fields=["card"])
    assert registry.corrections_read(world["sft"]) == 2
    assert registry.has_read_corrections(world["reward"])
    assert not registry.has_read_corrections(world["base"])

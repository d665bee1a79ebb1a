"""One thread, exact arithmetic, and a toy base with its tokenizer."""

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # children are forked

import pytest
import torch

from tests.trainer.looks import cloze_rows
from tests.trainer.preferences import DPO, PPO, REWARD, RLOO, prompt_rows, ranking_rows
from tests.trainer.preferences import lay as lay_with
from tests.trainer.runs import corpus_rows, lay_out, sentence, sft_rows
from trainer import base, tokenizer
from trainer.__main__ import main


@pytest.fixture(autouse=True, scope="session")
def own_machine(tmp_path_factory):
    """What is known of the machine lies in a folder of the tests."""
    os.environ["TOUCHSTONE_HOME"] = str(tmp_path_factory.mktemp("machine"))


@pytest.fixture(autouse=True, scope="session")
def exact():
    """One thread, deterministic algorithms: bit equality needs both."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)


@pytest.fixture(scope="session")
def words() -> tokenizer.Tokenizer:
    """A tokenizer of 512 tokens."""
    return tokenizer.train_bpe([sentence(n, words=20) for n in range(200)], size=512)


@pytest.fixture(scope="session")
def toy_base(tmp_path_factory, words):
    """A folder with an untrained toy and its tokenizer."""
    folder = tmp_path_factory.mktemp("toy") / "base"
    base.save(base.make("toy", vocab=512, seed=3), folder)
    words.save(folder)
    return folder


@pytest.fixture(scope="session")
def spread_base(tmp_path_factory, words):
    """A toy whose next token is far from certain and far from uniform, with a head of its own: all are in reach."""
    folder = tmp_path_factory.mktemp("spread") / "base"
    base.save(spread(), folder)
    words.save(folder)
    return folder


def spread():
    model = base.make("toy", vocab=512, seed=3)
    model.config.tie_word_embeddings = False
    draw = torch.Generator().manual_seed(1)
    model.lm_head.weight = torch.nn.Parameter(torch.randn(512, 64, generator=draw) / 4)  # logits of deviation 2
    return model


PRETRAIN = {
    "stage": "pretrain",
    "size": "toy",
    "batch_tokens": 200,
    "microbatch_tokens": 128,
    "max_steps": 6,
    "epochs": 3,
    "eval_steps": 3,
    "checkpoint_steps": 2,
}
SFT = {
    "stage": "sft",
    "epochs": 2,
    "batch_rows": 12,
    "microbatch_tokens": 128,
    "max_steps": 6,
    "eval_steps": 3,
    "sample_steps": 3,
    "checkpoint_steps": 2,
    "lr": 5e-3,
    "rank": 4,
    "alpha": 8,
}


@pytest.fixture
def pretrain_run(tmp_path):
    """Lays out a small pretraining run; keywords change its config, rows= its rows."""

    def lay(name="run", *, rows=None, **changed):
        return lay_out(tmp_path / name, {**PRETRAIN, **changed}, corpus=corpus_rows() if rows is None else rows)

    return lay


@pytest.fixture
def sft_run(tmp_path, toy_base):
    """Lays out a small SFT run; keywords change its config, rows= its rows."""

    def lay(name="run", *, rows=None, base=toy_base, **changed):
        return lay_out(tmp_path / name, {**SFT, **changed}, base=base, sft=sft_rows() if rows is None else rows)

    return lay


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory):
    """A finished pretraining run."""
    path = lay_out(tmp_path_factory.mktemp("pretrained") / "run", PRETRAIN, corpus=corpus_rows())
    assert main(["pretrain", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def tuned(tmp_path_factory, toy_base):
    """A finished SFT run."""
    path = lay_out(tmp_path_factory.mktemp("tuned") / "run", SFT, base=toy_base, sft=sft_rows())
    assert main(["sft", str(path)]) == 0
    return path


@pytest.fixture
def evaluate_run(tmp_path, toy_base):
    """Lays out a small evaluation; keywords change its config, rows= its items, more= its parents."""

    def lay_evaluate(name="run", *, rows=None, more=None, of=toy_base, files=(), ranking=None, **changed):
        files = dict(files) | ({"cloze": cloze_rows() if rows is None else rows} if rows != [] else {})
        files |= {"ranking": ranking} if ranking else {}
        return lay_with(tmp_path / name, {"stage": "evaluate", **changed}, base=of, parents=more, **files)

    return lay_evaluate


@pytest.fixture(scope="session")
def rewarded(tmp_path_factory, toy_base, tuned):
    """A reward adapter on the tuned one."""
    path = tmp_path_factory.mktemp("rewarded") / "run"
    config = {**REWARD, "parent_adapter": "sft"}
    lay_with(path, config, base=toy_base, parents={"sft": tuned / "adapter"}, ranking=ranking_rows())
    assert main(["reward", str(path)]) == 0
    return path / "adapter"


@pytest.fixture(scope="session")
def lay_ppo(toy_base, tuned, rewarded):
    """Lays out a small PPO run; keywords change its config, rows= its prompts, sft= adds SFT rows."""

    def lay_out_ppo(path, *, rows=None, sft=None, **changed):
        config = {**PPO, "parent_adapter": "sft", **changed}
        parents = {"sft": tuned / "adapter", "reward": rewarded}
        files = {"prompts": prompt_rows() if rows is None else rows, **({"sft": sft} if sft else {})}
        return lay_with(path, config, base=toy_base, parents=parents, **files)

    return lay_out_ppo


@pytest.fixture(scope="session")
def lay_stage(toy_base, tuned, lay_ppo) -> Callable[..., Path]:
    """Lays out a small run of a stage; keywords change its config."""

    def lay_out_stage(stage: str, path: Path, **changed: object) -> Path:
        match stage:
            case "pretrain":
                return lay_out(path, {**PRETRAIN, **changed}, corpus=corpus_rows())
            case "sft":
                return lay_out(path, {**SFT, **changed}, base=toy_base, sft=sft_rows())
            case "ppo":
                return lay_ppo(path, **changed)
            case "rloo":
                return lay_ppo(path, **RLOO, **changed)
        config = {**{"reward": REWARD, "dpo": DPO}[stage], "parent_adapter": "sft", "microbatch_tokens": 128, **changed}
        return lay_with(path, config, base=toy_base, parents={"sft": tuned / "adapter"}, ranking=ranking_rows())

    return lay_out_stage


@pytest.fixture
def ppo_run(lay_ppo, tmp_path):
    def lay_named(name="run", **changed):
        return lay_ppo(tmp_path / name, **changed)

    return lay_named


@pytest.fixture
def reward_run(tmp_path, toy_base, tuned):
    """Lays out a small reward run on the tuned adapter; keywords change its config, rows= its rows."""

    def lay_reward(name="run", *, rows=None, **changed):
        config = {**REWARD, "parent_adapter": "sft", **changed}
        rows = ranking_rows() if rows is None else rows
        return lay_with(tmp_path / name, config, base=toy_base, parents={"sft": tuned / "adapter"}, ranking=rows)

    return lay_reward

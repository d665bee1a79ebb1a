"""`python -m trainer merge <run dir> <folder>`: base and adapter of a run as one model for other programs (L9)."""

import json
import shutil
from pathlib import Path

import torch

from trainer import adapters, base
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run

WRITES = ("sft", "dpo", "ppo")  # a reward's adapter has a head of its own
BESIDE = (
    ".json",
    ".jinja",
    ".txt",
    ".model",
    ".md",
)  # tokenizer, template, licence


def merge(run: Run, out: Path) -> None:
    """Write W + (α/r)BA of a finished run, in the base's own precision, with the base's tokenizer beside it.

    Raises bad_config where the stage leaves no such adapter or out is there already, bad_adapter, and as `base.load`.
    """
    if run.config.stage not in WRITES:
        sentence = f"stage is {run.config.stage}; its adapter cannot be merged. Allowed are {', '.join(WRITES)}."
        raise TrainerError("bad_config", sentence)
    if out.exists():
        raise TrainerError("bad_config", f"{out} is there already; name a folder that is not.")
    source = run.parent("base")
    model = base.load(source, dtype=_dtype(source), device=torch.device("cpu"))
    adapters.load_adapter(model, run.out / "adapter", "merged", base_sha256=run.parents["base"])
    with run.folder(str(out.absolute())) as folder:
        adapters.save_merged(model, "merged", folder)
        for file in source.iterdir():
            weights = file.name.endswith(".index.json")
            if file.suffix in BESIDE and not weights and not (folder / file.name).exists():
                shutil.copyfile(file, folder / file.name)


def _dtype(source: Path) -> torch.dtype:
    """The precision that a base was saved in; float32 where it does not tell."""
    facts = json.loads((source / "config.json").read_text(encoding="utf-8"))
    found = getattr(torch, str(facts.get("dtype") or facts.get("torch_dtype")), None)
    return found if isinstance(found, torch.dtype) else torch.float32

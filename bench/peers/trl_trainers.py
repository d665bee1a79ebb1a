"""TRL's SFT, reward and DPO trainers on a job that bench/training.py wrote: `python trl_trainers.py <job.json>`.

Runs in the environment of bench/requirements-trl.txt. Loads the base and the initial adapter that our run starts from,
leaves the order of rows as it is, and appends a line to metrics.jsonl after each step, for the bench's clock.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PrinterCallback,
    TrainerCallback,
)
from transformers.utils import logging
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

TRAINERS = {"sft": (SFTTrainer, SFTConfig), "reward": (RewardTrainer, RewardConfig), "dpo": (DPOTrainer, DPOConfig)}
Job = dict[str, Any]  # JSON


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    disable_progress_bars()
    model, words = load(job)
    write(job, "loaded", 0, {"rss_bytes": resident()})
    kind, config = TRAINERS[job["stage"]]
    trainer = recorded(kind)(
        model=model,
        args=config(**arguments(job)),
        train_dataset=Dataset.from_list([json.loads(line) for line in Path(job["rows"]).read_text().splitlines()]),
        processing_class=words,
        peft_config=lora(job),
        callbacks=[Clock(job)],
    )
    trainer.remove_callback(PrinterCallback)
    start_alike(trainer.model, Path(job["adapter"]))
    Clock.trainer = trainer
    trainer.train()
    if "save" in job:
        trainer.model.save_pretrained(job["save"])
    time.sleep(0.1)  # the clock reads the last line while this process still stands


def load(job: Job) -> tuple[Any, Any]:
    """The base as the stage wants it, after one short pass."""
    kind = AutoModelForSequenceClassification if job["stage"] == "reward" else AutoModelForCausalLM
    more = {"num_labels": 1} if job["stage"] == "reward" else {}
    model = kind.from_pretrained(job["base"], dtype=torch.float32, **more)
    with torch.no_grad():
        model(input_ids=torch.arange(40, 48)[None])
    return model, AutoTokenizer.from_pretrained(job["base"])


def arguments(job: Job) -> Job:
    """TRL's defaults but for what makes both train the same; `best` switches off what costs time."""
    same = {
        "output_dir": str(Path(job["out"]) / "trl"),
        "use_cpu": True,
        "bf16": False,
        "seed": 1,
        "learning_rate": job["lr"],
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "adam_epsilon": job["eps"],
        "max_grad_norm": job["clip_norm"],
        "max_steps": job["steps"],
        "per_device_train_batch_size": job["per_device"],
        "gradient_accumulation_steps": job["batch"] // job["per_device"],
        "train_sampling_strategy": "random" if job.get("shuffle") else "sequential",
        "max_length": job["context"],
        "report_to": "none",
        "logging_strategy": "no",
        "save_strategy": "no",
        "eval_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    if job["stage"] == "sft":
        same["assistant_only_loss"] = True
    if job["stage"] == "dpo":
        same["beta"] = job["beta"]
    if job["mode"] == "best":
        same["gradient_checkpointing"] = False
        if job["stage"] == "sft":
            same |= {"padding_free": True, "max_length": None}
    return same


def lora(job: Job) -> LoraConfig:
    """The LoRA shape and targets of the adapter that our run starts from."""
    told = json.loads((Path(job["adapter"]) / "adapter_config.json").read_text())
    return LoraConfig(
        r=told["r"],
        lora_alpha=told["lora_alpha"],
        lora_dropout=0.0,
        target_modules=told["target_modules"],
        task_type="SEQ_CLS" if job["stage"] == "reward" else "CAUSAL_LM",
        modules_to_save=["score"] if job["stage"] == "reward" else None,
    )


def start_alike(model: Any, adapter: Path) -> None:
    """Give TRL's adapter, and its head, the numbers that ours starts from."""
    tensors = load_file(adapter / "adapter_model.safetensors")
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    found = set_peft_model_state_dict(model, tensors)
    if found.unexpected_keys or sum(tensor.numel() for tensor in tensors.values()) != trained:
        raise ValueError(f"TRL trains {trained} numbers, ours others: {found.unexpected_keys[:3]}")


def recorded(kind: type) -> type:
    """The trainer, with the losses of a step's micro-batches kept; they add up to the step's."""

    class Recorded(kind):  # type: ignore[misc,valid-type]
        seen: list[float]

        def training_step(self, *given: Any, **named: Any) -> Any:
            loss = super().training_step(*given, **named)
            self.seen = [*getattr(self, "seen", []), float(loss)]
            return loss

    return Recorded


class Clock(TrainerCallback):
    """Tells the bench when training starts and when each step ends."""

    trainer: Any = None

    def __init__(self, job: Job) -> None:
        self.job = job

    def on_train_begin(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        write(self.job, "start", 0, {})

    def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        loss, self.trainer.seen = sum(self.trainer.seen), []
        write(self.job, "train", state.global_step, {"loss": loss})


def write(job: Job, kind: str, step: int, values: dict[str, float]) -> None:
    with (Path(job["out"]) / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"kind": kind, "step": step, "values": values}) + "\n")


def resident() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1_024


if __name__ == "__main__":
    main()

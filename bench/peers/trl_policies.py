"""The last TRL with PPO, and its RLOO, on a job that bench/training.py wrote: `python trl_policies.py <job.json>`.

Runs in the environment of bench/requirements-trl-ppo.txt. TRL's PPO gets a value adapter of its own, as ours has, and
the reward model merged into plain weights. Appends a line to metrics.jsonl after each rollout, for the bench's clock.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig, PeftModel, inject_adapter_in_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
)
from transformers.utils import logging
from trl import PPOConfig, PPOTrainer, RLOOConfig, RLOOTrainer

Job = dict[str, Any]  # JSON


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    disable_progress_bars()
    words = tokenizer(job)
    policy = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)
    with torch.no_grad():
        policy(input_ids=torch.arange(40, 48)[None])
    write(job, "loaded", 0, {"rss_bytes": resident()})
    trainer = (ppo if job["stage"] == "ppo" else rloo)(job, policy, words)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    if not all(parameter.any() for name, parameter in policy.named_parameters() if "lora_B" in name):
        raise ValueError("TRL left a part of the adapter as it was")
    time.sleep(0.1)  # the clock reads the last line while this process still stands


def tokenizer(job: Job) -> Any:
    base = Path(job["base"])
    told = json.loads((base / "tokenizer_config.json").read_text())
    template = base / "chat_template.jinja"
    return PreTrainedTokenizerFast(
        tokenizer_file=str(base / "tokenizer.json"),
        pad_token=told["pad_token"],
        bos_token=told["bos_token"],
        eos_token=told["eos_token"],
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
        chat_template=template.read_text() if template.exists() else told["chat_template"],
    )


def reward_model(job: Job) -> Any:
    """The base with our reward adapter merged."""
    base = AutoModelForSequenceClassification.from_pretrained(job["base"], dtype=torch.float32, num_labels=1)
    return PeftModel.from_pretrained(base, job["reward"]).merge_and_unload().eval()


def lora(job: Job, task: str) -> LoraConfig:
    told = json.loads((Path(job["reward"]) / "adapter_config.json").read_text())
    return LoraConfig(
        r=told["r"],
        lora_alpha=told["lora_alpha"],
        lora_dropout=0.0,
        target_modules=told["target_modules"],
        task_type=task,
    )


def same(job: Job) -> Job:
    """TRL's defaults but for what makes both train the same."""
    return {
        "output_dir": str(Path(job["out"]) / "trl"),
        "use_cpu": True,
        "bf16": False,
        "seed": 1,
        "learning_rate": job["lr"],
        "adam_epsilon": job["eps"],
        "max_grad_norm": job["clip_norm"],
        "lr_scheduler_type": "constant",
        "per_device_train_batch_size": job["per_device"],
        "gradient_accumulation_steps": job["answers"] // job["per_device"],
        "temperature": 1.0,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
    }


def ppo(job: Job, policy: Any, words: Any) -> PPOTrainer:
    """A trainer whose batch is one rollout; each of its epochs is one step, on all of it."""
    value = AutoModelForSequenceClassification.from_pretrained(job["base"], dtype=torch.float32, num_labels=1)
    value.requires_grad_(requires_grad=False)
    inject_adapter_in_model(lora(job, "SEQ_CLS"), value)
    value.score.requires_grad_(requires_grad=True)
    rows = [
        {"input_ids": words.apply_chat_template(row["messages"], add_generation_prompt=True, tokenize=True)}
        for row in map(json.loads, Path(job["rows"]).read_text().splitlines())
    ]
    config = PPOConfig(
        **same(job),
        total_episodes=job["answers"] * job["steps"],
        num_ppo_epochs=job["epochs"],
        num_mini_batches=1,
        response_length=job["max_new_tokens"],
        stop_token="eos",
        missing_eos_penalty=1.0,
        kl_coef=job["kl_coef"],
        num_sample_generations=0,
    )
    return PPOTrainer(
        args=config,
        processing_class=words,
        model=policy,
        ref_model=None,
        reward_model=reward_model(job),
        value_model=value,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:1]),
        peft_config=lora(job, "CAUSAL_LM"),
        callbacks=[Clock(job)],
    )


def rloo(job: Job, policy: Any, words: Any) -> RLOOTrainer:
    rows = [{"prompt": row["messages"]} for row in map(json.loads, Path(job["rows"]).read_text().splitlines())]
    more = {"gradient_checkpointing": False} if job["mode"] == "best" else {}
    config = RLOOConfig(
        **same(job),
        **more,
        max_steps=job["steps"],
        num_generations=job["group"],
        max_completion_length=job["max_new_tokens"],
        beta=job["kl_coef"],
        num_iterations=1,
        logging_strategy="no",
        dataloader_pin_memory=False,
    )
    return RLOOTrainer(
        model=policy,
        reward_funcs=[reward_model(job)],
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=words,
        reward_processing_classes=[words],
        peft_config=lora(job, "CAUSAL_LM"),
        callbacks=[Clock(job)],
    )


class Clock(TrainerCallback):
    """Tells the bench when training starts and when each rollout's steps are done."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def on_train_begin(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        write(self.job, "start", 0, {})

    def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        write(self.job, "rollout", state.global_step, {})


def write(job: Job, kind: str, step: int, values: dict[str, float]) -> None:
    with (Path(job["out"]) / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"kind": kind, "step": step, "values": values}) + "\n")


def resident() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1_024


if __name__ == "__main__":
    main()

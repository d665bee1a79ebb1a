"""Presets: the values by name that a launch form, `init` and the demo begin with."""

from trainer.contract.fields import Value, bad

# The demo's settings stand here and nowhere else. One thread: batches this small lose more by waiting for a second one
# than it takes off them (SFT 0.12 s a step against 0.21).
_DEMO_TOKENS = 1_536
_PRESETS: dict[str, dict[str, dict[str, Value]]] = {
    "smoke": {
        "pretrain": {
            "size": "nano",
            "batch_tokens": 1_536,
            "microbatch_tokens": 1_536,
            "max_steps": 20,
            "eval_steps": 20,
        },
        "sft": {"epochs": 1, "max_steps": 20, "eval_steps": 20, "microbatch_tokens": 1_536, "lr": 2e-3},
        "reward": {"max_steps": 20, "eval_steps": 20, "microbatch_tokens": 1_536, "lr": 1e-3, "head_lr": 1e-3},
        "ppo": {
            "rollouts": 3,
            "rollout_prompts": 16,
            "max_new_tokens": 24,
            "norm_samples": 16,
            "value_warmup_rollouts": 1,
            "microbatch_tokens": 1_536,
            "lr": 1e-3,
            "value_lr": 1e-3,
            "monitors_off": ["outside_reward"],  # 20 steps teach a reward model no range of its own
        },
        "dpo": {"max_steps": 20, "eval_steps": 20, "sample_steps": 20, "microbatch_tokens": 1_536, "lr": 1e-3},
        "generate": {"samples_per_prompt": 2, "max_new_tokens": 24},
        "evaluate": {"microbatch_tokens": 1_536},
        "map": {"points": 200, "earlier_points": 100, "microbatch_tokens": 1_536},
    },
    "demo": {
        "pretrain": {
            "size": "nano",
            "vocab": 2_048,
            "batch_tokens": 512,
            "microbatch_tokens": _DEMO_TOKENS,
            "epochs": 100,
            "threads": 1,
            "max_steps": 1_500,
            "fim_share": 0.1,
            "fix_share": 0.0,  # the demo's corpus holds no edit, and its 1,500 steps go to what the loop needs
            "lr": 3e-3,
            "warmup_share": 0.15,
            "final_lr_share": 0.0,
            "eval_steps": 1_500,
            "sample_steps": 1_500,
            "checkpoint_steps": 300,
        },
        "sft": {
            "threads": 1,
            "epochs": 1,
            "max_steps": 160,
            "batch_rows": 24,
            "microbatch_tokens": _DEMO_TOKENS,
            "lr": 2e-3,
            "eval_steps": 1_000,
            "sample_steps": 1_000,
            "checkpoint_steps": 100,
        },
        "generate": {
            "threads": 1,
            "samples_per_prompt": 4,
            "max_new_tokens": 48,
            "temperatures": [1.0],
            "decode_rows": 128,
        },
        "reward": {
            "threads": 1,
            "epochs": 1,
            "microbatch_tokens": _DEMO_TOKENS,
            "lr": 1e-3,
            "head_lr": 1e-3,
            "eval_steps": 1_000,
            "checkpoint_steps": 20,
        },
        "ppo": {
            "threads": 1,
            "rollouts": 8,
            "rollout_prompts": 128,
            "samples_per_prompt": 1,
            "max_new_tokens": 48,
            "microbatch_tokens": _DEMO_TOKENS,
            "epochs": 2,
            "minibatches": 4,
            "lr": 2e-3,
            "value_lr": 1e-3,
            "schedule": "linear",
            "kl_coef": 0.05,
            "value_warmup_rollouts": 1,
            "approx_kl_stop": 0.05,
            "decode_rows": 128,
            "eval_steps": 8,
            "sample_steps": 4,
            "checkpoint_steps": 4,
            "monitors_off": ["head_gap"],  # of so few rankings, heads begin 0.6 to 0.8 deviations apart
        },
        "dpo": {
            "threads": 1,
            "microbatch_tokens": _DEMO_TOKENS,
            "lr": 1e-3,
            "eval_steps": 1_000,
            "sample_steps": 1_000,
            "checkpoint_steps": 20,
        },
        "evaluate": {},
        "map": {"points": 2_000, "earlier_points": 2_000},
    },
    "small": {"pretrain": {"size": "micro"}},
    "full": {},
}
PRESETS = tuple(_PRESETS)


def preset(stage: str, name: str) -> dict[str, Value]:
    """The values that a preset sets; what it does not name keeps its default, what has none is the caller's."""
    if name not in _PRESETS:
        raise bad("preset", name, ", ".join(PRESETS))
    return dict(_PRESETS[name].get(stage, {}))

"""What this machine can do, measured (C9); and what a run will need on it, told before it allocates anything (M4, M5).

A rate counts only with its error: a path that is faster because it rounds more is no faster path.
"""

import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import torch
from torch import Tensor

from trainer import base
from trainer.contract import estimate, machine
from trainer.contract.configs import SIZES, Config
from trainer.contract.machine import Machine
from trainer.contract.rundir import Run

EXACT = 1e-6  # largest error of a float32 product that counts, against float64, of the largest number in it
TOKENS = 2_048  # rows of the products that are timed
SECONDS = 0.3  # that each product is timed for at least
QUICK_SECONDS = 0.02
SHAPES = {f"{name}: {SIZES[name].width} to {SIZES[name].inner}": SIZES[name] for name in ("micro", "small")}


class Product(TypedDict):
    """One matrix product by one path. error: the largest, relative to the largest number of the result."""

    shape: str
    dtype: str
    path: str
    gflops: float
    error: float


def report() -> dict[str, Any]:  # Any: JSON
    """Measure the machine, keep what estimates need, and return all of it. Takes some ten seconds."""
    torch.ones(8, 8) @ torch.ones(8, 8)
    imports = machine.resident_bytes()
    products = [
        product(name, dtype, path) for name in SHAPES for dtype in (torch.float32, torch.bfloat16) for path in _paths()
    ]
    best = _best(products)
    known = machine.load()
    found = Machine(
        flops=best["gflops"] * 1e9,
        bandwidth=bandwidth(SECONDS),
        efficiency=known.efficiency if known else {},
    )
    told = {
        "device": _device(),
        "imports_bytes": imports,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "free_bytes": machine.free_bytes(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "products": products,
        "best_exact_path": best["path"],
        "attention": _attention(),
    }
    machine.save(found, told)
    return {"file": str(machine.path()), **told, "bandwidth": found.bandwidth}


def product(shape: str, dtype: torch.dtype, path: str) -> Product:
    """Time x·Wᵀ at one of SHAPES by one path, and compare it with float64."""
    size = SHAPES[shape]
    draw = torch.Generator().manual_seed(0)
    x, weight = torch.randn(TOKENS, size.width, generator=draw), torch.randn(size.inner, size.width, generator=draw)
    x, weight = x.to(dtype), weight.to(dtype)
    with _taking(path):
        out = x @ weight.T
        took = _time(lambda: x @ weight.T, SECONDS)
    exact = x.double() @ weight.double().T
    error = float((out.double() - exact).abs().max() / exact.abs().max())
    flops = 2.0 * TOKENS * size.width * size.inner
    return Product(
        shape=shape, dtype=str(dtype).removeprefix("torch."), path=path, gflops=flops / took / 1e9, error=error
    )


def bandwidth(seconds: float) -> float:
    """Bytes a second of reading and writing memory: a copy that no cache holds."""
    source = torch.zeros(32 * 2**20 // 4 * 4)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _time(lambda: target.copy_(source), seconds)


def here() -> Machine:
    """What doctor found on this machine; where it has not looked, a look of a few hundredths of a second."""
    known = machine.load()
    if known is not None:
        return known
    size = SIZES["micro"]
    x, weight = torch.randn(256, size.width), torch.randn(size.inner, size.width)
    took = _time(lambda: x @ weight.T, QUICK_SECONDS)
    found = Machine(
        flops=2.0 * 256 * size.width * size.inner / took,
        bandwidth=bandwidth(QUICK_SECONDS),
    )
    machine.save(found)
    return found


# --- before a run, and after it


@contextmanager
def foreseen(run: Run, config: Config) -> Iterator[None]:
    """Around a stage: estimate.json before it; after it, what it took corrects the next estimate.

    Raises too_big where the run needs more memory than it may take, and bad_config, bad_data, no_device.
    """
    told = foresee(run, config)
    run.write_json("estimate.json", told)
    began = time.monotonic()
    yield
    shape = estimate.of_run(run, config)
    if shape and told["seconds"] and run.attempt == 1 and not run.steps:
        took = time.monotonic() - began
        machine.save(here().taught(config.stage, shape.width, expected_s=told["seconds"], took_s=took))


def foresee(run: Run, config: Config) -> dict[str, Any]:  # Any: JSON
    """What the run will need on this machine: memory_bytes, seconds, and the memory's parts; None where unknown.

    Raises as `foreseen`.
    """
    shape = estimate.of_run(run, config)
    if shape is None:
        return {"memory_bytes": None, "seconds": None, "reason": "the base's config.json tells no decoder's shape"}
    device = base.prepare(config)
    weight_bytes = base.dtype_of(config, device).itemsize
    on_gpu = device.type == "cuda"
    imports = 0 if on_gpu else machine.resident_bytes() + machine.LAZY_BYTES
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else machine.free_bytes() + machine.resident_bytes()
    needed = estimate.memory(shape, config, imports, weight_bytes=weight_bytes)
    allowed = config.max_memory_bytes or free
    estimate.require_room(shape, config, needed, allowed=allowed, weight_bytes=weight_bytes)
    work = estimate.work_of(run, config.stage)
    rate = here().rate(config.stage, shape.width)
    seconds = estimate.seconds(shape, config, rate, work, weight_bytes=weight_bytes)
    return {
        "memory_bytes": needed.total,
        "seconds": round(seconds, 3),
        "parts": needed.parts(),
        "allowed_bytes": allowed,
    }


# --- measuring


def _paths() -> list[str]:
    return ["oneDNN", "BLAS"] if torch.backends.mkldnn.is_available() else ["BLAS"]  # type: ignore[no-untyped-call]  # torch


@contextmanager
def _taking(path: str) -> Iterator[None]:
    """Within it products go by one of torch's paths on a CPU."""
    quiet = warnings.catch_warnings(action="ignore")  # torch speaks of Intel's GPUs
    with quiet, torch.backends.mkldnn.flags(enabled=path == "oneDNN"):
        yield


def _time(work: Callable[[], Tensor], seconds: float) -> float:
    """The median time of one call, over at least so many seconds and three calls."""
    work()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _best(products: list[Product]) -> Product:
    """The fastest float32 product whose error is allowed; the last of them where none is."""
    single = [one for one in products if one["dtype"] == "float32"]
    return max((one for one in single if one["error"] <= EXACT), key=lambda one: one["gflops"], default=single[-1])


def _device() -> str:
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return platform.processor() or platform.machine()


def _attention() -> list[str]:
    """The attention kernels that this build of torch has for this device."""
    found = ["scaled_dot_product"]
    if hasattr(torch.nn.attention, "varlen"):
        found.append("varlen")
    return [*found, "flash_attn"] if "flash_attn" in sys.modules else found

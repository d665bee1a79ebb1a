"""Nothing in the packages can run what a file holds (`spec/security.md` 8), and the web process knows no tensors."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("annotate", "rlhf", "trainer")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NEVER_IMPORTED = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "marshal", "shelve"}
NEVER_CALLED = {
    "torch.load", "torch.save", "os.system", "os.popen", "subprocess.getoutput", "eval", "exec", "builtins.eval",
    "builtins.exec", "torch.hub.load", "yaml.load", "yaml.unsafe_load",
}  # fmt: skip
SAFE_LOADING = {"trust_remote_code": False, "use_safetensors": True, "local_files_only": True}
NO_WEIGHTS = ("AutoTokenizer", "PreTrainedTokenizerFast", "AutoConfig")  # read JSON alone; there are no tensors to load
OUTGOING = {"requests", "httpx", "urllib.request", "socket", "aiohttp"}
MAY_CONNECT = {
    "rlhf/demo/client.py": "the demo asks the service that it started, on loopback",
    "rlhf/execution.py": "the name of its own host, for the lineage of a run",
    "rlhf/service.py": "`up` looks for a free port on loopback, and waits for its own web server",
}


def test_the_packages_are_found():
    assert len(FILES) > 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_no_way_to_run_what_it_reads(path):
    assert [f"{path.relative_to(ROOT)}:{line} {what}" for line, what in dangers(ast.parse(path.read_text()))] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_makes_no_request_of_its_own(path):
    found = {name for _, name in imported(ast.parse(path.read_text())) if name in OUTGOING}
    assert not found or str(path.relative_to(ROOT)) in MAY_CONNECT


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import torch as t\nt.load('x')",
        "from torch import load\nload('x')",
        "import numpy\nnumpy.load('x', allow_pickle=True)",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "import os\nos.system('x')",
        "eval('1')",
        "M.from_pretrained('x')",
        "M.from_pretrained('x', trust_remote_code=True, use_safetensors=True, local_files_only=True)",
        "M.from_config(c, trust_remote_code=True)",
        "AutoTokenizer.from_pretrained('x')",
    ],
)
def test_the_look_finds_each_danger(code):
    assert list(dangers(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "model.eval()",
        "safetensors.torch.load_file('x')",
        "M.from_pretrained('x', trust_remote_code=False, use_safetensors=True, local_files_only=True)",
        "AutoTokenizer.from_pretrained('x', trust_remote_code=False, local_files_only=True)",
    ],
)
def test_the_look_lets_the_safe_ways_pass(code):
    assert list(dangers(ast.parse(code))) == []


@pytest.mark.parametrize("start", ["rlhf.celery", "rlhf.urls", "rlhf.execution"])
def test_CVE_2025_32434_the_web_process_and_the_celery_parent_never_import_torch(start, tmp_path):
    """In a process of its own, as it starts in production."""
    code = (
        f"import django, sys; django.setup(); import {start}; import rlhf.urls, rlhf.tasks, annotate.tasks;"
        "print([name for name in ('torch', 'transformers', 'peft', 'safetensors') if name in sys.modules])"
    )
    variables = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr[-2_000:]


def dangers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, what) for each import or call that could run what a file holds."""
    names = dict(aliases(tree))
    for line, name in imported(tree):
        if name.split(".")[0] in NEVER_IMPORTED:
            yield line, f"imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in wrong_with(node, called(node, names)))


def wrong_with(node: ast.Call, name: str) -> Iterator[str]:
    given = {key.arg: key.value.value if isinstance(key.value, ast.Constant) else ... for key in node.keywords}
    last = name.rpartition(".")[2]
    if name in NEVER_CALLED:
        yield f"calls {name}"
    if given.get("shell", False) is not False:
        yield "a shell"
    if given.get("allow_pickle", False) is not False:
        yield "allow_pickle"
    if given.get("trust_remote_code", False) is not False:
        yield "trust_remote_code"
    if last == "from_pretrained":
        no_weights = name.split(".")[-2:-1] and name.split(".")[-2] in NO_WEIGHTS
        wanted = {key: value for key, value in SAFE_LOADING.items() if not (no_weights and key == "use_safetensors")}
        for key, value in wanted.items():
            if given.get(key) is not value:
                yield f"from_pretrained without {key}={value}"


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{one.name}") for one in node.names)


def aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The name that a file uses → what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((one.asname, one.name) for one in node.names if one.asname)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((one.asname or one.name, f"{node.module}.{one.name}") for one in node.names)


def called(node: ast.Call, names: dict[str, str]) -> str:
    """The dotted name of what is called, with aliases undone; empty for what has none."""
    parts: list[str] = []
    target: ast.expr = node.func
    while isinstance(target, ast.Attribute):
        parts.insert(0, target.attr)
        target = target.value
    if not isinstance(target, ast.Name):
        return ".".join(["", *parts]) if parts else ""
    return ".".join([names.get(target.id, target.id), *parts])

"""What import-linter cannot say about the house; the arrows themselves are checked by `make check`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("annotate", "rlhf", "trainer")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
CONTRACT = sorted((ROOT / "trainer" / "contract").glob("[!_]*.py"))
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "handlers"}


@pytest.mark.parametrize("path", CONTRACT, ids=lambda path: path.stem)
def test_the_contract_needs_the_standard_library_only(path):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import trainer.contract.{path.stem}"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_module_is_a_drawer():
    assert [str(path.relative_to(ROOT)) for path in FILES if path.stem in NO_NAMES] == []


def test_packages_say_nothing_at_import_but_models():
    spoken = [path for path in FILES if path.name == "__init__.py" and path.read_text().strip()]
    assert [str(path.relative_to(ROOT)) for path in spoken] == ["annotate/models/__init__.py"]


def test_every_module_says_what_lives_in_it():
    silent = [
        str(path.relative_to(ROOT))
        for path in FILES
        if path.name not in {"__init__.py", "apps.py"}
        and "migrations" not in path.parts
        and not path.read_text().startswith('"""')
    ]
    assert silent == []


def test_settings_are_short():
    assert len((ROOT / "rlhf" / "settings.py").read_text().splitlines()) < 200

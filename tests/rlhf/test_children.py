"""The spare trainer: it takes the next command, and nothing is lost where it cannot."""

import os
import signal

import pytest

from rlhf import children


@pytest.fixture(autouse=True)
def no_spare_left():
    yield
    for spare in children._spares:
        spare.kill()
        spare.communicate()
    children._spares.clear()


@pytest.fixture
def check(tmp_path):
    """Asks the trainer to check an empty folder; (process, what it printed)."""

    def ask() -> tuple[int, int, str]:
        log = tmp_path / "log.txt"
        with children.start([*children.TRAINER, "check", str(tmp_path)], log=log) as child:
            return child.pid, child.wait(60), log.read_text()

    return ask


def test_the_spare_does_the_next_command_as_a_fresh_process_would(check, tmp_path):
    fresh = check()
    (tmp_path / "log.txt").unlink()
    [spare] = children._spares
    assert check() == (spare.pid, *fresh[1:])
    assert '"bad_config"' in fresh[2]


def test_a_spare_that_died_is_passed_over(check):
    children.prepare()
    [spare] = children._spares
    os.kill(spare.pid, signal.SIGKILL)
    spare.wait()
    pid, code, said = check()
    assert pid != spare.pid
    assert (code, '"bad_config"' in said) == (2, True)


def test_only_one_spare_is_held():
    children.prepare()
    children.prepare()
    assert len(children._spares) == 1


@pytest.mark.full
def test_a_spare_ends_with_its_worker():
    children.prepare()
    [spare] = children._spares
    spare.communicate(timeout=60)
    assert spare.returncode == 0

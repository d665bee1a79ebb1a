"""How far a run is, from its own metric lines."""

from rlhf.progress import Progress


def line(step: int, progress: float, second: int) -> dict:
    return {"step": step, "progress": progress, "clock": {"at": f"2026-01-01T00:00:{second:02}.000+00:00"}}


def shown(*lines: dict) -> dict:
    progress = Progress("sft")
    for one in lines:
        progress.read(one)
    return progress.shown()


def test_nothing_is_known_before_the_first_line():
    assert shown() == {"note": "estimating"}


def test_before_the_first_line_the_trainers_estimate_is_the_time_left():
    progress = Progress("sft")
    progress.expect({"memory_bytes": 5, "seconds": 41.6, "parts": {}})
    assert progress.shown() == {"note": "estimating", "eta_s": 42, "estimate": {"memory_bytes": 5, "seconds": 41.6}}
    progress.read(line(1, 0.01, 0))
    progress.read(line(11, 0.11, 20))
    assert (progress.shown()["eta_s"], progress.shown()["estimate"]["seconds"]) == (178, 41.6)


def test_a_base_whose_shape_is_unknown_leaves_the_time_open():
    progress = Progress("sft")
    progress.expect({"memory_bytes": None, "seconds": None, "reason": "unknown"})
    assert progress.shown() == {"note": "estimating", "estimate": {"memory_bytes": None, "seconds": None}}


def test_below_five_steps_the_rate_is_being_estimated():
    found = shown(line(1, 0.01, 0), line(5, 0.05, 4))
    assert (found["done"], found["total"], found["eta_s"], found["note"]) == (5, 100, None, "estimating")


def test_the_time_left_follows_from_the_share_done():
    # from 1 % to 11 % in 20 s: 0.5 % a second, so 89 % take 178 s
    found = shown(line(1, 0.01, 0), line(11, 0.11, 20))
    assert (found["rate"], found["eta_s"], found["unit"], found["note"]) == (0.5, 178, "steps", "")


def test_a_resumed_run_counts_its_own_rate():
    # it starts at 50 %; 10 % in 10 s leave 40 %, so 40 s
    assert shown(line(50, 0.5, 0), line(60, 0.6, 10))["eta_s"] == 40


def test_a_map_counts_its_rounds_and_not_the_steps_of_the_states_it_shows():
    # two states of 20 rounds each; the first picture is of step 1350
    progress = Progress("map")
    progress.read(line(20, 0.5, 0) | {"kind": "system"})
    progress.read(line(1350, 0.5, 1) | {"kind": "eval"})
    found = progress.shown()
    assert (found["done"], found["total"], found["unit"]) == (20, 40, "rounds")


def test_the_end_has_nothing_left():
    found = shown(line(1, 0.5, 0), line(2, 1.0, 1))
    assert (found["done"], found["total"], found["eta_s"]) == (2, 2, 0)


def test_what_looks_into_others_counts_its_own_lines():
    # the second of four models, whatever step it was trained for: a quarter in 10 s, so a half takes 20 s
    progress = Progress("evaluate")
    progress.read(line(14, 0.25, 0))
    progress.read(line(1_350, 0.5, 10))
    found = progress.shown()
    assert (found["done"], found["total"], found["unit"], found["eta_s"]) == (2, 4, "models", 20)

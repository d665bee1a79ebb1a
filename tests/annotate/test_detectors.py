"""What each detector finds, with what score, and where exactly."""

import codecs
import json
import time
from types import ModuleType

import pytest

from annotate.cleaning import length, markup, personal, repetition, unsafe
from annotate.cleaning.detectors import DETECTORS, LOCK, fingerprints
from annotate.cleaning.findings import Finding, Texts
from annotate.cleaning.thresholds import Thresholds

LIMITS = Thresholds()
PREFIX = "😀 é中 क्षि. "  # emoji, accents and marks before what is looked for


def found(detector: ModuleType, body: str, limits: Thresholds = LIMITS) -> list[Finding]:
    return list(detector.detect(Texts([body]), limits))


def quoted(body: str, findings: list[Finding]) -> list[str]:
    return [body[finding.start : finding.end] for finding in findings]


def test_a_detector_that_changed_has_a_new_version():
    """Raise VERSION in the detector's file, then run `python -m annotate.cleaning.detectors`."""
    assert json.loads(LOCK.read_text()) == fingerprints()


def test_settings_of_a_project_replace_limits():
    assert Thresholds.of({"min_words": 3, "answers_per_prompt": 4}) == Thresholds(min_words=3)


# length


@pytest.mark.parametrize(("count", "category"), [(0, "short"), (2, "short"), (3, None), (50, None), (51, "long")])
def test_length_flags_below_and_above(count, category):
    findings = found(length, "word " * count, Thresholds(min_words=3, max_words=50))
    assert [finding.category for finding in findings] == ([category] if category else [])


def test_a_short_text_scores_higher_the_shorter_it_is():
    # half of the wanted words: 0.5 + 0.5 * 0.5
    assert found(length, "word " * 25)[0].score == pytest.approx(0.75)


# repetition


def test_repeated_lines_are_flagged_after_the_first():
    body = PREFIX + "\nsame line\nother\nsame line\nsame line"
    findings = [finding for finding in found(repetition, body) if finding.category == "lines"]
    assert quoted(body, findings) == ["same line", "same line"]
    assert findings[0].score == pytest.approx(18 / (len(PREFIX.strip()) + 27 + 5))
    assert findings[0].evidence["share"] == 0.4


def test_prose_without_repeats_is_not_flagged():
    assert found(repetition, " ".join(f"w{nth}" for nth in range(300))) == []


def test_the_most_frequent_run_is_flagged_after_the_first():
    # "ab cd" stands 3 times: 12 of its 16 word characters
    body = "ab cd ef ab cd gh ab cd"
    findings = [finding for finding in found(repetition, body) if finding.category == "top_run"]
    assert [finding.start for finding in findings] == [9, 18]
    assert quoted(body, findings) == ["ab cd", "ab cd"]
    assert findings[0].score == pytest.approx(12 / 16)
    assert findings[0].evidence["run_words"] == 2


def test_long_runs_are_flagged_by_the_shortest_over_its_limit():
    run = "one two three four five six seven eight nine ten"
    body = f"{run} {' '.join(f'w{nth}' for nth in range(30))} {run}"
    findings = [finding for finding in found(repetition, body) if finding.category == "runs"]
    assert [(finding.start, finding.end) for finding in findings] == [(body.rindex(run), len(body))]
    assert findings[0].evidence["run_words"] == 5


def test_only_a_ten_word_run_may_repeat_less_than_a_five_word_run():
    # 12 % of the characters: under the limit for 5 to 8 words, over it for 9 and 10
    run = " ".join("abcdefghijkl")
    body = f"{run} {' '.join(f'z{nth:02}' for nth in range(25))} qq {run}"
    shares = [finding for finding in found(repetition, body) if finding.category == "runs"]
    assert [finding.evidence["run_words"] for finding in shares] == [9]  # 12 of 101 characters


def test_repeats_in_other_texts_do_not_count():
    run = " ".join(f"w{nth}" for nth in range(30))
    assert list(repetition.detect(Texts([run, run]), LIMITS)) == []


# markup


@pytest.mark.parametrize(
    ("residue", "category"),
    [
        ("<div class='a'>", "tag"),
        ("&nbsp;", "entity"),
        ("{{ user.name }}", "template"),
        ("[url=x]", "bbcode"),
        ("[[Page|text]]", "wiki"),
        ("\nbody { color: red; margin: 0 }\n", "style"),
        ("\nvar total = 3;\n", "script"),
    ],
)
def test_remains_of_markup_are_flagged_with_their_span(residue, category):
    body = f"{PREFIX}some plain prose {residue} and more of it"
    findings = found(markup, body)
    assert [finding.category for finding in findings] == [category]
    assert quoted(body, findings)[0].strip() == residue.strip()


def test_markup_under_two_percent_is_not_flagged():
    body = "prose " * 100 + "<b>"  # 3 of 603 characters
    assert found(markup, body) == []


def test_markup_in_a_code_fence_is_not_flagged():
    assert found(markup, "Use it so:\n```html\n<div><b>x</b></div>\n```\n") == []


@pytest.mark.parametrize("body", ["a < b and c > d", "if x: {1: 2}", "AT&T and R&D;", "list[0] and [1, 2]"])
def test_ordinary_signs_are_no_markup(body):
    assert found(markup, body) == []


# personal


@pytest.mark.parametrize(
    ("value", "category", "score"),
    [
        ("4111 1111 1111 1111", "card", 0.95),
        ("4111111111111111", "card", 0.95),
        ("3782 822463 10005", "card", 0.95),
        ("GB82 WEST 1234 5698 7654 32", "iban", 0.98),
        ("NL91 ABNA 0417 1643 00", "iban", 0.98),
        ("123-45-6789", "id", 0.9),
        ("a.b+c@mail.gov.uk", "email", 0.9),
        ("noreply@firm.com", "email", 0.2),
        ("joe@example.com", "email", 0.2),
        ("icon@2x.png", "email", 0.2),
        ("+44 20 7946 0958", "phone", 0.8),
        ("(212) 736-5000", "phone", 0.8),
        ("8.8.8.8", "ip", 0.4),
        ("2001:4860:4860::8888", "ip", 0.4),
        ("52.37403, 4.88969", "coordinates", 0.3),
    ],
)
def test_a_checked_value_is_flagged_with_its_exact_span(value, category, score):
    body = f"{PREFIX}Here: {value}, and so on"
    findings = found(personal, body)
    assert [(finding.category, finding.score) for finding in findings] == [(category, score)]
    assert quoted(body, findings) == [value]


@pytest.mark.parametrize(
    "value",
    [
        "4111 1111 1111 1112",
        "GB82 WEST 1234 5698 7654 33",
        "078-05-1120",
        "666-12-3456",
        "219-09-9999",
        "111222333",
        "12345678901234",
        "2024-01-15 10:30:45",
        "1.2.3-rc4",
        "192.168.0.1",
        "127.0.0.1",
        "203.0.113.7",
        "2001:db8::1",
        "550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e",
        "+123456",
        "std::vector::end",
        "user@localhost",
    ],
)
def test_what_fails_its_check_is_not_flagged(value):
    assert found(personal, f"Here: {value}, and so on") == []


@pytest.mark.parametrize(("number", "expected"), [("111222333", ["id"]), ("111222334", [])])
def test_a_bare_national_number_needs_its_cue_and_its_check(number, expected):
    assert [finding.category for finding in found(personal, f"BSN: {number}.")] == expected


def test_a_cue_more_than_sixty_characters_away_does_not_count():
    assert found(personal, f"BSN {'x ' * 31}111222333") == []


@pytest.mark.parametrize(("cue", "expected"), [("call ", ["phone"]), ("see ", [])])
def test_bare_digit_groups_are_a_phone_only_near_a_cue(cue, expected):
    assert [finding.category for finding in found(personal, f"{cue}555 010 9988 now")] == expected


def test_evidence_masks_the_value():
    body = "alice@mail.org 4111 1111 1111 1111"
    assert [finding.evidence["masked"] for finding in found(personal, body)] == ["a…@mail.org", "…11"]


# unsafe


def test_two_explicit_terms_weigh_084():
    # 1 - (1 - 0.6)^2
    assert unsafe.weigh([("a", 0.6), ("b", 0.6)], care=0) == pytest.approx((0.84, 0.84))


def test_care_terms_quarter_the_weights_but_not_the_raw_value():
    weights = [("a", 0.15), ("b", 0.15), ("c", 0.15), ("d", 0.10), ("e", 0.10), ("f", 0.25)]
    raw, adjusted = unsafe.weigh(weights, care=3)
    assert raw == pytest.approx(0.6269, abs=5e-5)
    assert adjusted == pytest.approx(0.2053, abs=5e-5)
    assert unsafe.weigh(weights, care=2)[1] == raw


def test_at_most_three_repeats_of_a_term_count():
    assert unsafe.weigh([("a", 0.25)] * 9, care=0) == unsafe.weigh([("a", 0.25)] * 3, care=0)


@pytest.mark.parametrize("kind", ["ambiguous", "clinical", "reclaimed", "identity"])
def test_no_single_term_of_a_mild_class_reaches_the_limit(kind):
    entries = [entry for entry in unsafe.lexicon().entries if entry.kind == kind]
    assert entries
    assert max(entry.weight for entry in entries) < LIMITS.unsafe


def test_the_lexicon_knows_eight_hazards_and_each_form_once():
    entries = unsafe.lexicon().entries
    forms = [form for entry in entries for form in entry.forms]
    assert len({entry.category for entry in entries}) == 8
    assert [form for form in set(forms) if forms.count(form) > 1] == []


def test_hits_are_whole_words_with_exact_spans():
    body = f"{PREFIX}He murdered them; “Murderer!” said the murderess."
    findings = found(unsafe, body)
    assert quoted(body, findings) == ["murdered", "Murderer"]
    # one term, two hits: 1 - 0.75^2
    assert [finding.score for finding in findings] == pytest.approx([0.4375, 0.4375])


def test_a_longer_term_takes_in_the_shorter_ones():
    body = "they made child pornography"
    findings = found(unsafe, body)
    assert quoted(body, findings) == ["child pornography"]
    assert findings[0].category == "child_sexual_exploitation"


def test_slurs_are_found_though_the_file_hides_them():
    slur = codecs.decode("snttbg", "rot13")
    [finding] = found(unsafe, f"you {slur} there")
    assert (finding.category, finding.evidence["class"], finding.score) == ("hate", "slur", 0.5)


def test_a_lesson_is_rescued_and_not_blocked():
    body = (
        "In this lesson students learn about puberty. The teacher explains how the penis, the vagina, the vulva, "
        "sperm and the breasts change, and the doctor answers questions about sex and health."
    )
    findings = found(unsafe, body)
    assert findings
    assert all(finding.score < 0.5 <= finding.evidence["raw"] for finding in findings)
    assert LIMITS.calls_for_review(detector="unsafe", score=findings[0].score, evidence=findings[0].evidence)


def test_words_two_hundred_apart_do_not_add_up():
    near, far = (f"murder {'plain ' * gap} torture" for gap in (90, 250))
    assert found(unsafe, near)[0].score == pytest.approx(0.4375)
    assert found(unsafe, far)[0].score == pytest.approx(0.25)


def test_a_mild_word_is_stored_but_asks_nobody():
    [finding] = found(unsafe, "a murder mystery")
    assert not LIMITS.calls_for_review(detector="unsafe", score=finding.score, evidence=finding.evidence)


# all


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
@pytest.mark.parametrize("batch", [[], [""], ["", "x", ""]], ids=["none", "empty", "mixed"])
def test_empty_texts_and_batches_are_no_trouble(detector, batch):
    assert all(finding.end <= len(batch[finding.text]) for finding in detector.detect(Texts(batch), LIMITS))


def test_at_most_fifty_findings_a_text_are_kept_and_the_rest_counted():
    findings = found(personal, " ".join(f"u{nth}@mail.org" for nth in range(80)))
    assert len(findings) == 50
    assert findings[0].evidence["of"] == 80


@pytest.mark.full
@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
@pytest.mark.parametrize("unit", ["a@", "a.", "1 ", "AB12 ", "<a", "word ", "w", "w\n", "sex ", "<b>", "GB12 "])
def test_hostile_input_takes_half_a_second_at_most(detector, unit):
    body = (unit * (200_000 // len(unit) + 1))[:200_000]
    assert min(seconds(detector, Texts([body])) for _ in range(3)) <= 0.5  # a busy neighbour may slow one of them


def seconds(detector, texts):
    began = time.process_time()
    list(detector.detect(texts, LIMITS))
    return time.process_time() - began

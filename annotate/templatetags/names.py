"""The words for what rows hold as codes, in one place for all templates of annotate."""

from __future__ import annotations

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotate.flags import by_axis

register = template.Library()

Word = str | Promise
Words = dict[str, Word]

KINDS: Words = {
    "clean": _("Clean"),
    "write_answer": _("Write"),
    "review_answer": _("Review"),
    "rank": _("Rank"),
    "pair": _("Compare"),
    "rate": _("Rate"),
    "repair": _("Repair"),
}
ASKED: Words = {
    "rank": _("put the answers to a prompt in order"),
    "pair": _("say which of two answers is better, and by how much"),
    "rate": _("say how good one answer is, and what is wrong with it"),
    "repair": _("put right what a rating found wrong"),
    "write_answer": _("write an instruction, and the answer to it"),
}
NOTICES: Words = {
    "short": _("Your answer is short. Does it say all that the prompt asks for?"),
    "long": _("Your answer is long. Can the reader do without a part of it?"),
    "language": _("Your answer seems to be in another language than the prompt. Is that meant?"),
    "similar": _("An answer much like this one exists already. Another way to put it would teach more."),
    "asked": _("An instruction much like this one exists already. Something else would teach more."),
}
TEXTS: Words = {"prompt": _("Prompt"), "answer": _("Answer"), "document": _("Document")}
IMPORTS: Words = {"documents": _("documents"), "prompts": _("prompts"), "pairs": _("pairs of prompt and answer")}
FORMATS: Words = {"text": _("plain text"), "markdown": _("Markdown"), "html": _("HTML"), "jsonl": _("JSON Lines")}
DECISIONS: Words = {
    "keep": _("kept"),
    "reject": _("rejected"),
    "edit": _("edited"),
    "accept": _("accepted"),
    "return": _("returned"),
}
STATES: Words = {
    "waits": _("waits"),
    "keep": _("kept"),
    "edit": _("edited"),
    "reject": _("rejected"),
    "undecided": _("nobody was asked"),
}
REASONS: Words = {
    "duplicate": _("Duplicate"),
    "unsafe": _("Unsafe"),
    "biased": _("Biased"),
    "personal_data": _("Personal data"),
    "broken": _("Broken"),
    "boilerplate": _("Boilerplate"),
    "wrong_language": _("Wrong language"),
    "licence": _("Licence"),
    "other": _("Other"),
    "incomplete": _("Incomplete"),
    "false_claim": _("False claim"),
    "off_topic": _("Off topic"),
    "unclear": _("Unclear"),
    "form": _("Wrong form"),
}
SKIPS: Words = {
    "unclear_prompt": _("The prompt is unclear"),
    "needs_expertise": _("It needs knowledge that I lack"),
    "upsetting": _("It upsets me"),
    "broken_text": _("A text is broken"),
    "wrong_language": _("A language that I do not read"),
    "own_text": _("I wrote one of the texts"),
    "other": _("Something else (say it in the note)"),
    "later": _("Later: again in half an hour"),
}
SKIPPED: Words = {
    "unclear_prompt": _("the prompt is unclear"),
    "needs_expertise": _("it needs special knowledge"),
    "upsetting": _("it upsets"),
    "broken_text": _("a text is broken"),
    "wrong_language": _("in a language not read"),
    "own_text": _("an own text"),
    "other": _("something else"),
}
WHYS: Words = {
    "next in order": _("next in order"),
    "oldest begun": _("oldest begun"),
    "extra opinion": _("extra opinion: the answers so far differ"),
    "returned to you": _("returned to you"),
}
DETECTORS: Words = {
    "exact_duplicate": _("Exact duplicate"),
    "near_duplicate": _("Near-duplicate"),
    "length": _("Length"),
    "repetition": _("Repetition"),
    "markup": _("Markup"),
    "personal": _("Personal data"),
    "unsafe": _("Unsafe"),
    "players": _("Players"),
}
MARKS = {
    "near_duplicate": "copy",
    "exact_duplicate": "copy",
    "length": "info",
    "repetition": "copy",
    "personal": "me",
    "players": "people",
}
POLES: dict[str, tuple[Word, Word, Word]] = {
    "overall": (_("Overall"), _("very bad"), _("very good")),
    "helpful": (_("Helpful"), _("does not help"), _("helps fully")),
    "truthful": (_("Truthful"), _("false"), _("true and supported")),
    "harmless": (_("Harmless"), _("dangerous"), _("no harm")),
}
STEPS: list[tuple[str, str, Word, Word]] = [
    ("1", "A", _("A much better"), _("much better")),
    ("2", "A", _("A better"), _("better")),
    ("3", "A", _("A slightly better"), _("slightly better")),
    ("4", "AB", _("tie"), _("tie")),
    ("5", "B", _("B slightly better"), _("slightly better")),
    ("6", "B", _("B better"), _("better")),
    ("7", "B", _("B much better"), _("much better")),
]
FLAGS: Words = {
    "fails_instruction": _("Does not do what was asked"),
    "misses_constraint": _("Misses a condition"),
    "off_topic": _("Off topic"),
    "incoherent": _("Makes no sense"),
    "wrong_language": _("Wrong language"),
    "too_long": _("Too long"),
    "refuses_wrongly": _("Refuses without need"),
    "false_claim": _("False claim"),
    "made_up_source": _("Made-up source"),
    "unsupported_by_input": _("Not in the text given"),
    "overconfident": _("Surer than it may be"),
    "dangerous_advice": _("Dangerous advice"),
    "sexual": _("Sexual"),
    "violent": _("Violent"),
    "hateful": _("Hateful"),
    "self_harm": _("Self-harm"),
    "illegal_help": _("Helps to break the law"),
    "personal_data": _("Personal data"),
    "moralizing": _("Moralizes"),
    "unfit_for_assistant": _("Unfit for an assistant"),
}
ROLES: Words = {"assessor": _("assessor"), "reviewer": _("reviewer"), "admin": _("admin")}
THEMES: Words = {"system": _("as the system"), "light": _("light"), "dark": _("dark"), "contrast": _("contrast")}
SIZES: dict[int, Word] = {100: _("100 %"), 112: _("112 %"), 125: _("125 %")}
KEYS: Words = {
    "ACCEPT": _("Keep, or accept"),
    "REJECT": _("Reject, or return"),
    "EDIT": _("Edit"),
    "UNDO": _("Undo the last submission"),
    "TIE": _("Tie"),
    "LINE": _("Acceptability line"),
    "RATING": _("Next open rating"),
    "NEXT": _("Next card, evidence or row"),
    "PREVIOUS": _("Previous card, evidence or row"),
    "BACK": _("Back in time"),
    "FORWARD": _("Forward in time"),
    "EARLIER": _("Earlier state, one step back"),
    "LATER": _("Later state, one step on"),
    "PROMPT": _("Prompt"),
    "OPEN": _("Open or fold the text"),
    "COMPARE": _("Compare word by word"),
    "FLAGS": _("Flags"),
    "CRITIQUE": _("Note, or critique"),
    "BETTER": _("Write a better one"),
    "TABLE": _("Table"),
    "SEARCH": _("Search"),
    "NEIGHBOUR": _("Next neighbour on the map"),
    "SKIP": _("Skip"),
    "GUIDELINES": _("Guidelines"),
    "EXPLAIN": _("Explain"),
    "HELP": _("All keys"),
}
SCOPES: Words = {
    "read": _("read"),
    "annotate": _("take and answer tasks"),
    "manage": _("import and manage"),
    "train": _("freeze, train and ask models"),
}
LESSONS = {
    "clean": "cleaning",
    "document": "cleaning",
    "write_answer": "instruction_tuning",
    "review_answer": "instruction_tuning",
    "prompt": "instruction_tuning",
    "answer": "instruction_tuning",
    "rank": "ranking",
    "pair": "ranking",
    "rate": "ranking",
    "repair": "instruction_tuning",
}
ORDINALS: list[Word] = [_("1st"), _("2nd"), _("3rd"), _("4th"), _("5th"), _("6th"), _("7th"), _("8th"), _("9th")]


@register.filter
def kind_name(code: str) -> Word:
    """Of a queue."""
    return KINDS.get(code, code)


@register.filter
def kind_help(code: str) -> Word:
    """What people do in a queue that an admin may add."""
    return ASKED.get(code, "")


@register.filter
def notice_words(code: str) -> Word:
    """What a writer is told of a text, without any consequence."""
    return NOTICES[code]


@register.filter
def lesson(code: str) -> str:
    """Which of the texts to learn from explains a kind of queue or text."""
    return LESSONS[code]


@register.filter
def text_kind(code: str) -> Word:
    return TEXTS.get(code, code)


@register.filter
def import_kind(code: str) -> Word:
    return IMPORTS.get(code, code)


@register.filter
def format_name(code: str) -> Word:
    return FORMATS.get(code, code)


@register.filter
def decision_name(code: str) -> Word:
    return DECISIONS.get(code, code)


@register.filter
def document_state(code: str) -> Word:
    return STATES.get(code, code)


@register.filter
def reason_name(code: str) -> Word:
    return REASONS.get(code, code)


@register.filter
def skip_name(code: str) -> Word:
    return SKIPS.get(code, code)


@register.filter
def skipped_name(code: str) -> Word:
    """A reason to skip, as others hear of it."""
    return SKIPPED.get(code, code)


@register.filter
def why_name(code: str) -> Word:
    """Why a task came."""
    return WHYS.get(code, code)


@register.filter
def detector_name(code: str) -> Word:
    return DETECTORS.get(code, code.replace("_", " ").capitalize())


@register.filter
def detector_icon(code: str) -> str:
    return MARKS.get(code, "warning")


@register.filter
def category_name(code: str) -> str:
    return code.replace("_", " ")


@register.filter
def role_name(code: str) -> Word:
    return ROLES.get(code, code)


@register.filter
def theme_name(code: str) -> Word:
    return THEMES.get(code, code)


@register.filter
def size_name(percent: int) -> Word:
    return SIZES.get(percent, str(percent))


@register.filter
def key_meaning(name: str) -> Word:
    """What a key of the registry does, on whatever screen."""
    return KEYS.get(name, name.replace("_", " ").capitalize())


@register.filter
def scope_name(code: str) -> Word:
    return SCOPES.get(code, code)


@register.filter
def axis_name(code: str) -> Word:
    return POLES[code][0]


@register.filter
def flag_name(key: str) -> Word:
    """Of the default set; a project's own reads as its key."""
    return FLAGS.get(key) or key.removeprefix("x_").replace("_", " ").capitalize()


@register.filter
def flags_by_axis(keys: list[str]) -> list[tuple[Word, list[str]]]:
    """What is asked, under the words of its axis."""
    return [(POLES[axis][0] if axis else _("Of this project"), some) for axis, some in by_axis(keys)]


@register.filter
def low_pole(code: str) -> Word:
    return POLES[code][1]


@register.filter
def high_pole(code: str) -> Word:
    return POLES[code][2]


@register.filter
def ordinal(place: int) -> Word:
    return ORDINALS[place - 1]


@register.simple_tag
def steps() -> list[dict[str, Word]]:
    """From A much better to B much better. side: the letters that it marks; words: what it says of them."""
    return [
        {"value": value, "keys": f"{value} =" if value == "4" else value, "side": side, "name": name, "words": words}
        for value, side, name, words in STEPS
    ]


@register.simple_tag
def ordinals() -> str:
    """All of them, parted by spaces, for a script."""
    return " ".join(str(one) for one in ORDINALS)

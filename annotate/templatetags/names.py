"""The words for what rows hold as codes, in one place for all templates of annotate."""

from __future__ import annotations

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

register = template.Library()

Word = str | Promise
Words = dict[str, Word]

KINDS: Words = {
    "clean": _("Clean"),
    "write_answer": _("Write"),
    "review_answer": _("Review"),
    "rank": _("Rank"),
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
    "helpful": (_("Helpful"), _("does not help"), _("helps fully")),
    "truthful": (_("Truthful"), _("false"), _("true and supported")),
    "harmless": (_("Harmless"), _("dangerous"), _("no harm")),
}
ROLES: Words = {"assessor": _("assessor"), "reviewer": _("reviewer"), "admin": _("admin")}
THEMES: Words = {"system": _("as the system"), "light": _("light"), "dark": _("dark"), "contrast": _("contrast")}
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
}
ORDINALS: list[Word] = [_("1st"), _("2nd"), _("3rd"), _("4th"), _("5th"), _("6th"), _("7th"), _("8th"), _("9th")]


@register.filter
def kind_name(code: str) -> Word:
    """Of a queue."""
    return KINDS.get(code, code)


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
def scope_name(code: str) -> Word:
    return SCOPES.get(code, code)


@register.filter
def axis_name(code: str) -> Word:
    return POLES[code][0]


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
def ordinals() -> str:
    """All of them, parted by spaces, for a script."""
    return " ".join(str(one) for one in ORDINALS)

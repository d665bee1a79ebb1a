"""Data of persons: a pattern finds, a check decides, the score is the check's strength.

Names and postal addresses are not looked for. Evidence never holds the value, only its mask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from ipaddress import IPv6Address, IPv6Network, ip_address

import phonenumbers
import re2
from stdnum import iban, luhn
from stdnum.ca import sin
from stdnum.gb import nhs
from stdnum.nl import bsn
from stdnum.us import ssn

from annotate.cleaning.findings import Finding, batch, strongest
from annotate.cleaning.thresholds import Thresholds
from annotate.documents import Document

NAME, VERSION = "personal", 1

Hit = tuple[int, int, float]  # start, end, score

_CUE_REACH = 60
_MOST_PHONES_TRIED = 500  # a text; phonenumbers needs some 0.1 ms for each
_REGIONS = ("US", "GB")

_EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]+"
_EXAMPLE_HOSTS = ("example.com", "example.org", "example.net")
_FILE_ENDINGS = ("png", "jpg", "jpeg", "gif", "svg", "webp")

_CARD = r"\d{13,19}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,4}(?:[ -]\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5}"
_ISSUERS = (  # prefix, lengths: Visa, Mastercard, American Express, Discover, JCB, Diners, UnionPay
    (r"4", (13, 16, 19)),
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),
    (r"3[47]", (15,)),
    (r"6011|64[4-9]|65", (16, 17, 18, 19)),
    (r"35(?:2[89]|[3-8])", (16, 17, 18, 19)),
    (r"30[0-5]|36|38|39", (14, 15, 16, 17, 18, 19)),
    (r"62", (16, 17, 18, 19)),
)

_IBAN = r"[A-Z]{2}\d{2} ?[A-Z0-9]"
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip

# pattern, cue that must stand nearby (empty where the form alone is telling), check
_NATIONAL: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    (r"\d{3}-\d{2}-\d{4}", "", ssn.is_valid),
    (r"\d{9}", r"\bssn\b|social security", ssn.is_valid),
    (r"\d{9}|\d{4}\.\d{2}\.\d{3}", r"\bbsn\b|burgerservicenummer|sofinummer|citizen service number", bsn.is_valid),
    (r"\d{10}|\d{3}[ -]\d{3}[ -]\d{4}", r"\bnhs\b|national health", nhs.is_valid),
    (r"\d{9}|\d{3}[ -]\d{3}[ -]\d{3}", r"\bsin\b|social insurance", sin.is_valid),
)

_PHONE = r"\+\d[\d ().-]{6,20}\d|\(\d{2,5}\) ?\d[\d .-]{3,14}\d"
_BARE_PHONE = r"\d{2,5}(?:[ .-]\d{2,5}){1,5}"
_PHONE_CUE = r"\btel\b|\btelephone\b|\bphone\b|\bcall\b|\bmobile\b"
_DATE = re.compile(r"(?:19|20)\d\d[-./ ]\d\d?[-./ ]\d\d?.*|\d\d?[-./ ]\d\d?[-./ ](?:19|20)\d\d")

_IPV4 = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_IPV6 = r"[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f]{1,4}"
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_COORDINATES = r"-?\d{1,2}\.\d{4,}°?,? ?-?\d{1,3}\.\d{4,}"


@cache
def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern)


def detect(texts: Sequence[Document], limits: Thresholds) -> Iterator[Finding]:
    """A finding for each value, by its exact span; where two patterns meet, the first of the list has it."""
    for text, body in enumerate(batch(texts).bodies):
        values = _values(body)
        for category, what, (start, end, score) in strongest(values, lambda value: value[2][2]):
            yield Finding(
                text=text,
                detector=NAME,
                version=VERSION,
                category=category,
                start=start,
                end=end,
                score=score,
                reason=what,
                evidence={"masked": _masked(category, body[start:end]), "of": len(values)},
            )


def _values(body: str) -> list[tuple[str, str, Hit]]:
    """(category, what it is, hit), none over another, in the order of the list below."""
    taken = bytearray(len(body))
    values = []
    for category, what, find in _KINDS:
        for start, end, score in find(body):
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                values.append((category, what, (start, end, score)))
    return values


def _masked(category: str, value: str) -> str:
    if category == "email":
        return f"{value[0]}…@{value.partition('@')[2]}"
    return f"…{value[-2:]}"


def _standing_alone(pattern: str, body: str) -> Iterator[tuple[int, int]]:
    """Matches that are no part of a longer number, word, version or identifier."""
    for match in _compiled(pattern).finditer(body):
        start, end = match.span()
        before, after = body[start - 1 : start], body[end : end + 1]
        if before and (before.isalnum() or before in "-_./+:"):
            continue
        if after and (after.isalnum() or after == "_" or (after in "-.:" and body[end + 1 : end + 2].isalnum())):
            continue
        yield start, end


def _has_digits(body: str) -> bool:
    return _DIGITS.search(body) is not None


_DIGITS = re.compile(r"[0-9].*[0-9].*[0-9].*[0-9]", re.DOTALL)


def _emails(body: str) -> Iterator[Hit]:
    if "@" not in body:
        return
    for match in _compiled(_EMAIL).finditer(body):
        local, _, host = match.group().lower().partition("@")
        weak = host.endswith(_EXAMPLE_HOSTS) or local == "noreply" or host.rpartition(".")[2] in _FILE_ENDINGS
        yield match.start(), match.end(), 0.2 if weak else 0.9


def _cards(body: str) -> Iterator[Hit]:
    for start, end in _standing_alone(_CARD, body):
        digits = re.sub("[ -]", "", body[start:end])
        known = any(len(digits) in lengths and re.match(prefix, digits) for prefix, lengths in _ISSUERS)
        if known and luhn.is_valid(digits):
            yield start, end, 0.95


def _ibans(body: str) -> Iterator[Hit]:
    for match in _compiled(_IBAN).finditer(body):
        start = match.start()
        length = _IBAN_LENGTHS.get(body[start : start + 2])
        if length is None or body[start - 1 : start].isalnum():
            continue
        end = _end_of_characters(body, start, length)
        if end is not None and not body[end : end + 1].isalnum() and iban.is_valid(body[start:end]):
            yield start, end, 0.98


def _end_of_characters(body: str, start: int, wanted: int) -> int | None:
    """Where the wanted-th letter or digit ends, single blanks between them; None where something else stands."""
    place = start
    for nth in range(wanted):
        if nth and body[place : place + 1] == " ":
            place += 1
        character = body[place : place + 1]
        if not (character.isascii() and character.isalnum()):
            return None
        place += 1
    return place


def _national_numbers(body: str) -> Iterator[Hit]:
    for pattern, cue, check in _NATIONAL:
        if cue and not re.search(cue, body, re.IGNORECASE):
            continue
        for start, end in _standing_alone(pattern, body):
            if check(body[start:end]) and (not cue or _near_cue(cue, body, start, end)):
                yield start, end, 0.9


def _near_cue(cue: str, body: str, start: int, end: int) -> bool:
    return re.search(cue, body[max(0, start - _CUE_REACH) : end + _CUE_REACH], re.IGNORECASE) is not None


def _phones(body: str) -> Iterator[Hit]:
    tried = 0
    if "+" in body or "(" in body:
        for start, end in _standing_alone(_PHONE, body):
            tried += 1
            if tried > _MOST_PHONES_TRIED:
                break
            if _valid_phone(body[start:end]):
                yield start, end, 0.8
    if not re.search(_PHONE_CUE, body, re.IGNORECASE):
        return
    for start, end in _standing_alone(_BARE_PHONE, body):
        value = body[start:end]
        few = 8 <= sum(map(str.isdigit, value)) <= 15
        if few and not _DATE.fullmatch(value) and not _is_address(value) and _near_cue(_PHONE_CUE, body, start, end):
            yield start, end, 0.5


def _valid_phone(value: str) -> bool:
    if not 8 <= sum(map(str.isdigit, value)) <= 15:
        return False
    for region in [None] if value.startswith("+") else _REGIONS:
        try:
            number = phonenumbers.parse(value, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return True
    return False


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _addresses(body: str) -> Iterator[Hit]:
    for pattern, sign in ((_IPV4, "."), (_IPV6, ":")):
        if sign not in body:
            continue
        for start, end in _standing_alone(pattern, body):
            if end - start <= 39 and _is_public(body[start:end]):
                yield start, end, 0.4


def _is_public(value: str) -> bool:
    """Whether value is a routable address; private, reserved and documentation ranges are not."""
    try:
        address = ip_address(value)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast


def _coordinates(body: str) -> Iterator[Hit]:
    if "." not in body:
        return
    for match in _compiled(_COORDINATES).finditer(body):
        before = body[match.start() - 1 : match.start()]
        latitude, longitude = map(float, re.findall(r"-?\d+\.\d+", match.group())[:2])
        if abs(latitude) <= 90 and abs(longitude) <= 180 and not (before.isalnum() or before == "."):
            yield match.start(), match.end(), 0.3


def _if_digits(find: Callable[[str], Iterator[Hit]]) -> Callable[[str], Iterator[Hit]]:
    return lambda body: find(body) if _has_digits(body) else iter(())


_KINDS: tuple[tuple[str, str, Callable[[str], Iterator[Hit]]], ...] = (
    ("email", "an e-mail address", _emails),
    ("card", "a payment card number with a valid check digit", _if_digits(_cards)),
    ("iban", "a bank account number with valid check digits", _if_digits(_ibans)),
    ("id", "a national number with a valid form", _if_digits(_national_numbers)),
    ("phone", "a telephone number", _if_digits(_phones)),
    ("ip", "a public network address", _addresses),
    ("coordinates", "a place to some ten metres", _if_digits(_coordinates)),
)

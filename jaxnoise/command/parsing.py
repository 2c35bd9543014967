"""One cell of text as a number or a date, in the spellings that people use.

`numbers` and `dates` read many at once; what they cannot read is NaN or NaT. A style
tells what only a whole column can: whether 1,234 is large and 1/2/2020 in January.
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

Words = Sequence[str] | np.ndarray
POINT, COMMA = "decimal point", "decimal comma"
MONTH_FIRST, DAY_FIRST = "month first", "day first"

CURRENCIES = "$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd"
_MONEY = rf"(?:[{CURRENCIES}]|USD|EUR|GBP|CHF)?"
_BETWEEN = ",\\s'\u2019"  # thousands; \s has narrow and unbreakable spaces, too
_NUMBER = re.compile(
    rf"(?P<open>\()?{_MONEY}\s*(?P<sign>[+\-\u2212]?){_MONEY}\s*"
    rf"(?P<size>(?:[1-9]\d{{0,2}}(?P<mark>[{_BETWEEN}])\d{{3}}(?:(?P=mark)\d{{3}})*|\d+)?"
    rf"(?:\.\d*)?(?:e[+-]?\d+)?)\s*(?P<percent>%)?\s*{_MONEY}(?P<close>\))?",
    re.IGNORECASE,
)
_SWAP = str.maketrans(".,", ",.")

_ISO = re.compile(r"\d{4}([-/.])\d\d?\1\d|\d{4}-[01]\d$")
_DATE = re.compile(
    r"(?P<one>\d{1,2}|\d{4}|[a-z]{3,9})(?P<mark>\.?[-/\s]\s*|\.\s*)"
    r"(?P<two>\d{1,2}|[a-z]{3,9})(?:\.?,?\s+|[-/.])(?P<three>\d{4}|\d{1,2})"
    r"(?:[T,\s]\s*(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d+)?))?"
    r"\s*(?:(?P<half>[ap])\.?m\.?)?\s*(?P<zone>z|utc|gmt|[+-]\d\d:?\d\d)?)?",
    re.IGNORECASE,
)
_NAMES = "january february march april may june july august september october november"
_MONTHS = {
    name: number
    for number, month in enumerate(f"{_NAMES} december".split(), 1)
    for name in (month, month[:3], month[:4])
}


def numbers(words: Words, style: str) -> np.ndarray:
    """The finite numbers that words are: ($1,234.50) is -1234.5, and 12% is 0.12."""
    words = np.asarray(words, dtype=object)
    found = _plain(words, style)
    if found is None:
        found = np.array([_number(word, style) for word in words], dtype=float)
    found[np.isinf(found)] = np.nan
    return found


def _plain(words: np.ndarray, style: str) -> np.ndarray | None:
    """Numbers as programs write them, which is quicker; None if others are there."""
    if style == COMMA or "_" in "".join(words):  # float() takes 1_000
        return None
    try:
        return words.astype(float)
    except ValueError:
        return None


def _number(word: str, style: str) -> float:
    if style == COMMA:
        word = word.translate(_SWAP)
    try:
        return float("_" if "_" in word else word)
    except ValueError:
        return _decorated(word)


def _decorated(word: str) -> float:
    found = _NUMBER.fullmatch(word)
    if not found or bool(found["open"]) != bool(found["close"]):
        return np.nan
    digits = re.sub(f"[{_BETWEEN}]", "", found["size"])
    if not digits.strip(".") or digits[0] in "eE":
        return np.nan
    size = float(digits) / (100 if found["percent"] else 1)
    return -size if found["open"] or found["sign"] in ("-", "\u2212") else size


def dates(words: Words, style: str) -> np.ndarray:
    """The dates that words are; times of other zones become those of UTC."""
    words = np.asarray(words, dtype=object)
    found = _from_iso([word if _ISO.match(word) else "" for word in words])
    rest = np.isnat(found)
    if rest.any():
        found[rest] = _from_iso([_iso(word, style) for word in words[rest]])
    return found


def _from_iso(words: list[str]) -> np.ndarray:
    texts = np.array(words, dtype=object)
    found = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    return found.tz_localize(None).to_numpy().astype("datetime64[us]")


def _iso(word: str, style: str) -> str:
    """A date as ISO 8601 writes it; of what is no date, something that is none."""
    found = _DATE.fullmatch(word)
    if not found:
        return ""
    year, month, day = _in_order(found, style)
    if len(year) == 2:
        year = f"{19 if int(year) > 68 else 20}{year}"
    return f"{year}-{_MONTHS.get(month.lower(), month):0>2}-{day:0>2}{_time(found)}"


def _in_order(found: re.Match[str], style: str) -> tuple[str, str, str]:
    one, two, three = found["one"], found["two"], found["three"]
    if len(one) == 4 and one.isdigit():
        return one, two, three
    points = "." in found["mark"]  # which Americans do not use
    if one.isalpha() or (two.isdigit() and style == MONTH_FIRST and not points):
        return three, one, two
    return three, two, one


def _time(found: re.Match[str]) -> str:
    if not (hour := found["hour"]):
        return ""
    if found["half"]:
        hour = str(int(hour) % 12 + 12 * (found["half"] in "pP"))
    zone = found["zone"] or ""
    zone = "Z" if zone.isalpha() else zone
    return f"T{hour:0>2}:{found['minute']}:{found['second'] or '00'}{zone}"

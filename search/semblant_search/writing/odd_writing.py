"""Numbers, dates and truth values in ways of writing that are told of, and not read: too much of it may mean something else."""

from __future__ import annotations

import re

__all__ = ["ANSWERS", "SPREADSHEET_BOOLS", "odd_look"]

_PAIRS = (
    *("wahr/falsch", "vrai/faux", "verdadero/falso", "vero/falso", "waar/onwaar", "verdadeiro/falso", "prawda/fałsz"),
    *("sant/falskt", "sandt/falsk", "tosi/epätosi", "pravda/nepravda", "igaz/hamis", "doğru/yanliş", "истина/ложь"),
)
SPREADSHEET_BOOLS = {word: number == 0 for pair in _PAIRS for number, word in enumerate(pair.split("/"))}
"""What spreadsheets of other countries write for TRUE and FALSE, here in small letters."""
_ANSWERS = (
    *("yes/no", "ja/nein", "oui/non", "si/no", "sí/no", "sì/no", "sim/não", "ja/nee", "ja/nej", "ja/nei", "tak/nie", "да/нет"),
    *("ano/ne", "igen/nem", "kyllä/ei", "evet/hayır", "y/n", "t/f", "on/off", "はい/いいえ", "是/否", "✓/✗", "✔/✘"),
)
ANSWERS = {word: number == 0 for pair in _ANSWERS for number, word in enumerate(pair.split("/"))}
"""Words that stand for truth values where a column is declared so, and may be names of kinds elsewhere."""
_NUMBER = r"[+\-−]?\d[\d.,'’ \u00a0\u2009\u202f]*"
_MONEY = r"EUR|USD|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|BRL|CAD|AUD|kr\.?|zł|Kč|Ft|R\$|Fr\.?|₹|₽|₩|₺|[€$£¥]"
_MEASURE = (
    r"%|‰|°|°C|°F|px|dpi|ppi|bit|[kMGT]i?B|µm|nm|mm|cm|dm|km|mg|kg|ml|cl|dl|ms|min|sec|std|hrs?|[kMG]?Hz|MP|mAh|kW|kWh"
    r"|inch|in|ft|lbs?|oz"
)
_WORD = r"[^\W\d_]{3,10}\.?"
_CLOCK = r"(?:[ ,T]+\d{1,2}:\d\d(?::\d\d)?(?: ?[AaPp][Mm])?(?: ?(?:[A-Z]{3,4}|Z|[+-]\d\d:?\d\d))?)?"
_MONTHS = re.compile(
    r"jan|feb|f[eé]v|m[aä]r|mrt|apr|avr|abr|ma[ijy]|mag|jun|juin|giu|jul|juil|lug|aug|ao[uû]|ago|sep|set|o[ckt]t|out|nov"
    r"|de[czs]|dic|d[eé]c|янв|фев|мар|апр|ма[йя]|июн|июл|авг|сен|окт|ноя|дек|sty|lut|kwi|cze|lip|sie|wrz|pa[zź]|lis|gru|gen|ene",
    re.IGNORECASE,
)
_LOOKS = (
    ("BRACKETS", re.compile(rf"\(\s?(?:(?:{_MONEY})\s?)?\d[\d.,'’ \u00a0\u2009\u202f]*\)|\d[\d.,]*[-−]", re.ASCII)),
    ("UNIT", re.compile(rf"(?:{_MONEY})\s?{_NUMBER}|{_NUMBER}\s?(?:{_MONEY}|{_MEASURE})|{_NUMBER}\s[kmgshdLVAW]")),
    ("CODED", re.compile(r"[+-]?0[xX][0-9a-fA-F]+|[+-]?0[bB][01]+|[+-]?0[oO][0-7]+")),
    ("CLOCK", re.compile(r"\d{1,3}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?", re.ASCII)),
    (
        "PART_OF_DATE",
        re.compile(r"(?:1[5-9]|20)\d\d[-/.](?:0?[1-9]|1[012])|(?:0?[1-9]|1[012])[-/.](?:1[5-9]|20)\d\d", re.ASCII),
    ),
    (
        "ODD_NUMBER",
        re.compile(
            r"[+-]?\d{1,3}(?:_\d{3})+(?:\.\d+)?|[+-]?\d{1,2}(?:,\d\d)+,\d{3}(?:\.\d+)?|(?:\d+ )?\d+/[1-9]\d*|\d*[½⅓⅔¼¾⅛⅜⅝⅞]"
            r"|[+-]?(?:inf|infinity)|∞|[+-]?\d[\d.,]*(?:e|\s?[×·x*]\s?10\^?)[+-]?\d+|[+-]?\d+(?:[.,]\d+)?[kKmM]",
            re.IGNORECASE,
        ),
    ),
    (
        "OTHER_DATE",
        re.compile(
            r"(?:1[5-9]|20)\d{6}T\d{4}(?:\d\d)?Z?|(?:1[5-9]|20)\d\d-(?:\d-\d\d?|\d\d-\d)(?:[T ]\d\d?:\d\d(?::\d\d)?)?"
            r"|\d{4}-\d\d-\d\d(?:Z|[+-]\d\d:?\d\d)|\d{4}-\d\d-\d\d[T ]\d:\d\d(?::\d\d)?|\d{4}-W\d\d(?:-\d)?",
            re.ASCII,
        ),
    ),
    ("OTHER_DATE", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)? ?[A-Z]{1,5}", re.ASCII)),
    ("NO_DATE", re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?(?:Z|[+-]\d\d:?\d\d))?)?", re.ASCII)),
)
"""Members of `Look`, and what of the rest looks so."""
_NAMED = re.compile(
    rf"(?:{_WORD},? )?\d{{1,2}}(?:\.|st|nd|rd|th)?[ -](?:de )?({_WORD}),?[ -](?:de )?\d{{2}}(?:\d\d)?,?{_CLOCK}"
    rf"|(?:{_WORD},? )?({_WORD}) \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}},?{_CLOCK}|({_WORD}),?[ -]\d{{4}}"
    rf"|{_WORD},? ({_WORD}) +\d{{1,2}} \d\d:\d\d:\d\d (?:[A-Z]{{3,4}} )?\d{{4}}"
)
"""`31 May 2024`, `May 31, 2024`, `May 2024`, `Fri May 31 12:30:00 2024`."""
_LONGEST = 40


def odd_look(text: str) -> str | None:
    """The name of the member of `Look` that a text has, which is no number, date or truth value that is read; None for text."""
    if len(text) >= _LONGEST:
        return None
    if text.lower() in ANSWERS or text.lower() in SPREADSHEET_BOOLS:
        return "ANSWER"
    if not any(map(str.isnumeric, text)) and text.strip("+-").lower() not in ("inf", "infinity", "∞"):
        return None
    for name, pattern in _LOOKS:
        if pattern.fullmatch(text):
            return name
    named = _NAMED.fullmatch(text)
    if named is not None and _MONTHS.match(next(filter(None, named.groups()))):
        return "NAMED_MONTH"
    digits = text.lstrip("+-")
    return "ODD_NUMBER" if digits.isdigit() and not digits.isascii() else None

"""What a caller gave, as messages show it: short, without passwords, and never an error of its own."""

from __future__ import annotations

import math
import os
import re

__all__ = ["counted", "shown", "shown_error", "shown_name", "without_password", "without_users"]

_LONGEST = 80
_LONGEST_NAME = 300
_DIGITS_PER_BIT = math.log10(2)
_USER = re.compile(r"(?<=://)(?:[^/?#@]*@|[^/?#@:]*:(?!\d*(?:[/?#]|$))[^@]*@)")
"""A user before the host; also where the password holds a slash that should have been written %2F: a port is digits."""
_LOOKED_AT = 4000


def counted(number: int, noun: str) -> str:
    """A number of things, of which there may be one: `1 picture`, `1,200 pictures`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shown(value: object) -> str:
    """A value: its `repr`, but short, and never an error."""
    if isinstance(value, int) and abs(value) >= 10**_LONGEST:  # Python refuses to write thousands of digits
        return f"a number of about {int(value.bit_length() * _DIGITS_PER_BIT) + 1:,} digits"
    try:
        text = repr(without_users(value[:_LOOKED_AT]) if isinstance(value, str) else value)
        text = text if isinstance(value, str) else without_users(text[:_LOOKED_AT])
    except Exception:  # a stranger's __repr__ may do anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def shown_name(picture: str | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """The path or URI of a picture, in quotes: the password in a URL is hidden, and a very long name cut short."""
    given = os.fspath(picture)
    name = os.fsdecode(given) if isinstance(given, bytes) else given
    text = without_users(name[:_LOOKED_AT])
    return repr(text) if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]!r}… ({len(name):,} characters)"


def without_users(text: str, *, keep_length: bool = False) -> str:
    """Text in which the users and passwords of URLs are hidden: `***@`, or as many asterisks as there are characters."""
    return _USER.sub((lambda found: "*" * (len(found[0]) - 1) + "@") if keep_length else "***@", text) if "@" in text else text


def shown_error(error: BaseException) -> str:
    """What a stranger's error says, in one line; its kind where it says nothing."""
    try:
        lines = str(error).splitlines()
    except Exception:
        lines = []
    return (lines or [type(error).__name__])[0][:_LONGEST_NAME]


def without_password(url: str) -> str:
    """The URL of a database as messages show it: `http://***@host` for `http://user:password@host`; anything else as it is.

    Up to the last `@`, wherever it is: a password may hold a slash that should have been written %2F.
    """
    scheme, separator, rest = url.partition("://")
    before, at, place = rest.rpartition("@")
    return f"{scheme}://***@{place}" if separator and at and before else url

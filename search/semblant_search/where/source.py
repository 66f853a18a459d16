"""The text of a filter as Python's parser reads it, and the way back from the parser's places to characters of the text."""

from __future__ import annotations

import ast
import keyword
import re
from bisect import bisect_left
from itertools import accumulate

from semblant_search.errors import WhereError

__all__ = ["Source"]

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")  # `str.splitlines` knows ends of lines that Python's parser does not
# What is not closed goes on to the end, so that no text makes the search start over at each of its characters.
_TOKEN = re.compile(
    r"""\#[^\r\n]*
    | (?P<prefix>[A-Za-z]{0,2})
      (?P<text> \"\"\"(?:\\.|[^\\])*?(?:\"\"\"|\Z)
              | '''(?:\\.|[^\\])*?(?:'''|\Z)
              | "(?:\\.|[^"\\\r\n])*"? | '(?:\\.|[^'\\\r\n])*'?)
    | (?P<name>[^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)*)
    | (?P<number>\d[\d.]*(?:[eE][+-]?\d+)?)(?P<touched>(?:and|or|not|in|is)\b)?""",
    re.VERBOSE | re.DOTALL,
)
_NO_ESCAPE = re.compile(r"\\(?:[\r\n\\'\"abfnrtv0-7xNuU]|(?P<other>.))", re.DOTALL)
_COMPARED = re.compile(r"\s*[=!<>]")
_ENCLOSED = re.compile(r"\((?:and|or|not|in|is)\s*[,)]")
_OPERATORS = frozenset({"and", "or", "not", "in", "is"})
_VALUES = frozenset({"None", "True", "False"})


class Source:
    """A filter's text, parsed by `ast`; `column` says where in the text a node begins. All in time linear in the text.

    Attributes:
        text: as given.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        stripped = text.strip()
        # Over several lines, parentheses make Python read on. The newline before the last one ends a comment.
        self._wrapped = "\n" in stripped or "\r" in stripped or "#" in text
        quiet, self._inserted = _without_warnings(text if self._wrapped else stripped)
        self._read = f"({quiet}\n)" if self._wrapped else quiet
        self._indent = 0 if self._wrapped else len(text) - len(text.lstrip())
        self._lines = _LINE.findall(self._read)
        self._starts = list(accumulate(map(len, self._lines), initial=0))
        self._characters: dict[int, list[int]] = {}

    def parse(self) -> ast.expr:
        """The syntax tree. Raises `WhereError`."""
        try:
            body = ast.parse(self._read, mode="eval").body
        except SyntaxError as error:
            raise self._unreadable(error) from None
        except (RecursionError, MemoryError):
            raise self.too_deep() from None
        # Text that closes the parenthesis it was put in, such as `a) or (b`, makes the tree begin at it.
        if self._wrapped and (body.lineno, body.col_offset) == (1, 0):
            message = "the parentheses do not match, or it is no single condition"
            raise WhereError(message, expression=self.text, column=max(self.text.find(")"), 0))
        return body

    def column(self, node: ast.AST) -> int:
        """Where in the text a node begins, in characters."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        return self._offset(line, self._character(line, column))

    def too_deep(self) -> WhereError:
        """The error for more parentheses, signs or dots inside each other than Python reads."""
        return WhereError("the filter is nested too deeply; write it flatter", expression=self.text, column=0)

    def _character(self, line: int, column: int) -> int:
        """`ast` counts a line's bytes of UTF-8."""
        text = self._lines[line - 1]
        if text.isascii():
            return column
        if line not in self._characters:
            self._characters[line] = [n for n, character in enumerate(text) for _ in character.encode()]
        characters = self._characters[line]
        return characters[column] if column < len(characters) else len(text)

    def _offset(self, line: int, column: int) -> int:
        """A line (1-based) and character of what Python read as a character of the text."""
        at = self._starts[min(line, len(self._starts)) - 1] + column - self._wrapped
        at += self._indent - bisect_left(self._inserted, at)
        return min(max(at, 0), max(len(self.text) - 1, 0))

    def _unreadable(self, error: SyntaxError) -> WhereError:
        message = (error.msg or "it cannot be read").partition(". Perhaps you")[0].partition(". Maybe you")[0]
        # Python gives no offset for what is missing at the end.
        column = self._offset(error.lineno or 1, error.offset - 1) if error.offset else len(self.text)
        hint = ""
        taken = _taken_name(self.text)
        if "integer string conversion" in message:
            message, digits = "whole numbers must fit in 64 bits", re.search(r"\d[\d_]{600,}", self.text)
            column = digits.start() if digits else column
        elif error.text is not None and _lone_equals(self.text):
            message, hint = "one = is no comparison", "; write =="
        elif taken is not None:
            column, name = taken.start(), re.sub(r"\s", "", taken[0])
            message, hint = f"{name} holds a word of Python's", f'; a field of this name is written field("{name}")'
        elif any(f" {word} " in self.text for word in ("AND", "OR", "NOT")):
            hint = "; and, or, not are written in lower case"
        elif "&&" in self.text or "||" in self.text:
            hint = "; write and, or, not"
        return WhereError(f"the filter cannot be read: {message}{hint}", expression=self.text, column=column)


def _without_warnings(text: str) -> tuple[str, list[int]]:
    """The text with what Python's parser warns of spelt out, and the places in it at which a character was put in.

    A backslash that begins no escape stands for itself, and a number may touch the word behind it. The parser warns of both,
    and only a filter of warnings could silence it, which would be the whole process's.
    """
    pieces: list[str] = []
    places: list[int] = []
    done = 0

    def insert(at: int, what: str) -> None:
        nonlocal done
        places.append(at + len(places))
        pieces.extend((text[done:at], what))
        done = at

    for token in _TOKEN.finditer(text):
        if token["touched"]:
            insert(token.start("touched"), " ")
        elif token["text"] and "\\" in token["text"] and "r" not in token["prefix"].lower():
            for backslash in _NO_ESCAPE.finditer(token["text"]):
                if backslash["other"] is not None:
                    insert(token.start("text") + backslash.start(), "\\")
    return "".join((*pieces, text[done:])), places


def _taken_name(text: str) -> re.Match[str] | None:
    """The first word of Python's that stands where a field name should, with the keys that dots join to it."""
    for token in _TOKEN.finditer(text):
        keys = re.split(r"\s*\.\s*", token["name"] or "")
        for key in keys:
            if not keyword.iskeyword(key) or (len(keys) == 1 and key in _VALUES):
                continue
            enclosed = _ENCLOSED.match(text, max(token.start() - 1, 0))
            if key not in _OPERATORS or len(keys) > 1 or enclosed or _COMPARED.match(text, token.end()):
                return token  # an operator has a name, a value or a parenthesis on both sides
    return None


def _lone_equals(text: str) -> bool:
    return any(
        character == "=" and text[i - 1 : i] not in tuple("=<>!") and text[i + 1 : i + 2] != "="
        for i, character in enumerate(text)
    )

"""The code blocks of a Markdown file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Block", "blocks"]

Kind = Literal["python", "shell", "text"]
_SHELL = ("semblant ", "python ", "make ", "docker ", "QDRANT_URL=", ". ", "cp ")
_PYTHON = ("from ", "import ", "hits = ")


class Block(NamedTuple):
    """A fenced or indented block: where it begins (line, from 1), what it is, and its text without the indent."""

    file: str
    line: int
    kind: Kind
    text: str


def blocks(path: Path, name: str) -> list[Block]:
    """All blocks of a file, in their order; parts of one that an empty line divides are several, but for Python."""
    found = []
    for line, text in _texts(path.read_text(encoding="utf-8").splitlines()):
        parts = [text] if _kind(text) == "python" else text.split("\n\n")
        for part in parts:
            found.append(Block(name, line, _kind(part), part.rstrip("\n") + "\n"))
            line += part.count("\n") + 2
    return found


def _texts(lines: list[str]) -> Iterator[tuple[int, str]]:
    number = 0
    while number < len(lines):
        begin = number
        if lines[number].startswith("```"):
            number += 1
            while lines[number] != "```":
                number += 1
            yield begin + 2, "\n".join(lines[begin + 1 : number]) + "\n"
        elif lines[number].startswith("    ") and not lines[number - 1].strip():
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number].strip()):
                number += 1
            yield begin + 1, "\n".join(line[4:] for line in lines[begin:number]).rstrip("\n") + "\n"
            continue
        number += 1


def _kind(text: str) -> Kind:
    first = text.splitlines()[0]
    return "shell" if first.startswith(_SHELL) else "python" if first.startswith(_PYTHON) else "text"

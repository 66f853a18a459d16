"""What servers of which version can do. What one cannot do is refused by name, where it is asked for, and not at the door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.errors import StoreError
from semblant_search.where.expression import And, Contains, Not, Or, StartsWith

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.collection import StorageOptions
    from semblant_search.where import Where

__all__ = ["Version"]

_OLDEST = (1, 16)  # the first with metadata of collections, and with conditional writes
_TURBO, _PREFIXES, _SUBSTRINGS = (1, 18), (1, 19), (1, 20)


class Version:
    """Of a server; asked for once.

    Args:
        ask: what the server says it is, such as `1.19.0`.
        location: its URL, for messages.
    """

    def __init__(self, ask: Callable[[], str], location: str) -> None:
        self._ask = ask
        self._location = location
        self._text = ""

    def check(self) -> None:
        """Raise `StoreError` for a server that is too old for everything."""
        self._require(_OLDEST, "Semblant needs at least")

    def check_storage(self, storage: StorageOptions) -> None:
        """Raise `StoreError` where the server cannot keep vectors so."""
        if storage.quantize == "turbo":
            self._require(_TURBO, "TurboQuant (--quantize turbo) came with", "choose scalar or binary, or")

    def check_filter(self, where: Where) -> None:
        """Raise `StoreError` where the server does not know a condition."""
        if isinstance(where, (And, Or)):
            for term in where.terms:
                self.check_filter(term)
        elif isinstance(where, Not):
            self.check_filter(where.term)
        elif isinstance(where, StartsWith):
            self._require(_PREFIXES, f"{where}: filters by the beginning of a text came with")
        elif isinstance(where, Contains):
            self._require(_SUBSTRINGS, f"{where}: filters by a part of a text came with")

    def _require(self, least: tuple[int, int], what: str, instead: str = "") -> None:
        self._text = self._text or self._ask()
        numbers = [int(part) for part in self._text.split("-")[0].split(".")[:2] if part.isdigit()]
        if tuple(numbers) < least:
            advice = f"{instead} update the server" if instead else "update the server"
            raise StoreError(f"server {self._location!r} is Qdrant {self._text}; {what} {least[0]}.{least[1]}: {advice}")

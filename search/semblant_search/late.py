"""Hits whose ids and payloads become Python's when they are first looked at: most callers look at few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typing_extensions import Self

__all__ = ["Late"]

_SOURCE = "_source"
_new = object.__new__


class Late:
    """A base of frozen dataclasses with an `id`, which are made as ever, or by `late_scored`.

    Thread-safe; compared, copied and pickled as any other.
    """

    @classmethod
    def late_scored(cls, found: Iterable[Any]) -> list[Self]:
        """Some that have a score, and make all other values, which have no defaults, when they are looked at.

        Args:
            found: an engine's own hits, or records made of them: each has a `score`, an `id` and a `payload`, and scores that
                stay what they are.
        """
        all_made = []
        for one in found:
            made = _new(cls)
            values = made.__dict__  # written to, and not replaced: that takes half as long
            if isinstance(one, Late):
                known = one.__dict__
                values[_SOURCE] = known.get(_SOURCE, one)
                if "id" in known:
                    values["id"] = known["id"]
            else:
                values[_SOURCE] = one
            values["score"] = one.score
            all_made.append(made)
        return all_made

    @property
    def source(self) -> Any:
        """What has its id and payload: where they come from, or it itself."""
        return self.__dict__.get(_SOURCE, self)

    def _values_of(self, source: Any) -> Mapping[str, Any]:
        """All values but the id that were not given."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: an engine's own hit cannot be pickled."""
        self._complete()
        return dict(self.__dict__)

    def _complete(self) -> None:
        values = self.__dict__
        source = values.get(_SOURCE)
        if source is not None:
            if "id" not in values:  # an engine makes its own of it each time
                values.setdefault("id", str(source.id))  # another thread may have been faster, whose values stay
            for name, value in self._values_of(source).items():
                values.setdefault(name, value)
            values.pop(_SOURCE, None)

    if TYPE_CHECKING is False:  # a type checker would take every name for one that there is

        def __getattr__(self, name: str) -> Any:
            values = self.__dict__
            source = values.get(_SOURCE)
            if name == "id" and source is not None:
                values.setdefault("id", str(source.id))
            elif name in self.__dataclass_fields__:
                self._complete()
            if name in values:
                return values[name]
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

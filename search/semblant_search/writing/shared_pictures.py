"""The payload of pictures that several sources hold: it names them all, and which fields each of them said.

So a source that names a field no longer takes it away, unless another one says it, too. What nobody is known to have said
stays: a client wrote it, or an older Semblant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import SOURCES_FIELD
from semblant_search.sources import owners

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from semblant_search.store import Store

__all__ = [
    "FIELDS_OF",
    "Released",
    "both",
    "claimed",
    "handed_over",
    "joined",
    "owned_payload",
    "release",
    "said_by",
    "says_the_same",
]

FIELDS_OF = "_fields_of"
"""The payload field of a picture of several sources: by the id of a source the names of the metadata fields that it said."""
_TOGETHER = 1000


class Released(NamedTuple):
    """What became of pictures that a source gave up: `deleted`, or `kept` because another source holds them."""

    deleted: int
    kept: int


def said_by(payload: Mapping[str, Any]) -> dict[str, set[str]]:
    """The names of the fields that sources said, where that is known; all of them are the only source's."""
    holders = owners(payload)
    known = payload.get(FIELDS_OF, {})
    said = {holder: set(known[holder]) for holder in holders if holder in known}
    return {holders[0]: _names(payload)} if len(holders) == 1 and not said else said


def claimed(payload: Mapping[str, Any], said: Mapping[str, Iterable[str]], holders: Iterable[str]) -> dict[str, Any]:
    """A payload with its sources, and with what they said where there are several."""
    rest = {name: value for name, value in payload.items() if name not in (FIELDS_OF, SOURCES_FIELD)}
    all_holders = sorted(set(holders))
    known = {holder: sorted(said[holder]) for holder in all_holders if holder in said} if len(all_holders) > 1 else {}
    return {**rest, SOURCES_FIELD: all_holders, **({FIELDS_OF: known} if known else {})}


def handed_over(payload: Mapping[str, Any], source: str, other: str) -> dict[str, Any]:
    """The payload of a picture of which another source holds from now on what a source held and said."""
    said, holders = said_by(payload), set(owners(payload))
    mine = said.pop(source, None)
    if other not in holders and mine is not None:
        said[other] = mine
    elif mine is None or other not in said:  # who said what is not known of one of them
        said.pop(other, None)
    else:
        said[other] |= mine
    return claimed(payload, said, (holders - {source}) | {other})


def says_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two payloads differ in nothing, or only in which source said what."""
    return {**one, FIELDS_OF: None} == {**other, FIELDS_OF: None}


def joined(payload: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The payload of a picture that a source holds from now on, too, and says nothing of yet."""
    return claimed(payload, said_by(payload), [*owners(payload), source])


def both(other: Mapping[str, Any], indexed: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of a picture that another source holds as well: the job's values come over the other's."""
    metadata = {name: value for name, value in other.items() if not name.startswith("_")}
    said = {**said_by(other), **said_by(indexed)}
    return claimed({**metadata, **indexed}, said, [*owners(other), *owners(indexed)])


def owned_payload(before: Mapping[str, Any], payload: Mapping[str, Any], source: str, *, keep: bool = False) -> dict[str, Any]:
    """A payload as a source's job writes it, over the one that is there.

    Of a picture that other sources hold, fields go that this one said and says no longer, and that no other one says. Nothing
    goes with `keep`: nobody knows who said it.
    """
    mine = claimed(payload, {}, [source])
    holders = owners(before)
    others = [holder for holder in holders if holder != source]
    if not others:
        return both(before, mine) if keep else mine
    said, now = said_by(before), _names(payload)
    earlier = said.get(source, set()) - now
    gone = set() if keep else _given_up(said, earlier, others)
    said[source] = now | (earlier - gone if keep or not all(other in said for other in others) else set())
    metadata = {name: value for name, value in before.items() if not name.startswith("_") and name not in gone}
    return claimed({**metadata, **mine}, said, [*holders, source])


def release(store: Store, ids: Sequence[str], source: str) -> Released:
    """Give up pictures of a source: those that no other source holds are deleted."""
    deleted = kept = 0
    for start in range(0, len(ids), _TOGETHER):
        with store.writing:
            found = store.retrieve(ids[start : start + _TOGETHER], fields=[SOURCES_FIELD])
            shared = [record.id for record in found if any(owner != source for owner in owners(record.payload))]
            store.set_payloads({record.id: _released(record.payload, source) for record in store.retrieve(shared)})
            gone = sorted({record.id for record in found} - set(shared))
            store.delete(gone)
        deleted, kept = deleted + len(gone), kept + len(shared)
    return Released(deleted, kept)


def _released(payload: Mapping[str, Any], source: str) -> dict[str, Any]:
    left, said = [owner for owner in owners(payload) if owner != source], said_by(payload)
    gone = _given_up(said, said.get(source, set()), left)
    return claimed({name: value for name, value in payload.items() if name not in gone}, said, left)


def _given_up(said: Mapping[str, set[str]], names: set[str], others: Iterable[str]) -> set[str]:
    """Those of some fields that no other source says; none where that is not known of one of them."""
    found = [said.get(other) for other in others]
    return set() if None in found else names - set().union(*(names for names in found if names is not None))


def _names(payload: Mapping[str, Any]) -> set[str]:
    return {name for name in payload if not name.startswith("_")}

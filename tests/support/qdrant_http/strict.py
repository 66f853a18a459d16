"""Strict mode: what a server refuses although it could answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .faults import Refused, strict

if TYPE_CHECKING:
    from .collection import Collection


def check_filter(collection: Collection, wanted: Any, allowed: str) -> None:
    """Refuse a filter on a field without an index that can answer it; `allowed` is the setting that permits it."""
    if (collection.strict or {}).get(allowed) is False and wanted is not None:
        _check(collection.indexes, wanted)


def check_limit(collection: Collection, limit: int | None) -> None:
    most = (collection.strict or {}).get("max_query_limit")
    if most is not None and limit is not None and limit > most:
        raise strict(f'Limit exceeded {limit} > {most} for "limit". Help: Reduce the "limit" parameter to or below {most}.')


def check_exact(collection: Collection, *, exact: bool | None) -> None:
    if exact and (collection.strict or {}).get("search_allow_exact") is False:
        raise strict("Exact search disabled!. Help: Set exact=false.")


def check_params(collection: Collection, params: dict[str, Any] | None) -> None:
    """Refuse a search that looks at more than the settings allow."""
    asked = {**(params or {}), **((params or {}).get("quantization") or {})}
    check_exact(collection, exact=asked.get("exact"))
    for name, setting in (("oversampling", "search_max_oversampling"), ("hnsw_ef", "search_max_hnsw_ef")):
        most = (collection.strict or {}).get(setting)
        if most is not None and (asked.get(name) or 0) > most:
            raise strict(
                f'Limit exceeded {asked[name]} > {most} for "{name}". Help: Reduce the "{name}" parameter to or below {most}.'
            )


def check_batch(collection: Collection, size: int, setting: str, name: str) -> None:
    """Refuse more points or searches in one request than `setting` says."""
    most = (collection.strict or {}).get(setting)
    if most is not None and size > most:
        raise strict(f'Limit exceeded {size} > {most} for "{name}". Help: Reduce the "{name}" parameter to or below {most}.')


def check_rate(collection: Collection, points: int) -> None:
    """Refuse more points in one request than may be written in a minute; what comes too soon is not refused here."""
    most = (collection.strict or {}).get("write_rate_limit")
    if most is not None and points > most:
        raise Refused(
            429, "Write rate limit exceeded, request larger than rate limiter capacity, please try to split your request"
        )


def check_indexes(collection: Collection) -> None:
    """Refuse one more payload index, also one that is there already."""
    most = (collection.strict or {}).get("max_payload_index_count")
    if most is not None and len(collection.indexes) >= most:
        raise strict(
            f"Collection already has the maximum number of payload indices ({most}). "
            "Help: Please delete an existing index before creating a new one."
        )


def _check(indexes: dict[str, dict[str, Any]], condition: dict[str, Any]) -> None:
    clauses = [condition.get(clause) or [] for clause in ("must", "must_not", "should")]
    if any(clauses):
        for clause in clauses:
            for inner in clause if isinstance(clause, list) else [clause]:
                _check(indexes, inner)
        return
    for key, kinds in _needed(condition):
        index = indexes.get(key, {})
        has = {index.get("type"), "prefix" if index.get("prefix") else None}
        if not has & kinds:
            raise strict(
                f'Index required but not found for "{key}" of one of the following types: [{", ".join(sorted(kinds))}]'
            )


def _needed(condition: dict[str, Any]) -> list[tuple[str, set[str]]]:
    """Fields of a condition, each with the kinds of index that can answer it."""
    any_kind = {"keyword", "integer", "float", "bool", "datetime", "geo", "text", "uuid"}
    if "is_empty" in condition:
        return [(condition["is_empty"]["key"], any_kind)]
    if "key" not in condition:
        return []
    key, bounds = condition["key"], condition.get("range")
    if bounds is not None:
        return [(key, {"datetime"} if any(isinstance(bound, str) for bound in bounds.values()) else {"float", "integer"})]
    match = condition["match"]
    if "prefix" in match:
        return [(key, {"prefix"})]
    if "substring" in match:
        return [(key, {"keyword"})]
    values = match["any"] if "any" in match else [match["value"]]
    kinds: dict[type, str] = {str: "keyword", int: "integer", bool: "bool"}
    return [(key, {kinds[type(value)]}) for value in values]

"""What users of `semblant_search` may rely on. A name that goes, or comes, changes this list on purpose."""

from __future__ import annotations

import semblant_search

NAMES = [
    "AsyncSearchClient",
    "CollectionNotFound",
    "DataError",
    "Duplicate",
    "DuplicateGroup",
    "DuplicatesInterrupted",
    "Encoder",
    "EncoderCard",
    "EncoderError",
    "EncoderMismatch",
    "F",
    "FeatureHit",
    "FieldType",
    "Fit",
    "Hit",
    "HitGroup",
    "ImageError",
    "InvalidInput",
    "Job",
    "JobAtWork",
    "JobEvent",
    "JobFailure",
    "JobProgress",
    "Manifest",
    "MetadataError",
    "MissingExtra",
    "NewPicture",
    "NoFeaturesError",
    "NotADatabase",
    "NotIndexed",
    "Picture",
    "PicturePage",
    "PointNotFound",
    "Released",
    "Relocation",
    "SearchClient",
    "SemblantError",
    "SourceSummary",
    "StoreDenied",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "TrainingError",
    "Where",
    "WhereError",
    "canonical_uri",
    "draw_gallery",
    "draw_groups",
    "draw_matches",
    "parse_where",
    "point_id",
]


def test_the_public_names_are_these() -> None:
    assert semblant_search.__all__ == NAMES
    assert dir(semblant_search) == sorted(NAMES)


def test_every_public_name_is_there_and_documented() -> None:
    for name in NAMES:
        value = getattr(semblant_search, name)
        assert value.__doc__, name
        assert value.__module__.startswith("semblant_search."), name


def test_every_error_is_public() -> None:
    from semblant_search import errors

    assert set(errors.__all__) <= set(NAMES)

"""What is asked of maps and clusters, and what is answered."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from semblant_search.web.models import Picture  # noqa: TC002 - pydantic looks it up

__all__ = [
    "AnalysisQuery",
    "Cluster",
    "ClusterChange",
    "Clusters",
    "Making",
    "MapFacts",
    "MapPictures",
    "MapPicturesQuery",
    "MapRows",
    "MapRowsQuery",
    "MergeQuery",
    "SplitQuery",
    "TellingValue",
]

Collection = Field("images", description="The collection's name.")


class Making(BaseModel):
    """An analysis that is being made, or the last one that failed."""

    kind: Literal["map", "clusters"]
    done: int = Field(description="Steps that are done, of `total`; 0 of 0 at the beginning.")
    total: int
    problem: str | None = Field(None, description="Why it was not made.")


class MapFacts(BaseModel):
    """Which analyses there are of a collection."""

    map_version: int | None = Field(description="Of the map; null where none was made.")
    map_made_at: str | None
    clusters_version: int | None = Field(description="Of the clusters; null where none were made.")
    pictures: int = Field(description="Pictures that the caller may see.")
    fields: list[str] = Field(description="Fields that the map can be coloured by.")
    may_make: bool = Field(description="Whether the caller may have them made here.")
    making: Making | None


class AnalysisQuery(BaseModel):
    """An analysis to make."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"example": {"kind": "map"}})

    kind: Literal["map", "clusters"]
    collection: str = Collection
    k: int | None = Field(None, ge=1, le=1000, description="Of clusters: how many; null for the elbow of 1 to 30.")


class MapPicturesQuery(BaseModel):
    """Pictures of a map, by their rows."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"example": {"version": "0f", "rows": [0, 1]}})

    version: str = Field(max_length=64, description="Of the points.")
    rows: list[int] = Field(max_length=1000)
    collection: str = Collection


class MapPictures(BaseModel):
    """The pictures of those rows; null for one that was deleted."""

    pictures: list[Picture | None]


class MapRowsQuery(BaseModel):
    """Pictures whose rows are asked for."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"example": {"version": "0f", "ids": ["7d0ac67b-9bd0-5b6f-8b68-3d0c0f5b0d4b"]}},
    )

    version: str = Field(max_length=64, description="Of the points.")
    ids: list[str] = Field(max_length=10_000)
    collection: str = Collection


class MapRows(BaseModel):
    """Their rows, −1 for one that is not on the map."""

    rows: list[int]


class TellingValue(BaseModel):
    """A field's value that the pictures of a cluster have more often than the others."""

    field: str
    value: Any
    share: float = Field(description="Of the cluster's pictures, 0–1.")
    elsewhere: float = Field(description="The same of all other pictures.")


class Cluster(BaseModel):
    """Pictures that look alike."""

    cluster: int = Field(description="Its number, the value of `_cluster`.")
    name: str | None
    named_by: Literal["field", "person"] | None
    pictures: int
    values: list[TellingValue] = Field(description="Those that tell it best, first.")
    representatives: list[Picture] = Field(description="The nearest to its centre.")


class Clusters(BaseModel):
    """The clusters of a collection, by number."""

    version: int
    made_at: str
    silhouette: float | None = Field(description="−1 to 1: how well they are apart, when they were made.")
    clusters: list[Cluster]
    in_none: int = Field(description="Pictures that lie alone and are in no cluster: `_cluster` −1, of HDBSCAN only.")


class ClusterChange(BaseModel):
    """A cluster's new name; null for none."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"example": {"name": "summer dresses"}})

    name: str | None = Field(max_length=200)
    collection: str = Collection


class MergeQuery(BaseModel):
    """Clusters that shall be one."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"example": {"clusters": [2, 5]}})

    clusters: list[int] = Field(min_length=2, max_length=100)
    collection: str = Collection


class SplitQuery(BaseModel):
    """A cluster that shall be several."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"example": {"cluster": 0, "into": 2}})

    cluster: int = Field(ge=0)
    into: int = Field(2, ge=2, le=10)
    collection: str = Collection

"""What is answered."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from semblant_search.web.problems import Problem  # noqa: TC001 - pydantic reads the types of fields

__all__ = [
    "AddAnswer",
    "Changed",
    "CollectionFacts",
    "Collections",
    "Count",
    "Duplicate",
    "DuplicateGroup",
    "Duplicates",
    "Embeddings",
    "Facet",
    "Facets",
    "FeatureHit",
    "Group",
    "Hit",
    "Picture",
    "PicturePage",
    "Pictures",
    "ProvenAnswer",
    "Released",
    "Relocated",
    "SearchAnswer",
    "Source",
    "Sources",
]

Metadata = dict[str, Any]


class Picture(BaseModel):
    """A picture of the collection."""

    id: str
    uri: str
    metadata: Metadata = Field(description="What its owner says about it.")
    facts: Metadata = Field(description="What Semblant noted: `_width`, `_height`, `_format`, `_sha256`, ….")
    vector: list[float] | None = Field(None, description="Its embedding, where it was asked for.")


class Hit(Picture):
    """A picture that answers a search by look."""

    score: float = Field(description="The cosine of the two embeddings; else as the Python client says for the kind of search.")
    probability: float | None = Field(description="0–1, that the likeness is no chance; null where it is not known.")
    copies: int | None = Field(None, description="With `unique`: how many others it stands for.")


class FeatureHit(Picture):
    """A picture that shares details with the query, with what was found."""

    score: float
    copies: int | None = None
    verdict: str = Field(description="`copy`, `rotated/scaled`, `crop`, `contains`, `shared part`, `lookalike` or `none`.")
    probability: float = Field(description="0–1, that the agreement is no chance.")
    inliers: int
    evidence: float
    support: float
    correlation: float | None
    disagreement: float
    strength: float
    mirrored: bool
    transform: list[list[float]] | None = Field(description="3 × 3: pixels of the query to pixels of the hit.")
    polygon: list[list[float]] | None = Field(description="Where the query lies in the hit: four corners.")
    part_in_query: list[list[float]] | None = Field(None, description="Outline of a shared part in the query.")
    part_in_hit: list[list[float]] | None = Field(None, description="Outline of a shared part in the hit.")
    pairs: list[list[float]] | None = Field(None, description="Agreeing details: x, y in the query, x, y in the hit.")


class Group(BaseModel):
    """Hits that share a value of a field."""

    value: str | int | bool
    hits: list[Hit]


class SearchAnswer(BaseModel):
    """Hits, best first. Of several queries `answers` holds one for each, or what was wrong with it."""

    hits: list[Hit] = Field(description="Empty with `group_by` and `queries`.")
    groups: list[Group] | None = Field(None, description="With `group_by`.")
    answers: list[SearchAnswer | Problem] | None = Field(None, description="With `queries`, in their order.")
    cursor: str | None = Field(None, description="Asks for the next hits; absent at the end.")


class ProvenAnswer(BaseModel):
    """Hits with what their details prove."""

    hits: list[FeatureHit]


class PicturePage(BaseModel):
    """Some pictures of a collection, one after the other."""

    pictures: list[Picture]
    cursor: str | None = Field(None, description="Asks for the next page; absent at the end.")


class Pictures(BaseModel):
    """Pictures in the order of their names; null for those that are not there."""

    pictures: list[Picture | None]


class Embeddings(BaseModel):
    """A row for each picture, of unit length."""

    embeddings: list[list[float]]


class Released(BaseModel):
    """What became of a source's pictures: deleted, or kept because another source holds them."""

    deleted: int
    kept: int


class Relocated(BaseModel):
    """What became of the pictures of a source that moved."""

    name: str
    old: str
    new: str
    renamed: int
    missing: int
    different: int
    elsewhere: int
    merged: int
    overridden: int
    joined: str | None


class AddAnswer(BaseModel):
    """What became of the pictures that were sent, in their order: the picture, or what was wrong with it."""

    pictures: list[Picture | Problem]
    added: int


class Changed(BaseModel):
    """How many pictures were changed, or deleted."""

    count: int


class Count(BaseModel):
    """How many pictures match."""

    count: int


class Facet(BaseModel):
    """A value of a field, and how many pictures have it."""

    value: str | int | float | bool
    count: int


class Facets(BaseModel):
    """The values of a field, most frequent first."""

    field: str
    values: list[Facet]


class CollectionFacts(BaseModel):
    """What a collection knows about itself."""

    name: str
    generation: str
    encoder: str = Field(description="The encoder's name.")
    dim: int = Field(description="Numbers of an embedding.")
    details: bool = Field(description="Whether it can be searched by details.")
    regions: bool = Field(description="Whether it can be searched by the look of a region.")
    fields: dict[str, str] = Field(description="Names and types.")
    created_at: str
    manifest: dict[str, Any] = Field(description="All of it, as clients of Semblant's read it.")


class Collections(BaseModel):
    """The collections of the database."""

    collections: list[CollectionFacts]


class Source(BaseModel):
    """Where pictures of a collection come from."""

    id: str
    name: str
    root: str
    pictures: int
    scanned_at: str | None
    damaged: str | None


class Sources(BaseModel):
    """The sources of a collection."""

    sources: list[Source]


class Duplicate(Picture):
    """A picture that is the same as its group's representative."""

    exact: bool
    verdict: str
    probability: float
    tier: Literal["copy", "changed"]
    why: list[str]
    removable: bool


class DuplicateGroup(BaseModel):
    """Files that are one and the same picture."""

    representative: Picture
    others: list[Duplicate]
    other_names: dict[str, list[str]]


class ComparingFiles(BaseModel):
    """Files are being compared still: ask the same again, with the ticket."""

    ticket: str = Field(description="For the next request.")
    pictures_read: int = Field(description="How many pictures were read so far.")
    seconds: float = Field(description="Since it was asked for.")


class Duplicates(BaseModel):
    """Groups of duplicates, largest first."""

    groups: list[DuplicateGroup]

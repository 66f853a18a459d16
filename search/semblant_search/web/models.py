"""What is asked and what is answered: one model of each, for the routes, the client of the service, and the page.

Options have the names that they have in `SearchClient`, where each is explained at length.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .problems import Problem  # noqa: TC001 - pydantic reads the types of fields

__all__ = [
    "AddAnswer",
    "AddForm",
    "Changed",
    "CollectionFacts",
    "Collections",
    "Count",
    "DeleteQuery",
    "Duplicates",
    "DuplicatesQuery",
    "Example",
    "Facets",
    "FeatureHit",
    "FeaturesQuery",
    "FusedQuery",
    "Group",
    "Hit",
    "Metadata",
    "Picture",
    "PicturePage",
    "ProvenAnswer",
    "SearchAnswer",
    "SearchQuery",
    "SingleQuery",
    "Source",
    "Sources",
    "UpdateQuery",
]

Metadata = dict[str, Any]
_WHERE = 'A filter on metadata, such as `label == "Sneaker" and price < 100`.'
_ID = Field(None, description="The point id of a picture of the collection.", examples=["5b0a5a04-54b5-5b2a-8b3f-2f5e4d0f6a11"])
_URI = Field(None, description="The URI of a picture of the collection.", examples=["file:///pictures/boot-17.jpg"])
Vector = Annotated[list[float], Field(min_length=1, max_length=65_536)]
Region = Annotated[list[float], Field(min_length=4, max_length=4)]
Fields = Annotated[list[str], Field(max_length=1000)]


class _Model(BaseModel):
    """Names that are not known are refused: a misspelt filter would find everything."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Named(_Model):
    """A picture of the collection, or a vector: exactly one of the three."""

    id: str | None = _ID
    uri: str | None = _URI
    vector: Vector | None = Field(None, description="An embedding, as many numbers as the collection's encoder gives.")


class Example(_Named):
    """A picture to be like or unlike, with its weight."""

    weight: float = Field(1.0, gt=0, description="How much it counts among the others.")

    @model_validator(mode="after")
    def _one_of_three(self) -> Example:
        if sum(given is not None for given in (self.id, self.uri, self.vector)) != 1:
            raise ValueError("expected exactly one of id, uri and vector")
        return self


class Pair(_Model):
    """Two examples of which hits are nearer to the first."""

    positive: Example
    negative: Example


class _Options(_Model):
    """What every search takes."""

    limit: int = Field(10, ge=1, description="Hits at most.")
    where: str | None = Field(None, description=_WHERE, examples=['label == "Sneaker" and price < 100'])
    offset: int = Field(0, ge=0, le=2**31 - 1, description="Hits to skip.")
    include_self: bool = Field(False, description="Keep the queried picture among the hits.")
    fields: Fields | None = Field(None, description="Metadata and facts to return; all without it.", examples=[["price"]])


class SingleQuery(_Named, _Options):
    """One search by look: by a picture of the collection, an uploaded one, a vector, or examples."""

    like: Annotated[list[Example], Field(max_length=100)] | None = Field(None, description="Examples to be like.")
    unlike: Annotated[list[Example], Field(max_length=100)] | None = Field(None, description="Examples to be unlike.")
    strategy: Literal["average_vector", "best_score"] = Field("average_vector", description="How examples are weighed up.")
    target: Example | None = Field(None, description="With `context`: hits are near it.")
    context: Annotated[list[Pair], Field(max_length=100)] | None = Field(None, description="Pairs that point out a part.")
    cursor: str | None = Field(None, max_length=200, description="Of the answer before, with the same other options: go on.")
    min_score: float | None = Field(None, ge=-1, le=1, description="Leave out hits of a lower cosine.")
    fpr: float | None = Field(None, gt=0, le=1, description="Leave out hits that chance gives this share of strangers.")
    exact: bool = Field(False, description="Compare with every picture instead of walking the graph.")
    ef_search: int | None = Field(
        None, ge=1, le=1_000_000, description="With `vector`: candidates that the graph's walk keeps."
    )
    region: Region | None = Field(None, description="Look for this part: x, y, width, height in pixels.")
    diversity: float | None = Field(None, ge=0, le=1, description="How much hits differ among each other.")
    unique: bool = Field(False, description="One hit of each group of copies.")
    order_by: str | None = Field(None, description="A field that hits are in the order of.")
    descending: bool = Field(False, description="With `order_by`: begin with the highest value.")
    group_by: str | None = Field(None, description="A field: its values with the best hits of each.")
    group_size: int = Field(3, ge=1, le=1000, description="With `group_by`: hits of a group at most.")


class SearchQuery(SingleQuery):
    """One search, or several together in `queries`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"uri": "file:///pictures/boot-17.jpg", "limit": 5, "where": "price < 100"},
                {"like": [{"uri": "file:///pictures/boot-17.jpg"}], "unlike": [{"uri": "file:///pictures/bag-3.jpg"}]},
                {"queries": [{"uri": "file:///pictures/boot-17.jpg"}, {"uri": "file:///pictures/bag-3.jpg"}]},
            ]
        }
    )
    collection: str = Field("images", description="The collection's name.")
    queries: Annotated[list[SingleQuery], Field(min_length=1)] | None = Field(
        None, description="Several searches, each with options of its own; nothing else is given beside them."
    )


class FeaturesQuery(_Options):
    """A search by details: which pictures contain what one shows, with the proof."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"uri": "file:///pictures/boot-17.jpg", "limit": 5}]})
    collection: str = Field("images", description="The collection's name.")
    id: str | None = _ID
    uri: str | None = _URI
    region: Region | None = Field(None, description="Ask for this part only: x, y, width, height in pixels.")
    verify: bool = Field(True, description="Compare the candidates; without it, the shortlist as it is.")
    min_confidence: float | None = Field(None, ge=0, le=1, description="Leave out hits that are less sure.")
    shared_parts: bool = Field(False, description="Also pictures that have a part in common with this one.")
    pairs: bool = Field(False, description="Return the pairs of agreeing details, too.")


class FusedQuery(_Options):
    """A search by look and by details together."""

    collection: str = Field("images", description="The collection's name.")
    id: str | None = _ID
    uri: str | None = _URI
    min_score: float | None = Field(None, ge=-1, le=1, description="Leave out hits of a lower cosine.")
    exact: bool = Field(False, description="Compare with every picture instead of walking the graph.")
    shared_parts: bool = Field(False, description="Also pictures that have a part in common with this one.")
    pairs: bool = Field(False, description="Return the pairs of agreeing details, too.")


class AddForm(_Model):
    """What goes with the pictures of a form; each as often as there are pictures, or once for all where that makes sense."""

    collection: str = Field("images", description="The collection's name.")
    uri: list[str] | None = Field(None, description="Their names, such as `shop://items/17`; none are made of the content.")
    metadata: Metadata | list[Metadata] | None = Field(None, description="Of all pictures, or a list: of each.")


class UpdateQuery(_Model):
    """Pictures by name or by a filter, and their new metadata."""

    collection: str = Field("images", description="The collection's name.")
    pictures: Annotated[list[str], Field(max_length=10_000)] | None = Field(None, description="Point ids or URIs.")
    where: str | None = Field(None, description=_WHERE)
    metadata: Metadata = Field(description="Names and values; null takes a field away.")
    replace: bool = Field(False, description="Delete all fields that are not named, too.")


class DeleteQuery(_Model):
    """Pictures by name or by a filter."""

    collection: str = Field("images", description="The collection's name.")
    pictures: Annotated[list[str], Field(max_length=10_000)] | None = Field(None, description="Point ids or URIs.")
    where: str | None = Field(None, description=_WHERE)


class DuplicatesQuery(_Model):
    """Among which pictures duplicates are looked for."""

    collection: str = Field("images", description="The collection's name.")
    where: str | None = Field(None, description=_WHERE)
    min_score: float = Field(0.95, ge=-1, le=1, description="Of files that are not at hand: least cosine of a candidate.")
    min_confidence: float | None = Field(None, ge=0, le=1, description="Of files that are not at hand: least probability.")


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


class Duplicates(BaseModel):
    """Groups of duplicates, largest first."""

    groups: list[DuplicateGroup]

"""What is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "AddForm",
    "CountQuery",
    "DeleteQuery",
    "DuplicatesQuery",
    "EmbedForm",
    "Example",
    "FacetQuery",
    "FeaturesQuery",
    "FusedQuery",
    "GetQuery",
    "ListQuery",
    "Pair",
    "RelocateSourceQuery",
    "RemoveSourceQuery",
    "RenameSourceQuery",
    "SearchQuery",
    "SingleQuery",
    "UpdateQuery",
]

Metadata = dict[str, Any]
_WHERE = 'A filter on metadata, such as `label == "Sneaker" and price < 100`.'
_ID = Field(None, description="The point id of a picture of the collection.", examples=["5b0a5a04-54b5-5b2a-8b3f-2f5e4d0f6a11"])
_URI = Field(None, description="The URI of a picture of the collection.", examples=["file:///pictures/boot-17.jpg"])
_BEYOND = "Whole numbers beyond 64 bits are kept as text."
_FEWER = "Where none is given, no more than the service gives in one answer (`max_limit` of `/v1/about`)."
_URL = Field(
    None,
    max_length=4000,
    description="The URL of a picture to look for, where the service fetches them from its host.",
    examples=["https://shop.example/boot-17.jpg"],
)
_MASK = Field(None, description="In place of `region`: a picture file in base64, as large as the picture; white is looked for.")
Vector = Annotated[list[float], Field(min_length=1, max_length=65_536)]
Region = Annotated[list[float], Field(min_length=4, max_length=4)]
Fields = Annotated[list[str], Field(max_length=1000)]


class _Model(BaseModel):
    """Names that are not known are refused: a misspelt filter would find everything. So are values of another type."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    @property
    def given(self) -> set[str]:
        """What was asked for: a generated client sends every default, too, which asks for nothing."""
        fields = type(self).model_fields
        return {name for name in self.model_fields_set if getattr(self, name) != fields[name].default}


def _examples(*examples: dict[str, Any]) -> ConfigDict:
    """Requests that a test sends as they are."""
    return ConfigDict(json_schema_extra={"examples": [*examples]})


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

    limit: int = Field(10, ge=1, description=f"Hits at most. {_FEWER}")
    where: str | None = Field(None, description=_WHERE, examples=['label == "Sneaker" and price < 100'])
    offset: int = Field(0, ge=0, le=2**31 - 1, description="Hits to skip.")
    include_self: bool = Field(False, description="Keep the queried picture among the hits.")
    fields: Fields | None = Field(None, description="Metadata and facts to return; all without it.", examples=[["price"]])


class SingleQuery(_Named, _Options):
    """One search by look: by a picture of the collection, an uploaded one, a vector, or examples."""

    url: str | None = _URL
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
    mask: str | None = _MASK
    diversity: float | None = Field(None, ge=0, le=1, description="How much hits differ among each other.")
    within_cluster: int | None = Field(
        None, ge=1, le=1000, description="Compare only within so many clusters, those nearest to the query."
    )
    unique: bool = Field(False, description="One hit of each group of copies.")
    order_by: str | None = Field(None, description="A field that hits are in the order of.")
    descending: bool = Field(False, description="With `order_by`: begin with the highest value.")
    group_by: str | None = Field(None, description="A field: its values with the best hits of each.")
    group_size: int = Field(
        3, ge=1, le=1000, description="With `group_by`: hits of a group at most; with `limit`, `max_limit` hits in all."
    )


class SearchQuery(SingleQuery):
    """One search, or several together in `queries`."""

    model_config = _examples(
        {"uri": "file:///pictures/boot-17.jpg", "limit": 5, "where": "price < 100"},
        {"like": [{"uri": "file:///pictures/boot-17.jpg"}], "unlike": [{"uri": "file:///pictures/bag-3.jpg"}]},
        {"queries": [{"uri": "file:///pictures/boot-17.jpg"}, {"uri": "file:///pictures/bag-3.jpg"}]},
    )
    collection: str = Field("images", description="The collection's name.")
    queries: Annotated[list[SingleQuery], Field(min_length=1)] | None = Field(
        None, description="Several searches, each with options of its own; nothing else is given beside them."
    )


class FeaturesQuery(_Options):
    """A search by details: which pictures contain what one shows, with the proof."""

    model_config = _examples({"uri": "file:///pictures/boot-17.jpg", "limit": 5})
    collection: str = Field("images", description="The collection's name.")
    id: str | None = _ID
    uri: str | None = _URI
    url: str | None = _URL
    region: Region | None = Field(None, description="Ask for this part only: x, y, width, height in pixels.")
    mask: str | None = _MASK
    verify: bool = Field(True, description="Compare the candidates; without it, the shortlist as it is.")
    min_confidence: float | None = Field(None, ge=0, le=1, description="Leave out hits that are less sure.")
    shared_parts: bool = Field(False, description="Also pictures that have a part in common with this one.")
    pairs: bool = Field(False, description="Return the pairs of agreeing details, too.")


class FusedQuery(_Options):
    """A search by look and by details together."""

    model_config = _examples({"uri": "file:///pictures/boot-17.jpg", "limit": 5, "pairs": True})
    collection: str = Field("images", description="The collection's name.")
    id: str | None = _ID
    uri: str | None = _URI
    url: str | None = _URL
    min_score: float | None = Field(None, ge=-1, le=1, description="Leave out hits of a lower cosine.")
    exact: bool = Field(False, description="Compare with every picture instead of walking the graph.")
    shared_parts: bool = Field(False, description="Also pictures that have a part in common with this one.")
    pairs: bool = Field(False, description="Return the pairs of agreeing details, too.")


class AddForm(_Model):
    """What goes with the pictures of a form; each as often as there are pictures, or once for all where that makes sense."""

    model_config = _examples(
        {"uri": ["shop://items/17"], "metadata": {"label": "Sneaker", "price": 59.5}}, {"metadata": [{"label": "Bag"}]}
    )
    collection: str = Field("images", description="The collection's name.")
    uri: list[str] | None = Field(None, description="Their names, such as `shop://items/17`; none are made of the content.")
    metadata: Metadata | list[Metadata] | None = Field(None, description=f"Of all pictures, or a list: of each. {_BEYOND}")


class UpdateQuery(_Model):
    """Pictures by name or by a filter, and their new metadata."""

    model_config = _examples(
        {"pictures": ["file:///pictures/boot-17.jpg"], "metadata": {"price": 49.5}},
        {"where": 'label == "Bag"', "metadata": {"sold": True}},
    )
    collection: str = Field("images", description="The collection's name.")
    pictures: Annotated[list[str], Field(max_length=10_000)] | None = Field(None, description="Point ids or URIs.")
    where: str | None = Field(None, description=_WHERE)
    metadata: Metadata = Field(description=f"Names and values; null takes a field away. {_BEYOND}")
    replace: bool = Field(False, description="Delete all fields that are not named, too.")


class DeleteQuery(_Model):
    """Pictures by name or by a filter."""

    model_config = _examples({"pictures": ["file:///pictures/bag-3.jpg"]}, {"where": "price > 1000"})
    collection: str = Field("images", description="The collection's name.")
    pictures: Annotated[list[str], Field(max_length=10_000)] | None = Field(None, description="Point ids or URIs.")
    where: str | None = Field(None, description=_WHERE)


class DuplicatesQuery(_Model):
    """Among which pictures duplicates are looked for."""

    model_config = _examples({"where": "price < 100"})
    collection: str = Field("images", description="The collection's name.")
    where: str | None = Field(None, description=_WHERE)
    min_score: float = Field(0.95, ge=-1, le=1, description="Of files that are not at hand: least cosine of a candidate.")
    min_confidence: float | None = Field(None, ge=0, le=1, description="Of files that are not at hand: least probability.")
    ticket: str | None = Field(None, max_length=64, description="Of the answer 202 before, to the same question.")
    wait: float = Field(10, ge=0, le=60, description="Seconds to wait for the answer; then it is 202 with a ticket.")


class GetQuery(_Model):
    """Pictures by name."""

    model_config = _examples({"pictures": ["file:///pictures/boot-17.jpg", "file:///pictures/bag-3.jpg"]})
    collection: str = Field("images", description="The collection's name.")
    pictures: Annotated[list[str], Field(max_length=10_000)] = Field(description="Point ids or URIs.")
    with_vectors: bool = Field(False, description="With their embeddings, of `max_limit` pictures at most.")


class ListQuery(_Model):
    """A page of a collection."""

    model_config = _examples({"where": "price < 100", "limit": 20, "order_by": "price", "fields": ["label"]})
    collection: str = Field("images", description="The collection's name.")
    where: str | None = Field(None, description=_WHERE)
    limit: int = Field(100, ge=1, description=f"Pictures at most. {_FEWER}")
    order_by: str | None = Field(None, description="A field; without it in the order of ids.")
    descending: bool = Field(False, description="With `order_by`: the highest value first.")
    cursor: str | None = Field(None, max_length=1000, description="Of the page before.")
    with_vectors: bool = Field(False, description="With their embeddings.")
    fields: Fields | None = Field(None, description="Metadata and facts to return; all without it.")


class CountQuery(_Model):
    """Which pictures are counted."""

    model_config = _examples({"where": 'label == "Sneaker" and price < 100'})
    collection: str = Field("images", description="The collection's name.")
    where: str | None = Field(None, description=_WHERE)


class FacetQuery(CountQuery):
    """Whose values are counted, and among which pictures."""

    model_config = _examples({"field": "label", "where": "price < 100", "limit": 20})
    field: str = Field(description="The field's name.")
    limit: int = Field(100, ge=1, le=10_000, description="Values at most.")


class EmbedForm(_Model):
    """What goes with pictures to be embedded."""

    model_config = _examples({"collection": "images"})
    collection: str = Field("images", description="The collection's name.")


class RemoveSourceQuery(_Model):
    """A source to give up."""

    model_config = _examples({"name": "shop"})
    collection: str = Field("images", description="The collection's name.")
    name: str = Field(description="Its name, its id, or its root: any path or URL of it.")


class RenameSourceQuery(RemoveSourceQuery):
    """A source that is to be called otherwise."""

    model_config = _examples({"name": "shop", "new_name": "shop of 2024"})
    new_name: str = Field(description="1 to 100 printable characters, which no other source is called by.")


class RelocateSourceQuery(RemoveSourceQuery):
    """A source whose files moved."""

    model_config = _examples({"name": "shop", "root": "/moved/pictures", "check": False})
    root: str = Field(description="Where its folder, list or tar is now.")
    check: bool = Field(True, description="Read all files there, and rename only pictures whose content is what was indexed.")
    dry_run: bool = Field(False, description="Change nothing, only say what would become of the pictures.")

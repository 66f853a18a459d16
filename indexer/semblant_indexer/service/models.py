"""What is asked of jobs, and what is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from semblant_search.web.problems import Problem  # noqa: TC002 - pydantic looks it up

if TYPE_CHECKING:
    from pydantic.config import JsonDict

__all__ = ["Job", "JobAccount", "JobFailure", "JobKind", "JobProgress", "JobQuery", "Jobs", "Kind", "State"]

Kind = Literal["index", "watch"]
"""What can be asked for."""
JobKind = Literal["index", "watch", "learn"]
State = Literal["running", "cancelling", "done", "failed", "cancelled"]
_EXAMPLE: JsonDict = {
    "id": "8d1f0c0b9a2e4d55",
    "kind": "index",
    "state": "running",
    "source": "/pictures/shoes",
    "collection": "images",
    "created_at": "2025-05-01T12:00:00Z",
    "ended_at": None,
    "progress": {"phase": "index", "total": 1000, "done": 250, "failed": 1, "seconds": 2.5, "pictures_per_s": 100.0},
    "runs": 0,
    "report": None,
    "failures": [{"uri": "file:///pictures/shoes/7.png", "reason": "empty", "message": "the file is empty"}],
    "problem": None,
    "last_event": 14,
}
FieldType = Literal["keyword", "integer", "float", "bool", "datetime", "geo"]


class JobQuery(BaseModel):
    """A job to start. Options have the names and meanings that they have in `IndexJob`."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"example": {"kind": "index", "source": "shoes", "prune": True}},
    )

    source: str = Field(
        min_length=1,
        max_length=4096,
        description="A folder, list, tar or ZIP file below a folder that the service allows (`--jobs-root`): a path in it, or "
        "the whole path.",
    )
    kind: Kind = Field("index", description="`watch` stays, and indexes again whenever something changes in the folder.")
    collection: str = Field("images", description="The collection's name; a new one takes an `encoder`.")
    encoder: str | None = Field(
        None, max_length=4096, description="An encoder.onnx, where `source` may lie; null takes the collection's."
    )
    source_name: str | None = Field(None, description="What the collection calls the source; null takes its folder's name.")
    include: list[str] = Field([], max_length=100, description="Take only files that match one of these patterns.")
    exclude: list[str] = Field([], max_length=100, description="Leave out files and folders that match one of these.")
    hidden: bool = Field(False, description="Take files and folders with a leading dot, too.")
    include_system: bool = Field(False, description="Take what systems keep beside pictures, too: `@eaDir`, `__MACOSX`, …")
    frames: Literal["first", "all"] | Annotated[int, Field(ge=1, le=100_000, strict=True)] = Field(
        "first", description="Of files with several pictures (pages, frames, films): the first, all, or so many, evenly spread."
    )
    fields: dict[str, FieldType] = Field({}, description="Declared types of metadata fields; all others are inferred.")
    find_metadata: bool = Field(True, description="Whether metadata tables in the folder or the archive are read.")
    file_column: str | None = Field(
        None, description="The column that names the picture in a table; null takes the usual ones."
    )
    exif: bool = Field(False, description="Add when, where and with what camera a picture was taken.")
    orb: bool = Field(True, description="Extract details, where the collection is new.")
    duplicates: Literal["keep", "flag", "merge"] = Field("keep", description="What becomes of byte for byte equal pictures.")
    prune: bool = Field(False, description="Remove pictures that the source no longer holds.")
    prune_limit: float = Field(0.2, ge=0, le=1, description="Remove none where it would be a larger share than this.")
    rebuild: bool = Field(False, description="Build a new generation beside the serving one, and switch to it.")
    retry: bool = Field(False, description="Try pictures again that failed before.")
    verify: bool = Field(False, description="Tell what changed by reading every file.")


class JobProgress(BaseModel):
    """Where a run is."""

    phase: str = Field(
        description="`scan`, `vocabulary`, `index`, `optimize`, …, `done`; `waiting` between runs of a watch; of a `learn` its "
        "step, in words."
    )
    total: int = Field(description="Pictures that the run has to look at; 0 where that is not known.")
    done: int
    failed: int
    seconds: float = Field(description="Since the phase began.")
    pictures_per_s: float


class JobFailure(BaseModel):
    """A picture that could not be used."""

    uri: str
    reason: str = Field(description="Short and stable, as `not-an-image`.")
    message: str


class JobAccount(BaseModel):
    """What became of every item: `found` = `indexed` + `unchanged` + `duplicate` + `failed` + `accepted` + `skipped`."""

    account: str = Field(description="The same as one line.")
    generation: str
    found: int
    indexed: int
    unchanged: int
    duplicate: int
    failed: int
    accepted: int
    skipped: int
    encoded: int
    moved: int
    removed: int
    pruned: int
    points: int = Field(description="Pictures in the collection.")
    recall_at_10: float | None
    reasons: dict[str, int] = Field(description="Failures by reason.")
    notes: list[str]
    seconds: float


class Job(BaseModel):
    """A job."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: str
    kind: JobKind = Field(description="`learn` makes an encoder, or visual words; `semblant open` begins it, by itself.")
    state: State
    source: str
    collection: str
    created_at: str = Field(description="RFC 3339, in UTC.")
    ended_at: str | None
    progress: JobProgress
    runs: int = Field(description="Runs that came to their end: of a watch, many.")
    report: JobAccount | None = Field(description="The account of the last run that came to its end.")
    failures: list[JobFailure] = Field(description="Pictures that could not be used, at most 1,000, of the last run.")
    problem: Problem | None = Field(description="Why it failed, or what its watch waits for.")
    last_event: int = Field(description="The number of the last event, for `Last-Event-ID`.")


class Jobs(BaseModel):
    """Jobs of this service since it was started, the newest first; of those that ended, the last 50."""

    jobs: list[Job]
    roots: list[str] = Field(description="The folders whose pictures jobs may index.")

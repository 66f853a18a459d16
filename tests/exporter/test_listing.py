"""Which pictures a folder holds, in which order, what a table says about them, and how they come to be one array."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_exporter import models, pictures
from semblant_exporter.arrays import write_embeddings
from semblant_exporter.cache import cache_dir
from semblant_exporter.decoding import Failure, decode_into
from semblant_exporter.folder import TrainJob, choose_fit, train
from semblant_exporter.listing import PICTURE_SUFFIXES, Listing, list_pictures
from semblant_exporter.pixels import pixel_encoder
from semblant_exporter.training import load_model
from semblant_search.collection import canonical_uri
from semblant_search.encoder import Encoder
from semblant_search.errors import DataError, InvalidInput, MetadataError, TrainingError
from semblant_search.images import Fit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FIT = Fit(8, 8, 1)


def grow(root: Path, *files: str, size: tuple[int, int] = (8, 8), mode: str = "L") -> Path:
    """Small pictures, each of another grey."""
    for number, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, (20 * number + 5) % 256 if mode == "L" else (20 * number + 5, 90, 160)).save(path, "PNG")
    return root


def names(paths: Sequence[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_pictures_go_by_the_names_of_their_files_and_folders(tmp_path: Path) -> None:
    grow(tmp_path, "b.png", "a.PNG", "sub/c.jpeg", "sub/deep/d.webp", "another/z.tiff", ".hidden/x.png", ".dot.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "png").write_text("no picture")
    listing = list_pictures(tmp_path)
    assert names(listing.paths, tmp_path) == ["a.PNG", "b.png", "another/z.tiff", "sub/c.jpeg", "sub/deep/d.webp"]
    assert listing.root == tmp_path
    assert listing.labels() == [None, None, "another", "sub", "deep"]
    some = listing.take([4, 0])
    assert (names(some.paths, tmp_path), some.root) == (["sub/deep/d.webp", "a.PNG"], tmp_path)
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".jp2"} <= PICTURE_SUFFIXES


@pytest.mark.parametrize(
    ("file", "label"),
    [
        ("2023/05/a.png", None),
        ("2023-05-17/a.png", None),
        ("20230517/a.png", None),
        ("2023/2023-05/a.png", None),
        ("2023/05_17/a.png", None),
        ("05/a.png", "05"),
        ("7/a.png", "7"),
        ("2023/dogs/a.png", "dogs"),
        ("dogs/2023/a.png", "2023"),
        ("2023-05-17 Rome/a.png", "2023-05-17 Rome"),
        ("1234/a.png", "1234"),
    ],
)
def test_folders_that_are_dates_are_no_labels(file: str, label: str | None, tmp_path: Path) -> None:
    path = tmp_path / "all" / file
    path.parent.mkdir(parents=True)
    Image.new("L", (4, 4)).save(path)
    assert list_pictures(tmp_path / "all").labels() == [label]


def test_months_of_a_collection_that_is_a_year_are_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "2023" / "05" / "a.png"
    path.parent.mkdir(parents=True)
    Image.new("L", (4, 4)).save(path)
    assert list_pictures(tmp_path / "2023").labels() == [None]
    assert list_pictures([path]).labels() == [None]


def test_a_list_keeps_its_order_and_may_hold_uris(tmp_path: Path) -> None:
    grow(tmp_path, "b.png", "a b.png", "x/c.png")
    given: list[str | Path] = [str(tmp_path / "b.png"), canonical_uri(tmp_path / "a b.png"), tmp_path / "x" / "c.png"]
    listing = list_pictures(given)
    assert listing.paths == [tmp_path / "b.png", tmp_path / "a b.png", tmp_path / "x" / "c.png"]
    assert (listing.root, listing.metadata) == (None, {})
    assert listing.labels()[2] == "x"
    with pytest.raises(InvalidInput, match=r"'https://example\.org/a\.png': only local pictures"):
        list_pictures(["https://example.org/a.png"])
    with pytest.raises(InvalidInput, match="is a file; name the folder it is in"):
        list_pictures(tmp_path / "b.png")


def test_a_folders_own_table_counts_before_that_above_it_and_one_that_is_named_before_both(tmp_path: Path) -> None:
    folder = grow(tmp_path / "set", "a.png", "b.png")
    (tmp_path / "metadata.csv").write_text("file,label\nset/a.png,above\n")
    assert list_pictures(folder).labels() == ["above", None]
    (folder / "metadata.csv").write_text("file,label\na.png,own\nb.png,\n")
    assert list_pictures(folder).labels() == ["own", None]
    (tmp_path / "named.csv").write_text("file,label\nset/b.png,named\nset/none.png,other\n")
    listing = list_pictures(folder, tmp_path / "named.csv")
    assert listing.labels() == [None, "named"]
    assert listing.take([1]).metadata == {"label": ["named"]}
    with pytest.raises(MetadataError, match="its columns are 'label'"):
        listing.labels("colour")
    with pytest.raises(MetadataError, match="none: there is no metadata"):
        Listing(None, [], {}).labels("colour")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", "file\tkind\tprice\n./a.png\tx, y\t3\n"),
        ("t.csv", "file;kind;price\na.png;x, y;3\n"),
        ("t.csv", '\ufefffile,kind,price\na.png,"x, y",3\n'),
        ("t.csv", 'path,kind,price\r\nsub/../a.png,"x, y",3\r\n'),
        ("t.csv", 'kind,price,filename\n"x, y",3,a.png\n'),
        ("t.jsonl", '{"uri": "a.png", "kind": "x, y", "price": 3}\n\n{"file": "b.png", "kind": null}\n'),
        ("t.NDJSON", '{"file": "a.png", "kind": "x, y", "price": 3}\n'),
    ],
)
def test_tables_of_many_forms_say_the_same(name: str, text: str, tmp_path: Path) -> None:
    folder = grow(tmp_path / "set", "a.png", "b.png")
    (folder / name).write_text(text, encoding="utf-8")
    listing = list_pictures(folder, folder / name)
    assert listing.metadata == {"kind": ["x, y", None], "price": ["3", None]}
    assert listing.labels("kind") == ["x, y", None]
    assert listing.labels() == [None, None]  # no column `label`: folders it is


def test_values_that_are_no_text_become_json(tmp_path: Path) -> None:
    folder = grow(tmp_path, "a.png")
    (folder / "t.jsonl").write_text('{"file": "a.png", "label": true, "tags": ["x", 1], "zero": 0}\n')
    assert list_pictures(folder, folder / "t.jsonl").metadata == {"label": ["true"], "tags": ['["x", 1]'], "zero": ["0"]}


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.jsonl", b"{not json}\n", "is not a table that can be read"),
        ("t.csv", b"file,label\na.png,\xff\n", "is not UTF-8"),
        ("none.csv", None, "cannot be read"),
        ("t.csv", b"name\na.png\n", "expected 'file', found 'name'"),
    ],
)
def test_tables_that_cannot_be_read_are_named(name: str, data: bytes | None, message: str, tmp_path: Path) -> None:
    grow(tmp_path, "a.png")
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(MetadataError, match=message):
        list_pictures(tmp_path, tmp_path / name)


@pytest.mark.parametrize(("share", "held"), [(0.1, 1), (0.25, 2), (0.26, 3), (0.001, 1), (0.999, 9)])
def test_a_split_rounds_and_leaves_one_on_each_side(share: float, held: int, tmp_path: Path) -> None:
    array = pictures.load(grow(tmp_path, *(f"{number}.png" for number in range(10))), FIT)
    rows, validation = array.split(share)
    assert (len(rows), len(validation)) == (10 - held, held)
    assert rows.tolist() == sorted(rows.tolist())
    for bad in (0.0, 1.0, -0.1):
        with pytest.raises(InvalidInput, match=f"validation share {bad}"):
            array.split(bad)


def test_another_size_of_pictures_or_of_the_limit_is_another_array(tmp_path: Path) -> None:
    folder = grow(tmp_path / "set", "a.png", size=(20, 10))
    grow(tmp_path / "set", "b.png", size=(8, 8))
    assert pictures.load(folder, FIT, max_pixels=200).failures == []
    refused = pictures.load(folder, FIT, max_pixels=199)
    assert [(failure.row, failure.reason) for failure in refused.failures] == [(0, "too-large")]
    assert not np.array_equal(pictures.load(folder, Fit(8, 8, 1, policy="stretch")).pixels, pictures.load(folder, FIT).pixels)
    kept = list((cache_dir() / "pictures").iterdir())
    assert not [entry for entry in kept if entry.suffix == ".lock" or entry.name.startswith(".")]


def test_arrays_unused_for_a_month_are_deleted_and_others_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMBLANT_CACHE", str(tmp_path / "cache"))
    folder = grow(tmp_path / "set", "a.png")
    for side in (8, 9, 10):
        pictures.load(folder, Fit(side, side, 1))
    kept = sorted((tmp_path / "cache" / "pictures").iterdir(), key=lambda entry: (entry / "pixels.u8").stat().st_size)
    assert len(kept) == 3
    for entry, days in zip(kept, (31, 29, 31), strict=True):
        os.utime(entry, (time.time() - days * 86_400,) * 2)
    pictures.load(folder, Fit(10, 10, 1))  # used: it is young again
    pictures.load(folder, Fit(11, 11, 1))
    assert [entry.exists() for entry in kept] == [False, True, True]


def test_failures_come_in_the_order_of_the_listing_and_are_counted_by_reason(tmp_path: Path) -> None:
    folder = grow(tmp_path, "b.png", "d.png")
    for name in ("a.png", "c.png"):
        (folder / name).write_text("no picture")
    (folder / "e.png").write_bytes(b"")
    array = pictures.load(folder, FIT)
    assert [(failure.row, failure.uri) for failure in array.failures] == [
        (row, canonical_uri(folder / name)) for row, name in ((0, "a.png"), (2, "c.png"), (4, "e.png"))
    ]
    assert list(array.failure_counts().items()) == [("not-an-image", 2), ("empty", 1)]
    assert array.pixels[:, 0, 0, 0].tolist() == [5, 25]
    (tmp_path / "t.csv").write_text("file,label,n\na.png,x,1\nb.png,y,2\nc.png,z,3\nd.png,w,4\n")
    known = pictures.load(folder, FIT, metadata=tmp_path / "t.csv")
    assert (known.labels, known.metadata["n"]) == (["y", "w"], ["2", "4"])  # each picture keeps its own row of the table
    assert known.uris == [canonical_uri(folder / name) for name in ("b.png", "d.png")]
    paths = [folder / name for name in ("e.png", "b.png", "c.png")]
    file = tmp_path / "rows"
    file.write_bytes(b"\0" * 3 * 64)
    steps: list[tuple[str, int, int | None]] = []
    failures = decode_into(file, paths, FIT, 1000, 1, lambda *step: steps.append(step))
    assert [(failure.row, failure.reason) for failure in failures] == [(0, "empty"), (2, "not-an-image")]
    assert isinstance(failures[0], Failure)
    assert steps == [("decoding pictures", 3, 3)]
    assert np.frombuffer(file.read_bytes(), np.uint8).reshape(3, 64).mean(1).tolist() == [0, 5, 0]
    with pytest.raises(DataError, match=r"the list: not one of its 2 pictures can be used:\n.*\n.*$"):
        pictures.load([folder / "a.png", folder / "e.png"], FIT)


@pytest.mark.parametrize(
    ("sizes", "mode", "given", "expected"),
    [
        ([(20, 30)], "L", {}, (30, 20, 1)),
        ([(128, 128)], "RGB", {}, (128, 128, 3)),
        ([(129, 20)], "L", {}, (64, 64, 1)),
        ([(20, 3)], "L", {}, (64, 64, 1)),
        ([(4, 4)], "LA", {}, (4, 4, 1)),
        ([(20, 30), (30, 20)], "RGBA", {}, (64, 64, 3)),
        ([(20, 30)], "RGB", {"size": (7, 9)}, (7, 9, 3)),
        ([(20, 30)], "RGB", {"channels": 1}, (30, 20, 1)),
        ([(20, 30)], "L", {"channels": 3, "policy": "crop"}, (30, 20, 3)),
        ([(20, 30)], "L", {"size": (50, 40), "channels": 3}, (50, 40, 3)),
    ],
)
def test_pictures_are_learned_at_their_own_size_where_it_is_one_and_small(
    sizes: list[tuple[int, int]], mode: str, given: dict[str, object], expected: tuple[int, int, int], tmp_path: Path
) -> None:
    for number, size in enumerate(sizes):
        Image.new(mode, size).save(tmp_path / f"{number}.png")
    (tmp_path / "z broken.png").write_text("no picture")
    job = TrainJob(tmp_path, tmp_path / "model", **given)  # type: ignore[arg-type]
    assert choose_fit(job) == Fit(*expected, policy=str(given.get("policy", "pad")))


def test_one_picture_in_colour_makes_all_of_them_colour(tmp_path: Path) -> None:
    grow(tmp_path, "a.png", "c.png")
    grow(tmp_path, "b.png", mode="RGB")
    assert choose_fit(TrainJob(tmp_path, tmp_path / "model")) == Fit(8, 8, 3)


def test_a_folder_becomes_a_model_with_its_figures(fashion_small: Path, tmp_path: Path) -> None:
    told: list[str] = []
    job = TrainJob(
        fashion_small / "train",
        tmp_path / "model",
        arch="simple-ae",
        dim=8,
        objective="reconstruct",
        options={"loss": "mse"},
        settings={"epochs": 1, "batch": 64, "precision": "float32", "seed": 3},
        size=(14, 14),
        policy="stretch",
    )
    result = train(job, on_decoding=lambda step, *_: told.append(step))
    trained = load_model(tmp_path / "model")
    assert result.plan == trained.plan
    assert (trained.plan.fit, trained.plan.options["loss"]) == (Fit(14, 14, 1, policy="stretch"), "mse")
    assert (trained.plan.settings.seed, trained.plan.settings.batch, trained.model.dim) == (3, 64, 8)
    assert told == ["decoding pictures"] * len(told)
    assert told
    assert result.figures == [tmp_path / "model" / "figures" / name for name in ("losses.png", "reconstructions.png")]
    assert all(path.is_file() for path in result.figures)
    told_json = result.to_json()
    assert (told_json["failures"], told_json["figures"]) == ([], [str(path) for path in result.figures])
    assert told_json["plan"] == trained.plan.to_json()
    assert told_json["pictures"] == 540


def test_a_network_of_one_size_takes_pictures_of_that_size(tmp_path: Path) -> None:
    grow(tmp_path / "set", *(f"{number}.png" for number in range(8)), size=(40, 30), mode="RGB")
    job = TrainJob(tmp_path / "set", tmp_path / "model", arch="fashion-mnist-2018", settings={"epochs": 1})
    assert train(job).plan.fit == models.architecture("fashion-mnist-2018").fit


def test_labels_tables_and_earlier_models_reach_the_training(tmp_path: Path) -> None:
    settings = {"epochs": 1, "batch": 4, "precision": "float32"}
    folder = grow(tmp_path / "set", *(f"{number}.png" for number in range(8)))
    table = tmp_path / "table.csv"
    rows = "".join(f"set/{number}.png,{number % 2},same\n" for number in range(8))
    table.write_text(f"file,kind,other\n{rows}")
    job = TrainJob(folder, tmp_path / "model", arch="simple-ae", dim=4, settings=settings)
    tuned = replace(job, out=tmp_path / "tuned", objective="triplet", metadata=table, label="kind")
    with pytest.raises(InvalidInput, match="at least two labels"):
        train(replace(tuned, label="other"))
    with pytest.raises(MetadataError, match="none: there is no metadata"):
        train(replace(tuned, metadata=None))
    with pytest.raises(TrainingError, match="semblant train"):
        train(replace(tuned, start_from=tmp_path / "model"))
    first = train(job)
    with pytest.raises(InvalidInput, match="holds a model already"):
        train(job)
    assert train(replace(job, resume=True)).report.history == first.report.history
    assert train(replace(tuned, start_from=tmp_path / "model")).plan.objective == "triplet"


def test_embeddings_of_a_folder_have_a_row_for_each_picture_that_could_be_used(tmp_path: Path) -> None:
    folder = grow(tmp_path / "set", "a.png", "b ü.png", "c.png")
    (folder / "b broken.png").write_text("no picture")
    (tmp_path / "encoder.onnx").write_bytes(pixel_encoder(Fit(28, 28, 1)))
    failures = write_embeddings(tmp_path / "encoder.onnx", folder, tmp_path / "out.npy")
    assert len(failures) == 1
    assert "b broken.png" in failures[0]
    used = [folder / name for name in ("a.png", "b ü.png", "c.png")]
    assert (tmp_path / "out.csv").read_text() == "row,uri\n" + "".join(
        f"{row},{canonical_uri(path)}\n" for row, path in enumerate(used)
    )
    expected = Encoder(tmp_path / "encoder.onnx").encode_pictures(used)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)

"""The contract of `encoder.onnx`, tried on files that keep all of it but one point."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search import Encoder, EncoderError, EncoderMismatch, ImageError, InvalidInput, Manifest, SearchClient, point_id
from semblant_search.lazy_encoder import ENCODER_ASSET
from semblant_search.store import Point, open_database
from support.golden import GOLDEN, indexed_files, picture_files, uri_of
from support.systems import needs_posix, needs_proc

if TYPE_CHECKING:
    from pathlib import Path

DATA = (GOLDEN / "encoder.onnx").read_bytes()
CARD = DATA[DATA.index(b'{"format_version"') : DATA.rindex(b"}") + 1]


def changed(old: bytes, new: bytes) -> bytes:
    """The golden encoder with some bytes replaced; of equal length, because lengths are written all over the file."""
    assert len(old) == len(new)
    assert old in DATA
    return DATA.replace(old, new)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(DATA, threads=1)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    with np.load(GOLDEN / "vectors.npz") as arrays:
        return np.asarray(arrays["pixels"])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "encoder of 0 bytes: ONNX Runtime cannot load it as a model"),
        (b"not a model at all", "encoder of 18 bytes: ONNX Runtime cannot load it"),
        (DATA[:500], "encoder of 500 bytes: ONNX Runtime cannot load it"),
        (changed(b"\x08semblant", b"\x08semblanx"), "a sound ONNX model, but not a Semblant encoder .*'semblant'"),
        (changed(CARD, b"!" + CARD[1:]), "metadata property 'semblant' is damaged .not JSON: .*; export the encoder again"),
        (
            changed(CARD, b'"' + b"x" * (len(CARD) - 2) + b'"'),
            "'semblant' is not a JSON object, but str; export the encoder again",
        ),
        (changed(b'"format_version": 1', b'"format_version": 2'), "encoder format version 2: this Semblant reads version 1"),
        (changed(b'"objective"', b'"objectivx"'), "card is incomplete: it has no 'objective'"),
        (changed(b'"height": 6', b'"height": 7'), r"expected one input `images`, uint8 \[N, 7, 6, 3\]; found .*6, 6, 3"),
        (changed(b'"channels": 3', b'"channels": 1'), r"expected one input `images`, uint8 \[N, 6, 6, 1\]"),
        (changed(b'"channels": 3', b'"channels": 2'), "channels 2"),
        (changed(b"images", b"imagez"), r"expected one input `images`, uint8 \[N, 6, 6, 3\]; found .*imagez"),
        (changed(b"\x06images\x12\x17\n\x15\x08\x02", b"\x06images\x12\x17\n\x15\x08\x03"), "found .*int8"),
        (changed(b'"dim": 27', b'"dim": 28'), r"expected an output `embedding`, float32 \[N, 28\]; found .*27"),
        (changed(b"embedding", b"embeddinx"), r"expected an output `embedding`, float32 \[N, 27\]; found .*embeddinx"),
        (changed(b'"cells": [9, 12]', b'"cells": [9, 13]'), r"expected an output `cells`, float32 \[N, 9, 13\]; found .*12"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused_with_what_was_expected(data: bytes, words: str) -> None:
    with pytest.raises(EncoderError, match=words):
        Encoder(data)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"missing\.onnx': the encoder cannot be read: No such file"):
        Encoder(tmp_path / "missing.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"x")
    with pytest.raises(EncoderError, match=r"broken\.onnx': ONNX Runtime cannot load it"):
        Encoder(str(tmp_path / "broken.onnx"))


def test_an_encoder_says_what_it_is(encoder: Encoder) -> None:
    assert encoder.dim == encoder.card.dim == 27
    assert encoder.fingerprint == hashlib.sha256(DATA).hexdigest()
    assert repr(encoder) == f"Encoder('golden', pixels, dim=27, {encoder.fingerprint[:12]})"


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 6, 6, 3), np.float32),
        np.zeros((2, 6, 6, 3), np.int8),
        np.zeros((6, 6, 3), np.uint8),
        np.zeros((2, 6, 6, 1), np.uint8),
        np.zeros((2, 3, 6, 6), np.uint8),
        np.zeros((2, 6, 7, 3), np.uint8),
        np.zeros((0, 6, 7, 3), np.uint8),
    ],
)
def test_only_fitted_pixels_are_encoded(encoder: Encoder, images: np.ndarray) -> None:
    for encode in (encoder.encode, encoder.encode_with_cells, encoder.vectors):
        with pytest.raises(InvalidInput, match=r"images of .* encoder 'golden' expects uint8 \[N, 6, 6, 3\]"):
            encode(images)


def test_vectors_do_not_depend_on_what_is_encoded_beside_them(encoder: Encoder, pixels: np.ndarray) -> None:
    embedding, cells = encoder.encode_with_cells(pixels)
    assert embedding.dtype == cells.dtype == np.dtype(np.float32)
    assert (embedding.shape, cells.shape) == ((len(pixels), 27), (len(pixels), 9, 12))
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)
    for number in range(len(pixels)):
        one = encoder.vectors(pixels[number : number + 1])
        assert one.cells is not None
        np.testing.assert_allclose(one.image[0], embedding[number], atol=1e-6)
        np.testing.assert_allclose(one.cells[0], cells[number], atol=1e-6)
    np.testing.assert_allclose(encoder.encode(pixels[::-1]), embedding[::-1], atol=1e-6)  # not contiguous in memory


def test_pictures_of_which_the_graph_sees_some_at_a_time_keep_their_order(
    encoder: Encoder, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoder.vectors(pixels)
    assert whole.cells is not None
    for at_once in (0, 1, 2, 3):  # of 6 × 6 pixels; one at least
        monkeypatch.setattr("semblant_search.encoder._PIXELS_AT_ONCE", at_once * 36)
        parts = encoder.vectors(pixels)
        assert parts.cells is not None
        np.testing.assert_allclose(parts.image, whole.image, atol=1e-6)
        np.testing.assert_allclose(parts.cells, whole.cells, atol=1e-6)


def test_no_pictures_have_no_vectors(encoder: Encoder) -> None:
    empty = np.empty((0, 6, 6, 3), np.uint8)
    assert encoder.encode(empty).shape == encoder.encode_pictures([]).shape == (0, 27)
    embedding, cells = encoder.encode_with_cells(empty)
    assert (embedding.shape, cells.shape) == ((0, 27), (0, 9, 12))
    assert {array.dtype for array in (embedding, cells, encoder.encode_pictures([]))} == {np.dtype(np.float32)}


def test_an_encoder_without_cells_says_so(encoder: Encoder, pixels: np.ndarray) -> None:
    plain = Encoder(changed(b'"cells": [9, 12]', b'"cells": null   '), threads=1)
    assert plain.card.cells is None
    vectors = plain.vectors(pixels)
    assert vectors.cells is None
    np.testing.assert_array_equal(vectors.image, encoder.encode(pixels))
    with pytest.raises(InvalidInput, match=r"'golden' has no `cells` output; export it with --cells"):
        plain.encode_with_cells(pixels)


def test_pictures_of_all_kinds_are_encoded_in_their_order(encoder: Encoder, pixels: np.ndarray) -> None:
    path = picture_files()[0]
    array = np.asarray(Image.open(path).convert("RGBA"))
    for source in (path, str(path), path.read_bytes(), Image.open(path), array):
        np.testing.assert_array_equal(encoder.prepare(source), pixels[0])
    found = encoder.encode_pictures(iter(picture_files()))
    np.testing.assert_allclose(found, encoder.encode(pixels), atol=3e-3)
    with pytest.raises(ImageError, match="no such file"):
        encoder.encode_pictures([path, path.with_name("missing.png")])


def test_the_limit_of_pixels_is_passed_on(encoder: Encoder) -> None:
    with pytest.raises(ImageError, match="80×80 is"):
        encoder.prepare(GOLDEN / "pictures" / "alpha.png", max_pixels=6399)
    assert encoder.prepare(GOLDEN / "pictures" / "alpha.png", max_pixels=6400).shape == (6, 6, 3)


@needs_proc
@pytest.mark.parametrize("threads", [1, 3])
def test_an_encoder_takes_as_many_threads_as_it_is_given(threads: int) -> None:
    before = set(os.listdir("/proc/self/task"))  # noqa: PTH208
    encoder = Encoder(DATA, threads=threads)
    assert len(set(os.listdir("/proc/self/task")) - before) == threads - 1  # noqa: PTH208 - the caller is one of them
    del encoder


def test_an_execution_provider_that_is_not_there_is_an_error() -> None:
    assert Encoder(DATA, threads=1, providers=["CPUExecutionProvider"]).dim == 27
    with pytest.raises(InvalidInput, match="NoSuchProvider"):
        Encoder(DATA, providers=["NoSuchProvider"])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Three golden pictures, the vectors alone."""
    encoder = Encoder(DATA, threads=1)
    opened = open_database(tmp_path / "db", create=True)
    store = opened.create(Manifest("golden", "g0001", encoder.fingerprint, replace(encoder.card, cells=None)))
    store.put_asset(ENCODER_ASSET, DATA)
    for path, vector in zip(indexed_files()[:3], encoder.encode_pictures(indexed_files()[:3]), strict=True):
        store.upsert([Point(point_id(uri_of(path)), vector, {"_uri": uri_of(path)})])
    store.close()
    opened.publish("golden", "g0001")
    return tmp_path / "db"


def keep(path: Path, data: bytes) -> None:
    store = open_database(path).open("golden")
    store.put_asset(ENCODER_ASSET, data)
    store.close()


@pytest.fixture
def sources(tmp_path: Path) -> list[str | os.PathLike[str] | bytes | Encoder]:
    """The right encoder in all forms."""
    path = tmp_path / "mine.onnx"
    path.write_bytes(DATA)
    return [path, str(path), DATA, Encoder(DATA, threads=1)]


OTHER = changed(b'"golden"', b'"silver"')


def test_a_given_encoder_stands_in_for_a_kept_one_that_is_damaged(
    database: Path, sources: list[str | os.PathLike[str] | bytes | Encoder]
) -> None:
    path = indexed_files()[0]
    keep(database, DATA[:300])
    with SearchClient(database, collection="golden") as client:
        assert client.search(uri_of(path), 1)  # by its stored vector
        with pytest.raises(EncoderError, match="ONNX Runtime cannot load it"):
            client.search(path.read_bytes(), 1)
    for source in sources:
        with SearchClient(database, source, "golden") as client:
            assert client.search(path.read_bytes(), 1)[0].uri == uri_of(path)


def test_a_kept_encoder_that_is_another_one_is_not_used(database: Path) -> None:
    keep(database, OTHER)
    with SearchClient(database, collection="golden") as client:
        for _ in range(2):
            with pytest.raises(EncoderMismatch, match="the encoder that the database keeps"):
                client.embed([indexed_files()[0]])


def test_a_given_encoder_that_is_another_one_is_refused_at_once(database: Path, tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(OTHER)
    fingerprints = [hashlib.sha256(data).hexdigest()[:12] for data in (OTHER, DATA)]
    for source, name in (
        (tmp_path / "other.onnx", r"encoder '.*other\.onnx'"),
        (OTHER, f"encoder of {len(OTHER)} bytes"),
        (Encoder(OTHER, threads=1), "encoder 'silver'"),
    ):
        with pytest.raises(EncoderMismatch, match=name) as caught:
            SearchClient(database, source, "golden")
        assert all(fingerprint in str(caught.value) for fingerprint in fingerprints)
    with pytest.raises(EncoderError, match=r"missing\.onnx': cannot be read: No such file"):
        SearchClient(database, tmp_path / "missing.onnx", "golden")
    with pytest.raises(EncoderError, match="ONNX Runtime cannot load it") as error:
        SearchClient(database, DATA[:300], "golden")
    assert not isinstance(error.value, EncoderMismatch)


def test_a_collection_that_keeps_no_encoder_says_which_one_it_needs(database: Path) -> None:
    (database / "golden" / "g0001" / "assets" / ENCODER_ASSET).unlink()
    fingerprint = hashlib.sha256(DATA).hexdigest()[:12]
    with (
        SearchClient(database, collection="golden") as client,
        pytest.raises(EncoderError, match=rf"'golden' does not keep its encoder; give it .*--encoder PATH.*{fingerprint}"),
    ):
        client.embed([indexed_files()[0]])


@needs_posix
def test_an_encoder_is_loaded_again_in_a_process_that_was_forked(tmp_path: Path, encoder: Encoder) -> None:
    """The runtime's threads are not there. It ends by `os._exit`: the runtime's own end waits for them for ever."""
    (tmp_path / "encoder.onnx").write_bytes(encoder.to_bytes())
    script = """
import os, signal, sys
import numpy as np
from semblant_search import Encoder

encoder = Encoder(sys.argv[1], threads=2)
images = np.random.default_rng(0).integers(0, 256, (64, *encoder.card.fit.shape), np.uint8)
before = encoder.encode(images)
child = os.fork()
if child == 0:
    signal.alarm(30)
    os._exit(7 if np.array_equal(encoder.encode(images), before) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    command = [sys.executable, "-c", script, str(tmp_path / "encoder.onnx")]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout == "7\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"providers": "CPU"}, "providers 'CPU': expected a list of some of"),
        ({"providers": ["Nope"]}, r"providers \['Nope'\]: expected a list of some of .*CPUExecutionProvider"),
        ({"threads": 0}, "threads 0: expected a whole number of threads, at least 1"),
        ({"threads": "2"}, "threads '2': expected"),
    ],
)
def test_settings_of_the_runtime_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Encoder(DATA, **options)
    assert Encoder(DATA, threads=1, providers=["CPUExecutionProvider"]).dim > 0

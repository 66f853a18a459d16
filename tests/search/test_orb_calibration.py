"""From evidence to a probability: what a collection's own false matches change, and where the client takes that from."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search import SearchClient, StoreError
from semblant_search.orb import CALIBRATION_ASSET, Calibration, Features, unpack
from semblant_search.store import open_database
from support.details import SIZE, agreeing, described, places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def collection(count: int, shared: int, loose: int) -> list[Features]:
    """Pictures that share details: some at the same places in all, false matches, and some at places of their own."""
    common = described(places(shared + loose, 7), seed=7)
    made = []
    for number in range(count):
        where = places(shared + loose + 10, 500 + number)
        where[:shared] = common.keypoints[:shared, :2]
        own = described(places(10, number), seed=100 + number)
        made.append(Features(described(where).keypoints, np.concatenate([common.descriptors, own.descriptors])))
    return made


NONE, WEAK, STRONG, COPIES = (0, 0), (4, 15), (5, 30), (10, 20)
"""Details that all pictures share, and what any two agree with: nothing, evidence 1.6, 2.5, and more than any chance."""


def measured(kind: tuple[int, int], count: int = 12, **options: int) -> Calibration:
    return Calibration.measure(collection(count, *kind), [SIZE] * count, **options)


def test_more_false_matches_in_a_collection_or_stronger_ones_make_its_proofs_less_sure() -> None:
    plain = Calibration(share=0.02, slope=1.3, pairs=100)
    often, strong = replace(plain, share=0.2), replace(plain, slope=2.6)
    for evidence in (6.0, 8.0, 10.0):
        assert often.probability(evidence) < plain.probability(evidence) - 1e-4
        assert strong.probability(evidence) < plain.probability(evidence) - 1e-4
    # As rare a chance match, and as improbable: share·exp(−e/slope) is what counts.
    assert often.probability(6.0 + 1.3 * np.log(10)) == pytest.approx(plain.probability(6.0))
    assert strong.probability(12.0) == pytest.approx(plain.probability(6.0))
    assert replace(plain, share=0.0).probability(0.0) == 1
    assert replace(plain, pairs=7).probability(7.0) == plain.probability(7.0)


def test_the_general_calibration_asks_for_some_evidence_and_not_for_too_much() -> None:
    general = Calibration.general()
    assert general.pairs == 0
    assert general.probability(-5) == general.probability(0) == 0
    assert general.probability(4) < 0.99 < general.probability(8)
    by_chance = [1 - general.probability(evidence) for evidence in (5.0, 6.0, 7.0)]
    assert by_chance[0] / by_chance[1] == pytest.approx(by_chance[1] / by_chance[2])  # exponential


def test_a_match_is_as_probable_as_the_calibration_that_is_given_says() -> None:
    from semblant_search.orb import Verifier, verify, verify_many

    features = described(places(9, 1))
    for calibration in (Calibration(0.02, 1.3, 0), Calibration(0.5, 1.3, 9), Calibration(0.02, 4, 9)):
        one = verify(features, features, SIZE, SIZE, calibration)
        (many,) = verify_many(features, [features], SIZE, [SIZE], calibration)
        held = Verifier(features, SIZE, calibration).verify(features, SIZE)
        assert one is not None
        assert many is not None
        assert held is not None
        assert one.probability == many.probability == held.probability == calibration.probability(one.evidence)
    general = agreeing(9, 9)
    assert general is not None
    assert general.probability == Calibration.general().probability(general.evidence)


def test_pictures_that_agree_by_chance_raise_the_share_and_the_slope() -> None:
    none, weak, strong = measured(NONE), measured(WEAK), measured(STRONG)
    assert none.pairs == weak.pairs == 132  # 12 pictures, each with 11 others
    assert none.share == Calibration.general().share  # never below the general one: a query may come from elsewhere
    assert none.slope == pytest.approx(Calibration.general().slope)
    assert 0.1 < weak.share < 0.17
    assert strong.share == pytest.approx(weak.share, abs=0.02)
    assert strong.slope > 1.3 * weak.slope > 1.5 * none.slope
    assert strong.probability(8) < weak.probability(8) < none.probability(8)


def test_copies_in_a_collection_are_no_false_matches() -> None:
    copies, none = measured(COPIES), measured(NONE)
    assert copies.share == none.share
    assert copies.slope == pytest.approx(none.slope)


def test_few_pairs_hardly_move_the_general_calibration() -> None:
    few, many, general = measured(WEAK, count=4), measured(WEAK, count=25), Calibration.general()
    assert (few.pairs, many.pairs) == (12, 600)
    assert general.share < few.share < 2 * general.share
    assert 0.3 < many.share < 0.5
    assert Calibration.measure([], []) == Calibration.measure(collection(1, *WEAK), [SIZE]) == general


def test_as_many_pairs_are_compared_as_asked_for_and_the_seed_picks_them() -> None:
    features = collection(8, *WEAK)[:8] + collection(20, *NONE)[8:]  # so that it matters which pairs are picked
    sizes = [SIZE] * len(features)
    one = Calibration.measure(features, sizes, pairs=150)
    assert one.pairs == 150
    assert one == Calibration.measure(features, sizes, pairs=150, seed=0)
    assert one != Calibration.measure(features, sizes, pairs=150, seed=1)
    assert one.share < measured(WEAK).share


def test_the_size_of_each_picture_is_its_own() -> None:
    features = collection(6, *WEAK)
    here = Calibration.measure(features, [SIZE] * 6)
    # In so large a picture all details lie in one corner, which is less evidence.
    assert Calibration.measure(features, [(4000, 3000)] * 6) != here
    assert Calibration.measure(features, [SIZE] * 5 + [(4000, 3000)]) != here


def test_the_file_of_a_calibration_stays_readable() -> None:
    data = b'{"format": 1, "share": 0.05, "slope": 1.75, "pairs": 3000}'
    assert Calibration.from_bytes(data) == Calibration(share=0.05, slope=1.75, pairs=3000)
    assert json.loads(Calibration(share=0.05, slope=1.75, pairs=3000).to_bytes()) == json.loads(data)


SOUND = {"format": 1, "share": 0.1, "slope": 1.5, "pairs": 10}


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 2}, {"format": 0}, {"share": -0.01}, {"share": 1.01}, {"share": "often"}, {"share": None}, {"slope": 0},
        {"slope": -1}, {"slope": float("nan")}, {"share": float("nan")}, {"pairs": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_calibration_with_a_number_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    assert Calibration.from_bytes(json.dumps(SOUND).encode()).share == 0.1
    with pytest.raises(StoreError, match=r"calibration.*semblant vocabulary"):
        Calibration.from_bytes(json.dumps({**SOUND, **wrong}).encode())
    for name in SOUND:
        with pytest.raises(StoreError, match="semblant vocabulary"):
            Calibration.from_bytes(json.dumps({key: value for key, value in SOUND.items() if key != name}).encode())


@pytest.fixture(scope="module")
def shelf(photos: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of five photographs and a half-size copy of one."""
    folder = tmp_path_factory.mktemp("calibrated")
    paths = [photos / name for name in ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")]
    with Image.open(paths[2]) as picture:
        picture.resize((225, 150)).save(folder / "cat.png")
    index(folder / "db", [*paths, folder / "cat.png"])
    return folder / "db"


def keep(db: Path, calibration: Calibration) -> None:
    with closing(open_database(db)) as database, closing(database.open("images")) as store:
        store.put_asset(CALIBRATION_ASSET, calibration.to_bytes())


def test_the_calibration_that_a_collection_keeps_decides_what_its_client_calls_proven(shelf: Path, photos: Path) -> None:
    query = photos / "chelsea.png"
    found = {}
    for name, calibration in {"mild": Calibration(0.02, 1.3, 100), "hard": Calibration(0.9, 60.0, 100)}.items():
        keep(shelf, calibration)
        with SearchClient(shelf) as client:
            hits = client.search_features(query, min_confidence=0)
            verified = [hit for hit in hits if hit.inliers]
            assert verified
            assert all(hit.probability == calibration.probability(hit.evidence) for hit in verified)
            found[name] = client.search_features(query)
    assert [hit.verdict for hit in found["mild"]] == ["rotated/scaled"]
    assert found["hard"] == []


def test_confidence_decides_what_is_a_changed_picture_where_files_are_gone(
    photos: Path, index: Callable[..., None], tmp_path: Path
) -> None:
    with Image.open(photos / "chelsea.png") as picture:
        picture.save(tmp_path / "cat.png")
        picture.save(tmp_path / "cat.jpg", quality=80)
    with_files = [tmp_path / "cat.png", tmp_path / "cat.jpg"]
    index(tmp_path / "db", with_files)
    for path in with_files:
        path.unlink()
    keep(tmp_path / "db", Calibration(0.02, 1.3, 100))
    with SearchClient(tmp_path / "db") as client:
        ((other,),) = (group.others for group in client.duplicates(min_score=0.5))
        assert (other.tier, other.verdict, other.removable) == ("changed", "copy", False)
        assert client.duplicates(min_score=1) == []
    keep(tmp_path / "db", Calibration(0.9, 60.0, 100))
    with SearchClient(tmp_path / "db") as client:
        assert client.duplicates(min_score=0.5) == []


def test_a_collection_is_calibrated_on_its_stored_features_in_their_own_sizes(shelf: Path) -> None:
    with closing(open_database(shelf)) as database, closing(database.open("images")) as store:
        found = Calibration.of_store(store)
        records = sorted(
            store.retrieve([record.id for record in store.scroll()], with_features=True), key=lambda record: record.id
        )
        features = [unpack(record.features) for record in records if record.features is not None]
        scale = [min(1, 480 / max(record.payload["_width"], record.payload["_height"])) for record in records]
        sizes = [
            (round(record.payload["_width"] * by), round(record.payload["_height"] * by))
            for record, by in zip(records, scale, strict=True)
        ]
        assert found == Calibration.measure(features, sizes)
        assert found.pairs == 30
        assert Calibration.of_store(store, sample=3).pairs == 6
        assert Calibration.of_store(store, pairs=4).pairs == 4
        assert Calibration.of_store(store, sample=3) == Calibration.measure(features[:3], sizes[:3])

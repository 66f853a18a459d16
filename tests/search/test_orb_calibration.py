"""From strength to a probability: the tails of chance, the file that keeps them, and where the client takes them from."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search import SearchClient, StoreError
from semblant_search.orb import CALIBRATION_ASSET, Calibration, Verifier, verify, verify_many
from semblant_search.orb.calibration import Tail
from semblant_search.store import open_database
from support.details import SIZE, agreeing, described, places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GENERAL = Calibration.general()
MILD, HARD = Tail(-4.0, 2.0), Tail(30.0, 40.0)


def least(tail: Tail, confidence: float = 0.99) -> float:
    """The strength that has a probability."""
    calibration = Calibration(tail, tail, tail, 0)
    found = np.linspace(-50, 400, 45_001)
    return float(next(value for value in found if calibration.probability(float(value), pixels=True) >= confidence))


def sample(start: float, scale: float, count: int, seed: int = 0) -> list[float]:
    """Strongest candidates of so many queries, of which one in ten reaches `start`."""
    rng = np.random.default_rng(seed)
    return [float(start + scale * (value - np.log(10))) for value in rng.exponential(1, count)]


def test_one_query_in_ten_reaches_the_start_and_fewer_what_is_beyond() -> None:
    tail = Tail(-7.0, 3.0)
    assert tail.chance(-7.0) == pytest.approx(0.1)
    assert tail.chance(-7.0 + 3.0 * np.log(10)) == pytest.approx(0.01)
    assert tail.chance(-7.0 - 3.0 * np.log(10)) == pytest.approx(1)
    assert tail.chance(-30) == tail.chance(-1e9) == tail.chance(float("-inf")) == 1
    assert 0 <= tail.chance(1e9) < 1e-300


def test_a_query_has_two_chances_of_a_lookalike_for_it_is_asked_mirrored_as_well() -> None:
    """Whatever confidence is asked for, both together prove no more than it allows; the mirror image a fifth of that."""
    calibration = Calibration(MILD, Tail(-7.0, 3.0), Tail(-4.0, 2.0), 0)
    for pixels, tail, ways in ((True, calibration.pixels, 2), (False, calibration.details, 1)):
        for strength in (-3.0, 0.0, 5.0, 9.0):
            found = calibration.probability(strength, pixels=pixels)
            assert found == pytest.approx(max(0.0, 1 - 1.25 * ways * tail.chance(strength)))
            assert calibration.probability(strength, pixels=pixels, mirrored=True) <= found
        for confidence in (0.9, 0.99):
            chances = [
                tail.chance(
                    next(
                        s
                        for s in np.linspace(-20, 40, 60_001)
                        if calibration.probability(s, pixels=pixels, mirrored=m) >= confidence
                    )
                )
                for m in (False, True)
            ]
            assert ways * sum(chances) == pytest.approx(1 - confidence, rel=0.01)
            assert chances[1] == pytest.approx(chances[0] / 4, rel=0.01)
        assert calibration.probability(-50, pixels=pixels) == 0  # and not below
    assert calibration.probability(3.0, pixels=True) != calibration.probability(3.0, pixels=False)


def test_stronger_lookalikes_in_a_collection_make_its_proofs_less_sure() -> None:
    plain = Tail(-7.0, 3.0)
    for harder in (replace(plain, start=-4.0), replace(plain, scale=4.0)):
        for strength in (2.0, 5.0, 9.0):
            one, other = (Calibration(MILD, tail, tail, 0).probability(strength, pixels=True) for tail in (plain, harder))
            assert other < one - 1e-4
    assert replace(GENERAL, queries=9).probability(3.0, pixels=True) == GENERAL.probability(3.0, pixels=True)


def test_the_general_calibration_asks_for_some_strength_and_not_for_too_much() -> None:
    assert GENERAL.queries == 0
    for pixels in (True, False):
        values = [GENERAL.probability(float(strength), pixels=pixels) for strength in np.linspace(-30, 60, 500)]
        assert values == sorted(values)
        assert values[0] == 0
        assert 0.999999 < values[-1] <= 1
        assert len(set(values)) > 50, "it rises"
        assert GENERAL.probability(-3, pixels=pixels) < 0.98
        assert GENERAL.probability(6, pixels=pixels) > 0.99


def test_the_tail_of_measured_queries_is_found_again() -> None:
    prior = Tail(-7.0, 3.0)
    for start, scale in ((-7.0, 3.0), (0.0, 3.0), (-2.0, 2.0)):
        found = prior.measured(sample(start, scale, 40_000))
        assert found.start == pytest.approx(start, abs=0.06 * scale + 0.02)
        assert found.scale == pytest.approx(scale, rel=0.06)
    assert prior.measured([]) == prior
    # Where few have much in common, and most nothing, the tail is longer than any of chance.
    assert prior.measured(sample(2.0, 8.0, 40_000)).scale == prior.scale
    assert prior.measured(sample(-9.0, 0.01, 40_000)).scale == pytest.approx(1.5)


def test_a_tail_keeps_its_promise_on_other_queries_of_the_collection() -> None:
    others = sample(-1.0, 1.8, 20_000, 100)
    tails = [GENERAL.pixels.measured(sample(-1.0, 1.8, 1000, seed)) for seed in range(8)]
    for confidence in (0.1, 0.03, 0.01):
        wrong = [float(np.mean([tail.chance(value) <= confidence for value in others])) for tail in tails]
        assert 0.7 * confidence < np.mean(wrong) < 1.4 * confidence
        assert max(wrong) < 2.5 * confidence


def test_few_queries_hardly_move_the_general_tail_and_forty_count_for_half() -> None:
    prior, start = Tail(-7.0, 3.0), 5.0
    moved = [prior.measured([start] * count).start for count in (1, 4, 40, 4000)]
    assert moved == sorted(moved)
    assert -7 < moved[0] < -6
    assert moved[1] < moved[2]
    assert moved[3] == pytest.approx(start + prior.scale / 2, abs=0.2), "all the same, they are known to so much"
    assert prior.measured([start] * 4000).scale > 0  # though nothing lies beyond the start
    scales = [prior.measured(sample(-7.0, 1.5, count)).scale for count in (10, 100, 10_000)]
    assert max(scales) <= 3.0
    assert scales[2] == pytest.approx(1.5, rel=0.08)


def test_queries_of_which_nothing_agrees_with_anything_leave_the_general_tail() -> None:
    """Their collection is easy, but there are no more of them than a few hundred."""
    for values in ([-20.0] * 160, sample(-12.0, 1.0, 40_000)):
        assert GENERAL.pixels.measured(values).start == GENERAL.pixels.start
    nothing = GENERAL.pixels.measured([-20.0] * 160)
    assert nothing.scale == pytest.approx(GENERAL.pixels.scale, rel=0.05)
    assert least(nothing) == pytest.approx(least(GENERAL.pixels), abs=0.3)


def test_the_order_of_queries_does_not_matter() -> None:
    values = sample(-3.0, 2.0, 77)
    assert GENERAL.pixels.measured(values) == GENERAL.pixels.measured(values[::-1])


def test_a_match_is_as_probable_as_the_calibration_that_is_given_says() -> None:
    features = described(places(9, 1))
    for rest in ((MILD, 0), (Tail(-3.0, 5.0), 9), (HARD, 9)):
        calibration = Calibration(HARD, MILD, *rest)
        one = verify(features, features, SIZE, SIZE, calibration)
        (many,) = verify_many(features, [features], SIZE, [SIZE], calibration)
        held = Verifier(features, SIZE, calibration).verify(features, SIZE)
        assert one is not None
        assert many is not None
        assert held is not None
        assert one.pixels is None
        expected = calibration.probability(one.strength, pixels=False)
        assert one.probability == many.probability == held.probability == expected
        assert expected != calibration.probability(one.strength, pixels=True) or calibration.pixels == calibration.details
    general = agreeing(9, 9)
    assert general is not None
    assert general.probability == GENERAL.probability(general.strength, pixels=False)


def test_with_both_thumbnails_the_tail_of_pixels_counts() -> None:
    """That of what lies over each other, for it is one picture."""
    features = described(places(30, 1))
    picture = np.random.default_rng(2).integers(0, 256, (48, 64), dtype=np.uint8)
    calibration = Calibration(MILD, HARD, HARD, 3)
    found = {}
    for name, mine, theirs in (
        ("both", picture, picture),
        ("mine", picture, None),
        ("theirs", None, picture),
        ("none", None, None),
    ):
        match = Verifier(features, SIZE, calibration, mine).verify(features, SIZE, theirs)
        assert match is not None
        assert (match.pixels is None) == (name != "both")
        assert match.laid_over
        assert match.probability == calibration.probability(match.strength, pixels=name == "both", laid_over=True)
        found[name] = match
    assert found["both"].pixels is not None
    assert found["both"].pixels.correlation > 0.98
    assert found["both"].probability > 0.99 > found["none"].probability
    assert found["mine"].strength == found["theirs"].strength == found["none"].strength != found["both"].strength


OLDER = {"format": 2, "pixels": {"start": -6.5, "scale": 3.0}, "details": {"start": -3.5, "scale": 2.25}, "queries": 160}
SOUND = {
    "format": 3,
    "laid_over": {"start": -2.5, "scale": 2.75},
    "pixels": {"start": -6.5, "scale": 3.0},
    "details": {"start": -3.5, "scale": 2.25},
    "queries": 160,
}


def test_the_file_of_a_calibration_stays_readable() -> None:
    calibration = Calibration(Tail(-2.5, 2.75), Tail(-6.5, 3.0), Tail(-3.5, 2.25), queries=160)
    assert Calibration.from_bytes(json.dumps(SOUND).encode()) == calibration
    assert json.loads(calibration.to_bytes()) == SOUND
    assert Calibration.from_bytes(GENERAL.to_bytes()) == GENERAL


@pytest.mark.parametrize(("start", "above"), [(-6.5, 0.5), (-7.0, 0.0), (-9.0, 0.0), (1.0, 8.0)])
def test_what_a_collection_measured_before_there_were_two_tails_of_pixels_is_kept_in_both(start: float, above: float) -> None:
    """By how much its lookalikes were stronger than in general: so far its bar lies above the general one of today."""
    facts = {**OLDER, "pixels": {"start": start, "scale": 3.0}}
    found = Calibration.from_bytes(json.dumps(facts).encode())
    for name in ("laid_over", "pixels"):
        tail, general = getattr(found, name), getattr(GENERAL, name)
        assert (tail.start, tail.scale) == pytest.approx((general.start + above, general.scale))
    assert (found.details, found.queries) == (Tail(-3.5, 2.25), 160)


@pytest.mark.parametrize("rest", [{"share": 0.05, "slope": 1.75, "pairs": 3000}, {"share": 1.0, "slope": 60.0, "pairs": 1}])
def test_what_was_measured_on_random_pairs_is_no_calibration_of_queries(rest: dict[str, object]) -> None:
    """Collections that keep a file of format 1 are searched with the general one, until they are indexed again."""
    assert Calibration.from_bytes(json.dumps({"format": 1, **rest}).encode()) == GENERAL


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b"null", b"\xff\xfe", b'{"format": 9}', b'{"format": "3"}', b'{"format": 3}', b'{"format": 2}']
)
def test_a_file_that_is_no_calibration_says_so(data: bytes) -> None:
    with pytest.raises(StoreError, match=r"calibration.*semblant vocabulary"):
        Calibration.from_bytes(data)


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 4}, {"format": 0}, {"queries": None}, {"queries": "many"}, {"pixels": 3}, {"details": None}, {"pixels": {}},
        *[
            {name: {"start": 1.0, "scale": 2.0, **change}}
            for name in ("laid_over", "pixels", "details")
            for change in (
                {"scale": 0}, {"scale": -1}, {"scale": float("nan")}, {"scale": float("inf")}, {"scale": None},
                {"start": float("nan")}, {"start": float("-inf")}, {"start": "low"},
            )
        ],
    ],
    ids=str,
)  # fmt: skip
def test_a_calibration_with_a_number_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    assert Calibration.from_bytes(json.dumps(SOUND).encode()).queries == 160
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
    for name, tail in {"mild": MILD, "hard": HARD}.items():
        calibration = Calibration(tail, tail, replace(tail, start=tail.start + 1), 100)
        keep(shelf, calibration)
        with SearchClient(shelf) as client:
            hits = client.search_features(query, min_confidence=0)
            verified = [hit for hit in hits if hit.inliers]
            assert verified
            assert all(hit.correlation is not None for hit in verified)
            for hit in verified:
                ways = [calibration.probability(hit.strength, pixels=True, laid_over=over) for over in (True, False)]
                assert hit.probability in ways
                assert hit.verdict != "rotated/scaled" or hit.probability == ways[0], "the half lies over the whole"
            found[name] = client.search_features(query)
    assert [hit.verdict for hit in found["mild"]] == ["rotated/scaled"]
    assert found["hard"] == []


def test_confidence_decides_what_is_a_changed_picture_where_files_are_gone(
    photos: Path, index: Callable[..., None], tmp_path: Path
) -> None:
    with Image.open(photos / "chelsea.png") as picture:
        picture.save(tmp_path / "cat.png")
        picture.point(lambda value: 30 + value * 0.8).save(tmp_path / "cat.jpg", quality=80)
    with_files = [tmp_path / "cat.png", tmp_path / "cat.jpg"]
    index(tmp_path / "db", with_files)
    for path in with_files:
        path.unlink()
    keep(tmp_path / "db", Calibration.general())
    with SearchClient(tmp_path / "db") as client:
        ((other,),) = (group.others for group in client.duplicates(min_score=0.5))
        assert (other.tier, other.verdict, other.removable) == ("changed", "copy", False)
        assert client.duplicates(min_score=1) == []
    keep(tmp_path / "db", Calibration(HARD, HARD, HARD, 100))
    with SearchClient(tmp_path / "db") as client:
        assert client.duplicates(min_score=0.5) == []

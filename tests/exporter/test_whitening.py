"""Whitening and PCA against NumPy, in double precision and written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from semblant_exporter.extractors.extracting import fit_reduction
from semblant_exporter.pca import pca_encoder
from semblant_exporter.pixels import pixel_encoder
from semblant_exporter.training import load_model
from semblant_exporter.whitening import LATENT_POWER, copies_recall, embed, fit_whitening, ledoit_wolf
from semblant_search.encoder import Encoder
from semblant_search.errors import InvalidInput
from semblant_search.images import Fit

TINY = Path(__file__).parent / "tiny"


def latents(count: int = 300, size: int = 6) -> torch.Tensor:
    """With a mean and directions of very different strength."""
    random = np.random.default_rng(3)
    return torch.from_numpy(random.normal(size=(count, size)) @ random.normal(size=(size, size)) + 5).float()


def whitened(values: np.ndarray, dim: int, power: float) -> np.ndarray:
    """PCA scores divided by their deviation to a power, a thousandth of the mean variance added to each variance."""
    centred = values - values.mean(0)
    variances, directions = np.linalg.eigh(np.cov(values, rowvar=False))
    variances, directions = variances[::-1], directions[:, ::-1]
    return np.asarray((centred @ directions / (variances + 1e-3 * variances.mean()) ** (power / 2))[:, :dim])


def same_but_for_signs(found: np.ndarray, expected: np.ndarray, atol: float = 1e-4) -> None:
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found * signs, expected, atol=atol * np.abs(expected).max())


@pytest.mark.parametrize("power", [0.0, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("dim", [None, 1, 4])
def test_whitening_is_that_of_numpy(power: float, dim: int | None) -> None:
    values = latents()
    fitted = fit_whitening(values, dim, power)
    assert (fitted.matrix.dtype, fitted.bias.shape) == (torch.float32, (dim or 6,))
    same_but_for_signs(fitted(values).numpy(), whitened(values.double().numpy(), dim or 6, power))


def test_variances_of_few_pictures_are_moved_towards_their_mean() -> None:
    """By as much as Ledoit and Wolf say, so that directions which chance made quiet are not blown up."""
    few, many = latents(12, 40), latents(5000, 6)
    assert 0.1 < ledoit_wolf(few) < 1
    assert ledoit_wolf(many) < 0.01
    assert ledoit_wolf(few[:1]) == 1
    plain, shrunk = (fit_whitening(few, power=1.0, shrinkage=share).matrix for share in (0.0, 0.5))
    variances = np.linalg.eigvalsh(np.cov(few.double().numpy(), rowvar=False))[::-1]
    expected = np.sqrt((variances + 1e-3 * variances.mean()) / (0.5 * variances + 0.501 * variances.mean()))
    np.testing.assert_allclose((shrunk.norm(dim=1) / plain.norm(dim=1)).numpy()[:11], expected[:11], rtol=1e-3)


def test_the_power_that_exports_use() -> None:
    assert LATENT_POWER == 0.7
    assert torch.equal(fit_whitening(latents()).matrix, fit_whitening(latents(), power=1.0).matrix)


def test_directions_without_variance_stay_quiet() -> None:
    """Of 6 numbers 3 are copies and one never changes: what is left of them is rounding, and must not become loud."""
    values = latents()
    values[:, 3:5] = values[:, :2]
    values[:, 5] = 7
    white = fit_whitening(values)(values)
    deviations = white.std(0)
    assert (deviations[:3] > 0.9).all()
    assert (deviations[3:] < 0.01).all()
    assert torch.isfinite(fit_whitening(torch.ones(10, 4))(torch.ones(10, 4))).all()  # nor is nothing divided by nothing
    assert torch.isfinite(fit_whitening(torch.rand(1, 4))(torch.rand(2, 4))).all()


@pytest.mark.parametrize("dim", [0, 7, -1])
def test_more_directions_than_there_are_cannot_be_kept(dim: int) -> None:
    with pytest.raises(InvalidInput, match=f"dim {dim}: the latent has 6 numbers; choose 1 to 6"):
        fit_whitening(latents(), dim)


@pytest.mark.parametrize("width", [6, 2049])
@pytest.mark.parametrize("whiten", [True, False])
def test_a_reduction_is_the_pca_of_numpy(width: int, whiten: bool) -> None:
    values = torch.cat([latents(40), torch.zeros(40, width - 6)], dim=1)
    fitted = fit_reduction(values, 3, power=float(whiten))
    assert fitted.matrix.shape == (3, width)
    found = fitted(values).numpy()
    exact = values.double().numpy()
    if not whiten:
        same_but_for_signs(found, whitened(exact[:, :6], 3, 0.0))
        return
    # The mean variance, of which a thousandth is added, is that of all features, or of those kept where there are too many.
    centred = exact[:, :6] - exact[:, :6].mean(0)
    variances, directions = np.linalg.eigh(np.cov(exact[:, :6], rowvar=False))
    variances, directions = variances[::-1], directions[:, ::-1]
    mean = variances.sum() / width if width == 6 else variances[:3].mean()
    same_but_for_signs(found, (centred @ directions / np.sqrt(variances + 1e-3 * mean))[:, :3])


@pytest.mark.parametrize(("count", "dim", "most"), [(40, 7, 6), (4, 4, 3)])
def test_a_reduction_to_more_numbers_than_directions_is_refused(count: int, dim: int, most: int) -> None:
    with pytest.raises(InvalidInput, match=rf"dim {dim}: {count} pictures with 6 features each have {most} directions"):
        fit_reduction(latents(count), dim, power=0.0)
    assert fit_reduction(latents(count), most, power=1.0).matrix.shape == (most, 6)


def test_latents_do_not_depend_on_batches() -> None:
    trained = load_model(TINY)
    whole, parts = embed(trained.model, trained.sample), embed(trained.model, trained.sample, batch=7)
    assert whole.shape == (200, 8)
    torch.testing.assert_close(whole, parts)


def test_recall_of_changed_copies_tells_what_can_be_told_apart() -> None:
    trained = load_model(TINY)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    recall, count = copies_recall(trained.model, trained.sample, torch.nn.Identity())
    assert count == 200
    assert 0.05 < recall < 0.9
    assert copies_recall(trained.model, trained.sample, torch.nn.Identity()) == (recall, count)
    assert copies_recall(trained.model, trained.sample, torch.nn.Identity(), seed=1)[0] != recall
    assert torch.equal(torch.get_rng_state(), before)  # whoever calls it goes on as if it had not been called
    blind = copies_recall(trained.model, trained.sample, lambda values: torch.ones_like(values))
    assert blind[0] == pytest.approx(1 / 200)  # all alike: the first row is found by its own copy alone
    first, second = copies_recall(trained.model, trained.sample[:1], torch.nn.Identity())
    assert (first, second) == (1, 1)


def test_the_encoder_of_pca_whitens_pixels_as_numpy_does() -> None:
    pictures = np.load(TINY / "sample.npy")[:60]
    encoder = Encoder(pca_encoder(pictures, Fit(12, 12, 1), dim=5, name="linear", seed=2))
    card = encoder.card
    assert (card.name, card.architecture, card.objective, card.dim) == ("linear", "pca", "pca", 5)
    assert card.training == {"pictures": 60, "seed": 2}
    expected = whitened(pictures.reshape(60, -1).astype(float) / 255, 5, 1.0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    same_but_for_signs(encoder.encode(pictures), expected, atol=1e-3)


def test_pca_has_as_many_numbers_as_there_are_pictures_to_tell_them() -> None:
    pictures = np.load(TINY / "sample.npy")
    assert Encoder(pca_encoder(pictures[:9], Fit(12, 12, 1))).dim == 8
    with pytest.raises(InvalidInput):
        pca_encoder(pictures[:1], Fit(12, 12, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_encoder_of_pixels_is_their_means_and_its_cells_are_their_relief(channels: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 6, 9, channels), dtype=np.uint8)
    pictures[0] = 0  # black has a direction, too
    encoder = Encoder(pixel_encoder(Fit(6, 9, channels), grid=3, cells=True))
    assert (encoder.card.cells, encoder.dim) == ((9, 6 * channels), 9 * channels)
    raster = pictures.astype(np.float64).reshape(5, 3, 2, 3, 3, channels) / 255  # [n, grid, h, grid, w, c]
    means = raster.mean((2, 4)).transpose(0, 3, 1, 2).reshape(5, -1) + 0.01  # channel by channel
    places = raster.transpose(0, 1, 3, 2, 4, 5).reshape(5, 9, -1)
    relief = places - places.mean(2, keepdims=True) + 0.01
    embedding, cells = encoder.encode_with_cells(pictures)
    np.testing.assert_allclose(embedding, means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(cells, relief / np.linalg.norm(relief, axis=2, keepdims=True), atol=1e-4)


@pytest.mark.parametrize(("grid", "size"), [(5, (28, 28)), (0, (28, 28)), (7, (28, 30))])
def test_a_raster_that_does_not_divide_the_picture_is_refused(grid: int, size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match=f"grid {grid}: expected a divisor of the picture's size, {size[0]}×{size[1]}"):
        pixel_encoder(Fit(*size, 1), grid=grid)

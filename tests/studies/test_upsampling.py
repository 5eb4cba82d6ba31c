"""Artefacts of upsampling: indices and spectra against what a pencil finds."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from cgdseg.figures import anatomy
from cgdseg.models.layers import UPSAMPLERS
from cgdseg.studies.anatomy import upsampling
from cgdseg.studies.anatomy.upsampling import (
    beyond_the_grid,
    checkerboard_index,
    power_spectrum,
    response,
    smooth_noise,
)

CONSTANT = torch.full((1, 3, 8, 6), 2.0)


def index(kind: str, **how) -> float:
    return checkerboard_index(power_spectrum(response(kind, CONSTANT, **how)))


def test_bed_of_nails_spreads_the_energy_of_a_constant_over_four_frequencies():
    """A quarter of the pixels hold 2: mean 1/2, and as much at half a period along x, along y and along both."""
    power = power_spectrum(response("bed-of-nails", CONSTANT))
    expected = np.zeros((16, 12))
    expected[[8, 8, 0, 0], [6, 0, 6, 0]] = 0.5**2 * 16 * 12
    assert np.allclose(power, expected) and checkerboard_index(power) == pytest.approx(0.75)


@pytest.mark.parametrize("kind", ["bilinear", "nearest", "bicubic"])
def test_interpolation_keeps_a_constant(kind):
    assert torch.allclose(response(kind, CONSTANT), torch.tensor(2.0)) and index(kind) < 1e-12


def test_equal_weights_leave_the_overlap_of_the_kernels():
    """Kernels of 3 at steps of 2 paint 1, 2, 2 and 4 times: mean 9/4, mean square 25/4."""
    painted = response("transposed-overlap", CONSTANT, equal_weights=True) / 2
    assert torch.allclose(painted[0, 0, :2, :2], torch.tensor([[1.0, 2.0], [2.0, 4.0]]))
    assert index("transposed-overlap", equal_weights=True) == pytest.approx(1 - (9 / 4) ** 2 / (25 / 4))
    assert index("transposed", equal_weights=True) < 1e-12 and index("pixel-shuffle", equal_weights=True) < 1e-12


@pytest.mark.parametrize("kind", ["transposed", "transposed-overlap", "pixel-shuffle"])
def test_random_weights_make_a_checkerboard_that_the_seed_decides(kind):
    assert index(kind, seed=1) > 0.2 and index(kind, seed=1) == index(kind, seed=1) != index(kind, seed=2)


@pytest.mark.parametrize(("kind", "power"), [("nearest", 2), ("bilinear", 6)])
def test_the_spectrum_of_an_impulse_is_that_of_the_kernel(kind, power):
    """Kernels (1, 1) and (1, 3, 3, 1) / 4 have the amplitudes 2 cos(pi f) and 2 cos(pi f) ** 3."""
    impulse = torch.zeros(1, 1, 8, 8)
    impulse[..., 4, 3] = 1
    line = 4 * np.cos(np.pi * np.fft.fftshift(np.fft.fftfreq(16))) ** power
    assert np.allclose(power_spectrum(response(kind, impulse)) * 16 * 16, np.outer(line, line), atol=1e-5)


def test_shares_of_known_waves():
    x = torch.arange(16.0)
    for period, checkerboard, beyond in ((2, 1, 1), (3.2, 0, 1), (4, 0, 0.5), (8, 0, 0)):
        power = power_spectrum(torch.cos(2 * torch.pi * x / period).expand(1, 1, 16, 16))
        assert checkerboard_index(power) == pytest.approx(checkerboard, abs=1e-9)
        assert beyond_the_grid(power) == pytest.approx(beyond, abs=1e-9)


def test_smooth_noise_is_smooth_and_fits_together_at_its_edges():
    noise = smooth_noise(0)
    assert noise.std() == pytest.approx(1, abs=1e-4)
    steps = (noise - noise.roll(1, -1)).abs()
    assert steps[..., 0].mean() < 1.3 * steps.mean() < 0.5  # the step across the edge is like the others


def test_max_unpooling_keeps_each_value_once_and_scatters_it():
    features = torch.rand(2, 3, 8, 8) + 1
    blocks = response(upsampling.MAX_UNPOOLING, features).unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)  # (B, C, h, w, 4)
    assert torch.equal(blocks.sum(-1), features) and ((blocks > 0).sum(-1) == 1).all()
    assert set((blocks > 0).int().argmax(-1).flatten().tolist()) == {0, 1, 2, 3}


def test_the_table_names_every_upsampler_and_is_read_and_drawn():
    found = upsampling.table(seeds=range(2), channels=4)
    assert found.upsampling.tolist() == [*UPSAMPLERS, upsampling.MAX_UNPOOLING]
    assert (found.lowest <= found["checkerboard index"]).all() and (found["checkerboard index"] <= found.highest).all()
    assert found.parameters.tolist() == [0, 0, 0, 4 * 4 * 4 + 4, 9 * 4 * 4 + 4, 4 * 4 * 4 + 16, 0, 0]
    lines = upsampling.read(found).splitlines()
    assert lines[0].endswith("`bilinear`, `nearest`, `bicubic`.") and "`bed-of-nails` (0.75)" in lines[1]
    assert "`transposed`" in lines[2] and lines[3].endswith("`transposed-overlap` (0.19).")
    examples = upsampling.examples(found, seeds=range(2), channels=4)
    assert [example.spectrum.shape for example in examples] == [(64, 64)] * 8
    plt.close(anatomy.artefacts(examples))

"""What an upsampler puts into a map by itself, before any training: checkerboards and copies of the spectrum.

features (B, C, h, w) -> response (B, C, 2h, 2w) -> power (2h, 2w), frequency 0 in the middle, ±½ a pixel at the edge.
A constant shows the checkerboard (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"); smooth noise shows
what lies beyond the frequencies that the small grid can hold, and so cannot come from it."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cgdseg.models.layers import UPSAMPLERS

CHANNELS, MAP_SIDE, SEEDS = 16, 32, range(5)
BORDER = 2  # no upsampler reaches further than two cells
SMOOTHNESS = 0.1  # of smooth noise: the frequency, in periods a cell, where its amplitude falls to 1/e
MAX_UNPOOLING = "max-unpooling"


class MaxUnpooling(nn.Module):
    """Each value where white noise of twice the size had its maximum: what an untrained SegNet decoder starts from."""

    def forward(self, features: Tensor) -> Tensor:
        noise = torch.rand(*features.shape[:2], 2 * features.shape[2], 2 * features.shape[3])
        places = F.max_pool2d(noise, 2, return_indices=True)[1]
        return F.max_unpool2d(features, places, 2)


def smooth_noise(seed: int, channels: int = CHANNELS, side: int = MAP_SIDE) -> Tensor:
    """White noise without its high frequencies, of deviation 1, whose edges fit together: (1, C, side, side)."""
    white = torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(seed))
    frequency = torch.fft.fftfreq(side)
    distance = torch.hypot(frequency[:, None], frequency)
    smooth = torch.fft.ifft2(torch.fft.fft2(white) * torch.exp(-((distance / SMOOTHNESS) ** 2))).real
    return smooth / smooth.std()


@torch.no_grad()
def response(kind: str, features: Tensor, seed: int = 0, equal_weights: bool = False) -> Tensor:
    """Enlarge (B, C, h, w) to (B, C, 2h, 2w) by a new upsampler with initial weights that `seed` draws.

    `equal_weights`: every weight the same and no bias, so that only the overlap of the kernels is left.
    The features go on at the opposite edge, so that no border shows in a spectrum."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        channels = features.shape[1]
        upsample = MaxUnpooling() if kind == MAX_UNPOOLING else UPSAMPLERS[kind](channels)
        for name, parameter in upsample.named_parameters() if equal_weights else ():
            parameter.fill_(0 if name.endswith("bias") else 1 / channels)
        around = F.pad(features, [BORDER] * 4, mode="circular")
        cut = slice(2 * BORDER, -2 * BORDER)
        return upsample(around)[..., cut, cut]


def power_spectrum(maps: Tensor) -> np.ndarray:
    """Mean power of (B, C, H, W) by frequency: (H, W), which sums to the mean square times H * W."""
    power = torch.fft.fft2(maps.double(), norm="ortho").abs().square().mean(dim=(0, 1))
    return torch.fft.fftshift(power).numpy()


def checkerboard_index(power: np.ndarray) -> float:
    """Share of the energy that repeats every two pixels along x, y or both; 0 for a constant, ½ for stripes of 0, 1."""
    return float((power.sum() - power[1:, 1:].sum()) / power.sum())  # first row and column: half a period a pixel


def beyond_the_grid(power: np.ndarray) -> float:
    """Share of the energy at frequencies that a grid of half the size cannot hold."""
    rows, columns = (slice(n // 4, n - n // 4) for n in power.shape)
    return float(1 - power[rows, columns].sum() / power.sum())


def table(seeds=SEEDS, channels: int = CHANNELS) -> pd.DataFrame:
    """One row an upsampler: parameters, checkerboard index of a constant (mean, lowest and highest over seeds; and
    with equal weights), and the share of energy beyond the grid for smooth noise."""
    constant, rows = torch.ones(1, channels, MAP_SIDE, MAP_SIDE), []
    for kind in (*UPSAMPLERS, MAX_UNPOOLING):
        indices = [checkerboard_index(power_spectrum(response(kind, constant, seed))) for seed in seeds]
        smooth = [beyond_the_grid(power_spectrum(response(kind, smooth_noise(seed, channels), seed))) for seed in seeds]
        equal = power_spectrum(response(kind, constant, equal_weights=True))
        own = UPSAMPLERS[kind](channels).parameters() if kind in UPSAMPLERS else ()
        spread = np.mean(indices), min(indices), max(indices)
        count = sum(p.numel() for p in own)
        rows.append((kind, count, *spread, checkerboard_index(equal), 100 * np.mean(smooth)))
    names = ["upsampling", "parameters", "checkerboard index", "lowest", "highest", "with equal weights"]
    return pd.DataFrame(rows, columns=[*names, "beyond the grid %"])


class Example(NamedTuple):
    kind: str
    checkerboard: float  # index of a constant, mean over seeds
    response: np.ndarray  # (H, W), the first channel's response to smooth noise
    spectrum: np.ndarray  # (H, W), mean power of all channels and seeds


def examples(found: pd.DataFrame, seeds=SEEDS, channels: int = CHANNELS) -> list[Example]:
    """What the figure `artefacts` draws, for every row of `table`."""
    drawn = []
    for kind, index in zip(found.upsampling, found["checkerboard index"], strict=True):
        maps = torch.cat([response(kind, smooth_noise(seed, channels), seed) for seed in seeds])
        drawn.append(Example(kind, index, maps[0, 0].numpy(), power_spectrum(maps)))
    return drawn


def read(found: pd.DataFrame) -> str:
    """The table in words."""
    named = found.set_index("upsampling").round(2)
    index, equal, beyond = (named[c] for c in ("checkerboard index", "with equal weights", "beyond the grid %"))
    learns, marked = named.parameters > 0, index > 0

    def listed(chosen: pd.Series, values: pd.Series | None = None) -> str:
        names = chosen.index[chosen]
        return ", ".join(f"`{n}`" if values is None else f"`{n}` ({values[n]:.2f})" for n in names) or "none"

    start, always = listed(marked & learns & (equal == 0), index), listed(marked & learns & (equal > 0), equal)
    return (
        f"- No checkerboard on a constant: {listed(~marked)}.\n"
        f"- Fixed, and so left to the layers after it: {listed(marked & ~learns, index)}.\n"
        f"- At the start only, as equal weights are free of it and training may find such: {start}.\n"
        f"- Left with equal weights too, as some pixels are painted more often than others: {always}.\n"
        f"- Of the energy of smooth features, {beyond.min():.2g} % (`{beyond.idxmin()}`) to {beyond.max():.2g} % "
        f"(`{beyond.idxmax()}`) comes to lie beyond the small grid's frequencies."
    )

"""The parts of CGDSeg between the encoders and the mask, after the slides' formulas.

Feature maps are (B, C, h, w); every part is a plain nn.Module without knowledge of the others."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cgdseg.config import Size


def resize(features: Tensor, size: Size) -> Tensor:
    """Bilinear, align_corners=False, as everywhere in the slides."""
    return F.interpolate(features, size=size, mode="bilinear", align_corners=False)


def to_batch(images: Sequence[np.ndarray], device: torch.device | None = None) -> Tensor:
    """B images (H, W, 3) uint8 of one size -> (B, 3, H, W) in [0, 1]; channels last in memory."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(device).float() / 255


def standardise(images: Tensor) -> Tensor:
    """Each channel of each image to mean 0 and deviation 1: the colour and strength of the light drop out."""
    deviation, mean = torch.std_mean(images, dim=(2, 3), keepdim=True)
    return (images - mean) / (deviation + 1e-3)


def resize_aligned(features: Tensor, size: Size, covered: tuple[float, float]) -> Tensor:
    """Bilinear to `size` where the features see only the upper left `covered` shares (height, width) of the picture.

    Each value stays where its patch was; the rest takes the nearest value. With (1, 1) it equals `resize`."""
    down, right = 1 / covered[0], 1 / covered[1]
    place = torch.tensor([[right, 0, right - 1], [0, down, down - 1]], dtype=features.dtype, device=features.device)
    where = F.affine_grid(place.expand(len(features), 2, 3), (*features.shape[:2], *size), align_corners=False)
    return F.grid_sample(features, where, padding_mode="border", align_corners=False)


class Pyramid(nn.Module):
    """Slide "Feature Pyramid Network": one grid resized to three scales, each with Conv1x1, BN, GELU.

    A 1x1 convolution commutes with bilinear resizing: it runs first wherever the grid grows, on fewer pixels.
    (B, C, h, w) -> [fine (B, c0, 4s), medium (B, c1, 2s), coarse (B, c2, s)], s = the coarse size."""

    def __init__(
        self,
        in_channels: int,
        channels: tuple[int, int, int],
        coarse: Size,
        covered: tuple[float, float] | None = None,  # None: the grid is stretched over the whole picture
    ):
        super().__init__()
        self.resize = partial(resize_aligned, covered=covered) if covered else resize
        self.sizes = [(scale * coarse[0], scale * coarse[1]) for scale in (4, 2, 1)]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(in_channels, c, 1), nn.BatchNorm2d(c), nn.GELU()) for c in channels
        )

    def forward(self, grid: Tensor) -> list[Tensor]:
        return [self._level(grid, *level, size) for level, size in zip(self.levels, self.sizes, strict=True)]

    def _level(self, grid: Tensor, conv: nn.Conv2d, norm: nn.Module, gelu: nn.Module, size: Size) -> Tensor:
        grows = size[0] * size[1] > grid.shape[-2] * grid.shape[-1]
        return gelu(norm(self.resize(conv(grid), size) if grows else conv(self.resize(grid, size))))


def fold_norms(model: nn.Module) -> None:
    """Fold every batch norm that directly follows a convolution into it, for inference: the same map, one pass less."""
    for module in model.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for i, (first, second) in enumerate(itertools.pairwise(module)):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[i], module[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()


class DenseBlock(nn.Module):
    """Slide "DenseBlock": n layers BN-ReLU-Conv1x1(4k)-BN-ReLU-Conv3x3(k), each fed by all before it.

    (B, C, h, w) -> (B, C + n*k, h, w)"""

    def __init__(self, in_channels: int, growth: int, n_layers: int):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(in_channels + i * growth),
                nn.ReLU(inplace=True),
                nn.Conv2d(in_channels + i * growth, 4 * growth, 1, bias=False),
                nn.BatchNorm2d(4 * growth),
                nn.ReLU(inplace=True),
                nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
            )
            for i in range(n_layers)
        )
        self.out_channels = in_channels + n_layers * growth

    def forward(self, features: Tensor) -> Tensor:
        for layer in self.layers:
            features = torch.cat([features, layer(features)], dim=1)
        return features


class CSSE(nn.Module):
    """Slide "CSSEBlock": channel gates and a spatial gate, computed side by side and summed (Roy et al. 2018)."""

    def __init__(self, channels: int, squeeze: int):
        super().__init__()
        hidden = max(channels // squeeze, 1)
        self.channel_gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.Sigmoid(),
        )
        self.spatial_gate = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        return features * self.channel_gate(features) + features * self.spatial_gate(features)


class BedOfNails(nn.Module):
    """Each value in the top left of its 2×2 pixels, zero elsewhere: (B, C, h, w) -> (B, C, 2h, 2w)."""

    def forward(self, features: Tensor) -> Tensor:
        padded = torch.stack([features, torch.zeros_like(features)], dim=-1).flatten(3)  # (B, C, h, 2w)
        return torch.stack([padded, torch.zeros_like(padded)], dim=3).flatten(2, 3)


# name -> builder from channels; all double height and width
UPSAMPLERS: dict[str, Callable[[int], nn.Module]] = {
    "bilinear": lambda c: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
    "nearest": lambda c: nn.Upsample(scale_factor=2, mode="nearest"),
    "bicubic": lambda c: nn.Upsample(scale_factor=2, mode="bicubic", align_corners=False),
    "transposed": lambda c: nn.ConvTranspose2d(c, c, 2, stride=2),
    "transposed-overlap": lambda c: nn.ConvTranspose2d(c, c, 3, stride=2, padding=1, output_padding=1),
    "pixel-shuffle": lambda c: nn.Sequential(nn.Conv2d(c, 4 * c, 1), nn.PixelShuffle(2)),
    "bed-of-nails": lambda c: BedOfNails(),
}


class DecoderStage(nn.Module):
    """Upsample by two, concatenate the skip (if any), Dense block, transition, CSSE."""

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        growth: int,
        n_dense: int,
        squeeze: int,
        upsample: str = "bilinear",
    ):
        super().__init__()
        self.upsample = UPSAMPLERS[upsample](in_channels)
        self.dense = DenseBlock(in_channels + skip_channels, growth, n_dense)
        self.transition = nn.Sequential(
            nn.BatchNorm2d(self.dense.out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(self.dense.out_channels, out_channels, 1, bias=False),
        )
        self.csse = CSSE(out_channels, squeeze)

    def forward(self, features: Tensor, skip: Tensor | None = None) -> Tensor:
        features = self.upsample(features)
        if skip is not None:
            skip = resize(skip, features.shape[-2:])  # a skip from the pixels is larger where 16 does not divide them
            features = torch.cat([features, skip], dim=1)
        return self.csse(self.transition(self.dense(features)))


class Detail(nn.Sequential):
    """What patches of 8 or 14 pixels cannot hold: (B, 3, H, W) in [0, 1] -> (B, C, H / 2, W / 2) from the pixels."""

    def __init__(self, channels: int):
        super().__init__(
            nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(standardise(images))


class Head(nn.Module):
    """Slide "Output Head": bilinear to the input size, Conv3x3-BN-ReLU, Conv1x1 -> logits (B, K, H, W)."""

    def __init__(self, in_channels: int, hidden: int, size: Size, n_classes: int = 1):
        super().__init__()
        self.size = size
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 3, padding=1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, n_classes, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(resize(features, self.size))

"""SegNet (Badrinarayanan et al. 2017), small: the decoder puts every value back where the encoder found its maximum.

images (B, 3, H, W) in [0, 1] -> logits (B, K, H, W), one map a class"""

import torch.nn.functional as F
from torch import Tensor, nn

from cgdseg.config import systems
from cgdseg.models.layers import standardise
from cgdseg.models.zoo.unet import double_conv


class SegNet(nn.Module):
    """Mirrored encoder and decoder; only the places of the maxima pass from one to the other, no features."""

    def __init__(self, channels: tuple[int, ...], n_classes: int = 1):
        super().__init__()
        self.encoder = nn.ModuleList(map(double_conv, (3, *channels[:-1]), channels))
        self.unpool = nn.ModuleList(nn.MaxUnpool2d(2) for _ in channels)  # modules, so that `inspect.trace` sees them
        mirrored = channels[::-1]
        self.decoder = nn.ModuleList(map(double_conv, mirrored, (*mirrored[1:], channels[0])))
        self.head = nn.Conv2d(channels[0], n_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        features, pooled = standardise(images), []
        for block in self.encoder:
            features = block(features)
            size = features.shape[-2:]
            features, places = F.max_pool2d(features, 2, return_indices=True)
            pooled.append((places, size))
        for unpool, block, (places, size) in zip(self.unpool, self.decoder, reversed(pooled), strict=True):
            features = block(unpool(features, places, output_size=size))  # odd sizes: the last line stays zero
        return self.head(features)


def build(settings: systems.SegNet) -> SegNet:
    return SegNet(settings.channels, len(settings.classes))


def parts(model: SegNet) -> dict[str, list[nn.Parameter]]:
    return {name: list(getattr(model, name).parameters()) for name in ("encoder", "decoder", "head")}

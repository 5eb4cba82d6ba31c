"""U-Net, the plain comparator (Ronneberger et al. 2015), with batch norm and bilinear upsampling.

images (B, 3, H, W) in [0, 1] -> logits (B, K, H, W), one map a class"""

import torch
from torch import Tensor, nn

from cgdseg.config import systems
from cgdseg.models.layers import resize, standardise


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    layers = []
    for source in (in_channels, out_channels):
        layers += [nn.Conv2d(source, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels)]
        layers += [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self, channels: tuple[int, ...], n_classes: int = 1):
        super().__init__()
        self.encoder = nn.ModuleList(map(double_conv, (3, *channels[:-1]), channels))
        finer, coarser = channels[-2::-1], channels[:0:-1]
        self.decoder = nn.ModuleList(double_conv(c + f, f) for c, f in zip(coarser, finer, strict=True))
        self.head = nn.Conv2d(channels[0], n_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        features, skips = standardise(images), []
        for block in self.encoder:
            if skips:
                features = nn.functional.max_pool2d(features, 2)
            features = block(features)
            skips.append(features)
        for block, skip in zip(self.decoder, skips[-2::-1], strict=True):
            features = block(torch.cat([resize(features, skip.shape[-2:]), skip], dim=1))
        return self.head(features)


def build(settings: systems.UNet) -> UNet:
    return UNet(settings.channels, len(settings.classes))


def parts(model: UNet) -> dict[str, list[nn.Parameter]]:
    return {name: list(child.parameters()) for name, child in model.named_children()}

"""CGDSeg computed the way the slides' code does, with the weights of one of ours: the peer of the benchmarks.

as_written(model) -> the same function of images (B, 3, H, W): single precision, channels first, every map enlarged
before its convolution, full attention over the single key, adapters beside the weights they adapt."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from cgdseg.models.cgdseg import CGDSeg
from cgdseg.models.grounding import CrossAttention
from cgdseg.models.layers import Pyramid


class EnlargedFirst(Pyramid):
    def _level(self, grid: Tensor, conv: nn.Conv2d, norm: nn.Module, gelu: nn.Module, size: tuple[int, int]) -> Tensor:
        return gelu(norm(conv(self.resize(grid, size))))


class FullAttention(CrossAttention):
    def forward(self, patches: Tensor) -> Tensor:
        tokens = patches.flatten(2).transpose(1, 2)
        attended = self.attend(tokens, self.projection(self.keys))[0]
        return self.norm(tokens + attended).transpose(1, 2).unflatten(2, patches.shape[-2:])


def as_written(model: CGDSeg) -> CGDSeg:
    plain = deepcopy(model).to(memory_format=torch.contiguous_format)
    plain.pyramid.__class__ = EnlargedFirst
    plain.grounding.__class__ = FullAttention
    return plain

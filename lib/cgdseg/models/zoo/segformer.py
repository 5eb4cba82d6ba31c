"""SegFormer (Xie et al. 2021) from transformers, from random weights; the defaults are its smallest form, B0.

images (B, 3, H, W) in [0, 1] -> logits (B, K, H, W), one map a class"""

from torch import Tensor, nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from cgdseg.config import systems
from cgdseg.models.layers import resize, standardise


class SegFormer(nn.Module):
    def __init__(self, segformer: SegformerForSemanticSegmentation):
        super().__init__()
        self.segformer = segformer

    def forward(self, images: Tensor) -> Tensor:
        logits = self.segformer(standardise(images)).logits  # (B, K, H / 4, W / 4)
        return resize(logits, images.shape[-2:])


def build(settings: systems.SegFormer) -> SegFormer:
    shape = {
        "hidden_sizes": list(settings.channels),
        "depths": list(settings.depths),
        "decoder_hidden_size": settings.decoder,
        "num_labels": len(settings.classes),
    }
    return SegFormer(SegformerForSemanticSegmentation(SegformerConfig(**shape)))


def parts(model: SegFormer) -> dict[str, list[nn.Parameter]]:
    inner = model.segformer
    return {"encoder": list(inner.segformer.parameters()), "decoder": list(inner.decode_head.parameters())}

"""CGDSeg: DINOv2 with LoRA, grounded by a cached CLIP text anchor, decoded by a pyramid and Dense-CSSE stages.

images (B, 3, H, W) in [0, 1] -> logits (B, K, H, W), one map a class"""

from torch import Tensor, nn

from cgdseg.config import systems
from cgdseg.models import grounding as groundings
from cgdseg.models import vision
from cgdseg.models.layers import DecoderStage, Detail, Head, Pyramid
from cgdseg.models.text import RENDERED
from cgdseg.models.vision import RANDOM, PatchEncoder, build_patch_encoder, skeleton

CLIP_TEXT_TOWER = 63_428_096  # CLIPTextModelWithProjection of ViT-B/32; it runs once and is not part of the module


class CGDSeg(nn.Module):
    """The five stages of slide "Five-Stage Pipeline": S1 backbone, S2 grounding, S3 pyramid, S4 decoder, S5 head."""

    def __init__(
        self,
        backbone: PatchEncoder,
        grounding: nn.Module,
        pyramid: Pyramid,
        decoder: nn.ModuleList,
        head: Head,
        detail: Detail | None = None,
    ):
        super().__init__()
        self.backbone = backbone
        self.grounding = grounding
        self.pyramid = pyramid
        self.decoder = decoder
        self.head = head
        self.detail = detail

    def forward(self, images: Tensor) -> Tensor:
        fine, medium, coarse = self.pyramid(self.grounding(self.backbone(images)))
        features = self.decoder[0](coarse, medium)
        features = self.decoder[1](features, fine)
        features = self.decoder[2](features, self.detail(images) if self.detail else None)
        return self.head(features)


def build(settings: systems.CGDSeg) -> CGDSeg:
    """Assemble CGDSeg from settings; downloads the encoders' weights unless their source is local or random."""
    size = settings.input_size
    backbone = build_patch_encoder(settings.backbone, size)
    grounding = groundings.build_grounding(settings, backbone.channels)
    seen = tuple(n * backbone.patch / pixels for n, pixels in zip(backbone.grid, size, strict=True))
    covered = seen if settings.grid == "aligned" else None
    pyramid = Pyramid(grounding.out_channels, settings.pyramid, (size[0] // 16, size[1] // 16), covered)
    names = ("growth", "n_dense", "squeeze", "upsample")
    dense = {name: getattr(settings, name) for name in names}
    fine, medium, coarse = settings.pyramid
    first, second, third = settings.decoder
    decoder = nn.ModuleList(
        [
            DecoderStage(coarse, medium, first, **dense),
            DecoderStage(first, fine, second, **dense),
            DecoderStage(second, settings.detail, third, **dense),
        ]
    )
    head = Head(third, settings.head, size, len(settings.classes))
    return CGDSeg(backbone, grounding, pyramid, decoder, head, Detail(settings.detail) if settings.detail else None)


def beside(settings: systems.CGDSeg) -> dict[str, int]:
    """The text tower that made the anchor; ours and random directions are not what the slides count."""
    return {} if settings.text.source in (RANDOM, RENDERED) else {"clip_text_tower": CLIP_TEXT_TOWER}


def offline(settings: systems.CGDSeg, model: CGDSeg) -> systems.CGDSeg:
    """Settings that rebuild `model` for its checkpoint without touching a hub."""
    text = groundings.offline_text(settings, model.grounding)
    return settings.model_copy(update={"backbone": skeleton(settings.backbone, model.backbone), **text})


def parts(model: CGDSeg) -> dict[str, list[nn.Parameter]]:
    """Parameters by part, in the order of the slides' budget table."""
    encoder = dict(model.backbone.named_parameters())
    return {
        "DINOv2": [p for name, p in encoder.items() if "lora_" not in name],
        "LoRA": [p for name, p in encoder.items() if "lora_" in name],
        **_grounding_parts(model.grounding),
        "pyramid": list(model.pyramid.parameters()),
        **{f"decoder {i}": list(stage.parameters()) for i, stage in enumerate(model.decoder, 1)},
        "head": list(model.head.parameters()),
        **({"detail": list(model.detail.parameters())} if model.detail else {}),
    }


def _grounding_parts(grounding: nn.Module) -> dict[str, list[nn.Parameter]]:
    names = {"projection": "text projection", "attention": "cross-attention", "norm": "norm"}
    found = {title: list(getattr(grounding, n).parameters()) for n, title in names.items() if hasattr(grounding, n)}
    own = list(grounding.parameters(recurse=False))
    return found | ({"grounding": own} if own else {})


def without_weights(settings: systems.CGDSeg) -> systems.CGDSeg:
    """The same shape with random weights, built without a download."""
    text = settings.text.model_copy(update={"source": "random", "revision": None})
    return settings.model_copy(update={"backbone": vision.backbone_without_weights(settings.backbone), "text": text})

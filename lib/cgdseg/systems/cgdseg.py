"""CGDSeg: DINOv2 with LoRA, grounded by a cached CLIP text anchor, decoded by a pyramid and Dense-CSSE stages.

images (B, 3, H, W) in [0, 1] -> logits (B, K, H, W), one map a class"""

import pandas as pd
from torch import Tensor, nn

from cgdseg import config, encoders
from cgdseg import grounding as groundings
from cgdseg.encoders import PatchEncoder, build_patch_encoder, skeleton
from cgdseg.layers import DecoderStage, Detail, Head, Pyramid

FORMS = {
    "anchor": "the prompts' mean is the only key of the cross-attention",
    "prompts": "every prompt is a key of the cross-attention",
    "tokens": "every token of the prompts is a key of the cross-attention",
    "similarity": "maps of how much each patch resembles each phrase go into the pyramid",
    "bias": "a learned vector stands where the text's answer would be",
    "random": "the only key is the mean of random directions",
    "none": "no text, and nothing in its place",
}
POSITIONS = {
    "antialias": "bicubic with antialiasing, as in timm",
    "bicubic": "bicubic without antialiasing, as in transformers",
}
CLIP_TEXT_TOWER = 63_428_096  # CLIPTextModelWithProjection of ViT-B/32; it runs once and is not part of the module


class CGDSeg(nn.Module):
    """The five stages of slide "Five-Stage Pipeline"."""

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


def build_cgdseg(settings: config.CGDSeg) -> CGDSeg:
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


def offline(settings: config.CGDSeg, model: CGDSeg) -> config.CGDSeg:
    """Settings that rebuild `model` for its checkpoint without touching a hub."""
    text = groundings.offline(settings, model.grounding)
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


def without_weights(settings: config.CGDSeg) -> config.CGDSeg:
    """The same shape with random weights, built without a download."""
    text = settings.text.model_copy(update={"source": "random", "revision": None})
    return settings.model_copy(update={"backbone": encoders.without_weights(settings.backbone), "text": text})


def describe(settings: config.CGDSeg) -> str:
    """What this form of CGDSeg has in place of the paper's parts, in a sentence a part."""
    backbone, text = settings.backbone, settings.text
    origin = f"`{backbone.source}`" if backbone.source != "random" else "a small DINOv2 of its own, from random weights"
    learning = {"lora": "LoRA adapters learn", "full": "all of it learns", "frozen": "nothing of it learns"}
    words = [f"The backbone is {origin} with {backbone.n_layers} blocks; {learning[backbone.tuning]}."]
    words.append(f"Its position embedding is resized to the grid of patches, {POSITIONS[backbone.positions]}.")
    if backbone.normalise == "image":
        words.append("Each image is normalised by its own mean and deviation; the slides take those of ImageNet.")
    words.append(f"Grounding `{settings.grounding}`: {FORMS[settings.grounding]}.")
    if settings.grounding not in ("bias", "none"):
        known = settings.grounding != "random" and text.source != "random"
        encoder = "a small CLIP of our own, pretrained on rendered eyes" if text.source == "rendered" else text.source
        origin = f"encoded by {encoder}" if known else "a fixed random direction each: no language stands behind it"
        words.append(f"Its texts are {origin}.")
    if settings.detail:
        words.append(f"A skip of {settings.detail} channels leads from the pixels into the last decoder stage.")
        words.append("The slides have no such skip.")
    return " ".join(words)


def paper_size() -> config.CGDSeg:
    """The slides' CGDSeg with random weights: the same shapes and counts without a download."""
    return config.CGDSeg(backbone={"source": "random"}, text={"source": "random"})


def paper_counts(table: pd.DataFrame) -> dict[str, int]:
    """Parameters by the parts of the slides' budget, from the parameter table of `paper_size()`."""
    counts = table.set_index("part").parameters
    return {
        "DINOv2": int(counts["DINOv2"]),
        "LoRA": int(counts["LoRA"]),
        "CLIP text tower": CLIP_TEXT_TOWER,
        "grounding": int(counts[["text projection", "cross-attention", "norm"]].sum()),
        "pyramid": int(counts["pyramid"]),
        "decoder": int(counts.filter(like="decoder").sum()),
        "head": int(counts["head"]),
        "all trainable": int(table.trainable.sum()),
        "total": int(counts.sum()) + CLIP_TEXT_TOWER,
    }

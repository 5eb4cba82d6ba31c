"""The settings of every system, frozen and validated: what a config's `systems` hold.

{kind: unet, channels: [8, 16]} -> UNet; the defaults of CGDSeg are the slides'. An unknown key is an error."""

from typing import Annotated, ClassVar, Literal, Self, Union

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from cgdseg.config.base import Settings, SystemSettings

Upsampling = Literal[
    "bilinear", "nearest", "bicubic", "transposed", "transposed-overlap", "pixel-shuffle", "bed-of-nails"
]


class Backbone(Settings):
    """A DINOv2. `source`: a hub id (with `revision`), a local folder, or "random" with the shape below."""

    source: str = "facebook/dinov2-small"
    revision: str | None = "ed25f3a31f01632728cabb09d1542f84ab7b0056"
    tuning: Literal["lora", "full", "frozen"] = "lora"
    normalise: Literal["imagenet", "image"] = "imagenet"  # image: each by its own mean and deviation
    positions: Literal["antialias", "bicubic"] = "antialias"  # how the position embedding is resized to the grid
    lora_rank: PositiveInt = 8
    lora_alpha: PositiveFloat = 16.0
    lora_shared: bool = True  # one A for q, k and v of a block, as on a fused projection; False: peft's own, one each
    patch_size: PositiveInt = 14  # this and the rest: random source only
    hidden_size: PositiveInt = 384
    n_layers: PositiveInt = 12
    n_heads: PositiveInt = 6


class Pretraining(Settings):
    """A small text-image encoder in CLIP's form, pretrained on rendered eyes and phrases on them."""

    made_by: ClassVar = "cgdseg.training.small_clip"
    eyes: PositiveInt = 1500
    epochs: PositiveInt = 10
    batch_size: PositiveInt = 50
    regions: PositiveInt = 4  # of each eye, in a batch
    lr: PositiveFloat = 2e-3
    side: PositiveInt = 96  # pixels; images are squeezed to a square
    patch_size: PositiveInt = 8
    width: PositiveInt = 64
    layers: PositiveInt = 2
    text_layers: PositiveInt = 1
    seed: int = 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.side % self.patch_size or self.width % 4 or self.eyes < self.batch_size:
            raise ValueError("side must be a multiple of patch_size, width of 4, and eyes at least batch_size")
        return self


class TextEncoder(Settings):
    """A CLIP text tower. `source`: a hub id (with `revision`), a local folder, "rendered" or "random" with `width`.

    "rendered" is our own, made by `pretraining` without a download; random gives each prompt a fixed direction."""

    source: str = "openai/clip-vit-base-patch32"
    revision: str | None = "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268"
    width: PositiveInt = 512  # random source only
    pretraining: Pretraining = Pretraining()  # rendered source only
    prompts: tuple[str, ...] = (  # slide "CLIP Text Encoder & Prompt Ensemble"
        "sclera white of the eye",
        "white part of the human eye",
        "eye white region sclera",
        "the white scleral region of the eye",
    )
    phrases: tuple[str, ...] = (  # for `grounding: similarity`; the sclera against what surrounds it
        *("sclera, the white of the eye", "iris of the eye", "pupil of the eye", "eyelid"),
        *("skin around the eye", "eyelashes", "bright reflection on the eye"),
    )


class CGDSeg(SystemSettings):
    """The main system; the defaults are the slides'."""

    built_by: ClassVar = "cgdseg.models.cgdseg"
    kind: Literal["cgdseg"] = "cgdseg"
    backbone: Backbone = Backbone()
    text: TextEncoder = TextEncoder()
    grid: Literal["stretched", "aligned"] = "stretched"  # the slides stretch the 252 pixels that patches see over 256
    grounding: Literal["anchor", "prompts", "tokens", "similarity", "bias", "random", "none"] = "anchor"
    attention_heads: PositiveInt = 4
    pyramid: tuple[PositiveInt, PositiveInt, PositiveInt] = (96, 192, 384)  # channels, fine to coarse
    decoder: tuple[PositiveInt, PositiveInt, PositiveInt] = (512, 256, 128)  # channels, coarse to fine
    upsample: Upsampling = "bilinear"  # of the decoder's stages
    growth: PositiveInt = 32
    n_dense: PositiveInt = 4
    squeeze: PositiveInt = 16
    head: PositiveInt = 64
    detail: NonNegativeInt = 0  # channels of a skip from the pixels into the last decoder stage; the slides have none

    def departures(self) -> list[str]:
        """What this form has in place of the slides' parts, most weighty first; empty for theirs."""
        own, theirs = self.backbone, Backbone()
        learning = {"full": "all of it learns, without LoRA", "frozen": "nothing of it learns", "lora": "LoRA learns"}
        texts = {"random": "random vectors for a text", "rendered": "a small CLIP trained on rendered eyes"}
        origin = "random weights" if own.source == "random" else own.source
        found = {
            f"a backbone of {own.n_layers} blocks from {origin}": (own.source, own.n_layers)
            != (theirs.source, theirs.n_layers),
            learning[own.tuning]: own.tuning != theirs.tuning,
            texts.get(self.text.source, f"texts by {self.text.source}"): self.text.source != TextEncoder().source,
            f"the grounding `{self.grounding}`": self.grounding != "anchor",
            f"a skip of {self.detail} channels from the pixels": self.detail > 0,
            "a narrower pyramid and decoder": sum(self.pyramid + self.decoder)
            < sum(CGDSeg().pyramid + CGDSeg().decoder),
        }
        return [words for words, differs in found.items() if differs]

    def modules(self) -> list[str]:
        encoder = [self.text.pretraining.made_by] if self.text.source == "rendered" else []
        return [*super().modules(), *encoder]


class UNet(SystemSettings):
    """The plain comparator: a U-Net with batch norm."""

    built_by: ClassVar = "cgdseg.models.zoo.unet"
    kind: Literal["unet"] = "unet"
    channels: tuple[PositiveInt, ...] = (32, 64, 128, 256, 512)


class SegNet(SystemSettings):
    """A small SegNet: max-unpooling where the encoder found its maxima, without skips."""

    built_by: ClassVar = "cgdseg.models.zoo.segnet"
    kind: Literal["segnet"] = "segnet"
    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (32, 64, 128, 256, 512)


class SegFormer(SystemSettings):
    """A light transformer to compare with; the defaults are SegFormer-B0."""

    built_by: ClassVar = "cgdseg.models.zoo.segformer"
    kind: Literal["segformer"] = "segformer"
    channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (32, 64, 160, 256)
    depths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (2, 2, 2, 2)
    decoder: PositiveInt = 256


SYSTEMS: dict[str, type[SystemSettings]] = {
    system.model_fields["kind"].default: system for system in (CGDSeg, UNet, SegNet, SegFormer)
}
System = Annotated[Union[tuple(SYSTEMS.values())], Field(discriminator="kind")]  # noqa: UP007  a tuple has no |

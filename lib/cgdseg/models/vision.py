"""Frozen encoders: DINOv2 turns images into a grid of patch features, CLIP's text tower turns prompts into vectors.

images (B, 3, H, W) in [0, 1] -> patches (B, C, h, w); K prompts -> (K, D), unit length.
Weights come from a hub id with a pinned revision, from a local folder, or at random from a shape."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model
from transformers.utils import logging as transformers_logging

from cgdseg.config import Backbone, Size
from cgdseg.models.layers import standardise
from cgdseg.models.lora import add_lora

transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_error()  # missing keys are errors below; those of CLIP's other tower are no news

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RANDOM = "random"


class PatchEncoder(nn.Module):
    """DINOv2 with its position embedding resized once, to the grid of `input_size`.

    images (B, 3, H, W) in [0, 1] -> last-layer patch tokens as a grid (B, C, H // patch, W // patch).
    Where H or W is not a multiple of the patch, the right and bottom rest is not seen (256 = 18 * 14 + 4)."""

    def __init__(
        self, dinov2: Dinov2Model, input_size: Size, normalise: str = "imagenet", positions: str = "antialias"
    ):
        super().__init__()
        self.patch = patch = dinov2.config.patch_size
        self.input_size, self.normalise = input_size, normalise
        self.grid = (input_size[0] // patch, input_size[1] // patch)
        self.channels = dinov2.config.hidden_size
        embeddings = dinov2.embeddings
        resized = resize_positions(embeddings.position_embeddings, self.grid, antialias=positions == "antialias")
        embeddings.position_embeddings = nn.Parameter(resized)
        embeddings.mask_token = None  # pre-training only
        self.dinov2 = dinov2
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if tuple(images.shape[-2:]) != tuple(self.input_size):
            height, width = self.input_size
            raise ValueError(f"images are {tuple(images.shape[-2:])}: resize them to ({height}, {width}) first")
        embeddings = self.dinov2.embeddings
        images = standardise(images) if self.normalise == "image" else (images - self.mean) / self.std
        tokens = embeddings.patch_embeddings(images)  # (B, h*w, C)
        tokens = torch.cat([embeddings.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = tokens + embeddings.position_embeddings
        tokens = self.dinov2.layernorm(self.dinov2.encoder(tokens).last_hidden_state)
        return tokens[:, 1:].transpose(1, 2).unflatten(2, self.grid)  # (B, C, h, w)  CLS dropped


def resize_positions(positions: Tensor, grid: Size, antialias: bool = True) -> Tensor:
    """(1, 1 + n*n, C) -> (1, 1 + h*w, C), bicubic.

    With antialiasing as timm does at load time, without it as transformers does at every call. DINOv2's own code
    goes without as well, with a scale of (h + 0.1) / n; that offset is not kept here."""
    cls, square = positions.detach()[:, :1], positions.detach()[:, 1:]
    side = int(square.shape[1] ** 0.5)
    if (side, side) == tuple(grid):
        return positions.detach().clone()
    square = square.transpose(1, 2).unflatten(2, (side, side))
    square = F.interpolate(square, size=grid, mode="bicubic", antialias=antialias, align_corners=False)
    return torch.cat([cls, square.flatten(2).transpose(1, 2)], dim=1)


def build_patch_encoder(settings: Backbone, input_size: Size) -> PatchEncoder:
    """Load or make a DINOv2 and prepare it for training as `settings.tuning` says.

    Raises ValueError naming the keys when a checkpoint does not hold exactly a DINOv2's weights."""
    encoder = PatchEncoder(_load_dinov2(settings), input_size, settings.normalise, settings.positions)
    if settings.tuning == "full":
        return encoder
    encoder.requires_grad_(False)
    if settings.tuning == "lora":
        add_lora(encoder.dinov2, settings.lora_rank, settings.lora_alpha, settings.lora_shared)
    return encoder


def _load_dinov2(settings: Backbone) -> Dinov2Model:
    if settings.source == RANDOM:
        shape = {
            "patch_size": settings.patch_size,
            "hidden_size": settings.hidden_size,
            "num_hidden_layers": settings.n_layers,
            "num_attention_heads": settings.n_heads,
            "image_size": 16 * settings.patch_size,
        }
        return Dinov2Model(Dinov2Config(**shape))
    model, report = Dinov2Model.from_pretrained(
        settings.source, revision=settings.revision, output_loading_info=True, dtype=torch.float32
    )
    problems = {kind: sorted(keys) for kind, keys in report.items() if keys}
    if problems:
        raise ValueError(f"{settings.source} does not hold the weights of a DINOv2: {problems}")
    return model


SHAPES = {  # of the hub's DINOv2: hidden size, blocks, heads; all with patches of 14
    "facebook/dinov2-small": (384, 12, 6),
    "facebook/dinov2-base": (768, 12, 12),
    "facebook/dinov2-large": (1024, 24, 16),
}


def backbone_without_weights(settings: Backbone) -> Backbone:
    """Settings of the same shape with random weights, found without a download.

    Raises ValueError for a hub id whose shape is not known."""
    if settings.source == RANDOM:
        return settings
    if settings.source in SHAPES:
        return _random(settings, 14, *SHAPES[settings.source])
    if Path(settings.source).is_dir():
        return _random(settings, *_shape(Dinov2Config.from_pretrained(settings.source)))
    raise ValueError(f"the shape of {settings.source} is not known without a download: use {', '.join(SHAPES)}")


def skeleton(settings: Backbone, encoder: PatchEncoder) -> Backbone:
    """Settings that rebuild the encoder's shape without its weights, for loading a finished checkpoint."""
    return _random(settings, *_shape(encoder.dinov2.config))


def _shape(found: Dinov2Config) -> tuple[int, int, int, int]:
    return found.patch_size, found.hidden_size, found.num_hidden_layers, found.num_attention_heads


def _random(settings: Backbone, *shape: int) -> Backbone:
    names = ("source", "revision", "patch_size", "hidden_size", "n_layers", "n_heads")
    return settings.model_copy(update=dict(zip(names, (RANDOM, None, *shape), strict=True)))

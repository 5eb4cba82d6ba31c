"""DINOv2 in its own format, small enough for a test."""

from cgdseg.config import Backbone
from cgdseg.models.vision import build_patch_encoder

TINY = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14, "image_size": 70}


def encoder_from(folder, tuning="lora", size=(70, 70)):
    return build_patch_encoder(Backbone(source=str(folder), revision=None, tuning=tuning, lora_rank=4), size).eval()

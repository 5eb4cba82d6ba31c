"""A small text-image encoder of our own, in CLIP's form, pretrained by contrast on rendered eyes and phrases on them.

found_encoder(settings) -> its folder in the hub's format (weights, config, tokenizer), which `training.small_clip`
writes. It stands where CLIP stands when no hub is in reach, so that `grounding` has a language to speak."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import AutoTokenizer, CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from cgdseg import paths
from cgdseg.config import Pretraining
from cgdseg.eyes.phrases import PHRASES
from cgdseg.hashes import code_digest, digest
from cgdseg.models.layers import standardise

SPECIAL = ("<pad>", "<unk>", "<start>", "<end>")  # ids 0 to 3


def encoder_folder(settings: Pretraining) -> Path:
    """Where the encoder of these settings lies: a changed recipe, renderer or list of phrases makes another one."""
    return paths.encoder_dir(digest([settings.model_dump(), code_digest([settings.made_by])])[:12])


def found_encoder(settings: Pretraining) -> Path:
    """The folder of the encoder of these settings; FileNotFoundError where nobody has trained it yet."""
    folder = encoder_folder(settings)
    if not folder.exists():
        raise FileNotFoundError(f"{paths.short(folder)}, the text encoder, is missing: run cgdseg text-encoder first")
    return folder


def patch_shares(mask: np.ndarray, patch: int) -> np.ndarray:
    """(H, W) bool -> how much of each patch it fills (H / patch, W / patch)."""
    height, width = mask.shape
    return mask.reshape(height // patch, patch, width // patch, patch).mean((1, 3))


def patch_features(model: CLIPModel, images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] at the encoder's side -> patches (B, N, D) in the space of the phrases."""
    states = model.vision_model(pixel_values=standardise(images)).last_hidden_state[:, 1:]
    return model.visual_projection(model.vision_model.post_layernorm(states))


def phrase_features(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, phrases: list[str]) -> Tensor:
    """K phrases -> (K, D) unit vectors."""
    output = model.text_model(**tokenizer(list(phrases), padding=True, return_tensors="pt"))
    return F.normalize(model.text_projection(output.pooler_output), dim=-1)


@torch.inference_mode()
def phrase_maps(folder: Path, images: Tensor, phrases: list[str]) -> Tensor:
    """Cosine of every patch with every phrase: images (B, 3, H, W) in [0, 1] of any size -> (B, K, h, w)."""
    model, tokenizer = CLIPModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    shape = model.config.vision_config
    images = F.interpolate(images, size=(shape.image_size,) * 2, mode="bilinear", antialias=True)
    patches = F.normalize(patch_features(model, images), dim=-1)
    n = shape.image_size // shape.patch_size
    return (patches @ phrase_features(model, tokenizer, phrases).T).transpose(1, 2).unflatten(2, (n, n))


def clip_config(settings: Pretraining, vocabulary: int) -> CLIPConfig:
    shape = {"hidden_size": settings.width, "intermediate_size": 4 * settings.width, "num_attention_heads": 4}
    ends = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    text = shape | ends | {"vocab_size": vocabulary, "num_hidden_layers": settings.text_layers}
    vision = {"num_hidden_layers": settings.layers, "image_size": settings.side, "patch_size": settings.patch_size}
    projection = {"projection_dim": settings.width}
    return CLIPConfig(text_config=text | projection, vision_config=shape | vision | projection, **projection)


def phrase_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE learned on all phrases: any text has tokens, known words have one."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((phrase for said in PHRASES.values() for phrase in said), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 2), ("<end>", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=77, **names)

"""Texts as vectors: K prompts -> (K, D), unit length, from CLIP's text tower, a small one of our own, or at random."""

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoTokenizer, CLIPTextModelWithProjection

from cgdseg.config import TextEncoder
from cgdseg.models.small_clip import found_encoder
from cgdseg.models.vision import RANDOM

RENDERED = "rendered"


@torch.no_grad()
def encode_prompts(settings: TextEncoder) -> Tensor:
    """K prompts -> (K, D) unit vectors. A random source hashes each prompt to a fixed random direction."""
    if settings.source == RANDOM:
        vectors = torch.stack([_random_direction(prompt, settings.width) for prompt in settings.prompts])
    else:
        tokenizer, tower = _load_text_tower(settings)
        vectors = tower(**tokenizer(list(settings.prompts), padding=True, return_tensors="pt")).text_embeds
    return F.normalize(vectors, dim=-1)


@torch.no_grad()
def encode_tokens(settings: TextEncoder) -> Tensor:
    """The T tokens of all prompts -> (T, D) unit vectors, in the space of `encode_prompts`; the start token left out.

    A random source takes words for tokens."""
    if settings.source == RANDOM:
        words = [word for prompt in settings.prompts for word in prompt.split()]
        return F.normalize(torch.stack([_random_direction(word, settings.width) for word in words]), dim=-1)
    tokenizer, tower = _load_text_tower(settings)
    batch = tokenizer(list(settings.prompts), padding=True, return_tensors="pt")
    states = tower.text_projection(tower(**batch).last_hidden_state)  # (K, L, D)
    return F.normalize(states[:, 1:][batch["attention_mask"][:, 1:].bool()], dim=-1)


def token_names(settings: TextEncoder) -> list[str]:
    """What a reader calls the T tokens of `encode_tokens`, in its order."""
    if settings.source == RANDOM:
        return [word for prompt in settings.prompts for word in prompt.split()]
    source, origin = _origin(settings)
    tokenizer = AutoTokenizer.from_pretrained(source, **origin)
    ids = tokenizer(list(settings.prompts))["input_ids"]
    return [tokenizer.decode([token]).strip() for of_prompt in ids for token in of_prompt[1:]]


def _origin(settings: TextEncoder) -> tuple[str, dict]:
    if settings.source == RENDERED:
        return str(found_encoder(settings.pretraining)), {"revision": None}
    return settings.source, {"revision": settings.revision}


def _load_text_tower(settings: TextEncoder) -> tuple:
    source, origin = _origin(settings)
    tokenizer = AutoTokenizer.from_pretrained(source, **origin)
    tower, report = CLIPTextModelWithProjection.from_pretrained(
        source, **origin, dtype=torch.float32, output_loading_info=True
    )
    if report["missing_keys"]:  # what is left over is CLIP's image tower
        raise ValueError(f"{source} does not hold a CLIP text tower: {sorted(report['missing_keys'])} are missing")
    return tokenizer, tower.eval()


def _random_direction(prompt: str, width: int) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:7])
    return torch.randn(width, generator=torch.Generator().manual_seed(seed))

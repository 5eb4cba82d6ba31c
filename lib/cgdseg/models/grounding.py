"""How text reaches the patches: the module that each value of `grounding` in the config stands for.

patches (B, C, h, w) -> (B, out_channels, h, w). Text comes as cached vectors, keys (K, D): no tower runs here."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cgdseg.config import systems
from cgdseg.models.text import encode_prompts, encode_tokens


class CrossAttention(nn.Module):
    """Slide "Cross-Attention Grounding": patches ask, the keys answer; residual and LayerNorm.

    With one key the softmax is 1 for every patch: the answer is one vector, computed once and not for each patch."""

    def __init__(self, keys: Tensor, channels: int, n_heads: int):
        super().__init__()
        self.register_buffer("keys", keys)
        self.projection = nn.Linear(keys.shape[-1], channels)
        self.attention = nn.MultiheadAttention(channels, n_heads, batch_first=True)
        self.norm = nn.LayerNorm(channels)
        self.out_channels = channels

    def forward(self, patches: Tensor) -> Tensor:
        tokens = patches.flatten(2).transpose(1, 2)  # (B, h*w, C)
        text = self.projection(self.keys)  # (K, C)
        attended = self.only_answer(text) if len(text) == 1 else self.attend(tokens, text)[0]
        return self.norm(tokens + attended).transpose(1, 2).unflatten(2, patches.shape[-2:])

    def attend(self, tokens: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (B, N, C), text (K, C) -> answers (B, N, C), weights (B, N, K) averaged over heads."""
        text = text.expand(len(tokens), -1, -1)
        return self.attention(tokens, text, text)

    def only_answer(self, text: Tensor) -> Tensor:
        """What `attend` answers to every token when text (1, C) is the only key: (1, C)."""
        weight, bias = (tensor.chunk(3)[2] for tensor in (self.attention.in_proj_weight, self.attention.in_proj_bias))
        return self.attention.out_proj(F.linear(text, weight, bias))


class Bias(nn.Module):
    """A learned vector where the text's answer would be: all that a single key can be."""

    def __init__(self, channels: int):
        super().__init__()
        self.vector = nn.Parameter(torch.zeros(channels))
        self.norm = nn.LayerNorm(channels)
        self.out_channels = channels

    def forward(self, patches: Tensor) -> Tensor:
        return self.norm(patches.movedim(1, 3) + self.vector).movedim(3, 1)


class Similarity(nn.Module):
    """Adds K maps: how much more each patch resembles one phrase than the others, as a softmax over cosines."""

    def __init__(self, keys: Tensor, channels: int):
        super().__init__()
        self.register_buffer("keys", F.normalize(keys, dim=-1))
        self.projection = nn.Linear(channels, keys.shape[-1])
        self.scale = nn.Parameter(torch.tensor(10.0))  # cosines are small; CLIP learned 100 for its own
        self.out_channels = channels + len(keys)

    def forward(self, patches: Tensor) -> Tensor:
        return torch.cat([patches, self.maps(patches)], dim=1)

    def maps(self, patches: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, K, h, w), which sum to 1 over K."""
        seen = F.normalize(self.projection(patches.movedim(1, 3)), dim=-1)  # (B, h, w, D)
        return (self.scale * seen @ self.keys.T).softmax(dim=-1).movedim(3, 1)


class Ungrounded(nn.Identity):
    """No text, and nothing in its place."""

    def __init__(self, channels: int):
        super().__init__()
        self.out_channels = channels


def build_grounding(settings: systems.CGDSeg, channels: int) -> nn.Module:
    """The stage S2 that `settings.grounding` names, for patches of `channels`."""
    text, form = settings.text, settings.grounding
    if form == "none":
        return Ungrounded(channels)
    if form == "bias":
        return Bias(channels)
    if form == "similarity":
        return Similarity(encode_prompts(text.model_copy(update={"prompts": text.phrases})), channels)
    if form == "tokens":
        keys = encode_tokens(text)
    else:
        source = text.model_copy(update={"source": "random"}) if form == "random" else text
        keys = encode_prompts(source)
    if form in ("anchor", "random"):
        keys = keys.mean(dim=0, keepdim=True)  # not renormalised, as in the slides
    return CrossAttention(keys, channels, settings.attention_heads)


def weight_maps(module: nn.Module, patches: Tensor) -> Tensor | None:
    """What a grounding gives each key at each patch, (B, K, h, w), summing to 1 over K; None where it has no keys."""
    if isinstance(module, Similarity):
        return module.maps(patches)
    if isinstance(module, CrossAttention):
        tokens, text = patches.flatten(2).transpose(1, 2), module.projection(module.keys)
        return module.attend(tokens, text)[1].transpose(1, 2).unflatten(2, patches.shape[-2:])
    return None


def offline_text(settings: systems.CGDSeg, grounding: nn.Module) -> dict:
    """Changes to settings that rebuild `grounding` for a checkpoint, which holds the keys, without a text tower."""
    if not hasattr(grounding, "keys"):
        return {"text": settings.text.model_copy(update={"source": "random", "revision": None})}
    count, width = grounding.keys.shape
    names = tuple(f"key {i}" for i in range(count))
    shape = {"source": "random", "revision": None, "width": width, "prompts": names, "phrases": names}
    form = "prompts" if settings.grounding == "tokens" else settings.grounding
    return {"text": settings.text.model_copy(update=shape), "grounding": form}

"""Prompts: fixed unit vectors without a tower, CLIP's own with one."""

import json

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from cgdseg.config import TextEncoder
from cgdseg.models.text import encode_prompts, encode_tokens, token_names


def test_random_prompts_are_unit_fixed_and_distinct():
    settings = TextEncoder(source="random", width=64)
    vectors = encode_prompts(settings)
    assert vectors.shape == (4, 64) and torch.allclose(vectors.norm(dim=1), torch.ones(4))
    assert torch.equal(vectors, encode_prompts(settings))
    assert (vectors @ vectors.T - torch.eye(4)).abs().max() < 0.6


def test_clip_text_tower_loads_from_a_folder(tmp_path):
    characters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    vocabulary = [*characters, *(c + "</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    (tmp_path / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt")).save_pretrained(tmp_path)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(vocabulary) - 2, "eos_token_id": len(vocabulary) - 1}
    config = CLIPTextConfig(vocab_size=len(vocabulary), projection_dim=8, **shape, **ends)
    CLIPTextModelWithProjection(config).save_pretrained(tmp_path)
    settings = TextEncoder(source=str(tmp_path), revision=None)
    vectors, tokens = encode_prompts(settings), encode_tokens(settings)
    assert vectors.shape == (4, 8) and torch.allclose(vectors.norm(dim=1), torch.ones(4), atol=1e-6)
    lengths = [len("".join(prompt.split())) + 1 for prompt in settings.prompts]  # a letter a token, and the end
    assert tokens.shape == (sum(lengths), 8)
    ends = torch.tensor(lengths).cumsum(0) - 1
    assert torch.allclose(tokens[ends], vectors, atol=1e-5)  # CLIP reads a prompt off its last token
    names = token_names(settings)
    assert len(names) == len(tokens) and "".join(names[:6]) == "sclera"

    tower = CLIPTextModelWithProjection.from_pretrained(tmp_path)
    tower.save_pretrained(tmp_path, state_dict={k: v for k, v in tower.state_dict().items() if "text_proj" not in k})
    with pytest.raises(ValueError, match="text_projection.weight"):
        encode_prompts(settings)

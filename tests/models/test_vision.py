"""Encoders: LoRA starts as the frozen model, positions fit the grid, real checkpoint formats load."""

import json

import pytest
import torch
from peft import LoraConfig
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer, Dinov2Config, Dinov2Model

from cgdseg.config.systems import Backbone, TextEncoder
from cgdseg.models.lora import add_lora, merge_lora
from cgdseg.models.text import encode_prompts, encode_tokens, token_names
from cgdseg.models.vision import backbone_without_weights, build_patch_encoder, resize_positions

TINY = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14, "image_size": 70}


@pytest.fixture
def dinov2_folder(tmp_path):
    Dinov2Model(Dinov2Config(**TINY)).save_pretrained(tmp_path / "dinov2")
    return tmp_path / "dinov2"


def encoder_from(folder, tuning="lora", size=(70, 70)):
    return build_patch_encoder(Backbone(source=str(folder), revision=None, tuning=tuning, lora_rank=4), size).eval()


def test_lora_at_start_equals_the_frozen_model(dinov2_folder):
    images = torch.rand(2, 3, 70, 70)
    with torch.no_grad():
        assert torch.equal(encoder_from(dinov2_folder)(images), encoder_from(dinov2_folder, "frozen")(images))


def test_patch_tokens_equal_transformers_own(dinov2_folder):
    images = torch.rand(1, 3, 70, 70)
    encoder = encoder_from(dinov2_folder, "frozen")
    reference = Dinov2Model.from_pretrained(dinov2_folder).eval()
    with torch.no_grad():
        tokens = reference((images - encoder.mean) / encoder.std).last_hidden_state[:, 1:]
        assert torch.allclose(encoder(images).flatten(2).transpose(1, 2), tokens, atol=1e-5)


def test_lora_shares_one_a_per_block_and_steps_apart_in_b(dinov2_folder):
    encoder = encoder_from(dinov2_folder)
    lora = {name: p for name, p in encoder.named_parameters() if "lora_" in name}
    assert sum(p.numel() for p in lora.values()) == 2 * (4 * 24 + 3 * 24 * 4)
    assert sum("lora_A" in name for name in lora) == 2 and sum("lora_B" in name for name in lora) == 6
    block = encoder.dinov2.encoder.layer[0].attention
    shared = [m.lora_A["default"].weight for m in block.modules() if hasattr(m, "lora_A")]
    assert shared[0] is shared[1] is shared[2]


def test_lora_equals_a_fused_qkv_adapter(dinov2_folder):
    """W0 x + (alpha / r) B A x with one A and the three B stacked (slide "LoRA Implementation")."""
    encoder = encoder_from(dinov2_folder)
    query, key, value = (m for m in encoder.dinov2.encoder.layer[0].modules() if hasattr(m, "lora_A"))
    projections = [query, key, value]
    with torch.no_grad():
        for projection in projections:
            projection.lora_B["default"].weight.normal_()
        x = torch.randn(5, 24)
        a = query.lora_A["default"].weight
        b = torch.cat([p.lora_B["default"].weight for p in projections])
        fused = torch.cat([p.base_layer(x) for p in projections], dim=-1) + (x @ a.T @ b.T) * (16 / 4)
        assert torch.allclose(torch.cat([p(x) for p in projections], dim=-1), fused, atol=1e-5)


def test_lora_target_count_is_checked(monkeypatch):
    model = Dinov2Model(Dinov2Config(**TINY))
    monkeypatch.setattr(
        "cgdseg.models.lora.LoraConfig", lambda **kwargs: LoraConfig(**kwargs | {"target_modules": ["fc1"]})
    )
    with pytest.raises(ValueError, match="LoRA found 2 projections, not 6"):
        add_lora(model, 4, 16.0)


def test_a_checkpoint_without_a_key_is_refused_by_name(dinov2_folder, tmp_path):
    model = Dinov2Model.from_pretrained(dinov2_folder)
    state = {k: v for k, v in model.state_dict().items() if k != "layernorm.weight"}
    model.save_pretrained(tmp_path / "broken", state_dict=state)
    with pytest.raises(ValueError, match="layernorm.weight"):
        encoder_from(tmp_path / "broken")


def test_positions_keep_their_place_when_resized():
    side = torch.linspace(0, 1, 37)
    grid = torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=-1).reshape(1, -1, 2)
    positions = torch.cat([torch.full((1, 1, 2), 7.0), grid], dim=1)
    resized = resize_positions(positions, (18, 24))
    assert resized.shape == (1, 1 + 18 * 24, 2) and (resized[:, 0] == 7).all()
    rows = resized[0, 1:].unflatten(0, (18, 24))[:, :, 0].mean(1)
    centres = (torch.arange(18) + 0.5) / 18
    assert (rows - (centres * 37 - 0.5) / 36)[1:-1].abs().max() < 0.01
    assert torch.equal(resize_positions(positions, (37, 37)), positions)


def test_plain_positions_equal_transformers_own(dinov2_folder):
    reference = Dinov2Model.from_pretrained(dinov2_folder).embeddings
    own = reference.interpolate_pos_encoding(torch.zeros(1, 1 + 3 * 4, 24), 3 * 14, 4 * 14)
    positions = reference.position_embeddings
    assert torch.allclose(resize_positions(positions, (3, 4), antialias=False), own, atol=1e-6)
    assert not torch.allclose(resize_positions(positions, (3, 4)), own, atol=1e-3)


def test_how_positions_are_resized_is_a_switch(dinov2_folder):
    images, outputs = torch.rand(1, 3, 42, 56), []
    for positions in ("antialias", "bicubic"):
        settings = Backbone(source=str(dinov2_folder), revision=None, tuning="frozen", positions=positions)
        encoder = build_patch_encoder(settings, (42, 56)).eval()
        with torch.no_grad():
            outputs.append(encoder(images))
    assert not torch.allclose(*outputs, atol=1e-4)
    default = Backbone(source=str(dinov2_folder), revision=None, tuning="frozen")
    with torch.no_grad():
        assert torch.equal(build_patch_encoder(default, (42, 56)).eval()(images), outputs[0])


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


@pytest.mark.parametrize(("normalise", "drops_out"), [("image", True), ("imagenet", False)])
def test_each_images_own_normalisation_makes_the_light_drop_out(dinov2_folder, normalise, drops_out):
    settings = Backbone(source=str(dinov2_folder), revision=None, tuning="frozen", normalise=normalise)
    encoder, images = build_patch_encoder(settings, (70, 70)).eval(), torch.rand(2, 3, 70, 70)
    dim_and_warm = images * torch.tensor([0.6, 0.5, 0.4])[:, None, None] + 0.1
    with torch.no_grad():
        assert torch.allclose(encoder(images), encoder(dim_and_warm), atol=0.02) == drops_out


def test_a_local_folders_shape_is_found_without_its_weights(dinov2_folder):
    (dinov2_folder / "model.safetensors").unlink()
    shape = backbone_without_weights(Backbone(source=str(dinov2_folder)))
    assert (shape.source, shape.patch_size, shape.hidden_size, shape.n_layers, shape.n_heads) == (
        "random",
        14,
        24,
        2,
        2,
    )


def test_merged_adapters_give_the_same_patches(dinov2_folder):
    encoder, images = encoder_from(dinov2_folder), torch.rand(2, 3, 70, 70)
    plain = encoder(images)
    for module in encoder.modules():
        if hasattr(module, "lora_B"):
            torch.nn.init.normal_(module.lora_B["default"].weight)
    with torch.no_grad():
        adapted = encoder(images)
        merge_lora(encoder)
        assert not torch.allclose(plain, adapted, atol=1e-3)
        assert torch.allclose(encoder(images), adapted, atol=1e-4)

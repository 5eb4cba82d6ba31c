"""Encoders of patches: positions fit the grid, real checkpoint formats load, images are normalised as asked."""

import pytest
import torch
from tiny_dinov2 import encoder_from
from transformers import Dinov2Model

from cgdseg.config import Backbone
from cgdseg.models.vision import backbone_without_weights, build_patch_encoder, resize_positions


def test_patch_tokens_equal_transformers_own(dinov2_folder):
    images = torch.rand(1, 3, 70, 70)
    encoder = encoder_from(dinov2_folder, "frozen")
    reference = Dinov2Model.from_pretrained(dinov2_folder).eval()
    with torch.no_grad():
        tokens = reference((images - encoder.mean) / encoder.std).last_hidden_state[:, 1:]
        assert torch.allclose(encoder(images).flatten(2).transpose(1, 2), tokens, atol=1e-5)


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

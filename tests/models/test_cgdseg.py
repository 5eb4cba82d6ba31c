"""CGDSeg: the slides' numbers, and every switch of its own."""

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from cgdseg.config import systems
from cgdseg.models.cgdseg import CLIP_TEXT_TOWER
from cgdseg.models.inspect import parameter_counts, parameter_table, trace
from cgdseg.models.registry import build_system
from cgdseg.studies.anatomy.cgdseg import paper_counts, paper_size
from cgdseg.studies.claims.ledger import budget


@pytest.fixture(scope="module")
def paper() -> torch.nn.Module:
    """CGDSeg at the slides' size with random weights."""
    return build_system(paper_size()).eval()


def test_only_the_slides_parts_learn(tiny_cgdseg):
    model = build_system(tiny_cgdseg)
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, _ in model.named_parameters() if n.startswith("backbone.") and "lora_" not in n}


@pytest.mark.parametrize("tuning", ["lora", "full", "frozen"])
def test_tuning_decides_what_the_backbone_learns(tiny_cgdseg, tuning):
    settings = tiny_cgdseg.model_copy(update={"backbone": tiny_cgdseg.backbone.model_copy(update={"tuning": tuning})})
    table = parameter_table(settings, build_system(settings)).set_index("part")
    assert (table.trainable["DINOv2"] > 0) == (tuning == "full")
    assert (table.trainable["LoRA"] > 0) == (tuning == "lora")


def test_parameters_at_paper_size(paper):
    table = parameter_table(paper_size(), paper).set_index("part")
    expected = {
        "LoRA": 147_456,
        "text projection": 196_992,
        "cross-attention": 591_360,
        "norm": 768,
        "pyramid": 260_064,
        "decoder 1": 868_097,
        "decoder 2": 687_937,
        "decoder 3": 358_657,
        "head": 73_985,
    }
    assert table.trainable[table.trainable > 0].to_dict() == expected
    assert table.trainable.sum() == 3_185_316
    assert table.parameters["DINOv2"] == 21_654_912
    assert table.parameters.sum() + CLIP_TEXT_TOWER == 88_268_324


def test_shape_trace_of_the_slides(paper):
    outputs = trace(paper, torch.rand(1, 3, 256, 256))
    shapes = {
        "backbone": (1, 384, 18, 18),
        "grounding.projection": (1, 384),
        "grounding.norm": (1, 324, 384),
        "grounding": (1, 384, 18, 18),
        "decoder.0.dense.layers.0.0": (1, 576, 32, 32),
        "decoder.0.dense": (1, 704, 32, 32),
        "decoder.0": (1, 512, 32, 32),
        "decoder.1.dense.layers.0.0": (1, 608, 64, 64),
        "decoder.1.dense": (1, 736, 64, 64),
        "decoder.1": (1, 256, 64, 64),
        "decoder.2.dense.layers.0.0": (1, 256, 128, 128),
        "decoder.2.dense": (1, 384, 128, 128),
        "decoder.2": (1, 128, 128, 128),
        "head.layers.0": (1, 64, 256, 256),
        "head": (1, 1, 256, 256),
    }
    assert {name: tuple(outputs[name].shape) for name in shapes} == shapes
    assert [tuple(level.shape) for level in outputs["pyramid"]] == [(1, 96, 64, 64), (1, 192, 32, 32), (1, 384, 16, 16)]


def test_last_four_pixels_are_not_seen_at_256(paper):
    """256 = 18 * 14 + 4: the patch embedding drops the rest, a flaw of the slides' size that we keep and state."""
    images = torch.rand(1, 3, 256, 256)
    changed = images.clone()
    changed[..., 252:, :] = 0
    changed[..., 252:] = 0
    with torch.no_grad():
        assert torch.equal(paper.backbone(images), paper.backbone(changed))


def test_one_text_key_adds_the_same_vector_to_every_patch(paper):
    """softmax over one key is 1: what the slides call relevance cannot vary over the image."""
    with torch.no_grad():
        tokens = torch.randn(2, 324, 384)
        text = paper.grounding.projection(paper.grounding.keys).expand(2, -1, -1)
        attended, weights = paper.grounding.attention(tokens, text, text)
    assert torch.equal(weights, torch.ones_like(weights))
    assert (attended - attended[:1, :1]).abs().max() < 1e-5


def test_the_text_towers_count_is_that_of_clip():
    with torch.device("meta"):
        tower = CLIPTextModelWithProjection(CLIPTextConfig(projection_dim=512))  # ViT-B/32's shape is the default
    assert sum(p.numel() for p in tower.parameters()) == CLIP_TEXT_TOWER


def test_claims_are_compared_part_by_part(paper):
    table = budget(paper_counts(parameter_table(paper_size(), paper))).set_index("part")
    assert table.counted["all trainable"] == 3_185_316 and table.counted["total"] == 88_268_324
    assert abs(table["difference %"]["total"]) < 0.1 and table["difference %"]["LoRA"] < -70


def test_the_detail_skip_is_there_only_when_asked_for_and_carries_pixels(tiny_cgdseg):
    torch.manual_seed(0)
    settings = tiny_cgdseg.model_copy(update={"detail": 4})
    plain, detailed = build_system(tiny_cgdseg), build_system(settings).eval()
    assert plain.detail is None and "detail" in parameter_table(settings, detailed).part.tolist()
    images = torch.rand(1, 3, *settings.input_size, requires_grad=True)
    assert detailed(images).shape == (1, 1, *settings.input_size)
    assert trace(detailed, images.detach())["detail"].shape == (1, 4, 16, 24)


def test_adapters_apart_have_an_a_for_each_projection():
    apart = systems.CGDSeg(backbone={"lora_shared": False})
    assert parameter_counts(apart)["lora"] == 12 * 6 * 8 * 384


def test_the_grid_is_a_switch(tiny_cgdseg):
    backbone = tiny_cgdseg.backbone.model_copy(update={"patch_size": 7})
    images, outputs = torch.rand(1, 3, *tiny_cgdseg.input_size), []
    for grid in ("stretched", "aligned"):
        torch.manual_seed(0)
        settings = tiny_cgdseg.model_copy(update={"backbone": backbone, "grid": grid})
        outputs.append(build_system(settings).eval()(images))
    assert not torch.allclose(*outputs, atol=1e-6)


@pytest.mark.parametrize("detail", [0, 4])
def test_sides_that_14_divides_are_seen_whole_and_come_back(tiny_cgdseg, detail):
    """252 x 336 is 18 x 24 patches, 4:3 to the pixel; 16, the step of the pyramid, divides the width alone."""
    backbone = tiny_cgdseg.backbone.model_copy(update={"patch_size": 14})
    changes = {"input_size": (252, 336), "backbone": backbone, "detail": detail}
    model = build_system(tiny_cgdseg.model_copy(update=changes)).eval()
    images = torch.rand(1, 3, 252, 336, requires_grad=True)
    patches = model.backbone(images)
    assert patches.shape == (1, 24, 18, 24)
    (seen,) = torch.autograd.grad(patches.square().sum(), images)
    assert (seen.abs().sum(1) > 0).all()
    assert model(images).shape == (1, 1, 252, 336)

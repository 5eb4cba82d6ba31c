"""The contract every system keeps, and CGDSeg's numbers on the slides."""

import json
from typing import get_args

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModelWithProjection
from typer.testing import CliRunner

from cgdseg.cli.shared import app
from cgdseg.config import systems
from cgdseg.models.cgdseg import CLIP_TEXT_TOWER
from cgdseg.models.inspect import cost_table, parameter_counts, parameter_table, trace
from cgdseg.models.layers import UPSAMPLERS, BedOfNails, Pyramid, fold_norms, resize, resize_aligned
from cgdseg.models.registry import build_system, offline_settings
from cgdseg.studies.anatomy.cgdseg import paper_counts, paper_size, shown_cgdseg
from cgdseg.studies.claims.ledger import budget
from cgdseg.training.losses import dice_bce


@pytest.fixture(scope="module")
def paper() -> torch.nn.Module:
    """CGDSeg at the slides' size with random weights."""
    return build_system(paper_size()).eval()


@pytest.mark.parametrize("kind", systems.SYSTEMS)
def test_contract(kind, tiny_systems):
    settings = tiny_systems[kind]
    model = build_system(settings)
    images = torch.rand(2, 3, *settings.input_size)
    logits = model(images)
    assert logits.shape == (2, 1, *settings.input_size)
    dice_bce(logits, (logits > 0).float()).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        else:
            assert parameter.grad is None, name


@pytest.mark.parametrize("kind", systems.SYSTEMS)
def test_offline_settings_rebuild_the_same_shapes(kind, tiny_systems):
    model = build_system(tiny_systems[kind])
    again = build_system(offline_settings(tiny_systems[kind], model))
    assert {n: t.shape for n, t in model.state_dict().items()} == {n: t.shape for n, t in again.state_dict().items()}


def test_every_kind_of_settings_has_a_module_and_is_tested(tiny_systems, monkeypatch):
    kinds = {get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(systems.System)[0])}
    assert kinds == set(systems.SYSTEMS) == set(tiny_systems), "SYSTEMS and tiny_systems must name the same kinds"
    monkeypatch.delattr("cgdseg.models.zoo.unet.build")
    with pytest.raises(ValueError, match="zoo.unet, which builds the kind unet, has no build: add it"):
        build_system(tiny_systems["unet"])


def test_a_config_without_a_cgdseg_shows_that_of_smoke(tiny_config, tiny_unet):
    assert shown_cgdseg(tiny_config)[0] == shown_cgdseg(tiny_config, "cgdseg")[0] == "cgdseg"
    with pytest.raises(ValueError, match="no CGDSeg called unet"):
        shown_cgdseg(tiny_config, "unet")
    name, settings = shown_cgdseg(tiny_config.model_copy(update={"systems": {"unet": tiny_unet}}))
    assert name == "cgdseg of smoke" and settings.input_size == tiny_unet.input_size


def test_wrong_size_is_refused_with_the_mend(tiny_cgdseg):
    with pytest.raises(ValueError, match=r"resize them to \(32, 48\)"):
        build_system(tiny_cgdseg)(torch.rand(1, 3, 48, 32))


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


@pytest.mark.parametrize("kind", systems.SYSTEMS)
def test_cost_by_part_adds_up_to_the_whole(kind, tiny_systems):
    model = build_system(tiny_systems[kind])
    images = torch.rand(1, 3, *tiny_systems[kind].input_size)
    table = cost_table(model, images, repeats=1)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(images)
    assert table.GFLOP.sum() == pytest.approx(counter.get_total_flops() / 1e9, rel=1e-6)
    assert (table.ms > 0).all()


def test_the_detail_skip_is_there_only_when_asked_for_and_carries_pixels(tiny_cgdseg):
    torch.manual_seed(0)
    settings = tiny_cgdseg.model_copy(update={"detail": 4})
    plain, detailed = build_system(tiny_cgdseg), build_system(settings).eval()
    assert plain.detail is None and "detail" in parameter_table(settings, detailed).part.tolist()
    images = torch.rand(1, 3, *settings.input_size, requires_grad=True)
    assert detailed(images).shape == (1, 1, *settings.input_size)
    assert trace(detailed, images.detach())["detail"].shape == (1, 4, 16, 24)


def test_parameters_are_counted_without_a_download(tmp_path):
    done = CliRunner().invoke(app, ["parameters", "--config", "ssbc2026", "--json", str(tmp_path / "counts.json")])
    assert done.exit_code == 0, done.output
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts["trainable"], counts["total"], counts["lora"]) == (3_185_316, 88_268_324, 147_456)
    assert sum(counts.values()) == counts["trainable"] + 2 * counts["total"]
    assert "has no system x" in CliRunner().invoke(app, ["parameters", "--system", "x"]).output
    strange = systems.CGDSeg(backbone={"source": "someone/else"})
    with pytest.raises(ValueError, match="someone/else is not known without a download"):
        parameter_counts(strange)


def test_adapters_apart_have_an_a_for_each_projection():
    apart = systems.CGDSeg(backbone={"lora_shared": False})
    assert parameter_counts(apart)["lora"] == 12 * 6 * 8 * 384


@pytest.mark.parametrize("kind", UPSAMPLERS)
def test_every_upsampling_doubles_and_differs(kind, tiny_cgdseg):
    features = torch.rand(1, 4, 3, 5)
    assert UPSAMPLERS[kind](4)(features).shape == (1, 4, 6, 10)
    images, outputs = torch.rand(1, 3, *tiny_cgdseg.input_size), []
    for upsample in (kind, "nearest" if kind == "bilinear" else "bilinear"):
        torch.manual_seed(0)
        outputs.append(build_system(tiny_cgdseg.model_copy(update={"upsample": upsample})).eval()(images))
    assert not torch.allclose(*outputs, atol=1e-6)


@pytest.mark.parametrize("kind", systems.SYSTEMS)
def test_folded_norms_change_nothing(kind, tiny_systems):
    settings = tiny_systems[kind]
    model, images = build_system(settings), torch.rand(4, 3, *settings.input_size)
    model(images)  # statistics of their own for the batch norms
    norms = sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.eval().modules())
    with torch.no_grad():
        plain = model(images)
        fold_norms(model)
        assert torch.allclose(model(images), plain, atol=1e-4)
    left = sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    assert not norms or left < norms or kind == "segformer"  # whose only norm stands apart from its convolution


def test_bed_of_nails_keeps_each_value_once():
    features = torch.rand(2, 3, 4, 5)
    nails = BedOfNails()(features)
    assert torch.equal(nails[..., ::2, ::2], features) and nails.sum() == pytest.approx(features.sum().item(), rel=1e-5)


def test_upsamplings_offered_are_those_known():
    assert set(get_args(systems.Upsampling)) == set(UPSAMPLERS)


def test_the_pyramid_equals_resizing_first():
    pyramid, grid = Pyramid(12, (4, 6, 8), coarse=(4, 5)).eval(), torch.rand(2, 12, 6, 7)
    for i, (level, size) in enumerate(zip(pyramid.levels, pyramid.sizes, strict=True)):
        assert torch.allclose(pyramid(grid)[i], level(resize(grid, size)), atol=1e-6)


def test_an_aligned_grid_leaves_each_patch_where_it_was():
    features = torch.rand(2, 3, 4, 6)
    assert torch.allclose(resize_aligned(features, (9, 7), (1.0, 1.0)), resize(features, (9, 7)), atol=1e-6)
    ramp = torch.arange(18.0).expand(1, 1, 18, 18)  # a value a patch of 14 pixels, of 256
    aligned = resize_aligned(ramp, (256, 256), (252 / 256, 252 / 256))[0, 0, 100]
    pixels = torch.arange(256.0)
    assert torch.allclose(aligned, ((pixels + 0.5) / 14 - 0.5).clamp(0, 17), atol=1e-4)


def test_the_grid_is_a_switch(tiny_cgdseg):
    backbone = tiny_cgdseg.backbone.model_copy(update={"patch_size": 7})
    images, outputs = torch.rand(1, 3, *tiny_cgdseg.input_size), []
    for grid in ("stretched", "aligned"):
        torch.manual_seed(0)
        settings = tiny_cgdseg.model_copy(update={"backbone": backbone, "grid": grid})
        outputs.append(build_system(settings).eval()(images))
    assert not torch.allclose(*outputs, atol=1e-6)


def test_segformer_has_the_size_of_b0():
    assert parameter_counts(systems.SegFormer())["total"] == pytest.approx(3.7e6, rel=0.02)  # Xie et al., table 1


def unpooled_by_hand(fine: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """`values` (C, h, w) at the places of the maxima of 2x2 pixels of `fine` (C, H, W), zero elsewhere."""
    result = torch.zeros_like(fine)
    for c, y, x in torch.cartesian_prod(*map(torch.arange, values.shape)).tolist():
        row, column = divmod(int(fine[c, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].argmax()), 2)
        result[c, 2 * y + row, 2 * x + column] = values[c, y, x]
    return result


@pytest.mark.parametrize("size", [(16, 24), (21, 31)])  # 21 -> 10 -> 5 and 31 -> 15 -> 7: every stage drops a pixel
def test_segnet_puts_values_back_where_its_maxima_were(size):
    outputs = trace(build_system(systems.SegNet(input_size=size, channels=(4, 6))), torch.rand(1, 3, *size))
    fine, coarse, decoded = (outputs[name][0] for name in ("encoder.0", "encoder.1", "decoder.0"))
    assert torch.equal(outputs["unpool.0"][0], unpooled_by_hand(coarse, torch.nn.functional.max_pool2d(coarse, 2)))
    assert torch.equal(outputs["unpool.1"][0], unpooled_by_hand(fine, decoded))
    assert outputs["head"].shape[-2:] == size


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

"""Layers: upsampling, the pyramid, folded norms."""

from typing import get_args

import pytest
import torch

from cgdseg.config import SYSTEMS, systems
from cgdseg.models.layers import UPSAMPLERS, BedOfNails, Pyramid, fold_norms, resize, resize_aligned
from cgdseg.models.registry import build_system


@pytest.mark.parametrize("kind", UPSAMPLERS)
def test_every_upsampling_doubles_and_differs(kind, tiny_cgdseg):
    features = torch.rand(1, 4, 3, 5)
    assert UPSAMPLERS[kind](4)(features).shape == (1, 4, 6, 10)
    images, outputs = torch.rand(1, 3, *tiny_cgdseg.input_size), []
    for upsample in (kind, "nearest" if kind == "bilinear" else "bilinear"):
        torch.manual_seed(0)
        outputs.append(build_system(tiny_cgdseg.model_copy(update={"upsample": upsample})).eval()(images))
    assert not torch.allclose(*outputs, atol=1e-6)


@pytest.mark.parametrize("kind", SYSTEMS)
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

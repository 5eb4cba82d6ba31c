"""The contract every system keeps, and the settings that build it."""

from typing import get_args

import pytest
import torch

from cgdseg.config import systems
from cgdseg.models.registry import build_system, offline_settings
from cgdseg.studies.anatomy.cgdseg import shown_cgdseg
from cgdseg.training.losses import dice_bce


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

"""Every form of grounding: shapes, gradients, that the switch matters, and what one key amounts to."""

import itertools
from typing import get_args

import pytest
import torch

from cgdseg.config import systems
from cgdseg.models.grounding import Bias, CrossAttention, Similarity
from cgdseg.models.inspect import parameter_table
from cgdseg.models.registry import build_system, offline_settings
from cgdseg.studies.anatomy import grounding
from cgdseg.training.losses import dice_bce

FORMS = get_args(systems.CGDSeg.model_fields["grounding"].annotation)


def build(settings: systems.CGDSeg, form: str, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = build_system(settings.model_copy(update={"grounding": form})).eval()
    if form == "bias":
        torch.nn.init.normal_(model.grounding.vector)  # it starts at zero, as `none` does
    return model


@pytest.mark.parametrize("form", FORMS)
def test_contract(tiny_cgdseg, form):
    model = build(tiny_cgdseg, form).train()
    logits = model(torch.rand(2, 3, *tiny_cgdseg.input_size))
    assert logits.shape == (2, 1, *tiny_cgdseg.input_size)
    dice_bce(logits, (logits > 0).float()).backward()
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learning.values())
    counted = parameter_table(tiny_cgdseg, model)
    assert counted.parameters.sum() == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_of_any_form_loads_without_a_text_tower(tiny_cgdseg, form):
    settings = tiny_cgdseg.model_copy(update={"grounding": form})
    model, images = build(tiny_cgdseg, form), torch.rand(1, 3, *settings.input_size)
    again = build_system(offline_settings(settings, model)).eval()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(images), again(images))


def test_every_form_gives_another_output(tiny_cgdseg):
    images = torch.rand(1, 3, *tiny_cgdseg.input_size)
    with torch.no_grad():
        outputs = {form: build(tiny_cgdseg, form)(images) for form in FORMS}
    assert torch.equal(outputs.pop("random"), outputs["anchor"])  # the tiny config's own text is random already
    for one, other in itertools.combinations(outputs, 2):
        assert not torch.allclose(outputs[one], outputs[other], atol=1e-6), (one, other)


def test_one_keys_answer_equals_full_attention():
    module = CrossAttention(torch.randn(1, 16), channels=24, n_heads=2)
    torch.nn.init.normal_(module.attention.in_proj_bias)
    tokens, text = torch.randn(3, 35, 24), module.projection(module.keys)
    attended, weights = module.attend(tokens, text)
    assert (weights == 1).all()
    assert torch.allclose(attended, module.only_answer(text).expand_as(attended), atol=1e-6)


def test_several_keys_let_patches_differ():
    module = CrossAttention(torch.randn(4, 16), channels=24, n_heads=2)
    attended, weights = module.attend(torch.randn(1, 35, 24), module.projection(module.keys))
    assert torch.allclose(weights.sum(-1), torch.ones(1, 35), atol=1e-6)
    assert weights.std(dim=1).min() > 0 and (attended - attended[:, :1]).abs().max() > 1e-3


def test_similarity_maps_are_shares_and_find_their_phrase():
    keys = torch.eye(5)
    module = Similarity(keys, channels=5)
    torch.nn.init.eye_(module.projection.weight)
    torch.nn.init.zeros_(module.projection.bias)
    patches = keys[torch.tensor([[0, 3], [4, 1]])].permute(2, 0, 1)[None]  # (1, 5, 2, 2)
    maps = module.maps(patches)
    assert torch.allclose(maps.sum(1), torch.ones(1, 2, 2))
    assert maps.argmax(1).tolist() == [[[0, 3], [4, 1]]]
    assert module(patches).shape == (1, module.out_channels, 2, 2)


def test_a_bias_starts_as_nothing():
    patches = torch.randn(2, 24, 3, 4)
    module = Bias(24)
    assert torch.allclose(module(patches), module.norm(patches.movedim(1, 3)).movedim(3, 1))


@pytest.mark.parametrize("form", ["bias", "none"])
def test_without_text_the_prompts_do_not_matter(tiny_cgdseg, form):
    other = tiny_cgdseg.model_copy(update={"text": tiny_cgdseg.text.model_copy(update={"prompts": ("a", "b")})})
    images = torch.rand(1, 3, *tiny_cgdseg.input_size)
    with torch.no_grad():
        assert torch.equal(build(tiny_cgdseg, form)(images), build(other, form)(images))
        assert not torch.equal(build(tiny_cgdseg, "anchor")(images), build(other, "anchor")(images))


def test_forms_are_compared_on_the_same_patches(tiny_cgdseg):
    table = grounding.compare_groundings(tiny_cgdseg, torch.randn(2, 32, 6, 8)).set_index("form")
    assert set(table.index) == set(FORMS)
    for form in ("anchor", "random"):
        assert table.loc[form, "keys"] == 1 and table.loc[form, "differs by"] == 0
        assert table.loc[form, "never learn"] == 2 * (32 * 32 + 32)  # queries and keys: weights and biases
    assert table.loc["prompts", "never learn"] == 32  # a bias of the keys moves all weights alike, and softmax drops it
    assert (table.loc[["prompts", "tokens", "similarity"], "differs by"] > 1e-3).all()
    assert table.loc["bias", "parameters"] == 3 * 32 and table.loc["none", "parameters"] == 0
    said = grounding.read_groundings(table.reset_index())
    assert "`anchor`, `random`" in said and f"{2 * (32 * 32 + 32):,}" in said
    maps = grounding.weights_of(tiny_cgdseg, "similarity", torch.randn(1, 32, 6, 8))
    assert maps.shape == (7, 6, 8) and maps.sum(0) == pytest.approx(1)

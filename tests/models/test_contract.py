"""One contract for whatever predicts: every system, the model that ships, and what learned nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cgdseg.config import SYSTEMS
from cgdseg.models.contract import answered, predict_all, sclera_of
from cgdseg.models.predictor import Segmenter, load_segmenter
from cgdseg.models.registry import build_system
from cgdseg.models.zoo.baselines import BASELINES
from cgdseg.studies.gap.remedies import Changed, Zoomed

CLASSES = ("sclera", "iris", "pupil")


def ready(settings, classes=CLASSES) -> Segmenter:
    """An untrained system, ready to predict."""
    torch.manual_seed(0)
    model = build_system(settings.model_copy(update={"classes": classes})).eval()
    shape = {"input_size": settings.input_size, "classes": classes}
    return Segmenter(name="tiny", model=model, **shape, threshold=0.5, device=torch.device("cpu"))


@pytest.fixture(params=[*SYSTEMS, *BASELINES, "release", "changed", "zoomed"])
def predictor(request, tiny_systems, tiny_unet):
    made = {
        **{kind: lambda kind=kind: ready(tiny_systems[kind]) for kind in SYSTEMS},
        **{name: lambda name=name: BASELINES[name] for name in BASELINES},
        "release": lambda: load_segmenter(device="cpu"),
        "changed": lambda: Changed(ready(tiny_unet), lambda image: 255 - image),
        "zoomed": lambda: Zoomed(ready(tiny_unet), (0.8, 1.0)),
    }
    return made[request.param]()


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (40, 56, 3), np.uint8), rng.integers(0, 255, (30, 31, 3), np.uint8)]


def test_a_map_a_prompt_at_the_image_s_size_or_any_other(predictor, images):
    everything = predictor.predict(images)
    for image, maps in zip(images, everything, strict=True):
        assert maps.dtype == np.float32 and maps.ndim == 3 and maps.shape[1:] == image.shape[:2]
        assert maps.min() >= 0 and maps.max() <= 1
    sclera = predictor.predict(images, ("sclera",))
    assert all(np.array_equal(one[0], maps[0]) for one, maps in zip(sclera, everything, strict=True))
    assert [maps.shape[1:] for maps in predictor.predict(images, size=(24, 32))] == [(24, 32)] * 2
    assert sclera_of(predictor, images, (24, 32), batch_size=1).shape == (2, 24, 32)


def test_what_it_does_not_know_it_says(predictor, images):
    with pytest.raises(ValueError, match="cannot be asked for 'eyebrow': it finds sclera"):
        predictor.predict(images, ("eyebrow",))


def test_prompts_choose_and_order_the_maps(tiny_unet, images):
    segmenter = ready(tiny_unet)
    maps, turned = segmenter.predict(images[:1])[0], segmenter.predict(images[:1], ("pupil", "sclera"))[0]
    assert np.array_equal(turned, maps[[2, 0]])
    assert answered(None, CLASSES) == [0, 1, 2] and answered(("iris",), CLASSES) == [1]
    cooler = replace(segmenter, temperature=4.0).predict(images[:1])[0]
    assert (np.abs(cooler - 0.5) <= np.abs(maps - 0.5) + 1e-6).all() and not np.allclose(cooler, maps)


def test_batches_change_nothing(tiny_unet, images):
    segmenter = ready(tiny_unet, ("sclera",))
    five = [images[0]] * 2 + [255 - images[0]] * 3
    whole, parts = (predict_all(segmenter, five, batch_size=size) for size in (5, 2))
    assert whole.shape == (5, 1, 40, 56) and np.allclose(whole, parts, atol=1e-6)

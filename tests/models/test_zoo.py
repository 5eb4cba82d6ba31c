"""The comparators: SegFormer has B0's size, SegNet unpools where its maxima were."""

import pytest
import torch

from cgdseg.config import systems
from cgdseg.models.inspect import parameter_counts, trace
from cgdseg.models.registry import build_system


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

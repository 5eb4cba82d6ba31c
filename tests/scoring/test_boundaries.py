"""Border scores against other people's code, all pairs of pixels, and shapes whose answer is known."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.distance import cdist

from cgdseg.scoring.boundaries import border, border_distances, border_scores


def square(row: int, column: int, side: int = 10, shape=(40, 60)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[row : row + side, column : column + side] = True
    return mask


@pytest.fixture(scope="module")
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Blobs with holes, many of which touch the frame, specks among them, and squares."""
    rng, found = np.random.default_rng(3), []
    for spread in (2, 3, 5, 8, 8):
        fields = (cv2.GaussianBlur(rng.normal(size=(47, 61)), (0, 0), spread) for _ in range(2))
        found.append(tuple(field > np.quantile(field, rng.uniform(0.5, 0.95)) for field in fields))
    speck = np.zeros((40, 60), bool)
    speck[20, 30] = True
    return [*found, (square(5, 5), square(9, 8)), (speck, square(0, 0))]


def all_pairs(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    edges = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) for mask in (predicted, truth)]
    distances = cdist(*edges)
    return distances.min(axis=1), distances.min(axis=0)


def test_distances_equal_those_of_all_pairs(pairs):
    for predicted, truth in pairs:
        for mine, theirs in zip(border_distances(predicted, truth), all_pairs(predicted, truth), strict=True):
            assert np.allclose(mine, theirs, atol=1e-4)


def test_scores_equal_those_of_all_pairs(pairs):
    for predicted, truth in pairs:
        found, (away, back) = border_scores(predicted, truth, (1, 2, 1.5)), all_pairs(predicted, truth)
        assert found["hd95"] == pytest.approx(max(np.percentile(away, 95), np.percentile(back, 95)), abs=1e-4)
        for tolerance in (1, 1.5, 2):
            precision, recall = (away <= tolerance).mean(), (back <= tolerance).mean()
            expected = 2 * precision * recall / max(precision + recall, 1e-12)
            assert found[f"boundary_f_{tolerance}px"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy")
def test_scores_equal_monais(pairs):
    """MONAI's surface Dice counts the pixels of both borders together; ours is the harmonic mean of their shares."""
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice
    from monai.metrics.utils import get_mask_edges

    for predicted, truth in pairs:
        edges = get_mask_edges(predicted, truth, crop=False)
        assert all((border(mask) == edge).all() for mask, edge in zip((predicted, truth), edges, strict=True))
        found = border_scores(predicted, truth)
        tensors = [torch.from_numpy(mask)[None, None].float() for mask in (predicted, truth)]
        far = compute_hausdorff_distance(*tensors, include_background=True, percentile=95)
        assert found["hd95"] == pytest.approx(far.item(), abs=1e-4)
        near = compute_surface_dice(*tensors, class_thresholds=[2.0], include_background=True).item()
        away, back = border_distances(predicted, truth)
        assert near == pytest.approx(np.concatenate([away, back]).__le__(2).mean(), abs=1e-6)


def test_a_square_that_moved_is_as_far_away_as_it_moved():
    found = border_scores(square(10, 10), square(10, 13))
    assert found["hd95"] == 3
    # Of 36 border pixels, the two rows of 7 that both share are near, and 1 px further both columns' neighbours are
    assert border_scores(square(10, 10), square(10, 11))["boundary_f_1px"] == 1
    assert border_scores(square(10, 10), square(30, 40))["boundary_f_2px"] == 0


def test_perfect_masks_and_order_do_not_matter(pairs):
    for predicted, truth in pairs:
        assert border_scores(truth, truth) == {"boundary_f_1px": 1, "boundary_f_2px": 1, "hd95": 0}
        assert border_scores(predicted, truth) == pytest.approx(border_scores(truth, predicted))


def test_empty_masks_have_a_convention():
    nothing, something = np.zeros((30, 40), bool), square(5, 5, shape=(30, 40))
    assert np.isnan(list(border_scores(nothing, nothing).values())).all()
    for pair in ((nothing, something), (something, nothing)):
        assert border_scores(*pair) == {"boundary_f_1px": 0, "boundary_f_2px": 0, "hd95": 50}
    with pytest.raises(ValueError, match="border_scores"):
        border_distances(nothing, something)


def test_outside_the_picture_is_background():
    full = np.ones((5, 7), bool)
    assert border(full).sum() == 2 * (5 + 7) - 4


def test_sizes_must_agree():
    with pytest.raises(ValueError, match="resize one of them"):
        border_scores(np.ones((2, 2), bool), np.ones((2, 3), bool))


def test_distances_are_roots_of_whole_numbers():
    """To the last bit: in float32 they would hang on where in memory a picture lies."""
    rng = np.random.default_rng(0)
    masks = [rng.random((60, 80)) < share for share in (0.01, 0.02)]
    for distances in border_distances(*masks):
        assert distances.dtype == np.float64 and np.array_equal(distances, np.sqrt(np.rint(distances**2)))

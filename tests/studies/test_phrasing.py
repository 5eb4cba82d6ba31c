"""A difference in points, with and without an interval."""

import numpy as np

from cgdseg.studies.phrasing import in_points


def test_points_carry_their_sign_and_their_interval():
    assert in_points(0.1234, 0.05, -0.2) == "+12.3 points (+5.0 to -20.0)"
    assert in_points(-0.001, np.nan, np.nan) == "-0.1 points"

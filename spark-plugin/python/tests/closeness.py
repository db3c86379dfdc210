"""Comparison of the same computation done by two libraries in float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

TOLERANCE = 1e-5


def assert_close(found: ArrayLike, expected: ArrayLike) -> None:
    """Checks that values differ by at most `TOLERANCE` of the largest expected one, or of 1.

    The bound is not relative to each value: a small output is a sum of terms as large as those
    of the others, and each library adds them up in an order of its own.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    largest = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * largest)

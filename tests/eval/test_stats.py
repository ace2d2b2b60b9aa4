"""Tables of features: what is no table of finite numbers is refused."""

from __future__ import annotations

import numpy as np
import pytest

from eval.stats import checked


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_refused(bad: float) -> None:
    x = np.zeros((5, 2), np.float32)
    x[3, 1] = bad
    with pytest.raises(ValueError, match="1 of 5 samples hold NaN"):
        checked(x)


def test_shapes_and_counts_are_refused_with_what_is_needed() -> None:
    assert checked(np.ones((2, 4), np.float32)).dtype == np.float64
    with pytest.raises(ValueError, match="at least 2"):
        checked(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="must be a table"):
        checked(np.zeros(4))

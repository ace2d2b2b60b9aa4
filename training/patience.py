"""Threads that sleep while they wait, on a machine that others use too.

OpenMP threads spin for milliseconds at the end of every parallel loop. On two cores that are also busy with something
else, the one that spins takes the place of the one that is waited for: a training step of 0.7 s was seen to take 18 s.
"""

from __future__ import annotations

import os


def wait_asleep() -> None:
    """Choose waiting asleep unless the user chose otherwise. It counts where torch has not been imported yet."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

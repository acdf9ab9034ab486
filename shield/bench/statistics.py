"""What benchmarks say of many photos."""

import sys
from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Mean and 95 % bootstrap interval over photos: (mean, low, high)."""
    sample = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(len(sample), size=(RESAMPLES, len(sample)))
    low, high = np.percentile(sample[draws].mean(1), (2.5, 97.5))
    return float(sample.mean()), float(low), float(high)


def spread(values: Sequence[float]) -> str:
    """Mean and interval, for a table: "0.500 [0.25, 0.75]"; nothing of nothing."""
    if not values:
        return ""
    mean, low, high = interval(values)
    return f"{mean:.3f} [{low:.2f}, {high:.2f}]"


def peak_memory() -> float:
    """The most memory this process has held so far, in GB; not a number where the system keeps no account of it."""
    try:
        import resource  # Windows has none
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9

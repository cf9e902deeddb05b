"""The uncertainty of an accuracy."""

from __future__ import annotations

from scipy.stats import norm

CONFIDENCE = 0.95


def wilson_interval(correct: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the confidence interval of an accuracy of ``correct`` among ``n``; (0, 1) if n is 0.

    Source: Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    if not n:
        return 0.0, 1.0
    share = correct / n
    z = float(norm.ppf(0.5 + confidence / 2))
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * ((share * (1 - share) + z * z / (4 * n)) / n) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def labels_to_halve(correct: int, n: int, confidence: float = CONFIDENCE) -> int:
    """Return how many more hold-out labels would halve the width of the interval at the same accuracy.

    This is about three times the present number.
    """
    share = correct / n if n else 0.5
    low, high = wilson_interval(correct, n, confidence)
    wanted = (high - low) / 2
    enough = max(n, 1)
    while _width(share, enough, confidence) > wanted:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:  # the width falls with n, so bisect between them
        middle = (too_few + enough) // 2
        if _width(share, middle, confidence) > wanted:
            too_few = middle
        else:
            enough = middle
    return enough - n


def _width(share: float, n: int, confidence: float) -> float:
    low, high = wilson_interval(share * n, n, confidence)
    return high - low

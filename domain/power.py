"""How many users an experiment needs, and what it can find with those it has."""

import math

from domain.inference import special_functions


def users_for_shares(share: float, other: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many users per variant find one share apart from another, in one fixed look.

    Source: Fleiss, "Statistical Methods for Rates and Proportions", chapter 4, without continuity correction.
    """
    z_alpha, z_beta = _quantiles(alpha, power)
    mean = (share + other) / 2
    spread = z_alpha * math.sqrt(2 * mean * (1 - mean)) + z_beta * math.sqrt(share * (1 - share) + other * (1 - other))
    return math.ceil((spread / (share - other)) ** 2)


def users_for_means(variance: float, effect: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many users per variant find means this far apart, in one fixed look (normal approximation)."""
    return math.ceil(2 * variance * (sum(_quantiles(alpha, power)) / effect) ** 2)


def power_for_shares(share: float, other: float, users: int, *, alpha: float = 0.05) -> float:
    """Return the chance to find one share apart from another with so many users each; the source is the same."""
    special = special_functions()
    mean = (share + other) / 2
    z_alpha = -float(special.ndtri(alpha / 2))
    null = z_alpha * math.sqrt(2 * mean * (1 - mean) / users)
    error = math.sqrt((share * (1 - share) + other * (1 - other)) / users)
    return float(special.ndtr((abs(share - other) - null) / error))


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    special = special_functions()
    return -float(special.ndtri(alpha / 2)), float(special.ndtri(power))

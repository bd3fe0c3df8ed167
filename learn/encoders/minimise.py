"""Minimise several smooth convex functions at once, by L-BFGS with a diagonal preconditioner.

The recursion is that of Nocedal and Wright, *Numerical Optimization* (2006), algorithms 7.4 and 7.5, run for all
functions in the same matrix operations. Steps are found by backtracking (algorithm 3.1).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

HISTORY = 10
BACKTRACKS = 30
DECREASE = 1e-4  # share of the predicted decrease that a step has to reach
Objective = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def minimise(
    objective: Objective, start: torch.Tensor, inverse: torch.Tensor, *, tolerance: float, steps: int, noise: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimise P functions of D variables each.

    Args:
        objective: Returns values, shape (P,), and gradients, shape (P, D), float64, at points of shape (P, D).
        start: Starting points, float64, shape (P, D).
        inverse: Rough inverse of the diagonal of each Hessian, shape (P, D), positive.
        tolerance: A function is minimised when the Euclidean norm of its gradient is at most this.
        steps: Largest number of steps.
        noise: Relative rounding error of values; smaller increases are accepted.

    Returns:
        The points, shape (P, D), and whether each has converged, shape (P,).
    """
    point = start.clone()
    value, gradient = objective(point)
    pairs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for _ in range(steps):
        active = gradient.norm(dim=1) > tolerance
        if not active.any():
            break
        direction = -_newton(gradient, pairs, inverse)
        slope = (direction * gradient).sum(dim=1)
        if (uphill := slope >= 0).any():
            direction = torch.where(uphill[:, None], -inverse * gradient, direction)
            slope = (direction * gradient).sum(dim=1)
        direction = direction * active[:, None]
        length = torch.ones_like(value)
        for _ in range(BACKTRACKS):
            step = length[:, None] * direction
            new_value, new_gradient = objective(point + step)
            good = new_value <= value + DECREASE * length * slope + noise * value.abs()
            if (good | ~active).all():
                break
            # The minimum of the parabola through value, slope and new value, kept within a tenth and a half.
            curvature = 2 * (new_value - value - length * slope)
            parabola = -slope * length / curvature.where(curvature > 0, torch.ones_like(curvature))
            parabola = parabola.nan_to_num(0.5).clamp(0.1, 0.5)
            length = torch.where(good | ~active, length, length * parabola)
        else:
            break  # as near as rounding allows
        change = new_gradient - gradient
        product = (step * change).sum(dim=1)
        weight = torch.where(product > 0, 1 / product, torch.zeros_like(product))
        pairs = [*pairs[1 - HISTORY :], (step, change, weight)]
        point, value, gradient = point + step, new_value, new_gradient
    return point, gradient.norm(dim=1) <= tolerance


def _newton(
    gradient: torch.Tensor, pairs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]], inverse: torch.Tensor
) -> torch.Tensor:
    """Return the product of the approximate inverse Hessian and the gradient, shape (P, D)."""
    product, shares = gradient, []
    for step, change, weight in reversed(pairs):
        share = weight * (step * product).sum(dim=1)
        product = product - share[:, None] * change
        shares.append(share)
    scale = torch.ones_like(gradient[:, 0])
    if pairs:
        _, change, weight = pairs[-1]
        length = (change * change * inverse).sum(dim=1) * weight
        scale = torch.where(length > 0, 1 / length, scale)
    product = scale[:, None] * inverse * product
    for (step, change, weight), share in zip(pairs, reversed(shares), strict=True):
        product = product + (share - weight * (change * product).sum(dim=1))[:, None] * step
    return product

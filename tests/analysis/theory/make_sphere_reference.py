"""Write sphere_reference.csv: the alignment law by interval arithmetic (python-flint), to 22 certain digits.

Run as `python tests/analysis/theory/make_sphere_reference.py`; the tests import `log_tail` for a live comparison.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

from flint import arb, ctx

TABLE = Path(__file__).with_name("sphere_reference.csv")
DIGITS = 22
DIMENSIONS = [1 + 1e-10, 1.001, 1.5, 2, 2.5, 3, 3.5, 4, 5, 8, 16, 64, 511, 512, 1024.5, 10**4, 10**5, 10**6]
FIXED = [-1 + 1e-12, -0.9, -0.3, -1e-3, 1e-10, 0.1, 0.5, 0.7, 0.9, 0.999, 1 - 1e-9, 1 - 2.0**-53]
STANDARDISED = [-2.0, 0.1, 1.0, 1.5, 2.2, 2.3, 4.0, 10.0, 36.0]  # times 1 / sqrt(n): both sides of the switch


def half_beta(n: float, x: float) -> arb:
    """I_w((n - 1)/2, 1/2) / 2 at w = 1 - x^2, the law's mass beyond |x| on one side, as a ball."""
    return (1 - arb(x) ** 2).beta_lower((arb(n) - 1) / 2, arb(1) / 2, 1) / 2


def tail(n: float, x: float) -> arb:
    """P(U > x) as a ball."""
    return half_beta(n, x) if x >= 0 else 1 - half_beta(n, x)


def log_tail(n: float, x: float) -> arb:
    """log P(U > x) as a ball."""
    return half_beta(n, x).log() if x >= 0 else (-half_beta(n, x)).log1p()


def log_density(n: float, x: float) -> arb:
    """log of Gamma(n/2) / (sqrt(pi) Gamma((n - 1)/2)) (1 - x^2)^((n - 3)/2) as a ball."""
    nu, w = (arb(n) - 1) / 2, 1 - arb(x) ** 2
    return (nu + arb(1) / 2).lgamma() - nu.lgamma() - arb.pi().log() / 2 + (nu - 1) * w.log()


def decimal(ball: arb) -> str:
    """The ball's midpoint in decimal, refused unless all digits are certain."""
    if ball.rel_accuracy_bits() < DIGITS * math.log2(10) + 2:
        raise ArithmeticError(f"ball too wide: {ball}")
    return ball.str(DIGITS, radius=False)


def main() -> None:
    ctx.prec = 500
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["n", "x", "sf", "log_sf", "log_cdf", "log_pdf"])
        for n in DIMENSIONS:
            points = FIXED + [t / math.sqrt(n) for t in STANDARDISED]
            for x in sorted(x for x in points if abs(x) < 1):
                balls = (tail(n, x), log_tail(n, x), log_tail(n, -x), log_density(n, x))
                writer.writerow([repr(float(n)), repr(x), *map(decimal, balls)])


if __name__ == "__main__":
    main()

"""The share of the first moment outside of the support, against slots simulated in plain numpy."""

import itertools
import math

import numpy as np
import pytest

from sandbox.theory import base, sparse_recovery
from sandbox.theory import sparse_recovery_lives as lives


def simulated(law, b1, slots=4000, steps=400):
    """Energy outside over all of it, mean over the second half of the steps, with its standard error over slots.

    law: {life: chance}. An entry's value is normal; what has left decays by b1 a step.
    """
    rng = np.random.default_rng(0)
    choices, chances = np.array(list(law)), np.array(list(law.values()))
    left = np.zeros(slots, dtype=int)
    value, m, gone = np.zeros(slots), np.zeros(slots), np.zeros(slots)  # gone: energy outside
    inside_sum, outside_sum = np.zeros(slots), np.zeros(slots)
    for step in range(steps):
        gone *= b1**2
        new = left == 0
        gone = np.where(new, gone + b1**2 * m**2, gone)
        value, m = np.where(new, rng.standard_normal(slots), value), np.where(new, 0.0, m)
        left = np.where(new, rng.choice(choices, slots, p=chances), left) - 1
        m = b1 * m + (1 - b1) * value
        if step >= steps // 2:
            inside_sum, outside_sum = inside_sum + m**2, outside_sum + gone
    share = outside_sum.mean() / (inside_sum + outside_sum).mean()
    residual = outside_sum - share * (inside_sum + outside_sum)
    return share, residual.std() / (inside_sum + outside_sum).mean() / math.sqrt(slots)


def averages(law, b1):
    def mean(of):
        return sum(chance * of(n) for n, chance in law.items())

    return {"life": mean(lambda n: n), "once": mean(lambda n: b1**n), "twice": mean(lambda n: b1 ** (2 * n))}


@pytest.mark.parametrize("b1", [0.5, 0.9])
@pytest.mark.parametrize("law", [{5: 1.0}, {1: 0.5, 9: 0.5}, {2: 0.25, 3: 0.5, 12: 0.25}])
def test_lives_of_any_law(law, b1):
    seen, error = simulated(law, b1)
    assert abs(seen - lives.any_life.at(b1=b1, **averages(law, b1))) < 4 * error + 0.9**200
    mean = round(averages(law, b1)["life"])
    if len(law) == 1:
        assert lives.fixed_life.at(b1=b1, T=mean) == pytest.approx(lives.any_life.at(b1=b1, **averages(law, b1)), rel=1e-12)
    else:
        assert lives.least_outside.at(b1=b1, life=mean) < seen < lives.fixed_life.at(b1=b1, T=mean) - 4 * error


def test_geometric_lives_have_the_churn_law():
    b1, churn = 0.9, 0.1
    law = {n: churn * (1 - churn) ** (n - 1) for n in range(1, 600)}
    assert lives.any_life.at(b1=b1, **averages(law, b1)) == pytest.approx(sparse_recovery.momentum_outside.at(b1=b1, churn=churn), rel=1e-9)


@pytest.mark.parametrize("b1", [0.3, 0.9, 0.99])
def test_no_law_on_two_or_three_lives_has_more_than_the_fixed_one_or_less_than_the_least(b1):
    """All laws on two of the lives 1 to 60 with mean 6, and mixtures with a third; the largest is attained by 6 alone."""
    shares = []
    for low, high in itertools.product(range(1, 6), range(7, 61)):
        chance = (high - 6) / (high - low)
        shares.append(lives.any_life.at(b1=b1, **averages({low: chance, high: 1 - chance}, b1)))
    most, least = lives.most_outside.at(b1=b1, T=6), lives.least_outside.at(b1=b1, life=6)
    assert least < min(shares) and max(shares) < most
    assert max(shares) > 0.95 * most  # lives of 5 and 7 come close


def test_long_and_short_lives_approach_the_least():
    b1, far = 0.9, 10**6
    chance = 9 / (far - 1)  # mean 10
    share = lives.any_life.at(b1=b1, **averages({1: 1 - chance, far: chance}, b1))
    assert share == pytest.approx(lives.least_outside.at(b1=b1, life=10), rel=1e-3)


def test_the_conjecture_beyond_the_proved_lives_in_numbers():
    """u(N) <= nu (N - T) for every N, with nu = u(T + 1): T = 20 and 50."""
    for b1, T in itertools.product((0.5, 0.9, 0.99), (20, 50)):
        S, N = lives.fixed_life.at(b1=b1, T=T), np.arange(1, 3000)
        u = b1**2 * (1 - b1**N) ** 2 - S * ((1 - b1**2) * N - 2 * b1 * (1 - b1**N))
        assert (u - u[T] * (N - T)).max() < 1e-12


def test_constants_of_no_law_of_lives_are_out_of_scope():
    """Jensen: E b1^T >= b1^(E T), so a mean life of 1 leaves once = b1; smaller would make the share negative."""
    with pytest.raises(base.OutOfScope, match="any_life requires"):
        lives.any_life.at(b1=0.9, life=1.0, once=0.1, twice=0.05)
    for T in (1, 5, 40):
        assert lives.any_life.at(b1=0.9, life=float(T), once=0.9**T, twice=0.81**T) == pytest.approx(
            lives.fixed_life.at(b1=0.9, T=float(T)), rel=1e-9
        )

"""Sides of a matrix, moments and distortions where all are known."""

import numpy as np
import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.measures import moments_by_side
from sandbox.models.roles import TOKENS, linear
from sandbox.optimizers.adam import Adam


@pytest.fixture(scope="module")
def ratios():
    """What both files measure, the first and the one on fresh seeds."""
    return moments_by_side


@pytest.fixture(scope="module")
def claims(module):
    """Of both files, by id."""
    return {one.id: one for name in ("adam_mini_snr", "adam_mini_snr_more") for one in module[name].CLAIMS}


def one_size_per_row(rows: int = 6, columns: int = 40) -> torch.Tensor:
    """(rows, columns): second moments a factor of 10 apart from row to row and within 20 % inside a row."""
    return 10.0 ** torch.arange(rows)[:, None] * (1 + 0.2 * torch.rand((rows, columns), generator=generator(0)).double())


@pytest.mark.parametrize(("role", "alike"), [(linear("value"), "fan-in"), (TOKENS, "fan-out")])
def test_the_side_that_is_alike_is_found_in_matrices_and_in_tables(ratios, role, alike):
    """A row of a matrix is an output neuron, read along its inputs; a row of a table is a token, read along its features."""
    v = one_size_per_row()
    found = ratios.of_tensor(v.sqrt(), v, role)
    other = {"fan-in": "fan-out", "fan-out": "fan-in"}[alike]
    assert found[alike]["snr"] > 100 > 1 > found[other]["snr"]  # variance of 1 + 0.2 U is 0.0033; of powers of 10 above mean^2
    assert found[alike]["cosine"] > 0.99 > found[other]["cosine"]
    assert found[alike]["mean"] == pytest.approx(0.5 * found[alike]["snr"] ** -0.5)


def test_moments_are_those_of_torch(ratios):
    setting = ratios.Setting(width=8, ffn=16, batch=4)
    problem, steps, seed = ratios.problem_of(setting), 4, 3
    found = ratios.moments(problem, Adam(1e-2, ratios.BETAS), steps, seed)
    leaves = {name: w.clone().requires_grad_() for name, w in problem.start(seed).items()}
    theirs = torch.optim.Adam(leaves.values(), lr=1e-2, betas=ratios.BETAS)
    for k in range(steps):
        theirs.zero_grad()
        problem.loss(leaves, problem.batch(seed, k)).backward()
        theirs.step()
    for name, leaf in leaves.items():
        m, v = (theirs.state[leaf][key].detach() for key in ("exp_avg", "exp_avg_sq"))
        # float32 in another order; a key's bias has no gradient but rounding, so that Adam's step there has no meaning
        if not name.endswith("key.bias"):
            assert torch.allclose(found[name][0], m, rtol=1e-3, atol=1e-3 * float(m.abs().max()))
            assert torch.allclose(found[name][1], v, rtol=1e-3, atol=1e-3 * float(v.max()))


def test_noise_alone_is_distorted_as_foretold_and_a_moment_that_knows_v_is_not(ratios):
    """|m| = sqrt v, v gamma of shape 4: half of the root of 1 / 4, to 5 % at that size. The planted fault: m = v^2."""
    v = torch.from_numpy(np.random.default_rng(0).gamma(4.0, size=(60, 80)))
    sign = normal((60, 80), generator(1)).sign()
    right, wrong = (ratios.distortions({"one": ratios.of_tensor(m * sign, v, linear("value"))}) for m in (v.sqrt(), v.square()))
    assert right["blocks"] == pytest.approx(1.0, abs=0.05) and right["mean"] == pytest.approx(1.0, abs=0.1)
    assert abs(wrong["blocks"] - 1) > 0.2


def test_sides_below_an_snr_of_one_do_not_count(ratios):
    v = one_size_per_row()
    sides = ratios.of_tensor(v.sqrt(), v, linear("value"))
    found = ratios.distortions({"one": sides})
    assert found["cases"] == 1
    assert found["blocks"] == pytest.approx(sides["fan-in"]["distance"] / sides["fan-in"]["blocks"])


def test_blocks_of_two_kinds_count_by_their_mean_inverse(ratios):
    """Rows of snr 1 and of snr 100, half and half: the root of the mean 1 / snr over that of 1 / mean snr is 5.05."""
    row = lambda spread: torch.tensor([1 + spread, 1 - spread] * 8, dtype=torch.float64)  # noqa: E731  snr = spread^-2
    v = torch.stack([row(0.99), row(0.1)] * 3)
    side = ratios.of_tensor(v.sqrt(), v, linear("value"))["fan-in"]
    exact = ((0.99**2 + 0.01) / 2) ** 0.5 / ((0.99**-2 + 100) / 2) ** -0.5
    assert side["blocks"] / side["mean"] == pytest.approx(exact, rel=1e-9)


def test_every_kind_has_a_row_of_values(ratios, claims):
    row = ratios.values(ratios.Setting(width=8, ffn=16, batch=4, steps=2), 1)
    assert {key.split()[0] for key in row if " " in key} == set(ratios.KINDS)
    for one in claims.values():
        keys = [getattr(one.estimate, field, None) for field in ("first", "second", "key")]
        assert all(key in row for key in keys if key)


def test_claims_name_the_side_that_they_say(claims):
    """An ordering holds where the difference first minus second is negative."""
    assert claims["adam-mini.snr.value"].estimate.first == "value fan-in snr"
    assert claims["adam-mini.snr.value.more"].estimate == claims["adam-mini.snr.value"].estimate
    assert claims["adam-mini.snr.cosine.value.more"].estimate == claims["adam-mini.snr.cosine.value"].estimate
    assert claims["adam-mini.snr.key"].estimate.first == "key fan-out snr"
    assert claims["adam-mini.snr.cosine.ffn-out"].estimate.second == "ffn_out fan-out cosine"
    assert claims["adam-mini.snr.embedding"].estimate.key == "embedding fan-in snr"
    assert claims["adam-mini.snr.head"].estimate.key == "head fan-out snr"

"""Adam against torch.optim.Adam (independent code), and on its first step against pencil and paper."""

import pytest
import torch

from sandbox.optimizers.adam import Adam


@pytest.mark.parametrize(("betas", "eps"), [((0.9, 0.999), 1e-8), ((0.5, 0.7), 0.3)])
def test_matches_torch_over_fifty_steps(betas, eps, both_moved):
    """The large eps makes its place, outside the corrected root, visible."""
    ours, theirs = both_moved(Adam(0.02, betas, eps), lambda w: torch.optim.Adam([w], lr=0.02, betas=betas, eps=eps))
    # some ten roundings of 1e-16 per step, of steps of 0.02
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-14)


def test_first_step_is_a_sign_step():
    """At t = 1, m_hat = g and v_hat = g^2, so delta = -lr g / (|g| + eps)."""
    g = torch.tensor([3.0, -0.5], dtype=torch.float64)
    rule = Adam(lr=0.1, eps=0.0)
    torch.testing.assert_close(rule.step(g, rule.init(g), g)[0], -0.1 * g.sign(), rtol=1e-12, atol=0.0)


def test_the_numbers_of_the_state_are_the_powers_of_beta():
    rule = Adam(lr=0.1, betas=(0.9, 0.99))
    g = torch.ones(2)
    state = rule.init(g)
    for _ in range(30):
        _, state = rule.step(g, state, g)
    assert state.b1_t == pytest.approx(0.9**30, rel=1e-14)  # 30 roundings of 1e-16
    assert state.b2_t == pytest.approx(0.99**30, rel=1e-14)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lr": -1.0}, "lr of Adam must be >= 0, got -1.0"),
        ({"lr": float("nan")}, "lr of Adam must be >= 0, got nan"),
        ({"lr": 0.1, "eps": -1e-8}, "eps of Adam must be >= 0, got -1e-08"),
        ({"lr": 0.1, "betas": (1.0, 0.9)}, r"both betas of Adam must lie in \[0, 1\), got beta1 = 1.0"),
        ({"lr": 0.1, "betas": (0.9, -0.1)}, r"both betas of Adam must lie in \[0, 1\), got beta2 = -0.1"),
    ],
)
def test_bad_settings_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        Adam(**settings)

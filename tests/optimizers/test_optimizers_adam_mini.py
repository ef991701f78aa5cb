"""Adam-mini against its authors' package (independent code), against Adam at the finest partition, and its rotation theorem."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import Rule

DIM, HEADS = 8, 4


def steps(rule: Rule, w: torch.Tensor, gradient, n: int) -> torch.Tensor:
    state = rule.init(w)
    for k in range(n):
        delta, state = rule.step(gradient(w, k), state, w)
        w = w + delta
    return w


@pytest.mark.parametrize(
    ("name", "shape", "n_blocks"),
    [
        ("mlp.weight", (DIM, 5), DIM),  # rows
        ("q_proj.weight", (DIM, DIM), HEADS),  # heads
        ("encoder.weight", (DIM, 5), 1),  # whole tensor
    ],
)
def test_matches_the_authors_package_over_fifty_steps(name, shape, n_blocks):
    package = pytest.importorskip("adam_mini", reason="the authors' package is an optional peer")
    settings = {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-2, "weight_decay": 0.1}
    start = normal(shape, generator(0))
    theirs = torch.nn.Parameter(start.clone())
    reference = package.Adam_mini([(name, theirs)], **settings, dim=DIM, n_heads=HEADS, verbose=False)
    for k in range(50):
        theirs.grad = normal(shape, generator(1, k))
        reference.step()
    ours = steps(AdamMini(**settings, n_blocks=n_blocks), start, lambda w, k: normal(shape, generator(1, k)), 50)
    # some ten roundings of 1e-16 per step
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-13, atol=1e-14)


def test_one_block_per_entry_is_adam():
    gradient = lambda w, k: normal((6,), generator(1, k)) + w  # noqa: E731
    w = normal((6,), generator(0))
    mini, full = AdamMini(lr=0.1, eps=1e-2, n_blocks=6), Adam(lr=0.1, eps=1e-2)
    torch.testing.assert_close(steps(mini, w, gradient, 20), steps(full, w, gradient, 20), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("shape", [(6,), (6, 4), (6, 2, 3)])
def test_first_step_is_the_gradient_over_the_rms_of_its_chunk(shape):
    """t = 1: delta = -lr g / rms(g) in each of the n_blocks consecutive chunks along dim 0."""
    g = normal(shape, generator(3))
    rule = AdamMini(lr=0.1, eps=0.0, n_blocks=3)
    delta, state = rule.step(g, rule.init(g), g)
    expected = torch.cat([-0.1 * c / c.square().mean().sqrt() for c in g.chunk(3)])
    torch.testing.assert_close(delta, expected, rtol=1e-13, atol=0)
    assert state.v.shape == (3,)


def test_a_scalar_weight_is_one_block():
    w = torch.tensor(2.0, dtype=torch.float64)
    rule = AdamMini(lr=0.1, eps=0.0)
    delta, _ = rule.step(w, rule.init(w), w)
    torch.testing.assert_close(delta, torch.tensor(-0.1, dtype=torch.float64), rtol=1e-14, atol=0)


@pytest.mark.parametrize(("rule", "invariant"), [(AdamMini(lr=0.05, weight_decay=0.1, n_blocks=5), True), (Adam(lr=0.05), False)], ids=repr)
def test_rows_commute_with_a_rotation_of_the_inputs(rule, invariant):
    """Theorem: x_t[f(. R)] = x_t[f] R for orthogonal R inside each block. Adam is the control: it must fail."""
    R, _ = torch.linalg.qr(normal((4, 4), generator(5)))
    H = torch.diag(torch.tensor([1.0, 3.0, 10.0, 30.0], dtype=torch.float64))
    start = normal((5, 4), generator(6))
    plain = steps(rule, start, lambda w, k: w @ H, 40)
    turned = steps(rule, start @ R, lambda w, k: w @ R.T @ H @ R, 40)
    difference = (turned - plain @ R).abs().max().item()
    # rounding of 1e-16 grown over 40 steps of a normalised update, against differences of the order of lr
    assert difference < 1e-11 if invariant else difference > 1e-3


def run(rule: Rule, w: torch.Tensor, gradients: list[torch.Tensor]) -> torch.Tensor:
    return steps(rule, w, lambda _, k: gradients[k], len(gradients))


def test_a_fused_weight_moves_as_its_parts():
    """Stretches of different block sizes in one tensor are three tensors one upon the other, exactly."""
    cut, w = ((8, 4), (4, 2), (4, 4)), normal((16, 5), generator(0))
    gradients = [normal((16, 5), generator(1, k)) for k in range(5)]
    fused = run(AdamMini(0.02, weight_decay=0.1, n_blocks=cut), w, gradients)
    for i, (rows, blocks) in enumerate(cut):
        sizes = [n for n, _ in cut]
        alone = run(AdamMini(0.02, weight_decay=0.1, n_blocks=blocks), w.split(sizes)[i], [g.split(sizes)[i] for g in gradients])
        assert alone.shape[0] == rows and torch.equal(fused.split(sizes)[i], alone)


def test_the_other_layout_is_the_transposed_weight():
    w, gradients = normal((6, 8), generator(0)), [normal((6, 8), generator(1, k)) for k in range(5)]
    for cut in (4, 8, ((4, 2), (4, 4)), 48, 16):
        across = run(AdamMini(0.02, n_blocks=cut, dim=1), w, gradients)
        lying = run(AdamMini(0.02, n_blocks=cut), w.T.contiguous(), [g.T.contiguous() for g in gradients])
        torch.testing.assert_close(across, lying.T, rtol=0, atol=1e-15)  # sums in another order


def test_experts_are_cut_expert_by_expert():
    """(expert, out, in) with expert * out blocks: each expert alone, by output row."""
    w, gradients = normal((3, 4, 5), generator(0)), [normal((3, 4, 5), generator(1, k)) for k in range(5)]
    together = run(AdamMini(0.02, n_blocks=12), w, gradients)
    for e in range(3):
        torch.testing.assert_close(together[e], run(AdamMini(0.02, n_blocks=4), w[e], [g[e] for g in gradients]), rtol=0, atol=1e-15)


@pytest.mark.parametrize("shape", [(6,), (6, 4), (2, 3, 4)])
def test_one_block_per_entry_of_any_tensor_is_adam(shape):
    w, gradients = normal(shape, generator(0)), [normal(shape, generator(1, k)) for k in range(5)]
    fine = run(AdamMini(0.02, n_blocks=w.numel()), w, gradients)
    torch.testing.assert_close(fine, run(Adam(0.02), w, gradients), rtol=0, atol=1e-15)  # the same numbers, grouped otherwise


def test_blocks_must_divide_the_side_that_they_cut():
    with pytest.raises(ValueError, match=r"must divide the axis 0 .* n_blocks 4 and shape \(6, 2\); use 1"):
        AdamMini(lr=0.1, n_blocks=4).init(torch.ones(6, 2))
    for wrong in (8, 18):  # not a multiple of the rows; rows of 2 entries in 3 parts
        with pytest.raises(ValueError, match=rf"n_blocks {wrong} and shape \(6, 2\)"):
            AdamMini(lr=0.1, n_blocks=wrong).init(torch.ones(6, 2))
    with pytest.raises(ValueError, match=r"add up to the 6 rows of axis 0, got \(\(4, 2\), \(4, 2\)\)"):
        AdamMini(lr=0.1, n_blocks=((4, 2), (4, 2))).init(torch.ones(6, 2))
    with pytest.raises(ValueError, match=r"blocks dividing rows, got \(4, 3\)"):
        AdamMini(lr=0.1, n_blocks=((4, 3), (2, 2)))
    with pytest.raises(ValueError, match=r"dim 2 and shape \(6, 2\)"):
        AdamMini(lr=0.1, dim=2).init(torch.ones(6, 2))


@pytest.mark.parametrize("n_blocks", [0, 2.0, True])
def test_number_of_blocks_is_a_positive_int(n_blocks):
    with pytest.raises(ValueError, match=f"n_blocks of AdamMini must be an int >= 1, got {n_blocks}"):
        AdamMini(lr=0.1, n_blocks=n_blocks)

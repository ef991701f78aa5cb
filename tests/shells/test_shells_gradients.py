"""Bad input: what each shell does with gradients and tensors that are not the usual ones, and what it says."""

import pytest
import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.fused import Fused
from sandbox.shells.gradients import bad_entries, limit, sanitised
from sandbox.shells.stepwise import Stepwise

RULES = (GradientDescent(0.1, momentum=0.9), Adam(0.1), AdamMini(0.1), AdaLomo(0.1))
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda r: type(r).__name__)
each_shell = pytest.mark.parametrize("shell", [Stepwise, Fused])
each_bad = pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e20, -1e20])  # the last have no square in float32


def pair() -> dict[str, nn.Parameter]:
    return {"good": nn.Parameter(torch.ones(3)), "bad": nn.Parameter(torch.ones(2, 3))}


def backward(w: dict[str, nn.Parameter], bad: float | None) -> None:
    """Gradients of 1, and `bad` at two places of one tensor. The good tensor is used last, so its gradient comes first."""
    factor = torch.ones(2, 3)
    if bad is not None:
        factor[0, 1] = factor[1, 2] = bad
    first = (w["bad"] * factor).sum()
    (first + w["good"].sum()).backward()


def step(optimizer: torch.optim.Optimizer, w: dict[str, nn.Parameter], bad: float | None) -> None:
    optimizer.zero_grad()
    backward(w, bad)
    optimizer.step()


@each_bad
def test_raise_names_the_tensor_the_count_and_the_step_and_stepwise_moves_nothing(bad):
    w = pair()
    optimizer = Stepwise(w.items(), Adam(lr=0.1))
    step(optimizer, w, None)
    kept, state = {key: x.detach().clone() for key, x in w.items()}, optimizer.state[w["good"]]["m"].clone()
    with pytest.raises(
        FloatingPointError,
        match="2 of 6 entries of the gradient of bad are not finite, or not .* in torch.float.., at step 1; no weight was moved; lower",
    ):
        step(optimizer, w, bad)
    assert all(torch.equal(w[key], kept[key]) for key in w) and torch.equal(optimizer.state[w["good"]]["m"], state)
    assert optimizer.state[w["bad"]]["step"] == 1


def test_after_a_refusal_the_fused_shell_takes_the_next_backward_for_another_one():
    """A backward that breaks off has no end that autograd reports. The refused gradient is gone, so w has got none yet."""
    w = nn.Parameter(torch.ones(2))
    Fused([("w", w)], GradientDescent(0.5))
    with pytest.raises(FloatingPointError):
        (w * float("nan")).sum().backward()
    w.sum().backward()
    assert w.tolist() == [0.5, 0.5]
    with pytest.raises(RuntimeError, match="w got a second gradient before step.., in another backward: .* call step"):
        w.sum().backward()


@each_shell
def test_a_state_that_was_saved_after_a_refused_first_step_can_be_loaded(shell):
    w = pair()
    optimizer = shell(w.items(), Adam(lr=0.1))
    with pytest.raises(FloatingPointError):
        step(optimizer, w, torch.nan)
    assert not optimizer.state[w["bad"]]  # a look at it makes an empty entry
    again = pair()
    other = shell(again.items(), Adam(lr=0.1))
    other.load_state_dict(optimizer.state_dict())
    step(other, again, None)
    assert other.state[again["bad"]]["step"] == 1


def test_raise_in_the_fused_shell_says_how_many_tensors_have_moved():
    w = pair()
    optimizer = Fused(w.items(), GradientDescent(lr=0.5))
    with pytest.raises(
        FloatingPointError,
        match="entries of the gradient of bad are not finite, or not .* in torch.float.., at step 0; 1 tensors have moved in this step",
    ):
        backward(w, torch.nan)
    assert w["good"].tolist() == [0.5] * 3 and (w["bad"] == 1).all() and w["bad"].grad is None
    optimizer.step()  # and the run may go on
    backward(w, None)
    assert (w["bad"] == 0.5).all()


@each_bad
def test_skip_leaves_out_the_whole_step_and_counts_it(bad):
    """The run is the one that never saw that gradient."""
    w, never = pair(), pair()
    optimizer, other = Stepwise(w.items(), Adam(lr=0.1), nonfinite="skip"), Stepwise(never.items(), Adam(lr=0.1))
    for value in (None, bad, None):
        step(optimizer, w, value)
    for _ in range(2):
        step(other, never, None)
    assert optimizer.skipped == 1 and all(torch.equal(w[key], never[key]) for key in w)


@each_bad
def test_skip_in_the_fused_shell_leaves_out_one_tensor(bad):
    w = pair()
    optimizer = Fused(w.items(), GradientDescent(lr=0.5), nonfinite="skip")
    for value in (bad, None):
        step(optimizer, w, value)
    assert optimizer.skipped == 1 and optimizer.state[w["bad"]]["step"] == 1
    assert w["good"].tolist() == [0] * 3 and (w["bad"] == 0.5).all()


@each_shell
@each_bad
def test_zero_puts_zeros_where_the_bad_entries_are(shell, bad):
    w, clean = pair(), pair()
    step(shell(w.items(), GradientDescent(lr=0.1), nonfinite="zero"), w, bad)  # Adam would hide a huge number as well as a zero
    step(shell(clean.items(), GradientDescent(lr=0.1)), clean, 0.0)
    assert all(torch.equal(w[key], clean[key]) for key in w)


@each_shell
def test_pass_does_not_look(shell):
    w = pair()
    step(shell(w.items(), GradientDescent(lr=0.1), nonfinite="pass"), w, torch.nan)
    assert int(w["bad"].isnan().sum()) == 2


def test_a_norm_without_a_square_makes_the_large_entries_bad():
    """1e19 has a square, 1e38, in float32: alone it is good, twenty of them have no sum of squares."""
    one, large = torch.zeros(20), torch.full((20,), 1e19)
    one[3] = 1e19
    assert one.square().sum().isfinite() and large.square().isfinite().all() and large.square().sum().isinf()
    large[:5] = 1.0
    given = [one, large, torch.tensor([torch.inf, -torch.inf]), torch.tensor([torch.nan]), torch.zeros(0)]
    assert bad_entries(given, [torch.float32] * 5) == [0, 15, 2, 1, 0]


@pytest.mark.parametrize("n", [1, 2, 4, 16, 100])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_below_the_limit_the_squares_have_a_finite_sum(dtype, n):
    """And at it they have none where n is a power of 4. Powers of 2 and their neighbours, so the sums of 4^k squares are exact."""
    n_summed = 1 if dtype == torch.float16 else n
    at = torch.full((n_summed,), limit(dtype, n), dtype=dtype)
    before = at * (1 - torch.finfo(dtype).eps / 2)
    assert (before < at).all() and before.square().sum().isfinite()
    if n_summed in (1, 4, 16):
        assert at.square().sum().isinf() and bad_entries([at, before], [dtype] * 2) == [n_summed, 0]


def test_many_float16_entries_of_usual_size_are_good():
    """Their sum of squares is 90 000, which float16 does not have."""
    assert bad_entries([torch.full((1_000_000,), 0.3, dtype=torch.float16)], [torch.float16]) == [0]


@pytest.mark.parametrize("own", [torch.float16, torch.float32])
def test_what_a_wider_state_can_square_is_good_and_infinity_never_is(own):
    g = torch.tensor([torch.finfo(own).max, torch.inf, torch.nan, 1.0], dtype=own)
    assert bad_entries([g], [torch.float64]) == [2]
    assert sanitised(g, torch.float64).tolist() == [torch.finfo(own).max, 0.0, 0.0, 1.0]


@each_shell
def test_a_gradient_without_a_square_is_named_before_it_poisons_a_second_moment(shell):
    w = pair()
    with pytest.raises(
        FloatingPointError, match="2 of 6 .* of bad are not finite, or not once squared and summed in torch.float32, at step 0"
    ):
        step(shell(w.items(), Adam(lr=0.1)), w, 1e20)
    poisoned = pair()
    optimizer = shell(poisoned.items(), Adam(lr=0.1), nonfinite="pass")  # the control: infinity in v, and a step of 0
    step(optimizer, poisoned, 1e20)
    assert int(optimizer.state[poisoned["bad"]]["v"].isinf().sum()) == 2 and poisoned["bad"][0, 1] == 1


@each_shell
def test_a_state_in_float64_takes_the_same_gradient(shell):
    """Adam's first step is lr, whatever the gradient."""
    w = pair()
    step(shell(w.items(), Adam(lr=0.25), state_dtype=torch.float64), w, 1e20)
    assert (w["bad"] == 0.75).all()


def test_a_rule_that_keeps_float32_beside_float16_squares_in_float32():
    """300^2 has no place in float16: Adam keeps v there and refuses, AdaLomo does not."""
    w = nn.Parameter(torch.ones(2, 3, dtype=torch.float16))
    w.grad = torch.full_like(w, 300.0)
    Stepwise([("w", w)], AdaLomo(0.1)).step()
    assert w.isfinite().all() and (w < 1).all()
    with pytest.raises(FloatingPointError, match="6 of 6 entries .* not once squared and summed in torch.float16, at step 0"):
        Stepwise([("w", w)], Adam(0.1, eps=1e-4)).step()


@each_shell
def test_an_unknown_policy_is_refused(shell):
    with pytest.raises(ValueError, match="nonfinite must be one of raise, skip, zero, pass, got 'ignore'"):
        shell(pair().items(), Adam(lr=0.1), nonfinite="ignore")


@each_shell
@each_rule
@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0)], ids=str)
def test_an_empty_tensor_stays_and_the_others_move(shell, rule, shape):
    w = {"empty": nn.Parameter(torch.ones(shape)), "full": nn.Parameter(torch.ones(2, 3))}
    optimizer = shell(w.items(), rule)
    for _ in range(2):
        optimizer.zero_grad()
        (w["empty"].sum() + w["full"].sum()).backward()
        optimizer.step()
    assert w["empty"].shape == shape and optimizer.state[w["empty"]] == {"step": 2}
    assert (w["full"] < 1).all()
    again = shell([(key, nn.Parameter(x.detach().clone())) for key, x in w.items()], rule)
    again.load_state_dict(optimizer.state_dict())


@each_rule
def test_a_0_dim_tensor_moves_as_a_tensor_of_one_entry(rule):
    """Adam-mini's one block, AdaLomo's full second moment, and the entry itself are the same thing there."""
    moved = []
    for shape in ((), (1,)):
        w = nn.Parameter(torch.full(shape, 2.0, dtype=torch.float64))
        optimizer = Stepwise([("w", w)], rule)
        for k in range(4):
            w.grad = torch.full(shape, float(k - 1), dtype=torch.float64)
            optimizer.step()
        assert w.shape == shape and w.isfinite().all()
        moved.append(w.item())
    assert moved[0] == pytest.approx(moved[1], rel=1e-14) and moved[0] != 2.0


@each_rule
@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 2, 2)], ids=str)
def test_tensors_of_more_dimensions_move_entry_by_entry_or_over_their_last_two(rule, shape):
    """Elementwise rules: as the flattened tensor. The others: finite, downhill, same shape."""
    w, flat = (nn.Parameter(normal(shape, generator(0)).reshape(s)) for s in (shape, (-1,)))
    g = normal(shape, generator(1))
    for x in (w, flat):
        x.grad = g.reshape(x.shape)
        Stepwise([("x", x)], rule).step()
    assert ((w.detach() - normal(shape, generator(0))) * g).sum() < 0
    if not isinstance(rule, AdaLomo):
        torch.testing.assert_close(w.detach().flatten(), flat.detach(), rtol=1e-13, atol=1e-14)


@each_rule
def test_a_non_contiguous_weight_or_gradient_is_a_view_like_any_other(rule):
    """Transposed storage: the numbers of the contiguous run, to the order of a sum."""

    def final(w: nn.Parameter, lay: callable) -> Tensor:
        optimizer = Stepwise([("w", w)], rule)
        for k in range(3):
            w.grad = lay(normal((4, 6), generator(k)))
            optimizer.step()
        return w.detach()

    start = normal((4, 6), generator(9))
    transposed = nn.Parameter(start.t().contiguous().t())
    assert not transposed.is_contiguous()
    got = final(transposed, lambda g: g.t().contiguous().t())
    assert not got.is_contiguous()
    torch.testing.assert_close(got, final(nn.Parameter(start.clone()), lambda g: g), rtol=1e-13, atol=1e-14)


@each_shell
def test_a_complex_weight_is_refused_and_its_real_view_works(shell):
    z = torch.ones(3, dtype=torch.complex64)
    with pytest.raises(ValueError, match="moves real floating tensors, got z in torch.complex64; .* torch.view_as_real"):
        shell([("z", nn.Parameter(z))], Adam(lr=0.1))
    w = nn.Parameter(torch.view_as_real(z).clone())
    optimizer = shell([("z", w)], Adam(lr=0.1))
    torch.view_as_complex(w).abs().square().sum().backward()
    optimizer.step()
    torch.testing.assert_close(w[:, 0].detach(), torch.full((3,), 0.9))  # Adam's first step is lr
    assert (w[:, 1] == 0).all()


@each_shell
@pytest.mark.parametrize("policy", ["raise", "pass"])
def test_a_sparse_gradient_is_refused_with_the_remedy(shell, policy):
    table = nn.Embedding(5, 2, sparse=True)
    optimizer = shell(table.named_parameters(), Adam(lr=0.1), nonfinite=policy)
    with pytest.raises(
        ValueError, match=r"gradient of weight must be dense, got layout torch.sparse_coo of shape \(5, 2\); .* sparse=False"
    ):
        table(torch.tensor([1, 3])).sum().backward()
        optimizer.step()


@each_shell
def test_a_model_that_is_converted_after_the_shell_was_made_is_refused(shell):
    """Else beta2 = 0.999 would go on in bfloat16, where its average stands still."""
    layer = nn.Linear(3, 2, bias=False)
    optimizer = shell(layer.named_parameters(), Adam(0.1))
    layer.bfloat16()
    with pytest.raises(ValueError, match="weight was torch.float32 when the shell was made and is torch.bfloat16 now, .* first, then make"):
        layer(torch.ones(3, dtype=torch.bfloat16)).sum().backward()
        optimizer.step()


@each_shell
def test_a_tensor_that_never_receives_a_gradient_is_saved_and_loaded_with_the_others(shell):
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = shell([("used", used), ("unused", unused)], Adam(lr=0.1))
    for _ in range(2):
        optimizer.zero_grad()
        used.sum().backward()
        optimizer.step()
    assert unused.tolist() == [1, 1] and not optimizer.state.get(unused)
    again = Stepwise([("used", used), ("unused", unused)], Adam(lr=0.1))
    again.load_state_dict(optimizer.state_dict())
    assert again.state[used]["step"] == 2 and not again.state.get(unused)


def test_a_rule_without_a_state_squares_nothing():
    """300 in float16: gradient descent moves by it, and has no second moment that it could spoil."""
    w = nn.Parameter(torch.ones(2, 3, dtype=torch.float16))
    w.grad = torch.full((2, 3), 300.0, dtype=torch.float16)
    Stepwise([("w", w)], GradientDescent(2**-10)).step()
    assert torch.equal(w.detach(), torch.full((2, 3), 1 - 300 / 1024, dtype=torch.float16))

"""A backward that breaks off is over where it breaks; what stands here is told by the weights and never by the shell's own record."""

import copy
import gc
import math
import weakref

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.backward_end import Backward
from sandbox.shells.fused import Fused

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # of a segment that is first run without a graph
NAMES = ("a", "b", "c", "d")
X = normal((3, 4), generator(5))


class Broken(Exception):
    pass


class Breaks(torch.autograd.Function):
    """The identity, whose backward fails as an allocation does."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, g: Tensor) -> Tensor:
        raise Broken


def weights() -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(normal((4, 4), generator(i))) for i, name in enumerate(NAMES)}


def layers(*ws: Tensor, broken: bool = False):
    """tanh(... tanh(x @ w) @ w'); where it breaks, before the gradient of the first."""

    def run(x: Tensor) -> Tensor:
        for i, w in enumerate(ws):
            x = torch.tanh(x @ w)
            if broken and i == 0:
                x = Breaks.apply(x)
        return x

    return run


def plain(w: dict[str, Tensor], broken: bool) -> Tensor:
    return layers(w["c"], w["d"])(layers(w["a"], w["b"], broken=broken)(X)).square().sum()


def segment(w: dict[str, Tensor], broken: bool) -> Tensor:
    """b and c lie in a backward inside the backward, and it breaks after c."""
    x = layers(w["a"])(X.clone().requires_grad_())
    return layers(w["d"])(checkpoint(layers(w["b"], w["c"], broken=broken), x, use_reentrant=True)).square().sum()


def after_segment(w: dict[str, Tensor], broken: bool) -> Tensor:
    """It breaks outside, when the segment of c and d is done."""
    x = layers(w["a"], w["b"], broken=broken)(X.clone().requires_grad_())
    return checkpoint(layers(w["c"], w["d"]), x, use_reentrant=True).square().sum()


def between(w: dict[str, Tensor], broken: bool) -> Tensor:
    """It breaks in the outer of two nested segments, when the inner one, of d, is done; nothing is hooked outside of them."""

    def outer(x: Tensor) -> Tensor:
        x = layers(w["a"], w["b"], w["c"])(x)
        return checkpoint(layers(w["d"]), Breaks.apply(x) if broken else x, use_reentrant=True)

    return checkpoint(outer, X.clone().requires_grad_(), use_reentrant=True).square().sum()


def refused(w: dict[str, Tensor], broken: bool) -> Tensor:
    """The shell itself breaks off, at the gradient of a."""
    return (w["a"] * (math.nan if broken else 0.0)).sum() + plain(w, False)


def hooked(w: dict[str, Tensor], broken: bool) -> Tensor:
    """A hook of the caller fails, before the gradient of b."""
    x = layers(w["a"])(X) @ w["b"]
    if broken:
        x.register_hook(_fail)
    return layers(w["c"], w["d"])(torch.tanh(x)).square().sum()


def _fail(g: Tensor) -> None:
    raise Broken


each_way = pytest.mark.parametrize("loss", [plain, segment, after_segment, between, refused, hooked], ids=lambda f: f.__name__)


@pytest.mark.parametrize("steps_in_between", [False, True], ids=["no step", "step"])
@each_way
def test_after_a_break_a_backward_is_what_a_fresh_shell_makes_of_it(loss, steps_in_between):
    """From the weights and states of that time and with the rate of that time, for the tensors that had moved and for the others."""
    w, start = weights(), weights()
    optimizer = Fused(w.items(), Adam(lr=0.1))
    with pytest.raises((Broken, FloatingPointError)):
        loss(w, True).backward()
    moved = [name for name in NAMES if not torch.equal(w[name], start[name])]
    assert "d" in moved and "a" not in moved
    assert all(x.grad is None for x in w.values())
    if steps_in_between:
        optimizer.step()
    copied = {name: nn.Parameter(x.detach().clone()) for name, x in w.items()}
    fresh = Fused(copied.items(), Adam(lr=0.1))
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for shell, of in ((optimizer, w), (fresh, copied)):
        shell.param_groups[0]["lr"] = 0.025
        loss(of, False).backward()
        shell.step()
    assert all(torch.equal(w[name], copied[name]) for name in NAMES)
    assert [optimizer.state[w[name]]["step"] for name in NAMES] == [1 + (name in moved) for name in NAMES]


def test_a_segment_whose_graph_is_gone_is_not_that_of_a_backward_without_segments():
    w = weights()
    optimizer = Fused(w.items(), GradientDescent(lr=0.1))
    with pytest.raises(Broken):
        between(w, True).backward()
    gc.collect()
    start = {name: x.detach().clone() for name, x in w.items()}
    plain(w, False).backward()
    optimizer.step()
    assert all(not torch.equal(w[name], start[name]) for name in NAMES)


@each_way
def test_after_a_break_accumulation_is_still_refused(loss):
    w = weights()
    keep = Fused(w.items(), GradientDescent(lr=0.1))
    with pytest.raises((Broken, FloatingPointError)):
        loss(w, True).backward()
    loss(w, False).backward()
    for _ in range(2):  # and the refusal, which is a break too, does not open the way
        with pytest.raises(RuntimeError, match=r"d got a second gradient before step\(\), in another backward"):
            loss(w, False).backward()
    assert keep.state[w["d"]]["step"] == 2


@each_way
def test_after_a_break_the_norm_may_be_measured(loss):
    w = weights()
    optimizer = Fused(w.items(), GradientDescent(lr=0.1))
    with pytest.raises((Broken, FloatingPointError)):
        loss(w, True).backward()
    expected = torch.stack([g.norm() for g in torch.autograd.grad(plain(w, False), list(w.values()))]).norm()
    with optimizer.measuring(math.inf):
        loss(w, False).backward()
    torch.testing.assert_close(optimizer.total_norm, expected, rtol=1e-14, atol=0)  # five roundings of 1e-16


def test_a_segment_that_broke_leaves_no_rate_for_a_second_backward_through_it():
    """The node of the segment is the same, and c, through which the first entered it, is frozen by then."""
    a, c = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
    optimizer = Fused([("a", a), ("c", c)], GradientDescent(lr=1.0))
    broken = iter([True, False])  # one for each way back; the way there does not ask

    def breaking(x: Tensor) -> Tensor:
        return (Breaks.apply(x) if torch.is_grad_enabled() and next(broken) else x * 1.0) + c

    loss = checkpoint(breaking, a * 1.0, use_reentrant=True).sum()
    with pytest.raises(Broken):
        loss.backward(retain_graph=True)
    optimizer.param_groups[0]["lr"] = 0.5
    c.requires_grad_(False)
    loss.backward()
    assert a.tolist() == [-0.5] * 4 and c.tolist() == [-1.0] * 4


def test_a_break_forgets_nothing_of_the_backwards_before_it():
    w = weights()
    Fused(w.items(), GradientDescent(lr=0.1))
    w["a"].sum().backward()
    with pytest.raises(Broken):
        (Breaks.apply(w["b"]).sum() + w["c"].sum()).backward()
    (w["b"].sum() + w["c"].sum()).backward()
    with pytest.raises(RuntimeError, match="a got a second gradient before step.., in another backward"):
        w["a"].sum().backward()


def test_a_gradient_that_a_break_has_left_is_not_added_to_the_next():
    """A hook of the caller fails before ours sees the gradient: autograd would add the next one to it."""
    w = weights()
    failing = w["b"].register_post_accumulate_grad_hook(_fail)
    Fused(w.items(), GradientDescent(lr=1.0))
    before = {name: x.detach().clone() for name, x in w.items()}
    with pytest.raises(Broken):
        (w["b"].sum() + w["a"].sum()).backward()  # the later node comes first: a
    assert w["b"].grad is None and torch.equal(w["a"], before["a"] - 1)
    failing.remove()
    w["b"].sum().backward()
    assert torch.equal(w["b"], before["b"] - 1)


@pytest.mark.parametrize("added", [False, True], ids=["from the start", "when a group is added"])
def test_a_gradient_that_is_left_before_any_hook_of_ours_is_dropped_too(added):
    """The caller's hook fails at the first gradient of the backward; with a new group ours comes after one that came after it."""
    w = weights()
    failing = None if added else w["b"].register_post_accumulate_grad_hook(_fail)
    optimizer = Fused([("b", w["b"])], GradientDescent(lr=1.0))
    if added:
        failing = w["b"].register_post_accumulate_grad_hook(_fail)
        optimizer.add_param_group({"params": [("a", w["a"])]})
    before = w["b"].detach().clone()
    with pytest.raises(Broken):
        w["b"].sum().backward()
    assert w["b"].grad is None and torch.equal(w["b"], before)
    failing.remove()
    w["b"].sum().backward()
    optimizer.step()
    assert torch.equal(w["b"], before - 1)
    optimizer.remove()
    w["b"].sum().backward()
    assert torch.equal(w["b"].grad, torch.ones(4, 4)) and not w["b"]._backward_hooks


def test_a_hook_that_was_there_before_sees_the_gradient_and_the_refusals_stay():
    w, seen = weights(), []
    w["b"].register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.clone()))
    optimizer = Fused([("b", w["b"])], GradientDescent(lr=1.0))
    w["b"].sum().backward()
    with pytest.raises(RuntimeError, match="b got a second gradient before step.., in another backward"):
        w["b"].sum().backward()
    optimizer.step()
    assert len(seen) == 2 and all(torch.equal(g, torch.ones(4, 4)) for g in seen)


@pytest.mark.parametrize("place", ["in the outer segment", "outside of both", "in the next segment"])
def test_nested_segments_are_one_backward(place):
    """The refusal says so, of a tensor that comes in the inner segment and again elsewhere; a sum needs no weight on its way back."""
    w = nn.Parameter(torch.zeros(4))
    Fused([("w", w)], GradientDescent(lr=0.1))

    def plus(x: Tensor) -> Tensor:
        return x + w

    def outer(x: Tensor) -> Tensor:
        return checkpoint(plus, plus(x) if place == "in the outer segment" else x * 1.0, use_reentrant=True)

    x = torch.ones(4, requires_grad=True) * 1.0
    x = plus(x) if place == "outside of both" else checkpoint(plus, x, use_reentrant=True) if place == "in the next segment" else x
    with pytest.raises(RuntimeError, match="w got a second gradient before step.., in the same backward"):
        checkpoint(outer, x, use_reentrant=True).sum().backward()


def test_a_rate_is_read_once_in_nested_segments():
    """A hook of the caller changes it in the middle of the inner segment: it counts from the next backward on."""
    w = {name: nn.Parameter(torch.zeros(4)) for name in NAMES}
    optimizer = Fused(w.items(), GradientDescent(lr=1.0))
    w["d"].register_post_accumulate_grad_hook(lambda _: optimizer.param_groups[0].update(lr=0.5))

    def outer(x: Tensor) -> Tensor:
        return checkpoint(lambda y: y + w["d"], x + w["b"] + w["c"], use_reentrant=True)

    def loss() -> Tensor:
        return checkpoint(outer, w["a"] * 1.0, use_reentrant=True).sum()

    for total in (-1.0, -1.5):
        loss().backward()
        optimizer.step()
        assert all(x.tolist() == [total] * 4 for x in w.values())


class Runs(torch.autograd.Function):
    """The identity, whose backward runs other things first."""

    @staticmethod
    def forward(ctx, x: Tensor, *things) -> Tensor:
        ctx.things = things
        return x.clone()

    @staticmethod
    def backward(ctx, g: Tensor) -> tuple:
        with torch.enable_grad():
            for run in ctx.things:
                run()
        return (g, *[None for _ in ctx.things])


def zeros_and_shell() -> tuple[dict[str, nn.Parameter], Fused]:
    w = {name: nn.Parameter(torch.zeros(4)) for name in NAMES}
    return w, Fused(w.items(), GradientDescent(lr=1.0))


def test_the_node_of_a_backward_that_broke_says_nothing_of_a_later_one():
    """It is done inside of a later backward, with the hook that it got in its own; that one is still one backward, with one rate."""
    w, optimizer = zeros_and_shell()
    broken = iter([True, False])

    def breaking(x: Tensor) -> Tensor:
        return (Breaks.apply(x) if torch.is_grad_enabled() and next(broken) else x * 1.0) + w["c"]

    first = checkpoint(breaking, w["a"] * 1.0, use_reentrant=True).sum()
    with pytest.raises(Broken):
        first.backward(retain_graph=True)
    optimizer.step()
    inner = (lambda: w["b"].sum().backward(), first.backward, lambda: optimizer.param_groups[0].update(lr=0.5), w["d"].sum().backward)
    Runs.apply(torch.ones(4, requires_grad=True), *inner).sum().backward()
    assert [w[name][0].item() for name in NAMES] == [-1.0, -1.0, -2.0, -1.0]


def test_a_break_that_the_caller_catches_inside_a_backward_is_one_all_the_same():
    """What comes after it, in the backward around it, is a new backward with the rates of its time."""
    w, optimizer = zeros_and_shell()

    def caught() -> None:
        with pytest.raises(Broken):
            (Breaks.apply(w["c"]).sum() + w["b"].sum()).backward()
        optimizer.param_groups[0]["lr"] = 0.5

    Runs.apply(w["a"] * 1.0, caught).sum().backward()
    assert [w[name][0].item() for name in NAMES] == [-0.5, -1.0, 0.0, 0.0]


def test_a_break_in_a_later_segment_of_the_same_node_is_heard_at_once():
    """A gradient that our hook has not seen is dropped before the caller sees the exception."""
    w = {name: nn.Parameter(torch.zeros(4)) for name in NAMES}
    w["d"].register_post_accumulate_grad_hook(_fail)
    Fused(w.items(), GradientDescent(lr=1.0))
    x = torch.ones(4, requires_grad=True)
    with pytest.raises(Broken):
        Runs.apply(x, w["b"].sum().backward, w["c"].sum().backward, w["d"].sum().backward).sum().backward()
    assert w["d"].grad is None


def test_a_backward_that_was_given_up_ends_late_and_the_next_one_goes_on():
    """A thread of a device lets go of its queue after the caller has seen the exception: here the test holds what lies in it."""
    broken, held, x = [], [], torch.ones(4, requires_grad=True)
    backward = Backward(lambda: broken.append(backward.number))

    def late(g: Tensor) -> None:
        assert not backward.met()
        now = backward.goes_on()
        if backward.number == 2:
            held[0]()
            assert backward.goes_on() is now
            held.clear()
            assert backward.goes_on() is now
        else:
            held.append(now)
            raise Broken

    x.register_hook(late)
    with pytest.raises(Broken):
        x.sum().backward()
    assert not broken and held
    backward.settle()
    x.sum().backward()
    assert broken == [1] and backward.goes_on() is None


def test_a_norm_serves_no_backward_but_the_one_it_was_measured_for():
    w = weights()
    optimizer = Fused(w.items(), GradientDescent(lr=0.1))

    def measured_and_broken() -> None:
        with optimizer.measuring(0.1):
            plain(w, False).backward()
        with pytest.raises(Broken):
            plain(w, True).backward()

    measured_and_broken()
    before = {name: x.detach().clone() for name, x in w.items()}
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the norm was measured for a backward that broke off; measure again"):
            plain(w, False).backward()
    assert all(torch.equal(w[name], before[name]) for name in NAMES)
    with optimizer.measuring(math.inf):
        plain(w, False).backward()
    plain(w, False).backward()
    optimizer.step()
    assert all(not torch.equal(w[name], before[name]) for name in NAMES)
    measured_and_broken()
    optimizer.step()
    unclipped = torch.autograd.grad(plain(w, False), w["a"])[0]
    before = w["a"].detach().clone()
    plain(w, False).backward()
    assert unclipped.norm() > 0.1 and torch.equal(w["a"], before - 0.1 * unclipped)


def test_a_break_while_measuring_is_not_measured():
    """The caller catches it inside the `with`, and measures again there."""
    w = weights()
    optimizer = Fused(w.items(), GradientDescent(lr=0.1), nonfinite="skip")
    with optimizer.measuring(1.0):
        with pytest.raises(Broken):
            (Breaks.apply(w["a"]).sum() + (math.nan * w["b"]).sum() + (8 * w["c"]).sum()).backward()
        w["a"].sum().backward()
    assert optimizer.total_norm.item() == 4.0  # of 16 ones, without c's and without b's nan
    w["a"].sum().backward()
    optimizer.step()
    assert optimizer.skipped == 0 and optimizer.state[w["a"]]["step"] == 1


def test_a_break_keeps_no_activation_alive():
    """Neither of a plain backward nor of a segment: memory is what such an exception is mostly about."""
    for loss in (plain, segment, between):
        w, seen = weights(), []
        optimizer = Fused(w.items(), GradientDescent(lr=0.1))

        def pack(x: Tensor, seen: list = seen) -> Tensor:
            seen.append(weakref.ref(y := x.detach()))
            return y

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            broken = loss(w, True)
        try:
            broken.backward()
        except Broken:
            pass
        del broken
        gc.collect()
        assert seen and not any(ref() is not None for ref in seen)
        optimizer.step()


def test_a_graph_of_the_backward_itself_may_be_asked_for():
    """create_graph turns recording on in hooks, where a write to a leaf is an error."""
    w = nn.Parameter(torch.ones(2))
    optimizer = Fused([("w", w)], Adam(lr=0.5))
    with pytest.warns(UserWarning, match="create_graph"):
        (w * w).sum().backward(create_graph=True)
    optimizer.step()
    assert not optimizer.state[w]["m"].requires_grad and torch.allclose(w, torch.full((2,), 0.5))

"""Updates inside backward, and their memory, against torch's own backward and its allocator, which know no formula."""

import math

import numpy as np
import pytest
import torch

from sandbox.memory.allocator import allocations
from sandbox.theory import gradient_descent_in_backward as in_backward
from sandbox.theory import lomo_memory

# --- the same update


def two_layers(dtype=torch.float64):
    torch.manual_seed(0)
    return [torch.randn(3, 3, dtype=dtype, requires_grad=True) for _ in range(2)]


def loss_of(w):
    x = torch.arange(1.0, 4.0, dtype=torch.float64)
    return (torch.tanh(w[0] @ x) @ w[1]).square().sum() + (w[1] @ x).sum()  # w[1] is used twice


def test_an_update_in_the_hook_of_every_tensor_is_the_one_after_backward():
    inside, after, lr = two_layers(), two_layers(), 0.1
    start = [w.detach().clone() for w in inside]
    for w in inside:
        w.register_post_accumulate_grad_hook(lambda w: setattr(w, "data", w.data - lr * w.grad))
    loss_of(inside).backward()
    loss_of(after).backward()
    for one, other, w in zip(inside, after, start, strict=True):
        ratio = (one.detach() - w) / (-lr * other.grad)
        assert ratio.mean().item() == pytest.approx(in_backward.same_update.at(), rel=1e-9)
        assert ratio.std().item() < 1e-9


# --- in parts


def apart(gradients, w, lr):
    point = w
    for gradient in gradients:
        point = point - lr * gradient(point)
    return np.linalg.norm(point - (w - lr * sum(gradient(w) for gradient in gradients)))


@pytest.mark.parametrize("lr", [0.01, 0.3])
def test_random_quadratic_parts_stay_within_their_bounds_and_a_maximum_attains_the_first(lr):
    rng, L, k, d = np.random.default_rng(51), 2.0, 5, 4
    for lowest, bound in ((-L, in_backward.in_parts), (0.0, in_backward.in_parts_convex)):
        for _ in range(25):
            parts = []
            for _ in range(k):
                Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
                H, b = Q @ np.diag(rng.uniform(lowest, L, d)) @ Q.T, rng.standard_normal(d)
                parts.append(lambda w, H=H, b=b: H @ w + b)
            w = rng.standard_normal(d)
            G = max(np.linalg.norm(part(w)) for part in parts)
            assert apart(parts, w, lr) <= bound.at(L=L, lr=lr, G=G, k=k)
    maximum = [lambda w: -L * w] * k
    assert apart(maximum, np.ones(1), lr) == pytest.approx(in_backward.in_parts.at(L=L, lr=lr, G=L, k=k), rel=1e-9)
    two = [lambda w: np.ones(1), lambda w: L * w - 1]
    assert apart(two, np.zeros(1), lr) == pytest.approx(in_backward.in_parts_convex.at(L=L, lr=lr, G=1.0, k=2), rel=1e-9)


def test_both_are_quadratic_in_the_learning_rate():
    for bound in (in_backward.in_parts, in_backward.in_parts_convex):
        small, large = (bound.at(L=1.0, lr=lr, G=1.0, k=4) for lr in (1e-4, 2e-4))
        assert math.log2(large / small) == pytest.approx(2.0, abs=1e-3)  # the next term is smaller by lr


# --- memory

UNIT = 100_000  # entries, so that scalars and buffers of autograd do not count


def peak(sizes, hook, again=None):
    """Bytes of one backward over tensors of these sizes, born in this order; `again`: the factor with which the first comes back last."""
    weights = [torch.ones(n * UNIT, requires_grad=True) for n in sizes]
    uses = [(w, torch.full_like(w.detach(), 2.0)) for w in reversed(weights)]  # the last use is differentiated first
    uses = [(weights[0], again), *uses] if again is not None else uses
    loss = torch.zeros(())
    for w, c in uses:
        loss = loss + (w * c).sum()
    hook(weights)
    return allocations(loss.backward).peak / (4 * UNIT)


def keep(weights):
    return None


def free(weights):
    for w in weights:
        w.register_post_accumulate_grad_hook(lambda w: setattr(w, "grad", None))


def scan(weights):
    def look(arriving):
        for w in weights:
            w.grad = None

    for w in weights:
        w.register_hook(look)


@pytest.mark.parametrize("sizes", [(1, 2, 3), (3, 1, 2), (2, 3, 3, 1)])
def test_the_peaks_that_the_allocator_sees(sizes):
    """To 1 %: a few scalars beside tensors of 400 kB."""
    pair = max(a + b for a, b in zip(sizes, sizes[1:], strict=False))
    assert peak(sizes, keep) == pytest.approx(lomo_memory.kept.at(largest=max(sizes), total=sum(sizes)), rel=0.01)
    assert peak(sizes, free) == pytest.approx(lomo_memory.freed.at(largest=max(sizes)), rel=0.01)
    assert peak(sizes, scan) == pytest.approx(lomo_memory.scanned.at(largest=max(sizes), pair=pair), rel=0.01)


@pytest.mark.parametrize(("sizes", "shared", "between"), [((3, 1, 2), 3, 2), ((1, 4), 1, 4)])
def test_a_tensor_that_is_used_twice_and_summed_in_place(sizes, shared, between):
    """The first of `sizes` is used first and last: its parts are born at both ends of backward."""
    limit = lomo_memory.tied.at(shared=shared, between=between, outside=0, copies=2)
    assert peak(sizes, free, again=torch.full((sizes[0] * UNIT,), 3.0)) == pytest.approx(limit, rel=0.01)


@pytest.mark.parametrize(("head", "copies"), [(lambda W, x: x @ W.t(), 3), (lambda W, x: W @ x.t(), 2)])
def test_a_tied_head_takes_three_copies_for_its_part_is_transposed_and_two_written_the_other_way_round(head, copies):
    W = torch.ones(4000, 50, requires_grad=True)
    loss = head(W, torch.nn.functional.embedding(torch.tensor([1, 2]), W)).square().sum()
    free([W])
    limit = lomo_memory.tied.at(shared=4 * W.numel(), between=0, outside=0, copies=copies)
    assert allocations(loss.backward).peak == pytest.approx(limit, rel=0.05)  # logits and their gradients, 8000 entries each


def test_temporaries_of_an_update_are_counted_with_the_largest():
    """An update in float32 of half-precision tensors, as LOMO's: copies of gradient and weight, 2 + 8 bytes an entry."""
    sizes = (1, 3, 2)
    weights = [torch.ones(n * UNIT, dtype=torch.bfloat16, requires_grad=True) for n in sizes]
    loss = sum((w * torch.full_like(w.detach(), 2.0)).sum() for w in weights)

    def update(w):
        gradient, weight = w.grad.float(), w.data.float()
        weight.add_(gradient, alpha=-0.1)
        w.data.copy_(weight)
        w.grad = None

    for w in weights:
        w.register_post_accumulate_grad_hook(update)
    limit = lomo_memory.updated.at(entries=3 * UNIT, stored=2, temporary=8)
    assert allocations(loss.backward).peak == pytest.approx(limit, rel=0.01)

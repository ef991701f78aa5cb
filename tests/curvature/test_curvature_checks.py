"""Losses without a usable Hessian are named in one sentence, before any work; their neighbours that are fine pass."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sandbox.curvature.dense import dense
from sandbox.curvature.objective import objective, supervised
from sandbox.curvature.operators import gauss_newton, hessian, operator
from sandbox.draws import generator, normal

X = normal((6, 4), generator(0))
Y = torch.tensor([0, 1, 2, 0, 1, 2])
BOTH = pytest.mark.parametrize("matrix_of", [hessian, gauss_newton])


def net_with(middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), middle, nn.Tanh(), nn.Linear(5, 3)).double()


def of(model: nn.Module, batches=((X, Y),)):
    return objective(supervised(model, F.cross_entropy), dict(model.named_parameters()), list(batches))


def plain(loss, **settings):
    return objective(loss, {"w": torch.ones(4, dtype=torch.float64)}, [X], **settings)


class Attention(nn.Module):
    """One causal head over six positions; `kernels` None: torch chooses."""

    def __init__(self, kernels=None) -> None:
        super().__init__()
        self.kernels = kernels
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x)[None, None].chunk(3, -1)
        if self.kernels is None:
            return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True)[0, 0])
        with sdpa_kernel(self.kernels):
            return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True)[0, 0])


@BOTH
def test_dropout_in_training_mode_is_named(matrix_of):
    with pytest.raises(ValueError, match=r"draws new random numbers in \['bernoulli_'\] \(dropout\?\): call model.eval\(\)"):
        matrix_of(of(net_with(nn.Dropout(0.5))))


def test_a_module_that_is_built_without_numbers_draws_none():
    """A loss that makes its skeleton on the first call, on the meta device: its initial values are no random numbers."""

    def loss(params, batch):
        with torch.device("meta"):
            model = nn.Linear(4, 3, dtype=torch.float64)
        return F.cross_entropy(torch.func.functional_call(model, params, (batch[0],)), batch[1])

    params = dict(nn.Linear(4, 3).double().named_parameters())
    assert hessian(objective(loss, params, [(X, Y)])).layout.size == 15


@BOTH
def test_batch_norm_in_training_mode_is_named(matrix_of):
    for norm in (nn.BatchNorm1d(5), nn.BatchNorm1d(5, track_running_stats=False)):
        with pytest.raises(ValueError, match=r"must not depend on its batch, but \['native_batch_norm'\] runs in training mode"):
            matrix_of(of(net_with(norm)))


@BOTH
def test_refused_modules_pass_in_eval_mode_and_keep_their_buffers(matrix_of):
    model = net_with(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(5))).eval()
    before = {name: value.clone() for name, value in model.named_buffers()}
    matrix_of(of(model))
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


def test_instance_norm_is_no_batch_norm():
    """It normalises each sample by itself, although torch computes it by the kernel of batch norm."""
    model = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.InstanceNorm1d(1), nn.Flatten(), nn.Linear(4, 3)).double()
    assert dense(hessian(of(model))).shape == (15, 15)


def test_randomness_that_torch_does_not_see_is_found():
    count = iter(range(1000))
    with pytest.raises(ValueError, match=r"two gradients at the same point and batch differ by .* pure function of"):
        hessian(plain(lambda p, x: (x @ p["w"]).square().mean() * (1.0 + next(count))))


def test_draws_from_a_generator_of_its_own_are_no_randomness():
    """1/2 x^T A x with A drawn anew from one seed in every call; with a generator that goes on, no two calls agree."""
    H = dense(hessian(plain(lambda p, x: 0.5 * p["w"] @ normal((4, 4), generator(1)) @ p["w"])))
    A = normal((4, 4), generator(1)).numpy()
    torch.testing.assert_close(torch.from_numpy(H), torch.from_numpy((A + A.T) / 2), rtol=0, atol=1e-14)  # four products of size one
    goes_on = generator(1)
    with pytest.raises(ValueError, match="two gradients at the same point and batch differ by"):
        hessian(plain(lambda p, x: 0.5 * p["w"] @ normal((4, 4), goes_on) @ p["w"]))


def test_an_objective_is_checked_once():
    """Every call of the loss counts: two for the checks, one for the graph of the products, which is kept."""
    calls = []

    def loss(p, x):
        calls.append(x)
        return p["w"].square().sum()

    one = plain(loss)
    matrix = hessian(one)
    assert len(calls) == 2
    hessian(one)
    assert len(calls) == 2
    for _ in range(2):
        matrix.apply(torch.eye(4).numpy())
    assert len(calls) == 3


@BOTH
def test_attention_runs_on_the_path_with_second_derivatives(matrix_of):
    """The default kernel of this call has none on the CPU; the truth is the same model by torch's math kernel."""
    model = Attention().double()
    named = Attention([SDPBackend.MATH]).double()
    named.load_state_dict(model.state_dict())
    theta = torch.ones(1, 75, dtype=torch.float64).numpy()
    found = operator(matrix_of(of(model))) @ theta.T
    assert abs(found).max() > 0
    torch.testing.assert_close(found, operator(matrix_of(of(named))) @ theta.T, rtol=0, atol=1e-14)  # the same operations


def test_attention_agrees_with_finite_differences():
    """Central differences of the gradient; 1e-7: e^2 times third derivatives of size one, and 1e-16 / e."""
    model = Attention([SDPBackend.MATH]).double()
    one, v, e = of(model), normal((75,), generator(3)), 1e-5
    gradient = torch.func.grad(one.part(one.batches[0]))
    slope = (gradient(one.at + e * v) - gradient(one.at - e * v)) / (2 * e)
    torch.testing.assert_close(torch.from_numpy(operator(hessian(one)) @ v.numpy()), slope, rtol=0, atol=1e-7)


@BOTH
def test_a_fused_kernel_is_refused_by_name(matrix_of):
    with pytest.raises(ValueError, match=r"twice, but the model forces the fused \['_scaled_dot_product_flash_attention_for_cpu'\]"):
        matrix_of(of(Attention([SDPBackend.FLASH_ATTENTION]).double()))


class Once(torch.autograd.Function):
    """x -> x^2, whose backward pass may not be differentiated."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        return 2 * ctx.saved_tensors[0] * slope


class Twice(Once):
    """The same with a backward pass that torch can differentiate."""

    @staticmethod
    def backward(ctx, slope):
        return 2 * ctx.saved_tensors[0] * slope


class Foreign(torch.autograd.Function):
    """x -> 3 x in the old style (a forward pass that takes ctx), which torch.func cannot enter."""

    @staticmethod
    def forward(ctx, x):
        return 3 * x

    @staticmethod
    def backward(ctx, slope):
        return 3 * slope


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_second_derivative_that_torch_takes_for_zero_is_found(dtype):
    """torch.func.vjp over grad of this loss answers 0 without a word; the truth is 2."""
    one = plain(lambda p, x: Once.apply(p["w"]).sum() + p["w"].prod(), dtype=dtype)
    with pytest.raises(ValueError, match=r"away from the difference of two gradients .* custom functions \['Once'\]"):
        hessian(one)
    hessian(plain(lambda p, x: Twice.apply(p["w"]).sum() + p["w"].prod(), dtype=dtype))


def test_an_operator_that_torch_func_refuses_is_refused_in_its_words():
    with pytest.raises(ValueError, match=r"must be twice differentiable by torch.func, but torch says: In order to use"):
        hessian(plain(lambda p, x: Foreign.apply(p["w"]).sum()))


@pytest.mark.parametrize(
    ("loss", "shown"),
    [
        (lambda p, x: x @ p["w"], r"shape \(6,\) of torch.float64"),
        (lambda p, x: (x @ p["w"]).sum(0, keepdim=True), r"shape \(1,\) of torch.float64"),
        (lambda p, x: (x @ p["w"]).sum() / 0.0, r"(inf|nan) of torch.float64"),
        (lambda p, x: (x @ p["w"]).sum().long(), "of torch.int64"),
    ],
    ids=["vector", "one-entry", "infinite", "integer"],
)
def test_a_loss_that_is_no_number_is_refused(loss, shown):
    with pytest.raises(ValueError, match=rf"one finite real number \(0-dim\), got .*{shown}; take its mean"):
        hessian(plain(loss))


def test_an_unused_tensor_is_named():
    model = net_with(nn.Identity())
    model.spare = nn.Linear(2, 2).double()
    model.forward = lambda x: model[3](model[2](model[0](x)))
    with pytest.raises(ValueError, match=r"no batch of 1 uses \['spare.bias', 'spare.weight'\]: their rows would be 0"):
        hessian(of(model))
    with pytest.raises(ValueError, match=r"no batch of 1 uses \['w'\]"):
        hessian(plain(lambda p, x: x.mean()))


def test_a_tensor_that_one_batch_uses_is_used():
    """(|a|^2 + |b|^2) / 2 over two batches of equal weight: the identity."""
    params = {"a": torch.ones(2, dtype=torch.float64), "b": torch.ones(2, dtype=torch.float64)}
    made = dense(hessian(objective(lambda p, name: p[name].square().sum(), params, ["a", "b"], weights=(1, 1))))
    torch.testing.assert_close(torch.as_tensor(made), torch.eye(4, dtype=torch.float64))

"""What other people's packages do on purpose or by accident, each on the smallest example that shows it; ours beside it."""

from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.fused import Fused
from tests.peers import theirs
from tests.peers.pairs import FRAME, OFTEN
from tests.peers.training import MODEL, STEPS, Contender, started, trained


def linear() -> nn.Linear:
    """Weights that are not those of a global seed."""
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        for i, w in enumerate(layer.parameters()):
            w.copy_(normal(tuple(w.shape), generator(0, i)))
    return layer


def test_adalomo_asks_for_a_gpu_when_it_is_made(need):
    need("lomo_optim")
    if torch.cuda.is_available():
        pytest.skip("its buffers go to the GPU here without an error")
    with pytest.raises((AssertionError, RuntimeError), match="CUDA|NVIDIA"):
        theirs.package("lomo_optim").AdaLomo(linear())


def adalomo(model: nn.Module) -> torch.optim.Optimizer:
    with patch.object(Tensor, "cuda", lambda self, *_, **__: self):
        return theirs.package("lomo_optim").AdaLomo(model, lr=0.1)


def test_a_plain_backward_before_the_first_fused_one_turns_the_weights_into_nan(need):
    """Its step number is then 0, its average keeps its zeros, and g / sqrt(0) is clipped as inf / inf. Ours takes a plain backward."""
    need("lomo_optim")
    theirs_, ours_ = linear(), linear()
    kept = adalomo(theirs_)
    mine = Fused(ours_.named_parameters(), AdaLomo(lr=0.1))
    for model in (theirs_, ours_):
        model(torch.ones(4, 3)).sum().backward()
    kept.grad_func(0)  # the last tensor waits for the next hook
    assert all(w.isnan().all() for w in theirs_.parameters())
    assert all(w.isfinite().all() for w in ours_.parameters())
    mine.step()


def test_torch_adafactor_with_the_papers_eps_divides_zero_by_zero_in_float32():
    """It squares eps1 where it guards v, and 1e-60 is 0 in float32: one row without gradient, such as an unseen token, is enough.

    At its own default, 1.2e-7, and in float64 the row stays; transformers and ours add eps1 to g^2, and it stays in both.
    """
    ends = {}
    for dtype in (torch.float32, torch.float64):
        for eps in (1e-30, None):
            w = nn.Parameter(torch.ones(2, 3, dtype=dtype))
            w.grad = torch.tensor([[0.0, 0, 0], [1, 2, 3]], dtype=dtype)
            torch.optim.Adafactor([w], lr=0.1, eps=(eps, 1e-3)).step()
            ends[dtype, eps] = w.detach()
    assert [key for key, w in ends.items() if not w.isfinite().all()] == [(torch.float32, 1e-30)]
    assert ends[torch.float32, 1e-30][0].isnan().all()
    for w in (w for w in ends.values() if w.isfinite().all()):
        assert torch.equal(w[0], torch.ones_like(w[0]))
    w, g = torch.ones(2, 3), torch.tensor([[0.0, 0, 0], [1, 2, 3]])
    delta, _ = Adafactor(lr=0.1).step(g, Adafactor(lr=0.1).init(w), w)
    assert torch.equal(delta[0], torch.zeros(3)) and delta.isfinite().all()


def svd_steps(contender: Contender) -> list[int]:
    """The steps, from 0, at which a training decomposes its gradients."""
    seen, step, svd = [], [0], torch.linalg.svd
    model = started("float32")
    advance = contender.start(model, **dict(contender.settings))

    def spy(x: Tensor, **how: object) -> object:
        seen.append(step[0])
        return svd(x, **how)

    with patch.object(torch.linalg, "svd", spy):
        for k in range(STEPS):
            step[0] = k
            advance(sum(w.square().sum() for w in model.parameters()))
    return sorted(set(seen))


def test_the_refreshes_of_galore_and_of_its_port(need):
    need("galore_torch", "pytorch_optimizer")
    assert svd_steps(theirs.galore(frame=OFTEN, lr=1e-2)) == [0, 10, 20, 30, 40]
    assert svd_steps(theirs.ported_galore(frame=OFTEN, lr=1e-2)) == [0, 9, 19, 29, 39, 49]
    assert svd_steps(theirs.galore(frame=FRAME, lr=1e-2)) == svd_steps(theirs.ported_galore(frame=FRAME, lr=1e-2)) == [0]


def test_the_same_packages_again_give_the_same_bits(need):
    """Else a comparison would measure luck."""
    need("galore_torch", "lomo_optim")
    for one in (theirs.galore(frame=OFTEN, lr=1e-2), theirs.adalomo(lr=1e-2)):
        assert torch.equal(trained.__wrapped__(one, "float32"), trained(one, "float32"))


def test_lomo_leaves_float32_digits_in_float64_weights(need):
    need("lomo_optim")
    end = trained(theirs.lomo(lr=0.1), "float64")
    assert torch.equal(end, end.float().double())


def test_torch_sgd_may_round_once_where_ours_rounds_twice():
    """A fused multiply-add rounds w - lr g once; ours rounds the product first. Whether torch fuses depends on the processor."""
    w, g = normal((500,), generator(1)).float(), normal((500,), generator(2)).float()
    lr = torch.tensor(0.1)  # float32, as the kernel holds it
    once, twice = (w.double() - lr.double() * g.double()).float(), w - lr * g
    p = nn.Parameter(w.clone())
    p.grad = g
    torch.optim.SGD([p], lr=0.1, foreach=False).step()
    assert torch.equal(p.detach(), once) or torch.equal(p.detach(), twice)
    delta, _ = GradientDescent(0.1).step(g, GradientDescent(0.1).init(w), w)
    assert torch.equal(w + delta, twice)
    assert not torch.equal(once, twice)


def test_adam_mini_reads_names_and_ours_do_not_reach_it(need):
    """The cut that it chose shows in the number of second moments that it keeps of each tensor."""
    need("adam_mini")
    kept = {}
    for names in ("ours", "Hugging Face"):
        model = started("float32")
        parameters = [(theirs.called_as(name, names), w) for name, w in model.named_parameters()]
        optimizer = theirs.package("adam_mini").Adam_mini(
            parameters, lr=1e-3, dim=MODEL.width, n_heads=MODEL.heads, n_kv_heads=MODEL.groups, verbose=False
        )
        sum(w.square().sum() for w in model.parameters()).backward()
        optimizer.step()
        kept[names] = {name.split(".")[-2]: optimizer.state[w]["vmean"].numel() for name, w in model.named_parameters()}
    missed = {name for name in kept["ours"] if kept["ours"][name] != kept["Hugging Face"][name]}
    assert missed == {"out", "gate", "up", "down", "head"}
    assert {kept["ours"][name] for name in missed} == {1}
    assert kept["Hugging Face"]["query"] == MODEL.heads and kept["Hugging Face"]["out"] == MODEL.width


def test_every_tensor_has_a_name_in_hugging_faces_words():
    called = [theirs.called_as(name, "Hugging Face") for name, _ in started("float32").named_parameters()]
    assert called[0] == "model.embed_tokens.weight" and called[-1] == "lm_head.weight"
    assert "model.layers.0.self_attn.q_proj.weight" in called and len(set(called)) == len(called)
    assert not any("blocks" in name or "attention." in name for name in called)

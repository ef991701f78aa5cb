"""The fixed losses on text: what `facts` says is true, and nothing is drawn twice."""

import torch
from torch.func import grad, hessian

from sandbox.models.fixed_text import Bigrams, Matrices


def test_the_curvature_of_the_bigram_model_never_exceeds_its_L_and_comes_close():
    """Along one row the Hessian is frequency * (diag(q) - q q^T), largest at q = (1/2, 1/2, 0, ...), where it is frequency / 2."""
    problem = Bigrams()
    p, V = problem.frequencies, problem.frequencies.shape[0]
    most = int(p.sum(1).argmax())
    top = []
    for row in (torch.zeros(V).double(), torch.cat([torch.tensor([40.0, 40.0]), torch.zeros(V - 2)]).double()):
        H = hessian(lambda w: problem.loss({"W": torch.zeros(V, V).double().index_put((torch.tensor(most),), w)}, None))(row)
        top.append(float(torch.linalg.eigvalsh(H)[-1]))
    assert max(top) <= problem.facts.L * (1 + 1e-9) and top[1] > 0.999 * problem.facts.L > 2 * top[0]


def test_the_infimum_of_the_bigram_model_is_approached_by_its_log_frequencies():
    problem = Bigrams()
    W = (problem.frequencies / problem.frequencies.sum(1, keepdim=True).clamp(min=1e-12)).clamp(min=1e-12).log()
    reached = float(problem.loss({"W": W}, None))
    assert problem.facts.f_star <= reached < problem.facts.f_star + 1e-8  # V * 1e-12 of mass is moved
    assert 1.5 < problem.facts.f_star < 3.0  # nats per character given the last; English has about 2.4
    assert float(problem.loss(problem.start(1), None)) > problem.facts.f_star + 1


def test_the_matrices_of_the_transformer_are_its_only_parameters():
    problem = Matrices(assumed=3.0)
    start = problem.start(4)
    assert all(w.ndim == 2 and w.dtype == torch.float64 for w in start.values()) and problem.facts.L == 3.0
    again, slope = problem.loss(problem.start(4), None), grad(lambda w: problem.loss(w, None))(start)
    assert torch.equal(again, problem.loss(start, None)) and all(float(g.norm()) > 0 for g in slope.values())
    assert not torch.equal(again, problem.loss(problem.start(5), None))

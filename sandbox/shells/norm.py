"""The global norm of gradients that are gone, and the factor that clips to it: the numbers of torch's clip_grad_norm_."""

import math

import torch
from torch import Tensor

from sandbox.optimizers.sharding import placements

EPS = 1e-6  # torch.nn.utils.clip_grad_norm_, and LOMO's code


def require_norm(max_norm: float) -> None:
    """Raises ValueError unless max_norm > 0; infinity measures and clips nothing."""
    if not max_norm > 0 or math.isnan(max_norm):
        raise ValueError(f"max_norm must be > 0, got {max_norm}; use math.inf to measure without clipping")


def norm_of(g: Tensor) -> Tensor:
    """Euclidean norm of one gradient, 0-dim; of all of it where it is sharded."""
    norm = torch.linalg.vector_norm(g)
    return norm.full_tensor() if placements(norm) else norm


def total(norms: list[Tensor]) -> Tensor:
    """sqrt(sum of n^2), 0-dim, of the norms of the tensors."""
    if not norms:
        return torch.tensor(0.0)
    return torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device) for norm in norms]))


def coefficient(norm: Tensor, max_norm: float) -> Tensor:
    """min(1, max_norm / (norm + 1e-6)), 0-dim."""
    return (max_norm / (norm + EPS)).clamp(max=1.0)

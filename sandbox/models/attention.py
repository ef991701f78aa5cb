"""Causal attention by hand, so that it can be differentiated twice, forwards and backwards, and mapped over parameters.

    A = softmax(Q K^T / sqrt(C) + M),   out = A V,   M_ts = 0 for s <= t and -inf for s > t

Source: Vaswani et al. (2017), section 3.2.1, https://arxiv.org/abs/1706.03762; groups of heads that share one key and
one value: Ainslie et al. (2023), https://arxiv.org/abs/2305.13245 (recalled).  Departures from the paper: none. The
fused kernels of torch have no second derivative on every device; this one is five plain operations.

Letters: B batch, T time, D width, H heads, G key-value heads, R = H / G query heads per group, C = D / H head width.
"""

import torch
from torch import Tensor


def split_heads(x_BTN: Tensor, groups: int, per_group: int) -> Tensor:
    """(B, T, G R C) -> (B, G, R, T, C): consecutive chunks of C features are heads, R consecutive heads are a group."""
    B, T, N = x_BTN.shape
    return x_BTN.view(B, T, groups, per_group, N // (groups * per_group)).permute(0, 2, 3, 1, 4)


def merge_heads(x_BGRTC: Tensor) -> Tensor:
    """The inverse of `split_heads`: (B, G, R, T, C) -> (B, T, G R C)."""
    return x_BGRTC.permute(0, 3, 1, 2, 4).flatten(2)


def attend(q_BGRTC: Tensor, k_BG1TC: Tensor, v_BG1TC: Tensor) -> Tensor:
    """Causal attention of every query head over the key and value of its group; returns (B, G, R, T, C)."""
    T, C = q_BGRTC.shape[-2:]
    scores_BGRTT = (q_BGRTC * C**-0.5) @ k_BG1TC.mT
    future_TT = torch.ones(T, T, dtype=torch.bool, device=scores_BGRTT.device).triu(1)
    weights_BGRTT = scores_BGRTT.masked_fill(future_TT, float("-inf")).softmax(-1)
    return weights_BGRTT @ v_BG1TC

"""Optimizers of other packages as contenders. Each package is imported when its contender starts, and not before.

Nothing here is their code; each function only calls what its package offers, in the way that package documents.
"""

import importlib
import warnings
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from tests.peers.ours import MATRICES, stepping
from tests.peers.training import MODEL, Advance, Contender, DType

HUGGING_FACE = {
    "embedding.weight": "model.embed_tokens.weight", "head.weight": "lm_head.weight", "norm.weight": "model.norm.weight",
    "attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj", "attention.value": "self_attn.v_proj", "attention.out": "self_attn.o_proj",
    "ffn.gate": "mlp.gate_proj", "ffn.up": "mlp.up_proj", "ffn.down": "mlp.down_proj", "blocks.": "model.layers.",
}  # fmt: skip


def package(name: str) -> ModuleType:
    """The module; some of them warn about other packages when they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def called_as(name: str, names: str) -> str:
    """The name of a tensor: ours, or as Hugging Face's Llama calls it."""
    if names == "ours":
        return name
    if name in HUGGING_FACE:
        return HUGGING_FACE[name]
    for ours, theirs in HUGGING_FACE.items():
        name = name.replace(ours, theirs)
    return name


def start_torch(model: nn.Module, *, kind: str, **settings: Any) -> Advance:
    return stepping(getattr(torch.optim, kind)(model.parameters(), foreach=False, **settings))


def start_plain(model: nn.Module, *, module: str, kind: str, **settings: Any) -> Advance:
    """Any class that takes parameters and settings."""
    return stepping(getattr(package(module), kind)(list(model.parameters()), **settings))


def start_momentum_in_the_dtype_of_the_weights(model: nn.Module, **settings: Any) -> Advance:
    dtype = next(model.parameters()).dtype
    return start_plain(model, module="pytorch_optimizer", kind="AdaFactor", momentum_dtype=dtype, **settings)


def start_fused(model: nn.Module, *, module: str, kind: str, clip_grad_norm: float | None = None, lr: float, **settings: Any) -> Advance:
    """lomo_optim's own loop; its AdaLomo moves its buffers to a GPU, which a machine without one refuses, so that is undone."""
    with patch.object(Tensor, "cuda", lambda self, *_, **__: self):
        optimizer = getattr(package(module), kind)(model, lr=lr, clip_grad_norm=clip_grad_norm, **settings)

    def advance(loss: Tensor) -> None:
        if clip_grad_norm is not None:
            optimizer.grad_norm(loss)
        optimizer.fused_backward(loss, lr)

    return advance


def start_adam_mini(model: nn.Module, *, names: str, **settings: Any) -> Advance:
    parameters = [(called_as(name, names), w) for name, w in model.named_parameters()]
    sizes = dict(dim=MODEL.width, n_heads=MODEL.heads, n_kv_heads=MODEL.groups, verbose=False)
    return stepping(package("adam_mini").Adam_mini(parameters, **sizes, **settings))


def start_ported_adam_mini(model: nn.Module, *, names: str, **settings: Any) -> Advance:
    """pytorch_optimizer's asks its model for names alone."""
    called = SimpleNamespace(named_parameters=lambda: [(called_as(name, names), w) for name, w in model.named_parameters()])
    sizes = dict(num_embeds=MODEL.width, num_heads=MODEL.heads, num_query_groups=MODEL.groups)
    return stepping(package("pytorch_optimizer").AdamMini(called, **sizes, **settings))


def galore_groups(model: nn.Module, frame: tuple, word: str) -> list[dict[str, Any]]:
    projected = [w for name, w in model.named_parameters() if name.split(".")[-2] in MATRICES]
    rest = [w for name, w in model.named_parameters() if name.split(".")[-2] not in MATRICES]
    return [{"params": projected, word: "std"} | dict(frame), {"params": rest}]


def start_galore(model: nn.Module, *, frame: tuple, signs: str = "LAPACK's", **settings: Any) -> Advance:
    """signs: of the singular vectors; "fixed" makes the largest entry of each left one positive, as our GaLore does on its side."""
    optimizer = package("galore_torch").GaLoreAdamW(galore_groups(model, frame, "proj_type"), no_deprecation_warning=True, **settings)
    advance = stepping(optimizer)
    if signs == "LAPACK's":
        return advance

    def with_fixed_signs(loss: Tensor) -> None:
        with patch.object(torch.linalg, "svd", signed_svd(torch.linalg.svd)):
            advance(loss)

    return with_fixed_signs


def signed_svd(svd: Any) -> Any:
    """An SVD whose vectors on the short side (rows where it is square: galore_torch's choice is V) have a positive largest entry."""

    def signed(x: Tensor, **how: Any) -> tuple[Tensor, Tensor, Tensor]:
        U, s, Vh = svd(x, **how)
        kept = Vh.mT if x.shape[0] >= x.shape[1] else U
        sign = kept.gather(0, kept.abs().argmax(0, keepdim=True)).sign()
        return U * sign, s, Vh * sign.mT

    return signed


def start_ported_galore(model: nn.Module, *, frame: tuple, **settings: Any) -> Advance:
    return stepping(package("pytorch_optimizer").GaLore(galore_groups(model, frame, "projection_type"), **settings))


def contender(module: str, name: str, start: Any, *, computes: DType = "float64", **settings: Any) -> Contender:
    return Contender(module, name, start, tuple(settings.items()), computes)


def _torch(kind: str) -> Any:
    return partial(contender, "torch", kind, partial(start_torch, kind=kind))


def _plain(module: str, kind: str, *, of: str | None = None, computes: DType = "float64") -> Any:
    return partial(contender, of or module, kind, partial(start_plain, module=module, kind=kind), computes=computes)


def _fused(module: str, kind: str) -> Any:
    return partial(contender, module, kind, partial(start_fused, module=module, kind=kind), computes="float32")


torch_sgd, torch_adam, torch_adamw, torch_adafactor = map(_torch, ("SGD", "Adam", "AdamW", "Adafactor"))
lomo, adalomo = (_fused("lomo_optim", kind) for kind in ("Lomo", "AdaLomo"))
ported_lomo, ported_adalomo = (_fused("pytorch_optimizer", kind) for kind in ("LOMO", "AdaLOMO"))
hf_adafactor = _plain("transformers.optimization", "Adafactor", of="transformers")
ported_adafactor = partial(
    contender, "pytorch_optimizer", "AdaFactor, momentum like the weights", start_momentum_in_the_dtype_of_the_weights
)
ported_adafactor_as_it_comes = _plain("pytorch_optimizer", "AdaFactor")
came, ported_came = (_plain(module, "CAME") for module in ("came_pytorch", "pytorch_optimizer"))
adam_mini = partial(contender, "adam_mini", "Adam_mini", start_adam_mini)
ported_adam_mini = partial(contender, "pytorch_optimizer", "AdamMini", start_ported_adam_mini, computes="float32")
galore = partial(contender, "galore_torch", "GaLoreAdamW", start_galore, computes="float32")
ported_galore = partial(contender, "pytorch_optimizer", "GaLore", start_ported_galore, computes="float32")

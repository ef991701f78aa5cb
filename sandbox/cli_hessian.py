"""What `sandbox hessian` computes: the exact Hessian of a one-block transformer on real text, and two partitions of it."""

from typing import Any

import torch

from sandbox.curvature.hessian import dense_hessian
from sandbox.models import gpt, llama, partitions
from sandbox.models.cuts import adam_mini
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adamw import AdamW
from sandbox.run import run


def hessian_of(family: str, width: int, *, steps: int, seed: int, text: str) -> tuple[Any, dict[str, Any]]:
    """The Hessian in the tensors of a one-block model on real text (embedding and head left out), and two partitions of it.

    Raises ValueError for fewer than 0 steps.
    """
    if steps < 0:
        raise ValueError(f"the Hessian is taken after steps >= 0 of AdamW (0: at the start), got {steps}")
    torch.set_num_threads(1)
    config = {"gpt": gpt.GPTConfig, "llama": llama.LlamaConfig}[family]
    model = config(vocab=2, width=width, layers=1, heads=4, context=16)
    problem = fitted(LanguageProblem(model, text=text, tokenizer=Characters(), batch_size=8, dtype="float64"))
    final = run(problem, AdamW(lr=3e-3), steps=steps, seed=seed).final if steps else problem.start(seed)
    params = {name: torch.as_tensor(tensor) for name, tensor in final.items()}
    names = [name for name, role in problem.roles.items() if role.kind not in ("embedding", "position", "head")]
    cuts = partitions.from_blocks(adam_mini(problem.roles, problem.shapes), problem.shapes)
    matrix = dense_hessian(problem, params, problem.batch(seed, steps), names=names)
    return matrix, {"adam-mini": cuts, "random": partitions.random_like(cuts, seed)}

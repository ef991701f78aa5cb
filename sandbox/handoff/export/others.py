"""What four more trainers can say of each optimizer of the field, as data, and as a table.

Read in the released sources of the versions below in November 2026; none of it was run here, which the table says. "no" means that there
is no name for it: `sandbox.handoff.optimizer` gives the object itself to those that take one.
"""

from collections.abc import Mapping

METHODS = ("AdamW", "LOMO", "AdaLomo", "GaLore", "Adam-mini", "CAME", "Adafactor", "RSO", "GWT")
NO = "no"
LAST = "one rate per tensor"  # what a parametrisation needs

CAN: Mapping[str, Mapping[str, str]] = {
    "LLaMA-Factory 0.9.5": {
        "AdamW": "optim: adamw_torch",
        "LOMO": "optim: lomo; rate alone",
        "AdaLomo": "optim: adalomo; rate alone",
        "GaLore": "use_galore, galore_rank (16), _update_interval (200), _scale (2.0), _proj_type, _target; with optim: adamw_torch; "
        "no betas, eps; not with DeepSpeed",
        "Adam-mini": "use_adam_mini; heads from the model's configuration",
        "Adafactor": "optim: adafactor; parameter scale off",
    },
    "axolotl 0.19.0": {
        "AdamW": "optimizer: adamw_torch",
        "LOMO": "optimizer: lomo; rate alone",
        "AdaLomo": "optimizer: adalomo; rate alone",
        "GaLore": "optimizer: galore_adamw, optim_target_modules, optim_args as a mapping (a string keeps its numbers as text)",
        "CAME": "optimizer: came_pytorch, adam_beta1/2/3, adam_epsilon, adam_epsilon2",
        "Adafactor": "optimizer: adafactor; parameter scale off",
        LAST: "lr_groups: [{name, modules, lr}]; embedding_lr, embedding_lr_scale",
    },
    "litgpt 0.5.13": {
        "AdamW": "class_path: torch.optim.AdamW",
        "CAME": "class_path: came_pytorch.CAME",
        "AdaLomo": "class_path: torch.optim.Adafactor; its rate is at most 1/sqrt(t), its eps another one",
        "Adafactor": "class_path: torch.optim.Adafactor; with parameter scale",
        LAST: "no: one scheduled rate is written into every group at every step",
    },
    "CoLLiE 1.0.7": {
        "LOMO": "collie.optim.Lomo(model, lr, clip_grad_norm, clip_grad_value, weight_decay); refuses accumulation and pipelines",
        "AdaLomo": "collie.optim.AdaLomo(...)",
        "AdamW": "any torch optimizer object",
    },
}


def table() -> str:
    """Markdown: a row per optimizer, a column per trainer."""
    trainers = list(CAN)
    lines = ["| optimizer | " + " | ".join(trainers) + " |", "|---|" + "---|" * len(trainers)]
    lines += [f"| {method} | " + " | ".join(CAN[one].get(method, NO) for one in trainers) + " |" for method in (*METHODS, LAST)]
    return "\n".join([*lines, "", "Defaults stand in brackets. Read in the sources of these versions, not run here."])


def rows() -> list[dict[str, str]]:
    """The same as data: one entry per optimizer and trainer."""
    return [
        {
            "id": f"{one}: {method}",
            "status": "named" if not CAN[one].get(method, NO).startswith(NO) else "no",
            "how": CAN[one].get(method, NO),
        }
        for method in (*METHODS, LAST)
        for one in CAN
    ]

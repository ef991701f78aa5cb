"""A card in the words of the TrainingArguments of Hugging Face (transformers 5.23): what fits, and what does not.

    AdamW, Adam        optim: adamw_torch       torch.optim.AdamW; gains and biases are left out of the decay
    gradient descent   optim: sgd               torch.optim.SGD
    AdaLomo            optim: adalomo           lomo_optim.AdaLomo; nothing but the learning rate can be set
    Adafactor          optim: adafactor         their own, scale_parameter and relative_step off; nothing but rate and decay can be set
    GaLore of Adam     optim: galore_adamw      galore_torch; rank, gap, scale and side can be set, betas, eps and decay cannot
    the others                                  no name: `sandbox.handoff.optimizer` gives the Trainer the card's own shell

Every field that decides the numbers is written, defaults too, for they change from version to version: `max_grad_norm` is 1.0 unless it
is switched off, and `optim` was adamw_torch once and is adamw_torch_fused now.

Source: transformers 5.23.0, trainer_optimizer.py, trainer.py and optimization.py (read, and run: tests/handoff/test_handoff_export_hf.py).
"""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.handoff.export.words import Exported, Lost, number, yaml_of
from sandbox.handoff.schema import Card

Data = Mapping[str, Any]
Named = tuple[dict[str, Any], list[Lost]]
TARGETS = {
    "query": "q_proj", "key": "k_proj", "value": "v_proj", "attention_out": "o_proj", "ffn_gate": "gate_proj", "ffn_in": "up_proj",
    "ffn_out": "down_proj",
}  # fmt: skip
SIDES = {"short": "std", "long": "reverse_std", 0: "left", 1: "right", "both": "full"}
ADAMW = {
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "weight_decay": 0.0,
    "optim_args": None,
    "optim_target_modules": None,
}


def hf(card: Card, kinds: Mapping[str, str]) -> Exported:
    """The YAML file of a card. kinds: kind of every tensor of the card's model, by name.

    Raises ValueError for an optimizer that Hugging Face has no name for.
    """
    name = card.optimizer.frame["type"] if card.optimizer.frame else card.optimizer.rule["type"]
    if name not in NAMES:
        raise ValueError(
            f"TrainingArguments has no name for {name}; give the Trainer the card's own shell instead: "
            "Trainer(optimizers=(made := sandbox.handoff.optimizer(card, model), sandbox.handoff.scheduler(card, made)))"
        )
    own, lost = NAMES[name](card, kinds)
    lost = [*lost, *_common(card)]
    arguments = ADAMW | {"learning_rate": card.optimizer.rule["lr"]} | own | _schedule(card, lost) | _rest(card)
    remarks = ("TrainingArguments of transformers 5.23; not carried over from the card:", *map(str, lost))
    return Exported("hf", yaml_of(arguments, remarks), "yaml", tuple(lost), arguments=arguments)


def _adamw(card: Card, kinds: Mapping[str, str]) -> Named:
    rule = card.optimizer.rule
    decay = rule.get("weight_decay", 0.0)
    own = {"optim": "adamw_torch", "weight_decay": decay, "adam_beta1": rule["betas"][0], "adam_beta2": rule["betas"][1]}
    left_out = sorted({kind for kind in kinds.values() if kind in ("norm", "bias")})
    lost = [Lost("weight_decay", number(float(decay)), f"0 for tensors of kind {', '.join(left_out)}")] if decay and left_out else []
    return own | {"adam_epsilon": rule["eps"]}, lost


def _sgd(card: Card, kinds: Mapping[str, str]) -> Named:
    return {"optim": "sgd", "optim_args": f"momentum={number(float(card.optimizer.rule.get('momentum', 0.0)))}"}, []


def _adalomo(card: Card, kinds: Mapping[str, str]) -> Named:
    theirs = {"eps": [1e-30, 1e-3], "clip_threshold": 1.0, "decay_rate": -0.8, "weight_decay": 0.0, "parameter_scale": "weight"}
    lost = _fixed(card.optimizer.rule, theirs, "optim_args is ignored by adalomo")
    lost.append(Lost("gradients", "of float32", "multiplied by a loss scale of 1024 and divided again"))
    lost.append(Lost("accumulation", "refused by the shell", "every micro-batch becomes a step of its own, silently"))
    return {"optim": "adalomo"}, lost


def _adafactor(card: Card, kinds: Mapping[str, str]) -> Named:
    rule = card.optimizer.rule
    theirs = {
        "eps": [1e-30, 1e-3],
        "clip_threshold": 1.0,
        "decay_rate": -0.8,
        "beta1": None,
        "parameter_scale": "off",
        "relative_step": "off",
    }
    lost = _fixed(rule, theirs, "optim_args is ignored by adafactor")
    return {"optim": "adafactor", "weight_decay": rule.get("weight_decay", 0.0)}, lost


def _galore(card: Card, kinds: Mapping[str, str]) -> Named:
    frame, rule, partition = card.optimizer.frame, card.optimizer.rule, card.optimizer.partition or {}
    if rule["type"] not in ("Adam", "AdamW"):
        raise ValueError(f"TrainingArguments has no name for GaLore around {rule['type']}; give the Trainer the card's own shell instead")
    framed = {kinds[name] for name, tensor in partition.items() if tensor.framed}
    unnamed = sorted(framed - set(TARGETS))
    if unnamed:
        raise ValueError(f"optim_target_modules names layers, and a Llama of Hugging Face has none of kind {', '.join(unnamed)}")
    words = f"rank={frame['rank']},update_proj_gap={frame['update_gap']},scale={number(float(frame['scale']))}"
    own = {
        "optim": "galore_adamw",
        "optim_target_modules": [TARGETS[kind] for kind in TARGETS if kind in framed],
        "optim_args": f"{words},proj_type={SIDES[frame['side']]}",
    }
    theirs = {"betas": [0.9, 0.999], "eps": 1e-6, "weight_decay": 0.0}
    lost = _fixed(rule, theirs, "adam_beta1, adam_beta2, adam_epsilon and weight_decay are ignored by galore_adamw")
    lost += _fixed(frame, {"on_refresh": "keep"}, "galore_torch knows one way")
    if card.optimizer.elsewhere:
        lost += _fixed(card.optimizer.elsewhere, theirs | {"lr": rule["lr"]}, "one rate and one set of numbers for all tensors")
    return own, lost


NAMES: Mapping[str, Callable[[Card, Mapping[str, str]], Named]] = {
    "AdamW": _adamw, "Adam": _adamw, "GradientDescent": _sgd, "AdaLomo": _adalomo, "Adafactor": _adafactor, "GaLore": _galore,
}  # fmt: skip


def _fixed(own: Data, theirs: Data, why: str) -> list[Lost]:
    """What the card sets and the other side fixes otherwise."""
    different = [key for key, value in theirs.items() if key in own and own[key] != value]
    return [Lost(key, str(own[key]), f"{theirs[key]} ({why})") for key in different]


def _common(card: Card) -> list[Lost]:
    """What no optimizer of TrainingArguments takes."""
    factors = {part.lr_factor for part in (card.optimizer.partition or {}).values()}
    lost = []
    if factors - {1.0}:
        lost.append(Lost("lr_factor", f"{min(factors):g} to {max(factors):g}", "one rate for all tensors"))
    if card.optimizer.shell == "fused" and card.optimizer.rule["type"] != "AdaLomo":
        lost.append(Lost("shell", "fused", "all gradients are kept until the step; the numbers are the same"))
    if card.data.dtype != "float32":
        lost.append(Lost("dtype", card.data.dtype, "the model's own dtype"))
    return [
        *lost,
        Lost("data", "batches by seed and step", "the Trainer draws its own batches, by its own seed"),
    ]


def _schedule(card: Card, lost: list[Lost]) -> dict[str, Any]:
    part = card.schedule
    if part is None:
        return {"lr_scheduler_type": "constant", "lr_scheduler_kwargs": None, "warmup_steps": 0, "max_steps": card.data.steps}
    lost.append(Lost("schedule", f"cosine from step {part.warmup}", "the same curve, one step earlier; the warm-up is the same"))
    kwargs = {"min_lr_rate": float(part.floor)}
    return {
        "lr_scheduler_type": "cosine_warmup_with_min_lr",
        "lr_scheduler_kwargs": kwargs,
        "warmup_steps": part.warmup,
        "max_steps": part.total,
    }


def _rest(card: Card) -> dict[str, Any]:
    """What decides the numbers beside optimizer and schedule."""
    return {
        "per_device_train_batch_size": card.data.batch,
        "gradient_accumulation_steps": 1,
        "max_grad_norm": 0.0,
        "label_smoothing_factor": 0.0,
        "neftune_noise_alpha": None,
        "average_tokens_across_devices": True,
        "bf16": False,
        "fp16": False,
        "tf32": False,
        "torch_compile": False,
        "seed": card.canary.seed,
        "data_seed": card.canary.seed,
        "full_determinism": False,
    }

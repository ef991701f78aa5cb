"""The Llama of Hugging Face with the sizes and the weights of a card's own model, and its ten batches."""

from typing import Any

import torch
from torch import nn

from sandbox.handoff.schema import CANARY_STEPS
from sandbox.models.initial import initial
from sandbox.models.language import LanguageProblem
from sandbox.models.llama import LlamaConfig

NAMES = {
    "embedding": "model.embed_tokens", "head": "lm_head", "norm": "model.norm", "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj", "attention.value": "self_attn.v_proj", "attention.out": "self_attn.o_proj",
    "ffn.gate": "mlp.gate_proj", "ffn.up": "mlp.up_proj", "ffn.down": "mlp.down_proj",
    "attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip


def their_name(name: str) -> str:
    """`blocks.3.ffn.up.weight` -> `model.layers.3.mlp.up_proj.weight`."""
    layer = name.removesuffix(".weight")
    if not layer.startswith("blocks."):
        return f"{NAMES[layer]}.weight"
    _, number, rest = layer.split(".", 2)
    return f"model.layers.{number}.{NAMES[rest]}.weight"


def their_llama(config: Any, seed: int) -> nn.Module:
    """Raises ValueError for a model that is no Llama, and where transformers is not installed."""
    if not isinstance(config, LlamaConfig):
        raise ValueError(f"the distance is measured on a Llama of Hugging Face, and the card's model is a {type(config).__name__}")
    try:
        from transformers.models.llama.configuration_llama import LlamaConfig as TheirConfig
        from transformers.models.llama.modeling_llama import LlamaForCausalLM
    except ImportError as error:
        raise ValueError(
            f"the distance is measured with transformers, which is not installed ({error}): pip install -e .[scale]"
        ) from error
    sizes = TheirConfig(
        vocab_size=config.vocab, hidden_size=config.width, intermediate_size=config.hidden, num_hidden_layers=config.layers,
        num_attention_heads=config.heads, num_key_value_heads=config.groups, max_position_embeddings=config.context + 1,
        rms_norm_eps=config.eps, rope_parameters={"rope_type": "default", "rope_theta": config.base}, tie_word_embeddings=config.tied,
        attention_dropout=0.0, use_cache=False,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        model = LlamaForCausalLM(sizes)
    ours = {their_name(name): w for name, w in initial(config, seed).items()}
    with torch.no_grad():
        for name, w in model.named_parameters():
            w.copy_(ours[name])
    return model


class Windows(torch.utils.data.Dataset):
    """A card's first batches, window after window. The first label is never predicted; -100 says so to a loss that counts labels."""

    def __init__(self, problem: LanguageProblem, seed: int) -> None:
        self.windows = torch.cat([problem.batch(seed, k) for k in range(CANARY_STEPS)])

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        labels = self.windows[i].clone()
        labels[0] = -100
        return {"input_ids": self.windows[i], "labels": labels}

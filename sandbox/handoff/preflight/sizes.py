"""Published sizes by name, as data.

    llama-60m .. llama-7b     configurations of GaLore's repository (jiaweizzhao/GaLore, configs/, commit 8460814; read); the 7B one is that
                              of Llama and Llama 2
    llama-13b, llama-70b      Touvron et al. (2023), https://arxiv.org/abs/2307.09288 (recalled)
    gpt2 .. gpt2-xl           Radford et al. (2019), table 2, and the published configurations (recalled)

The numbers of parameters are checked against the published ones in the tests.
"""

from collections.abc import Mapping

from sandbox.models.gpt import GPTConfig
from sandbox.models.llama import LlamaConfig


def llama(width: int, layers: int, heads: int, ffn: int, context: int, kv_heads: int | None = None) -> LlamaConfig:
    return LlamaConfig(32000, width, layers, heads, context, kv_heads, ffn)


def gpt2(width: int, layers: int, heads: int) -> GPTConfig:
    return GPTConfig(50257, width, layers, heads, 1024)


SIZES: Mapping[str, GPTConfig | LlamaConfig] = {
    "llama-60m": llama(512, 8, 8, 1376, 1024),
    "llama-130m": llama(768, 12, 12, 2048, 1024),
    "llama-350m": llama(1024, 24, 16, 2736, 1024),
    "llama-1b": llama(2048, 24, 32, 5461, 1024),
    "llama-7b": llama(4096, 32, 32, 11008, 2048),
    "llama-13b": llama(5120, 40, 40, 13824, 4096),
    "llama-70b": llama(8192, 80, 64, 28672, 4096, kv_heads=8),
    "gpt2": gpt2(768, 12, 12),
    "gpt2-medium": gpt2(1024, 24, 16),
    "gpt2-large": gpt2(1280, 36, 20),
    "gpt2-xl": gpt2(1600, 48, 25),
}

"""Initial parameters as a pure function of (configuration, seed): drawn in float64 on the CPU, then cast.

    normal:  every matrix N(0, std^2); the matrices that write into the residual stream N(0, std^2 / (2 layers))
    lecun:   every matrix N(0, 1 / fan-in); tables of tokens and positions N(0, 1 / width), as a tied table is a head
    both:    gains 1, biases 0

Source: Radford et al. (2019), section 2.3, for the scaling of residual writers (recalled); LeCun et al. (1998),
"Efficient BackProp", 4.6 (recalled).
"""

from functools import lru_cache
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.models.roles import Role, roles
from sandbox.problems.base import Params

WEIGHTS = 0x57  # last part of the key of a weight draw, so that no batch and no frame shares its stream
WRITERS = ("attention_out", "ffn_out")
TABLES = ("embedding", "position")


class Config(Protocol):
    """A frozen record of sizes that builds its module and says how weights are drawn."""

    init: str
    std: float

    def module(self) -> nn.Module: ...


@lru_cache(maxsize=64)
def skeleton(config: Config) -> nn.Module:
    """The module without numbers (meta device), to be called through `torch.func.functional_call`; shared, so do not
    change it.
    """
    with torch.device("meta"):
        return config.module()


@lru_cache(maxsize=64)
def roles_of(config: Config) -> dict[str, Role]:
    return roles(skeleton(config))


def shapes_of(config: Config) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter, tied ones once, in the order of `named_parameters`."""
    return {name: tuple(p.shape) for name, p in skeleton(config).named_parameters()}


def spread(config: Config, role: Role, shape: tuple[int, ...]) -> float:
    """Standard deviation of the draw of a matrix."""
    if config.init == "lecun":
        if role.kind == "convolution":
            return (prod(shape) / shape[0]) ** -0.5  # inputs of one output: channels of a group times the kernel
        sides = role.output_dims if role.kind in TABLES else role.input_dims
        return prod(shape[d] for d in sides) ** -0.5
    return config.std / (2 * config.layers) ** 0.5 if role.kind in WRITERS else config.std


def draw(config: Config, role: Role, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """One initial tensor, float64."""
    if role.kind in ("norm", "bias"):
        return torch.full(shape, float(role.kind == "norm"), dtype=torch.float64)
    return normal(shape, rng) * spread(config, role, shape)


def initial(config: Config, seed: int, dtype: torch.dtype = torch.float32) -> Params:
    """Fresh parameters, named as `named_parameters`, tied ones once."""
    found, shapes = roles_of(config), shapes_of(config)
    return {
        name: draw(config, found[name], shapes[name], generator(seed, index, 0, WEIGHTS)).to(dtype) for index, name in enumerate(shapes)
    }


def build(config: Config, seed: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A module with its own fresh parameters; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        model = config.module().to(dtype)
    with torch.no_grad():
        for name, value in initial(config, seed, dtype).items():
            model.get_parameter(name).copy_(value)
    return model

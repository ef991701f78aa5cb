"""Bytes that one forward pass of a GPT or a Llama of this package keeps for backward: attention written out, no dropout.

With e bytes a number, u = e bsn (one residual stream), a = e bhs^2, F = e bsf, v = e bsV, t = e bs:

    block of a GPT        3 u + a  query, key, value, weights after the softmax        s^2  the mask, a byte an entry
                          3 u + 2 F  inputs of the linear layers, of GELU              2 (u + 2 t)  two LayerNorms
    block of a Llama      3 u + a, s^2                                                 2 (2 u + t)  two RMSNorms
                          3 u + 4 F  inputs of the linear layers, of SwiGLU
    last norm, head       u + 2 t or 2 u + t, and u
    loss                  v  log-probabilities,  8 bs  targets (a view, and so nothing, where b = 1),  e  the sum of weights
    inputs                8 b (s + 1)  tokens;  GPT: 8 s  positions;  Llama: e s n / h  cosines and sines

so a GPT keeps  L (8 u + 2 F + a + 4 t + s^2) + 2 u + 2 t + v + ...  and a Llama  L (10 u + 4 F + a + 2 t + s^2) + 3 u + t + v + ...
Tied or not, and with fewer heads of keys: the same, because the products over heads keep expanded copies, except where one sequence
has one head of keys. In RSO layers the inputs of the six or seven linear layers become e bsr each (sandbox/memory/subspace.py).

Frozen weights (SHERL's late blocks): a linear layer keeps no input then, a norm keeps its input all the same
(not the product with its gains).

    late block, frozen    GPT  3 u + a + F + s^2 + 2 (u + 2 t)        Llama  3 u + a + 3 F + s^2 + 2 (u + t)

Source: own counts, of what autograd keeps; equal to the meter byte by byte (tests/memory/test_memory_activations.py).
Letters: b sequences, s tokens, n width, h heads, f feed-forward width, V vocabulary, L blocks.
"""

from dataclasses import dataclass

from sandbox.memory.subspace import Block, saved_full, saved_subspace
from sandbox.models.gpt import GPTConfig
from sandbox.models.llama import LlamaConfig

Config = GPTConfig | LlamaConfig
INDEX = 8  # bytes of a token's number
ANGLE = 8  # bytes of an angle
ROW = 4  # bytes of a row's number in a pruned table


@dataclass(frozen=True)
class Pass:
    """One forward pass: sizes in bytes. rank: of RSO layers in every block, None for full weights.  used: rows of a pruned
    embedding, None for the whole table.

    Raises ValueError for a model of another family, for a batch that is empty, and for texts of one token
    (copies become views then) or longer than the context.
    """

    config: Config
    sequences: int
    tokens: int
    element: int = 4
    rank: int | None = None
    used: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.config, GPTConfig | LlamaConfig):
            raise ValueError(f"activations have a formula for GPTConfig and LlamaConfig, got {type(self.config).__name__}; measure them")
        if not (self.sequences >= 1 and 2 <= self.tokens <= self.config.context):
            raise ValueError(
                f"a pass needs at least 1 sequence of 2 .. {self.config.context} tokens (the context), "
                f"got {self.sequences} of {self.tokens}"
            )

    @property
    def is_gpt(self) -> bool:
        return isinstance(self.config, GPTConfig)

    @property
    def per_token(self) -> int:
        """t"""
        return self.element * self.sequences * self.tokens

    @property
    def stream(self) -> int:
        """u"""
        return self.per_token * self.config.width

    @property
    def scores(self) -> int:
        """a"""
        return self.per_token * self.config.heads * self.tokens

    @property
    def hidden(self) -> int:
        """F"""
        return self.per_token * self.config.hidden

    @property
    def projected(self) -> int:
        """p = e bsr, what an RSO layer keeps; 0 with full weights."""
        return self.per_token * (self.rank or 0)

    @property
    def logits(self) -> int:
        """v"""
        return self.per_token * self.config.vocab

    @property
    def mask(self) -> int:
        return self.tokens**2

    @property
    def norm(self) -> int:
        """What a norm keeps, its result apart."""
        return self.stream + 2 * self.per_token if self.is_gpt else 2 * self.stream + self.per_token

    @property
    def batch(self) -> int:
        """The tokens themselves, one more than are read."""
        return INDEX * self.sequences * (self.tokens + 1)

    @property
    def inputs(self) -> int:
        """Tokens, the rows of a pruned table that they look up, and what tells positions apart."""
        rows = 0 if self.used is None else ROW * self.sequences * self.tokens
        return self.batch + rows + (INDEX * self.tokens if self.is_gpt else self.turns)

    @property
    def turns(self) -> int:
        """Cosines and sines of a Llama."""
        return 0 if self.is_gpt else self.element * self.config.width // self.config.heads * self.tokens

    @property
    def angles(self) -> int:
        """What a Llama's cosines and sines are made of, in float64; alive during the forward pass."""
        return 0 if self.is_gpt else ANGLE * self.config.width // self.config.heads // 2 * self.tokens

    @property
    def unkept(self) -> int:
        """The batch, where nothing keeps it: a pruned table looks up its own numbers, and targets of several sequences are a copy."""
        return self.batch if self.used is not None and self.sequences > 1 else 0

    @property
    def targets(self) -> int:
        return INDEX * self.sequences * self.tokens if self.sequences > 1 else 0

    @property
    def shared_keys(self) -> float:
        """Heads of keys in units of heads."""
        return 1.0 if self.is_gpt else self.config.groups / self.config.heads

    @property
    def expands_keys(self) -> bool:
        """Whether keys and values are copied out to all heads that share them."""
        return self.shared_keys < 1 and self.sequences * self.config.groups > 1

    @property
    def block(self) -> int:
        c = self.config
        sizes = Block(self.sequences, self.tokens, c.width, c.heads, c.hidden, "gelu" if self.is_gpt else "swiglu")
        numbers = saved_full(sizes) if self.rank is None else saved_subspace(sizes, self.rank)
        return self.element * numbers + 2 * self.norm + self.mask - self._unexpanded

    @property
    def frozen_block(self) -> int:
        """A block whose weights ask for no gradient, but whose input does."""
        nonlinearity = self.hidden if self.is_gpt else 3 * self.hidden
        norm = self.norm if self.is_gpt else self.stream + self.per_token
        return 3 * self.stream + self.scores + nonlinearity + 2 * norm + self.mask - self._unexpanded

    @property
    def loss(self) -> int:
        return self.logits + self.targets + self.element

    @property
    def saved(self) -> int:
        """All that the forward pass keeps."""
        return self.inputs - self.unkept + self.config.layers * self.block + self.norm + self.stream + self.loss

    @property
    def _unexpanded(self) -> int:
        alone = self.shared_keys < 1 and not self.expands_keys
        return int(2 * self.stream * (1 - self.shared_keys)) if alone else 0

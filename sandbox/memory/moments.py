"""The moments of a training step at which memory can peak: bytes beside weights and optimizer state, by name.

Forward keeps and backward frees, block by block, while gradients come; both are linear in the number of blocks, so a peak lies at
the last block, at the first, or at an end. Letters as in sandbox/memory/activations.py; A = all that is saved, T = what the
step of a tensor needs (sandbox/memory/temporaries.py), g(.) = bytes of gradients that are there.

    open(l) = inputs + (l + 1) blocks + u + g(head, last norm, blocks above l)       before block l runs backward
    loss              A - targets + 2 v                                log-probabilities and two gradients
    head              open(L - 1) + norm + u + v + g(head)
    last norm         open(L - 1) + 5 u                                Llama: RMSNorm is six operations
    feed-forward      open(l) + F + g(down)                            Llama: open(l) + 2 F + g(down)
    attention         open(l) - (saved by the feed-forward) + g(feed-forward, out) + max(2 a - u, a + u)
    forward           inputs + (L - 1) blocks + 6 u + 3 a + norm + s^2       Llama: 4 u + 3 u (heads of keys / heads), u more where
                                                                             keys expand
    embedding         u + inputs + g(all)                              tied: two more tables, its parts and their sum
    step              g(all) + max T + batch

With RSO layers (p = e bsr) the feed-forward moment has 3 F - p, attention max(2 a, a + 2 u) - p, and forward 3 p more.

The fused shell has no gradients but those that autograd holds back (a tied table), and T beside the one that arrives. Forward
passes alone (two-point oracles in the in-place shell) keep nothing, and see each weight through one perturbed copy:

    attention         5 u + 3 a + s^2                                  Llama: 4 u + 3 u (heads of keys / heads)
    feed-forward      4 u + F + e n f, 3 u + 2 F                       Llama: 2 F more
    head, loss        u + v + e V n;  2 v
    read, write       e N + 24 chunk;  e N + max(T, 16 or 24 chunk)    chunk = at most 65536 entries, drawn in float64

Source: own derivation from what each operation needs; tests compare with the allocator's record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from sandbox.memory.activations import Pass

CHUNK = 2**16  # entries that are drawn at a time (sandbox/perturbations/directions.py)
DRAWN_READING = 24  # bytes for each of them beside the tensor that is made: the sum, the direction and the sum with the weight
DRAWN_WRITING = 16  # the first two
Shapes = Mapping[str, tuple[int, ...]]
Moments = dict[str, int]


@dataclass(frozen=True)
class Gradients:
    """Bytes by part of a model whose blocks are alike. tied: the output makes use of the embedding."""

    table: int
    head: int
    down: int
    ffn: int
    out: int
    block: int
    last_norm: int
    total: int
    tied: bool


def gradients(shapes: Shapes, element: int, *, tied: bool) -> Gradients:
    """Bytes of every gradient, and of the parts that are there at some moment, from the names of our models."""
    sizes = {name: element * prod(shape) for name, shape in shapes.items()}

    def part(prefix: str) -> int:
        return sum(size for name, size in sizes.items() if name.startswith(prefix))

    return Gradients(
        table=sizes["embedding.weight"],
        head=sizes.get("head.weight", sizes["embedding.weight"]),
        down=sizes["blocks.0.ffn.down.weight"],
        ffn=part("blocks.0.ffn"),
        out=part("blocks.0.attention.out"),
        block=part("blocks.0."),
        last_norm=part("norm."),
        total=sum(sizes.values()),
        tied=tied,
    )


def stepwise_moments(x: Pass, g: Gradients, step: int) -> Moments:
    """step: T of the tensor that needs most."""
    moments = {"forward": forward(x), "loss": x.saved + x.unkept - x.targets + 2 * x.logits}
    last = x.config.layers - 1
    moments["head"] = opened(x, last) + x.norm + x.stream + x.logits + g.head
    for place, block in (("last", last), ("first", 0)):
        open_ = opened(x, block) + g.head + g.last_norm + (last - block) * g.block
        if not x.is_gpt and block == last:
            moments["last norm"] = open_ + 5 * x.stream
        moments[f"feed-forward, {place}"] = open_ + feed_forward(x) + g.down
        moments[f"attention, {place}"] = open_ - saved_by_ffn(x) + g.ffn + g.out + attention(x)
    moments["embedding"] = x.stream + x.inputs + g.total + (2 * g.table if g.tied else 0)
    return moments | {"step": g.total + step + x.batch}


def fused_moments(x: Pass, g: Gradients, steps: Mapping[str, int]) -> Moments:
    """steps: T of every tensor, by name."""
    last, waits = x.config.layers - 1, g.table if g.tied else 0
    open_ = opened(x, last) + waits
    down = max(g.down + steps["blocks.0.ffn.down.weight"], x.hidden + g.down, x.hidden if x.is_gpt else 2 * x.hidden)
    out = g.out + max(steps["blocks.0.attention.out.weight"], attention(x))
    end = max(x.stream + 3 * g.table, g.table + steps["embedding.weight"]) if g.tied else g.table + max(x.stream, steps["embedding.weight"])
    head = g.head if g.tied else g.head + steps["head.weight"]
    moments = {
        "forward": forward(x),
        "loss": x.saved + x.unkept - x.targets + 2 * x.logits,
        "head": opened(x, last) + x.norm + max(x.stream + x.logits + g.head, head),
        "feed-forward, last": open_ + down,
        "attention, last": open_ - saved_by_ffn(x) + out,
        "embedding": x.inputs + end,
    }
    return moments | ({} if x.is_gpt else {"last norm": open_ + 5 * x.stream})


def forward_only_moments(x: Pass, shapes: Shapes, steps: Mapping[str, int]) -> Moments:
    """Two-point oracles in place. steps: T of every tensor, by name."""
    u, seen = x.stream, {name: x.element * prod(shape) for name, shape in shapes.items()}
    chunk = {name: DRAWN_READING * min(CHUNK, prod(shape)) for name, shape in shapes.items()}
    down, head = "blocks.0.ffn.down.weight", "embedding.weight" if x.config.tied else "head.weight"
    turn, extra = x.turns + x.angles, 0 if x.is_gpt else x.hidden
    return {
        "attention": narrow(x) + 3 * x.scores + x.mask + turn,
        "up": 3 * u + turn + extra + max(2 * x.hidden, seen[down] + max(x.hidden, chunk[down])),
        "down": 3 * u + turn + x.hidden + seen[down] + max(u, chunk[down]),
        "head": u + seen[head] + max(x.logits, chunk[head]),
        "loss": 2 * x.logits + x.targets,
        "read": max(seen[name] + chunk[name] for name in seen),
        "write": max(seen[name] + max(steps[name], drawn_writing(shapes[name])) for name in seen),
    }


def narrow(x: Pass) -> int:
    """Streams at the softmax of a block without a graph, its input among them."""
    return 5 * x.stream if x.is_gpt else int((4 + 3 * x.shared_keys) * x.stream)


def drawn_writing(shape: tuple[int, ...]) -> int:
    """Beside an estimate that is being made: less for one chunk, because nothing is there from a chunk before."""
    size = prod(shape)
    return DRAWN_WRITING * size if size <= CHUNK else DRAWN_READING * CHUNK


def opened(x: Pass, block: int) -> int:
    """Saved tensors and the gradient of the stream, before `block` runs backward."""
    return x.inputs + (block + 1) * x.block + x.stream


def saved_by_ffn(x: Pass) -> int:
    """The feed-forward layer and its norm."""
    if x.rank is not None:
        return (1 if x.is_gpt else 3) * x.hidden + (2 if x.is_gpt else 3) * x.projected + x.norm
    return (2 if x.is_gpt else 4) * x.hidden + x.stream + x.norm


def feed_forward(x: Pass) -> int:
    """Beside what is open, when the gradient of the hidden features is made; in an RSO layer it has two parts and a sum."""
    if x.rank is not None:
        return 3 * x.hidden - x.projected
    return x.hidden if x.is_gpt else 2 * x.hidden


def attention(x: Pass) -> int:
    """Beside what is open, after the feed-forward layer has gone: the weights' gradient, and its way through the softmax."""
    if x.rank is not None:
        return x.scores + max(x.scores, 2 * x.stream) - x.projected
    return max(2 * x.scores - x.stream, x.scores + x.stream)


def forward(x: Pass) -> int:
    """At the softmax of the last block."""
    return x.inputs + (x.config.layers - 1) * x.block + x.norm + forward_copies(x) + 3 * x.projected + 3 * x.scores + x.mask


def forward_copies(x: Pass) -> int:
    """Streams at that softmax: with a graph they live longer than without."""
    keys = x.shared_keys * x.stream
    return int(4 * x.stream + 2 * keys) if x.is_gpt else int(4 * x.stream + 3 * keys) + (x.stream if x.expands_keys else 0)

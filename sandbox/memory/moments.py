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

The fused shell has no gradients but those that autograd holds back (a tied table), and T beside the one that arrives, of which every
block may have another. More of its moments decide where the step of another tensor than the first of its layer needs most (the refresh
of a frame of side 1):

    up                open(l) - 2 F + g(up) + T                        Llama: u more
    gate              open(l) - 4 F + g(gate) + T                      Llama
    value, key, query open(l) - block + norm + (4, 4, 2) u + g + T     Llama: (4, 3, 1) u

Forward
passes alone (two-point oracles in the in-place shell) keep nothing, and see each weight through one perturbed copy:

    attention         5 u + 3 a + s^2                                  Llama: 4 u + 3 u (heads of keys / heads)
    feed-forward      4 u + F + e n f, 3 u + 2 F                       Llama: 2 F more
    head, loss        u + v + e V n;  2 v
    read, write       e N + max(D, 24 c), in float64 max(D, 16 c);  e N + max(T, D)      c = at most 65536 entries, whole rows

D = max(16 c, 8 c + 16 c') bytes: the sum and a direction, for the next chunk (c' entries) beside the sum of the last one. Reading adds
the weight, for which narrower numbers are copied to float64. A direction of low rank has 16 r^2 + 8 r rows more in D: Z, mu Z, mu U Z.

Source: own derivation from what each operation needs; tests compare with the allocator's record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from sandbox.memory.activations import Pass

CHUNK = 2**16  # entries that are drawn at a time (sandbox/perturbations/directions.py)
DRAW = 8  # bytes of each, in float64
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


def fused_moments(x: Pass, g: Gradients, shapes: Shapes, steps: Mapping[str, int]) -> Moments:
    """steps: T of every tensor, by name."""
    last, waits = x.config.layers - 1, g.table if g.tied else 0
    end = max(x.stream + 3 * g.table, g.table + steps["embedding.weight"]) if g.tied else g.table + max(x.stream, steps["embedding.weight"])
    head = g.head if g.tied else g.head + steps["head.weight"]
    moments = {
        "forward": forward(x),
        "loss": x.saved + x.unkept - x.targets + 2 * x.logits,
        "head": opened(x, last) + x.norm + max(x.stream + x.logits + g.head, head),
        "embedding": x.inputs + end,
    }
    for block in range(last + 1):
        place, of = "last" if block == last else f"block {block}", f"blocks.{block}."
        own = {name.removeprefix(of): size for name, size in steps.items() if name.startswith(of)}
        parts = _parts_of_block(x, g, {name: x.element * prod(shapes[of + name]) + size for name, size in own.items()})
        moments |= {f"{part}, {place}": opened(x, block) + waits + size for part, size in parts.items()}
    return moments | ({} if x.is_gpt else {"last norm": opened(x, last) + waits + 5 * x.stream})


def _parts_of_block(x: Pass, g: Gradients, arriving: Mapping[str, int]) -> Moments:
    """Beside what is open. arriving: gradient and T of every tensor of the block."""
    moments = {
        "feed-forward": max(arriving["ffn.down.weight"], x.hidden + g.down, x.hidden if x.is_gpt else 2 * x.hidden),
        "attention": max(arriving["attention.out.weight"], g.out + attention(x)) - saved_by_ffn(x),
        "up": arriving["ffn.up.weight"] - 2 * x.hidden + (0 if x.is_gpt else x.stream),
    }
    if not x.is_gpt:
        moments["gate"] = arriving["ffn.gate.weight"] - 4 * x.hidden
    for name, streams in {"value": 4, "key": 4 if x.is_gpt else 3, "query": 2 if x.is_gpt else 1}.items():
        moments[name] = arriving[f"attention.{name}.weight"] - x.block + x.norm + streams * x.stream
    return moments


def forward_only_moments(x: Pass, shapes: Shapes, steps: Mapping[str, int], ranks: Mapping[str, int]) -> Moments:
    """Two-point oracles in place. steps: T of every tensor, by name.  ranks: of the directions of low rank."""
    u, seen = x.stream, {name: x.element * prod(shape) for name, shape in shapes.items()}
    drawn = {name: drawing(shape, ranks.get(name)) for name, shape in shapes.items()}
    chunk = {name: max(drawn[name], (2 if x.element == DRAW else 3) * DRAW * chunks(shape)[0]) for name, shape in shapes.items()}
    down, head = "blocks.0.ffn.down.weight", "embedding.weight" if x.config.tied else "head.weight"
    turn, extra = x.turns + x.angles, 0 if x.is_gpt else x.hidden
    return {
        "attention": narrow(x) + 3 * x.scores + x.mask + turn,
        "up": 3 * u + turn + extra + max(2 * x.hidden, seen[down] + max(x.hidden, chunk[down])),
        "down": 3 * u + turn + x.hidden + seen[down] + max(u, chunk[down]),
        "head": u + seen[head] + max(x.logits, chunk[head]),
        "loss": 2 * x.logits + x.targets,
        "read": max(seen[name] + chunk[name] for name in seen),
        "write": max(seen[name] + max(steps[name], drawn[name]) for name in seen),
    }


def narrow(x: Pass) -> int:
    """Streams at the softmax of a block without a graph, its input among them."""
    return 5 * x.stream if x.is_gpt else int((4 + 3 * x.shared_keys) * x.stream)


def chunks(shape: tuple[int, ...]) -> tuple[int, int]:
    """Entries of the first chunk of rows, and of the second or 0."""
    row, size = prod(shape[1:]), prod(shape)
    first = min(size, row * max(1, CHUNK // row))
    return first, min(size - first, first)


def drawing(shape: tuple[int, ...], rank: int | None = None) -> int:
    """D: beside the tensor that is made of directions; rank: of U Z V^T."""
    first, second = chunks(shape)
    beside = 0 if rank is None else DRAW * rank * (2 * rank + first // prod(shape[1:]))
    return DRAW * max(2 * first, first + 2 * second) + beside


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

"""How long one step takes: ours plain, recorded and compiled, the best implementation of others, and the limit of the memory.

    python tests/benchmarks/bench_optimizers.py

6.82 M float32 parameters in 67 tensors, the shapes of a GPT of 8 layers and width 256; no gradients of zero, no refreshes. Every line
is the minimum over interleaved rounds, so ratios within one table mean more than its milliseconds. The limit is the bytes
that a step must move (words per parameter below) at the bandwidth of `b.add_(a)` in the same rounds; for rules with sums it takes
for granted that a tensor is still in the cache when it is read for the second time.

"best peer" is the quickest Python implementation by others, for-loop or foreach: adam_mini, came_pytorch, galore_torch, pytorch_optimizer,
torch.optim. torch's fused AdamW (C++) has a line of its own.

What was tried beside what is here:
  torch.compile of step and writes, one call per block: AdamW 5.7 ms, Adam-mini 5.6, AdaLomo 12.3 (one thread; 4 to 7 s to compile each);
      8 blocks per call: 5.1, 5.0, 15.7 (13 to 21 s). It computes numbers and vectors again inside the loop over entries (a power and an
      inverse root per 16 entries), and sums over rows by columns. Dropped for loops of our own (1 to 3 s for all shapes).
  tiles of 8192 to 262144 entries for the recorded step: none quicker than whole tensors.
  wider vectors (512 bit), unrolled loops, reassociated sums in the compiler's hands: all within 3 %.
  w - k w and w + s m / d in one rounding each (last_sum) took the recorded AdamW from 10.8 to 9.7 ms, Adam-mini from 6.1 to 5.5.
  sums over a whole matrix kept by columns until the end, to spare the sum across a vector at the end of every row: AdaLomo 2.9 to 3.2.
Not reached: 1.3 times the limit on one thread for Adam-mini (1.35), AdaLomo (2.1) and CAME (1.9); on two threads of an otherwise idle
machine of two cores Adam-mini has 1.6, AdaLomo 2.3, CAME 2.2, and compiled / best peer is 0.38, 0.13 and 0.20. GaLore is bound by its two
matrix products, ours and its peer's alike; its loops are the recorded step.
The fused shell (the last table; CPU time of one thread; median and range of 10 repetitions on an idle machine):
    132 tensors of 32x32: +1.5 % (+1.2 to +2.1), "pass" +4.5 % (+3.8 to +5.0); before the last change +3.1 and +5.7 %; empty hooks +0.5 %
    13 tensors of 512x512: +0.5 % (-0.4 to +1.5), "pass" +0.5 % (-0.1 to +0.8)
So 3 % are reached, but for many tiny tensors under "pass", where the stepwise loop looks at
nothing. What is left there is no work: by the processor's own counters (`perf stat`) a tensor of 32x32 costs 3 % fewer instructions than
in the stepwise shell, forward, backward and step together (430 against 443 thousand), but some 230 more misses of the instruction cache
and 70 more of the branch predictor: at every tensor the step takes the place of backward there, and backward that of the step. The last
change (a function made for each tensor in the place of a method with bound arguments; states read and written without a generator) took
5,800 instructions a tensor from the fused shell and 5,200 from the stepwise one, counted at a load of 15 to 20, where times say nothing.
Before all this, 132 tensors took +25.5 % ("pass" +22.7), for no_grad as a decorator (3.4 us a call), a sum over one number, and the
sorting of one tensor. Moving by twos took 3 % less, everything at the end 7 % less. Tried and left: tensors that wait for each other as
far as the largest gradient allows; tensors of one size fill that room at once, and more is memory that the shell promises not to hold.
Where the rest goes: the compiled AdaLomo and CAME read g three and four times; only blocks of at most half the L2 cache (1 MB here)
find it there. The lines before the last table give the fixed cost of a call, and the plain step by operation.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.compiled import Compiled
from sandbox.shells.execution import Block, Plain, settings
from sandbox.shells.flat_state import structure, write
from sandbox.shells.fused import Fused
from sandbox.shells.recorded import Recorded
from sandbox.shells.stepwise import Stepwise

LAYERS = 8
SHAPES = [(2000, 256), (64, 256), *LAYERS * [*4 * [(256, 256)], (1024, 256), (256, 1024), (256,), (256,)], (256,)]
N = sum(torch.Size(s).numel() for s in SHAPES)
ROUNDS = 30
Step = Callable[[], Any]


@dataclass(frozen=True)
class Line:
    """rule: for a weight.  words: per parameter that a step must read or write.  peers: make a step from parameters."""

    rule: Callable[[Tensor], Rule]
    words: float
    peers: dict[str, Callable[[list[nn.Parameter]], Step]]


def parameters(shapes: list[tuple[int, ...]] = SHAPES) -> list[nn.Parameter]:
    """With gradients; the same numbers every time."""
    rng = torch.Generator().manual_seed(0)
    made = [nn.Parameter(0.02 * torch.randn(shape, generator=rng)) for shape in shapes]
    for w in made:
        w.grad = 1e-3 * torch.randn(w.shape, generator=rng)
    return made


def ours(rule: Callable[[Tensor], Rule], way: Any, shapes: list[tuple[int, ...]] = SHAPES) -> Step:
    fixed = []
    for w in parameters(shapes):
        own, entry = rule(w), {}
        state = own.init(w.detach())
        write(state, structure(state), entry)
        fixed.append((own, w, structure(state), entry))

    def step() -> None:
        now = settings({"lr": 1e-3})
        way.move_all([Block(own, now, w, w.grad, shape, entry) for own, w, shape, entry in fixed])

    step()
    return step


def is_matrix(w: Tensor) -> bool:
    return w.ndim == 2 and min(w.shape) > 64


def adam_mini_package(p: list[nn.Parameter]) -> Step:
    from adam_mini import Adam_mini

    named = [(f"layer{i}.mlp.weight" if w.ndim == 2 else f"layer{i}.norm.weight", w) for i, w in enumerate(p)]
    return Adam_mini(named, lr=1e-3, dim=256, n_heads=8, verbose=False).step


def pytorch_optimizer_adam_mini(p: list[nn.Parameter]) -> Step:
    from pytorch_optimizer import AdamMini as Theirs

    model = nn.Module()
    model.mlp = nn.ParameterList(p)
    return Theirs(model, lr=1e-3, model_dim=256, num_heads=8).step


def came_package(p: list[nn.Parameter]) -> Step:
    from came_pytorch import CAME as Theirs

    return Theirs(p, lr=1e-3).step


def galore_package(p: list[nn.Parameter]) -> Step:
    from galore_torch import GaLoreAdamW

    projected = {"params": [w for w in p if is_matrix(w)], "rank": 64, "update_proj_gap": 10**6, "scale": 0.25, "proj_type": "std"}
    step = GaLoreAdamW([{"params": [w for w in p if not is_matrix(w)]}, projected], lr=1e-3).step
    step()  # its singular vectors
    return step


def of_torch(cls: type, **kwargs: Any) -> Callable[[list[nn.Parameter]], Step]:
    return lambda p: cls(p, lr=1e-3, **kwargs).step


ADAFACTORS = {f"torch {name}": of_torch(torch.optim.Adafactor, foreach=name == "foreach") for name in ("for-loop", "foreach")}
LINES = {
    "SGD, momentum": Line(
        lambda w: GradientDescent(1e-3, momentum=0.9),
        5,
        {f"torch {name}": of_torch(torch.optim.SGD, momentum=0.9, foreach=name == "foreach") for name in ("for-loop", "foreach")},
    ),
    "AdamW": Line(
        lambda w: AdamW(1e-3),
        7,
        {f"torch {name}": of_torch(torch.optim.AdamW, foreach=name == "foreach") for name in ("for-loop", "foreach")},
    ),
    "Adam-mini, rows": Line(
        lambda w: AdamMini(1e-3, n_blocks=w.shape[0]),
        5,
        {"adam_mini": adam_mini_package, "pytorch_optimizer": pytorch_optimizer_adam_mini},
    ),
    "AdaLomo": Line(lambda w: AdaLomo(1e-3), 3, ADAFACTORS),
    "Adafactor": Line(lambda w: Adafactor(1e-3), 3, ADAFACTORS),
    "CAME": Line(lambda w: CAME(1e-3), 5, {"came_pytorch": came_package}),
    "GaLore, Adam, r 64": Line(
        lambda w: GaLore(Adam(1e-3), rank=64) if is_matrix(w) else Adam(1e-3),
        3 + 4 * 64 / 256,
        {"galore_torch": galore_package},
    ),
}
WAYS = {"plain": Plain, "recorded": Recorded, "compiled": Compiled}


def steps() -> dict[str, Step]:
    """Everything that is timed, by name."""
    a, b = torch.randn(N), torch.randn(N)
    made: dict[str, Step] = {"add": lambda: b.add_(a), "fused AdamW": of_torch(torch.optim.AdamW, fused=True)(parameters())}
    for name, line in LINES.items():
        for way, cls in WAYS.items():
            made[f"{name} / {way}"] = ours(line.rule, cls())
        for peer, make in line.peers.items():
            try:
                made[f"{name} / {peer}"] = make(parameters())
            except ImportError:
                print(f"{peer} is not installed: left out")
    return made


def minima(made: dict[str, Step], rounds: int = ROUNDS, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Milliseconds: every step once per round, the smallest over the rounds."""
    best = dict.fromkeys(made, float("inf"))
    for _ in range(rounds):
        for name, step in made.items():
            start = clock()
            step()
            best[name] = min(best[name], 1e3 * (clock() - start))
    return best


def table(made: dict[str, Step], threads: int) -> None:
    torch.set_num_threads(threads)
    ms = minima(made)
    per_word = ms["add"] / 3
    bandwidth = 4 * N / per_word / 1e6
    print(f"\n{threads} thread(s): b.add_(a) {bandwidth:.0f} GB/s; torch fused AdamW {ms['fused AdamW']:.2f} ms")
    print(f"{'ms':20s} {'plain':>7s} {'recorded':>8s} {'compiled':>8s} {'limit':>6s} {'peer':>7s} {'best peer':18s}", end=" ")
    print("recorded/peer compiled/peer /fused /limit")
    for name, line in LINES.items():
        plain, recorded, compiled = (ms[f"{name} / {way}"] for way in WAYS)
        limit = per_word * line.words
        peer = min((p for p in line.peers if f"{name} / {p}" in ms), key=lambda p: ms[f"{name} / {p}"], default=None)
        theirs = ms[f"{name} / {peer}"] if peer else float("nan")
        ratios = f"{recorded / theirs:13.2f} {compiled / theirs:13.2f} {compiled / ms['fused AdamW']:6.2f} {compiled / limit:6.2f}"
        print(f"{name:20s} {plain:7.2f} {recorded:8.2f} {compiled:8.2f} {limit:6.2f} {theirs:7.2f} {peer or 'none':18s} {ratios}")


def fixed_costs() -> None:
    """The same 67 tensors with 16 entries each: what is left when there is nothing to compute."""
    torch.set_num_threads(1)
    tiny = [(4, 4)] * len(SHAPES)
    made = {f"{name} {way}": ours(LINES[name].rule, cls(), tiny) for name in ("AdamW", "AdaLomo") for way, cls in WAYS.items()}
    print("\nfixed cost of a step of 67 tensors, ms:", ", ".join(f"{name} {ms:.2f}" for name, ms in minima(made, 200).items()))


def profile() -> None:
    """Where the plain AdamW spends its time."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    step = ours(LINES["AdamW"].rule, Plain())
    with profiled(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(10):
            step()
    rows = sorted(seen.key_averages(), key=lambda row: -row.self_cpu_time_total)[:8]
    print("plain AdamW by operation, ms per step:", ", ".join(f"{row.key} {row.self_cpu_time_total / 1e4:.2f}" for row in rows))


MODELS = {  # name -> (layers, width, examples)
    "13 tensors up to 512x512": (6, 512, 256),
    "132 tensors up to 32x32": (65, 32, 64),
}
CONTENDERS = {"stepwise": (Stepwise, False), "hooks": (Stepwise, True), "fused": (Fused, False)}


def training(shell: type, layers: int, width: int, examples: int, *, nonfinite: str, with_empty_hooks: bool) -> Step:
    """Forward, backward and step of an MLP. with_empty_hooks: every tensor also calls a Python function that does nothing."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(examples, width, generator=rng), torch.randint(10, (examples,), generator=rng)
    model = nn.Sequential(*(layer for _ in range(layers) for layer in (nn.Linear(width, width), nn.GELU())), nn.Linear(width, 10))
    optimizer = shell(model.named_parameters(), AdamW(1e-3), nonfinite=nonfinite)
    for w in model.parameters() if with_empty_hooks else ():
        w.register_post_accumulate_grad_hook(lambda w: None)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def fused_shell(repetitions: int = 10, rounds: int = 20) -> None:
    """The fused shell against the stepwise one, and the floor: the stepwise one with an empty hook at every tensor."""
    torch.set_num_threads(1)
    print(f"\nforward + backward + step in two shells, AdamW, 1 thread; median and range of {repetitions} repetitions of {rounds} rounds")
    for name, sizes in MODELS.items():
        for nonfinite in ("raise", "pass"):
            made = {key: training(cls, *sizes, nonfinite=nonfinite, with_empty_hooks=hooks) for key, (cls, hooks) in CONTENDERS.items()}
            seen = [minima(made, rounds, time.thread_time) for _ in range(repetitions)]
            over = {key: sorted(100 * (ms[key] / ms["stepwise"] - 1) for ms in seen) for key in ("fused", "hooks")}
            ms = min(ms["stepwise"] for ms in seen)
            said = ", ".join(f"{key} {x[len(x) // 2]:+.1f} % ({x[0]:+.1f} to {x[-1]:+.1f})" for key, x in over.items())
            print(f"{name:24s} nonfinite={nonfinite!r:7s} stepwise {ms:5.2f} ms; {said}")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    print(f"{N / 1e6:.2f} M parameters in {len(SHAPES)} tensors, torch {torch.__version__}, {ROUNDS} interleaved rounds")
    everything = steps()
    for n_threads in (1, 2):
        table(everything, n_threads)
    fixed_costs()
    profile()
    fused_shell()

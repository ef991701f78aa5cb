"""The compiled way to run a step: each program as C++ loops (see `loops`), all blocks in one call, shared among the threads.

    plan.move_all(blocks)      one call into machine code: pass by pass over block after block, largest first

Needs a C++ compiler, once per program: the result is kept on disk, under the name of a hash of its text, the compiler and
the machine. What the loops cannot express (matrix products inside a frame, float16, sharded tensors) runs recorded.
Numbers differ from the plain step by rounding alone: products are fused into sums, and sums have another order.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sandbox.shells.execution import Block, Bound, is_ordinary, is_separate, like_weight
from sandbox.shells.loops import Loops
from sandbox.shells.numbers import CannotReplay
from sandbox.shells.passes import CannotLoop
from sandbox.shells.program import Program, read_step
from sandbox.shells.recorded import Recorded, program_key

FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
HEAD = "#include <algorithm>\n#include <cmath>\n#include <memory>\n"
DRIVER = (
    HEAD
    + """
typedef void (*step)(const double*, void* const*);
extern "C" void run(const step* steps, const double* const* numbers, void* const* const* tensors, long jobs, int threads) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
for (long k = 0; k < jobs; ++k) steps[k](numbers[k], tensors[k]);
}
"""
)


class NoCompiler(RuntimeError):
    """There is no C++ compiler on this machine, or it failed."""


class Step(NamedTuple):
    """function: address of the machine code.  numbers: see Program.numbers."""

    function: int
    numbers: Any
    n_numbers: int


def cache_folder() -> Path:
    """Where libraries are kept: $SANDBOX_CACHE, or a folder of this user alone under the temporary files."""
    given = os.environ.get("SANDBOX_CACHE")
    folder = Path(given) if given else Path(tempfile.gettempdir()) / f"sandbox-loops-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise NoCompiler(f"the folder of compiled steps must belong to this user, and {folder} does not; set SANDBOX_CACHE")
    return folder


def processor() -> str:
    """What machine code for this machine depends on."""
    listed = Path("/proc/cpuinfo")
    flags = [line for line in listed.read_text().splitlines() if line.startswith(("flags", "Features"))] if listed.exists() else []
    return f"{os.uname().machine} {torch.backends.cpu.get_cpu_capability()} {flags[:1]}"


def built(text: str) -> ctypes.CDLL:
    """The library that this C++ text compiles to. Raises NoCompiler where that is impossible."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise NoCompiler("execution='compiled' needs a C++ compiler, g++ or the one that CXX names, and there is none; use 'recorded'")
    key = hashlib.sha256(repr((text, compiler, FLAGS, processor())).encode()).hexdigest()
    target = cache_folder() / f"{key[:32]}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            (Path(work) / "steps.cpp").write_text(text)
            done = subprocess.run([compiler, *FLAGS, "steps.cpp", "-o", "steps.so"], cwd=work, capture_output=True, text=True)
            if done.returncode:
                raise NoCompiler(f"{compiler} could not compile a step:\n{done.stderr[-2000:]}")
            (Path(work) / "steps.so").replace(target)  # whole, or not at all
    return ctypes.CDLL(str(target))


def source(bodies: Sequence[str]) -> str:
    """One C++ text with a function step0, step1, ... per body."""
    head = 'extern "C" void step{}(const double* __restrict n, void* const* __restrict x) {{'
    return "\n".join((HEAD, *(f"{head.format(i)}\n{body}\n}}" for i, body in enumerate(bodies))))


class Job:
    """What one block hands to machine code: the addresses of w, g and the tensors of its state, and its numbers."""

    def __init__(self, block: Block, bound: Bound, step: Step | None) -> None:
        self.bound, self.step, self.size = bound, step, block.w.numel()
        if step is None:
            return
        self.tensors = (ctypes.c_void_p * (2 + len(bound.tensors)))(None, None, *(x.data_ptr() for _, x in bound.tensors))
        self.numbers = (ctypes.c_double * max(step.n_numbers, 1))()
        self.held = block.g  # alive until the call is over

    def prepare(self, block: Block) -> None:
        used, results = self.step.numbers(*self.bound.numbers(block))
        self.numbers[:] = used or (0.0,)
        self.held = like_weight(block.g, block.w)
        self.tensors[0], self.tensors[1] = block.w.data_ptr(), self.held.data_ptr()
        block.entry.update(zip(self.bound.number_keys, results, strict=True))


class Compiled:
    """Moves all blocks in one call; programs that are met for the first time are compiled together.

    Raises NoCompiler where there is none.
    """

    def __init__(self) -> None:
        self._run = built(DRIVER).run
        self._run.argtypes, self._run.restype = [ctypes.c_void_p] * 3 + [ctypes.c_long, ctypes.c_int], None
        self._steps: dict[Any, Step | None] = {}  # None: runs recorded
        self._jobs: dict[Tensor, Job] = {}
        self._call: tuple[list[Job], tuple[Any, ...]] = ([], ())
        self._recorded = Recorded()

    @torch.no_grad()
    def move_all(self, blocks: Sequence[Block]) -> None:
        unbound = [block for block in blocks if not self._is_bound(block)]
        if unbound:
            self._bind(unbound)
        jobs, others = [], []
        for block in blocks:
            job = self._jobs[block.w]
            if job.step is None:
                others.append(block)
            else:
                job.prepare(block)
                jobs.append(job)
        self._recorded.move_all(others)
        if jobs:
            self._run(*self._arguments(jobs), len(jobs), torch.get_num_threads())

    def _is_bound(self, block: Block) -> bool:
        job = self._jobs.get(block.w)
        return job is not None and job.bound.holds(block)

    def _arguments(self, jobs: list[Job]) -> tuple[Any, ...]:
        """Tables of functions, numbers and tensors, largest block first; those of the last call where the jobs are the same."""
        if self._call[0] != jobs:
            order = sorted(jobs, key=lambda job: -job.size)
            rows = ((job.step.function, ctypes.addressof(job.numbers), ctypes.addressof(job.tensors)) for job in order)
            columns, pointers = zip(*rows, strict=True), ctypes.c_void_p * len(jobs)
            self._call = (jobs, tuple(pointers(*column) for column in columns))
        return self._call[1]

    def _bind(self, blocks: list[Block]) -> None:
        keys = [program_key(block) for block in blocks]
        self._compile({key: block for key, block in zip(keys, blocks, strict=True) if key not in self._steps})
        for key, block in zip(keys, blocks, strict=True):
            self._jobs[block.w] = Job(block, Bound(block, None), self._steps[key])

    def _compile(self, new: dict[Any, Block]) -> None:
        programs: dict[Any, tuple[Program, str]] = {}
        for key, block in new.items():
            self._steps[key] = None
            try:
                if is_ordinary(block.w) and is_separate(block) and block.w.device.type == "cpu":
                    program = read_step(block)
                    programs[key] = (program, Loops(program).text)
            except (CannotLoop, CannotReplay):
                continue
        if programs:
            library = built(source([text for _, text in programs.values()]))
            for i, (key, (program, _)) in enumerate(programs.items()):
                function = ctypes.cast(getattr(library, f"step{i}"), ctypes.c_void_p).value
                self._steps[key] = Step(function, program.numbers(), len(program.wanted()))

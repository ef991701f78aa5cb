"""The red round: break the code in one place at a time; every break must turn a test red.

    python tests/red_round.py             all breaks, about 6 minutes on one core
    python tests/red_round.py shells      those whose file or tests name `shells`

Works in a temporary copy of the sources, so it never touches the checkout. A break is (file, what stands there once, what
stands there instead, the tests that must notice). Prints one line a break and exits 1 if any of them stays green. Not collected by pytest.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BREAKS = (
    # a sign
    ("sandbox/optimizers/gradient_descent.py", "return g * -self.lr, state", "return g * self.lr, state", "tests/optimizers"),
    ("sandbox/optimizers/rso.py", "coefficients + B * (1 / self.eta)", "coefficients - B * (1 / self.eta)", "tests/optimizers"),
    ("sandbox/models/llama.py", "a * cos - b * sin", "a * cos + b * sin", "tests/models/test_models_llama.py"),
    ("sandbox/theory/rso.py", "constant = 2 * (1 + t) ** 2", "constant = 2 * (1 - t) ** 2", "proofs tests/theory"),
    ("sandbox/fit.py", "_t_fit(a - b, samples, quantity)", "_t_fit(a + b, samples, quantity)", "tests/test_fit.py"),
    # a constant
    ("sandbox/optimizers/adam_mini.py", "c = (1 - b2_t) ** 0.5", "c = (1 - b2_t)", "tests/optimizers"),
    ("sandbox/optimizers/adalomo.py", "size(w, eps2) if", "size(w, eps1) if", "tests/optimizers"),
    ("sandbox/optimizers/galore.py", "delta * self.scale, state", "delta * 1.0, state", "tests/optimizers"),
    ("sandbox/oracles/clipped.py", ".clamp(max=1.0)", ".clamp(max=2.0)", "tests/oracles/test_oracles_gradients.py"),
    ("sandbox/problems/golore_counterexample.py", "-0.5 * float(self.B_nn", "-1.0 * float(self.B_nn", "tests/problems"),
    ("sandbox/models/attention.py", "C**-0.5", "C**-1.0", "tests/models/test_models_attention.py"),
    ("sandbox/theory/rso.py", "L_hat = m / r * L", "L_hat = r / m * L", "proofs tests/theory"),
    ("sandbox/draws.py", "dtype=torch.float64", "dtype=torch.float32", "tests/test_conformance.py tests/oracles tests/optimizers"),
    ("sandbox/fit.py", "x.std(ddof=1)", "x.std(ddof=0)", "tests/test_fit.py"),
    ("sandbox/shells/norm.py", "EPS = 1e-6", "EPS = 1e-5", "tests/shells/test_shells_norm.py"),
    ("sandbox/shells/rounding.py", "& -LOW_BITS", "& -(LOW_BITS // 2)", "tests/shells/test_shells_rounding.py"),
    ("sandbox/oracles/two_point.py", "/ (2 * self.eps * self.n)", "/ (self.eps * self.n)", "tests/oracles/test_oracles_two_point.py"),
    ("sandbox/models/cuts.py", 'n_values if value == "row" else 1)', "n_values)", "tests/models/test_models_cuts.py"),
    # an index
    ("sandbox/models/attention.py", ".triu(1)", ".triu(2)", "tests/models/test_models_attention.py"),
    ("sandbox/optimizers/base.py", "k % period == 0", "k % period == 1", "tests/test_conformance.py"),
    ("sandbox/optimizers/adalomo.py", "t = state.t + 1", "t = state.t + 2", "tests/optimizers"),
    ("sandbox/optimizers/galore.py", "sides=(0, 1)", "sides=(0, 0)", "tests/optimizers"),
    ("sandbox/models/language.py", "batch[:, 1:].flatten()", "batch[:, :-1].flatten()", "tests/models/test_models_language.py"),
    ("sandbox/run.py", "seed, ORACLE_STREAM, k", "seed, ORACLE_STREAM, 0", "tests/test_run.py"),
    ("sandbox/curvature/block_mass.py", "self.inside / (self.inside + self.outside)", "self.inside / self.outside", "tests/curvature"),
    # what a shell promises
    ("sandbox/shells/fused.py", "w.grad = None", "pass", "tests/shells tests/test_conformance.py"),
    ("sandbox/shells/slot.py", 'entry["step"] = k + 1', 'entry["step"] = k + 2', "tests/shells tests/test_conformance.py"),
    ("sandbox/shells/ensemble.py", "learning_rate(rule) * factor", "learning_rate(rule)", "tests/shells tests/test_run.py"),
    ("sandbox/memory/meters.py", "tensor_bytes([*stored, arriving])", "tensor_bytes([arriving])", "tests/memory"),
    ("sandbox/models/cuts.py", '"query": "head", "key": "head"', '"query": "row", "key": "head"', "tests/models"),
    # what a verdict rests on
    ("sandbox/ledger/tuning.py", "if 0 < best < len(grid) - 1", "if 0 <= best <= len(grid) - 1", "tests/ledger"),
    (
        "sandbox/ledger/result.py",
        "self.outcome is self.claim.expected",
        "self.outcome is self.claim.predicted",
        "tests/test_cli.py tests/ledger",
    ),
    ("sandbox/handoff/canary.py", "> expected.rtol", "> 1.0 + expected.rtol", "tests/handoff tests/scale"),
    # an import
    ("sandbox/optimizers/adam.py", "import torch\n", "import torch\nimport sandbox.problems.base\n", "tests/test_architecture.py"),
    ("sandbox/theory/rso.py", "import sympy\n", "import sympy\nimport torch\n", "tests/test_architecture.py"),
    ("proofs/proof_rank_one_nmf.py", "import sympy\n", "import sympy\nimport numpy\n", "tests/test_architecture.py"),
)


def sources() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name]


def copy_to(folder: Path) -> None:
    for name in filter(lambda name: (ROOT / name).is_file(), sources()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


def red(folder: Path, tests: str) -> bool:
    """Whether the tests notice: pytest exits 1 (failures) or 2 (a file cannot even be imported)."""
    env = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests.split()]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode != 0


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    green, sound = [], set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_to(folder)
        for file, old, new, tests in BREAKS:
            if wanted not in f"{file} {tests}":
                continue
            text = (folder / file).read_text()
            if text.count(old) != 1:
                raise ValueError(f"{file} must hold {old!r} once, found {text.count(old)}; bring the break up to date")
            if tests not in sound:
                if red(folder, tests):
                    raise RuntimeError(f"{tests} must pass before anything is broken; it does not")
                sound.add(tests)
            (folder / file).write_text(text.replace(old, new))
            seen = red(folder, tests)
            (folder / file).write_text(text)
            print(f"{'red  ' if seen else 'GREEN'}  {file}: {old.strip()!r} -> {new.strip()!r}", flush=True)
            green += [] if seen else [file]
    print(f"{len(green)} breaks stayed green" if green else "every break turned a test red")
    return 1 if green else 0


if __name__ == "__main__":
    sys.exit(main())

"""The numbers that this project set out to reach, measured here in one go: what was reached beside what was wanted.

    python tests/benchmarks/bench_goals.py

Runs the quick tier afresh in a temporary folder, the proofs and the suite without slow tests; about 8 minutes. Memory is the largest sum,
over a command and all its descendants, of resident sizes (shared pages count once per process, so the sum is an upper bound).
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = (sys.executable, "-m", "sandbox.cli")
GiB = 2**30


def descendants(pid: int) -> set[int]:
    """pid and every process below it; Linux's /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue  # it has ended meanwhile
    found, new = {pid}, {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def measured(*command: str) -> tuple[float, float, int]:
    """(seconds, largest resident GiB, exit code) of a command and its descendants."""
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            peak[0] = max(peak[0], sum(resident(pid) for pid in descendants(child.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = child.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return seconds, peak[0] / GiB, code


def line(what: str, goal: str, reached: str, code: int = 0) -> None:
    print(f"{what:44s} {goal:>12s} {reached:>12s}" + (f"   (exit code {code})" if code else ""), flush=True)


def main() -> None:
    line("what", "goal", "reached")
    line("sandbox --help", "< 0.5 s", f"{min(measured(*SANDBOX, '--help')[0] for _ in range(5)):.2f} s")
    with tempfile.TemporaryDirectory() as out:
        seconds, peak, code = measured(*SANDBOX, "check", "--tier", "quick", "--out", out)
        line("quick tier", "< 240 s", f"{seconds:.0f} s", code)
        line("quick tier, memory of all processes", "< 4 GiB", f"{peak:.2f} GiB")
        seconds, _, code = measured(*SANDBOX, "check", "--tier", "quick", "--out", out)
        line("quick tier again", "< 15 s", f"{seconds:.1f} s", code)
    seconds, _, code = measured(sys.executable, "-m", "pytest", "proofs", "-q")
    line("proofs", "< 30 s", f"{seconds:.0f} s", code)
    seconds, _, code = measured(sys.executable, "-m", "pytest", "tests", "-q", "-m", "not slow")
    line("suite without slow tests", "< 180 s", f"{seconds:.0f} s", code)


if __name__ == "__main__":
    main()

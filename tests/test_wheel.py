"""The wheel alone, in an empty environment: it holds `sandbox` and nothing else, steps an optimizer and verifies a card.

The environment sees the packages that are installed here through one path entry (downloading them again would test the network), but not
this checkout: the imported `sandbox` must lie inside the new environment.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

pytestmark = pytest.mark.slow

STEP = """
import torch, sandbox, sys
assert sandbox.__file__.startswith(sys.prefix), sandbox.__file__
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.shells.stepwise import Stepwise
w = torch.nn.Parameter(torch.ones(4, 3, dtype=torch.float64))
shell = Stepwise([("w", w)], AdaLomo(lr=0.1))
(w**2).sum().backward()
shell.step()
# RMS(w) = 1, u = g / sqrt(mean square) = 1 everywhere, so the step is -lr exactly
assert torch.allclose(w, torch.full_like(w, 0.9), rtol=1e-12, atol=0), w
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, root):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), str(root)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("theory_sandbox-*.whl"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory, wheel):
    """The python of an environment that holds the wheel."""
    where = tmp_path_factory.mktemp("empty")
    venv.create(where, with_pip=False, symlinks=True)
    site = next((where / "lib").glob("python*/site-packages"))
    with zipfile.ZipFile(wheel) as z:
        z.extractall(site)
    (site / "packages.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return where / "bin" / "python"


def run(python, *args, cwd):
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run([str(python), *args], capture_output=True, text=True, cwd=cwd, env=env)


def test_the_wheel_holds_sandbox_alone(wheel):
    with zipfile.ZipFile(wheel) as z:
        folders = {name.split("/")[0] for name in z.namelist()}
        assert "sandbox/handoff/card.schema.json" in z.namelist()
    assert {f for f in folders if not f.endswith(".dist-info")} == {"sandbox"}


def test_one_optimizer_step_in_an_empty_environment(empty, tmp_path):
    done = run(empty, "-c", STEP, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_card_is_verified_in_an_empty_environment(empty, tmp_path, root):
    cards = sorted((root / "experiments" / "records" / "cards").glob("*.json"))
    assert cards, "experiments/records/cards/ must hold the published cards"
    done = run(empty, "-m", "sandbox.cli", "card", "verify", str(cards[0]), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    tampered = json.loads(cards[0].read_text())
    tampered["canary"]["seed"] += 1
    (tmp_path / "tampered.json").write_text(json.dumps(tampered))
    refused = run(empty, "-m", "sandbox.cli", "card", "verify", str(tmp_path / "tampered.json"), cwd=tmp_path)
    assert refused.returncode != 0 and "digest" in refused.stdout + refused.stderr

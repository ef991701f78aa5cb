"""A worker takes plain data and gives plain data, or a sentence."""

import json
import pickle
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from sandbox.ledger import worker
from sandbox.ledger.claim import plain
from sandbox.ledger.code_version import code_version
from sandbox.ledger.loading import load
from sandbox.ledger.worker import Order, deliver, rebuild


@pytest.fixture
def module(folder):
    return load(folder.path / "experiments" / "toy.py")


def order(folder, claim="toy.upper", seeds=(0, 1), **setting):
    data = {"type": "Setting", "x": 1.0, "sizes": [1, 2]} | setting
    file = folder.path / "experiments" / "toy.py"
    return Order(str(folder.path), str(file), claim, data, seeds, code_version(file))


def test_an_order_is_plain_data(folder, module):
    made = order(folder)
    assert Order(*json.loads(json.dumps(made)))[:4] == made[:4]
    assert b"experiments_toy" not in pickle.dumps(made)  # no class of the experiment travels


def test_a_setting_survives_with_its_types(module):
    for setting in (module.Setting(1.0), module.Setting(0.1 + 0.2, (3, (4, 5)))):
        again = rebuild(module, json.loads(json.dumps(plain(setting))))
        assert again == setting and type(again.x) is float and type(again.sizes) is tuple


def test_the_values_of_every_seed_and_the_time(folder):
    delivery = deliver(order(folder, seeds=(2, 0)))
    assert [round(v["y"], 6) for v in delivery.values] == [1.002, 1.0] and not delivery.error
    assert folder.calls == ["1.0 2", "1.0 0"] and delivery.seconds > 0


@pytest.mark.parametrize(
    "body, message",
    [
        ("raise ZeroDivisionError('no way')", r"ZeroDivisionError: no way \(toy\.py:\d+\), with x=1\.0, sizes=\[1, 2\], seeds \[0, 1\]"),
        ("return {'y': __import__('numpy').float32(1)}", r"plain numbers; 'y' is float32: convert it with float\(\)"),
        ("return {'y': {1, 2}}", "'y' is set"),
    ],
)
def test_what_goes_wrong_inside_measure_comes_back_as_a_sentence(folder, body, message):
    folder.edit("    log(setting, seed)\n", f"    {body}\n")
    delivery = deliver(order(folder))
    import re

    assert delivery.values == () and re.search(message, delivery.error), delivery.error


def test_other_code_than_the_order_says_is_not_run(folder):
    made = order(folder)
    folder.edit("Question", "A question")
    delivery = deliver(made)
    assert delivery.values == () and folder.calls == []
    assert delivery.error == "the sources changed while this ran; run again, finished rows are kept"


def test_code_that_changes_while_it_runs_gives_no_rows(folder):
    """The file appends a line to itself while it is measured; what came out belongs to neither version."""
    folder.edit("    log(setting, seed)\n", "    log(setting, seed)\n    with open(__file__, 'a') as file: file.write('# edited\\n')\n")
    delivery = deliver(order(folder, seeds=(0,)))
    assert folder.calls == ["1.0 0"] and delivery.values == () and "the sources changed while this ran" in delivery.error


def test_too_few_values(folder):
    folder.edit("measure=per_seed(one)", "measure=lambda s, seeds: [{}]")
    assert "one dict per seed; got 1 for the 2 seeds (0, 1)" in deliver(order(folder)).error


def test_an_unknown_setting_class(folder):
    assert "a setting must be a dataclass that" in deliver(order(folder, type="Nothing")).error


def test_numpy_float64_is_a_float_and_comes_back_plain(folder):
    assert isinstance(np.float64(1.0), float)
    folder.edit("    log(setting, seed)\n", "    return {'y': __import__('numpy').float64(1.5)}\n")
    (value, _) = deliver(order(folder)).values
    assert type(value["y"]) is float


def test_a_worker_starts_with_one_thread_and_nothing_heavy(root):
    code = (
        "import sys, os; import sandbox.ledger.worker as w; assert not {'numpy', 'torch', 'sympy'} & set(sys.modules); "
        "w._follow_parent = lambda: None; w.prepare(); import signal, torch; "
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN; assert torch.get_num_threads() == 1"
    )
    env = {"OMP_NUM_THREADS": "2", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=env)


def test_torch_gets_one_thread_in_process_too(folder):
    import torch

    torch.set_num_threads(2)
    deliver(order(folder))
    assert torch.get_num_threads() == 1


@dataclass(frozen=True)
class Other:
    n: int


def test_a_class_of_another_module_is_no_setting_of_this_one(module):
    with pytest.raises(ValueError, match="it has no 'Other'"):
        rebuild(module, plain(Other(1)))
    assert worker.load is load

"""A survey that is kept tensor by tensor, goes on where it stopped, and shows what a dense Hessian says."""

import dataclasses
import json
import signal
import sys

import numpy as np
import pytest
import torch
from torch import nn

from sandbox.cli import main
from sandbox.cli_hessian import PICTURE, Kept, chosen, hessian_command, surveyed, whole_matrix
from sandbox.curvature import survey
from sandbox.curvature.block_mass import block_mass, chance_mass
from sandbox.curvature.objective import supervised
from sandbox.curvature.survey import Cost
from sandbox.hessian_targets import of_module


def target(seed=0, title="mine"):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    x, y = torch.randn(20, 6), torch.randint(3, (20,))
    return of_module(title, model, supervised(model, nn.functional.cross_entropy), [(x, y)], seed)


def exact_blocks(one, name):
    """The tensor's own Hessian by torch, float64."""
    fixed = {n: p.detach().double() for n, p in one.params.items()}
    x, y = one.batches[0]
    n = fixed[name].numel()
    H = torch.func.hessian(lambda w: one.loss({**fixed, name: w}, (x.double(), y)))(fixed[name])
    return H.reshape(n, n).numpy()


@pytest.mark.parametrize(("exact", "tolerance"), [(100, 1e-4), (0, 0.1)])  # float32 second derivatives; probes to 5 %, twice that
def test_rows_are_those_of_the_dense_hessian(tmp_path, exact, tolerance):
    one = target()
    rows = [row for done in surveyed([one], [], Kept(tmp_path / "h.json"), cost=Cost(exact=exact), seed=0) for row in done.survey.rows]
    assert {(row.name, row.partition) for row in rows} == {(n, p) for n in ("0.weight", "2.weight") for p in ("rows", "columns", "random")}
    for row in rows:
        H, label = exact_blocks(one, row.name), one.partitions[row.partition].labels[row.name]
        assert row.mass == pytest.approx(block_mass(H, label), rel=tolerance)
        assert row.null == pytest.approx(chance_mass(H, label), rel=tolerance, abs=tolerance / 2)
        assert (row.null_error > 0) == (exact == 0)
        assert abs(row.null - chance_mass(H, label)) < 4 * row.null_error + 1e-4  # four standard errors, and float32
        assert (row.high > row.low) == (exact == 0 and row.n_products != row.size)


def test_the_spectrum_is_that_of_the_tensor(tmp_path):
    one = target()
    for done in surveyed([one], ["2.weight"], Kept(tmp_path / "h.json"), cost=Cost(), seed=0):
        wanted = np.linalg.eigvalsh(exact_blocks(one, "2.weight"))
        assert np.allclose(np.sort(done.survey.spectrum.nodes), wanted, atol=1e-5 * wanted.max())  # float32


def test_a_survey_goes_on_where_it_stopped(tmp_path, monkeypatch):
    path, one = tmp_path / "h.json", target()
    steps = surveyed([one], [], Kept(path), cost=Cost(), seed=0)
    first = next(steps)
    steps.close()  # stopped after one tensor
    assert len(json.loads(path.read_text())["surveys"]) == 1
    seen = []
    real = survey.survey_tensor
    monkeypatch.setattr("sandbox.cli_hessian.survey_tensor", lambda t, name, **how: seen.append(name) or real(t, name, **how))
    again = list(surveyed([one], [], Kept(path), cost=Cost(), seed=0))
    assert seen == ["2.weight"] and again[0].survey.rows == first.survey.rows
    assert list(surveyed([one], [], Kept(path), cost=Cost(), seed=0))[1].survey.rows == again[1].survey.rows and seen == ["2.weight"]


@pytest.mark.parametrize("change", ["weights", "seed", "cost", "fresh", "loss"])
def test_what_changes_the_answer_is_computed_anew(tmp_path, monkeypatch, change):
    path, seen = tmp_path / "h.json", []
    list(surveyed([target()], ["0.weight"], Kept(path), cost=Cost(), seed=0))
    real = survey.survey_tensor
    monkeypatch.setattr("sandbox.cli_hessian.survey_tensor", lambda t, name, **how: seen.append(name) or real(t, name, **how))
    one = target(seed=1 if change == "weights" else 0)
    before = one.loss
    if change == "loss":
        one = dataclasses.replace(one, loss=lambda params, batch: 2 * before(params, batch))
    cost = Cost(within=0.1) if change == "cost" else Cost()
    list(surveyed([one], ["0.weight"], Kept(path, fresh=change == "fresh"), cost=cost, seed=int(change == "seed")))
    assert seen == ["0.weight"]


def test_patterns_choose_tensors():
    one = target()
    assert chosen(one, []) == ["0.weight", "2.weight"]
    assert chosen(one, ["2.*"]) == ["2.weight", "2.bias"]
    with pytest.raises(ValueError, match="must name a tensor"):
        chosen(one, ["attention*"])


def test_without_patterns_frozen_tensors_stay_out():
    one = target()
    one.params["0.weight"].requires_grad_(False)
    assert chosen(one, []) == ["2.weight"]
    one.params["2.weight"].requires_grad_(False)
    with pytest.raises(ValueError, match="must have a matrix that is trained, but has .*--tensors"):
        chosen(one, [])


@pytest.mark.parametrize("exact", [0, 100])
def test_a_tensor_without_second_derivatives_is_named(tmp_path, exact):
    linear = of_module("t", nn.Linear(3, 4), lambda params, batch: (batch @ params["weight"].T).abs().mean(), [torch.ones(5, 3)], 0)
    with pytest.raises(ValueError, match="those in weight are 0 everywhere .*leave it out"):
        list(surveyed([linear], ["weight"], Kept(tmp_path / "h.json"), cost=Cost(exact=exact), seed=0))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (
            lambda params, batch: batch[0] @ params["0.weight"],
            "mine: the loss must run on every batch, but on number 0 .*RuntimeError: mat1",
        ),
        (lambda params, batch: 1.0, "mine: the loss must be one 0-dim tensor, got float"),
    ],
)
def test_a_loss_that_does_not_run_is_told_before_the_work(tmp_path, loss, words):
    with pytest.raises(ValueError, match=words):
        list(surveyed([dataclasses.replace(target(), loss=loss)], [], Kept(tmp_path / "h.json"), cost=Cost(), seed=0))


def test_half_precision_is_refused_in_a_sentence(tmp_path):
    one = target()
    half = dataclasses.replace(one, params={name: p.detach().bfloat16() for name, p in one.params.items()})
    with pytest.raises(ValueError, match="float32 or float64.*bfloat16"):
        list(surveyed([half], [], Kept(tmp_path / "h.json"), cost=Cost(), seed=0))


def test_a_whole_hessian_that_memory_does_not_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sandbox.curvature.survey.free_bytes", lambda: 40_000)
    with pytest.raises(ValueError, match=r"48 x 48 matrix .* does not fit.*; or set exact \(--exact\) below 48, for probes"):
        list(surveyed([target()], ["0.weight"], Kept(tmp_path / "h.json"), cost=Cost(), seed=0))


def test_pictures_and_rows_of_two_points(tmp_path):
    targets = [target(0, "early"), target(1, "late")]
    told = []
    rows, files = hessian_command(targets, [], Kept(tmp_path / "h.json"), cost=Cost(), seed=0, say=lambda *now: told.append(now))
    assert [file.name for file in files] == ["spectra.svg", "excess.svg", "hessian.svg"]
    assert all(file.read_text().startswith("<svg") for file in files)
    assert len(rows) == 2 * 2 * 3 and json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert told[-1][:2] == (4, 4)
    (one,) = [row for row in rows if row["id"] == "late/2.weight/rows"]
    assert one["status"] == "measured" and 0 < one["null"] < one["mass"] <= 1


def test_an_excess_that_does_not_exist_is_null(tmp_path):
    """A bias is one block, where chance alone gives a mass of 1; a weight beside it has blocks."""
    targets = [target(0, "early"), target(1, "late")]
    rows, _ = hessian_command(targets, ["2.*"], Kept(tmp_path / "h.json"), cost=Cost(), seed=0, say=lambda *_: None)
    assert {row["name"] for row in rows if row["excess"] is None} == {"2.bias"}
    assert all(row["excess"] is None and row["mass"] == pytest.approx(1) for row in rows if row["name"] == "2.bias")  # rounding
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


MODULE = """
import signal
from pathlib import Path

import torch
from torch import nn

torch.manual_seed(0)
BATCH = (torch.randn(20, 6), torch.randint(3, (20,)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.codes = nn.Parameter(torch.randint(-3, 4, (8, 6), dtype=torch.int8), requires_grad=False)
        self.first, self.second, self.spare = nn.Linear(8, 8), nn.Linear(8, 3), nn.Linear(2, 2)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x @ self.codes.T.to(x.dtype))))


def one():
    return Net(), nn.functional.cross_entropy, [BATCH]


def after_one():  # Ctrl-C, once, when a tensor is done
    return Net(), stops_if(lambda: Path("out/hessian.json").exists()), [BATCH]


def at_once():
    return Net(), stops_if(lambda: True), [BATCH]


def stops_if(ready):
    def criterion(z, y):
        if ready() and not Path("stopped").exists():
            Path("stopped").touch()
            signal.raise_signal(signal.SIGINT)
        return nn.functional.cross_entropy(z, y)
    return criterion
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """`sandbox hessian mine_for_cli:NAME WORDS --out out` in this process: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_for_cli.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests in its background makes them deaf to it

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", ["sandbox", "hessian", f"mine_for_cli:{name}", *words, "--out", "out"])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    yield run
    sys.modules.pop("mine_for_cli", None)
    signal.signal(signal.SIGINT, before)


def test_frozen_whole_numbers_are_left_alone(command):
    code, out, _ = command("one", "--tensors", "first*", "--json")
    assert code == 0 and {row["name"] for row in json.loads(out)} == {"first.weight", "first.bias"}


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("*", "real floating numbers, but {'codes': torch.int8} can be no variables"),
        ("spare*", "no batch of 1 uses ['spare.bias', 'spare.weight']"),
    ],
)
def test_a_sentence_names_what_can_be_typed(command, pattern, words):
    code, out, err = command("one", "--tensors", pattern)
    assert code == 2 and out == "" and words in err.splitlines()[-1] and "--tensors" in err.splitlines()[-1]


def test_without_patterns_whole_numbers_stay_out():
    assert chosen(dataclasses.replace(target(), params={"codes": torch.ones(2, 2, dtype=torch.int8), "w": torch.ones(2, 2)}), []) == ["w"]


@pytest.mark.parametrize("fresh", [(), ("--fresh",)])
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(command, tmp_path, fresh):
    code, _, err = command("after_one", "--tensors", "*t.weight", "--tensors", "*d.weight", *fresh)
    kept = list(json.loads((tmp_path / "out" / "hessian.json").read_text())["surveys"])
    again = "the same command without --fresh" if fresh else "the same command"
    assert code == 130 and len(kept) == 1
    assert err.splitlines()[-1] == (
        f"sandbox: interrupted; every finished tensor is kept in out/hessian.json (1 so far), {again} goes on from there"
    )
    code, out, _ = command("after_one", "--tensors", "*t.weight", "--tensors", "*d.weight")
    found = json.loads((tmp_path / "out" / "hessian.json").read_text())["surveys"]
    assert code == 0 and list(found)[0] == kept[0] and len(found) == 2 and "wrote out/hessian.svg" in out


def test_ctrl_c_before_anything_is_kept(command, tmp_path):
    code, _, err = command("at_once", "--tensors", "first*")
    assert code == 130 and "interrupted before a tensor was done, so nothing is kept; the same command starts over" in err
    assert not (tmp_path / "out" / "hessian.json").exists()


def test_the_heat_map_is_drawn_again_only_where_something_changed(command, tmp_path):
    picture = tmp_path / "out" / "hessian.svg"
    both = ("--tensors", "first.weight", "--tensors", "second.weight")
    assert "wrote out/hessian.svg" in command("one", *both)[1]
    first = picture.read_text()
    picture.write_text("as it was")
    assert "kept out/hessian.svg" in command("one", *both)[1] and picture.read_text() == "as it was"
    assert "wrote out/hessian.svg" in command("one", *both, "--fresh")[1] and picture.read_text() == first
    assert "wrote out/hessian.svg" in command("one", "--tensors", "second.weight")[1] and picture.read_text() != first
    assert "wrote out/hessian.svg" in command("one", *both)[1] and picture.read_text() == first
    picture.unlink()
    assert "wrote out/hessian.svg" in command("one", *both)[1] and picture.read_text() == first


def test_a_matrix_that_is_too_large_to_draw_is_left_out():
    one = target()
    assert whole_matrix(one, ["0.weight"], 47) is None
    assert whole_matrix(one, ["0.weight"], 48).matrix.shape == (48, 48)
    assert PICTURE >= 4_000  # the built-in models fit


@pytest.mark.parametrize("text", ['{"other": 1}', '{"surveys": []}', '{"surveys": {"a": 5}}', "[]", "{", ""])
def test_a_file_of_somebody_else_is_not_overwritten(tmp_path, text):
    path = tmp_path / "h.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="move it away or give --fresh"):
        Kept(path)
    assert path.read_text() == text


@pytest.mark.parametrize("wrong", [dict(most=1), dict(n_steps=1), dict(within=0.0), dict(exact=-1)])
def test_a_cost_that_buys_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=r"a survey needs exact >= 0.* got \w+="):
        Cost(**wrong)

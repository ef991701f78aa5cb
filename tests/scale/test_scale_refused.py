"""What a job cannot be: one sentence each, before anything is allocated; and what an interrupted checkpoint leaves."""

import json
import shutil
import sys
from contextlib import contextmanager

import pytest
import torch
from typer.testing import CliRunner

from sandbox.cli import app
from sandbox.handoff.recipe import Recipe
from sandbox.memory.meters import optimizer_bytes, tensor_bytes
from sandbox.models.llama import LlamaConfig
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.rso import RSO
from sandbox.run import Schedule
from sandbox.scale import checkpoint, memory
from sandbox.scale.data import source_of
from sandbox.scale.job import Job, Ranks, ranks_of
from sandbox.scale.loop import flops_per_token
from sandbox.scale.making import run_of
from sandbox.scale.model import Trainee
from sandbox.scale.plan import plan_of, stretched
from sandbox.scale.train import train
from tests.scale.cards import card_of, tiny

QUIET = {"say": lambda line: None}


@pytest.fixture(scope="module")
def path(place):
    recipe = Recipe(tiny("scale_words.txt", batch_size=4, dtype="float64"), AdamW(0.01), steps=12, schedule=Schedule(12, 2, 0.3))
    return card_of(recipe, place / "card.json")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch": 0}, "batch must be >= 1, got 0"),
        ({"accumulate": 3}, r"the 4 windows of a step must be a multiple of 1 ranks x 3 passes = 3: give --batch 6"),
        ({"checkpoint_every": -1}, "checkpoint_every must be >= 0 steps"),
        ({"lr": float("nan")}, "lr must be a number >= 0, got nan"),
        ({"shell": "fused", "accumulate": 2}, "the fused shell frees every gradient once it is applied, so it cannot add up 2 passes"),
        ({"compile": "gcc"}, "torch.compile has the backends .*, got 'gcc'"),
        ({"context": 4096}, "context 4096 needs"),
    ],
)
def test_options_that_do_not_go_together(options, words, path):
    with pytest.raises(ValueError, match=words):
        train(path, **options, **QUIET)


def test_more_processes_than_cuda_devices_are_refused(path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match="this is process 2 of a machine with 2; give torchrun --nproc-per-node 2 at most"):
        train(path, device="cuda")


def test_too_little_memory_is_said_before_anything_is_allocated(path, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda job, ranks: 100_000)
    monkeypatch.setattr("sandbox.scale.train.run_of", None)
    monkeypatch.setattr("sandbox.scale.train.code_canary", None)
    with pytest.raises(
        ValueError, match=r"rank 0 of 1 needs at least [\d,]+ bytes \(weights [\d,]+, .*\) and has 100,000 free on cpu: give"
    ):
        train(path, batch=400, **QUIET)


@pytest.mark.parametrize("shell", ["stepwise", "fused"])
def test_what_a_job_needs_at_least_is_what_it_takes(path, shell):
    """Weights, gradients and state byte by byte; the meters count storages."""
    job, ranks = Job(shell=shell), Ranks(0, 1, torch.device("cpu"))
    plan = plan_of(path, job, ranks)
    need, run = memory.need_of(plan, job, ranks), run_of(plan, source_of(None, None, plan.problem, seed=0, steps=12), job, ranks)
    run.step()
    assert need.weights == tensor_bytes(run.model.parameters()) and need.state == optimizer_bytes(run.optimizer)
    largest = max(w.numel() * w.element_size() for w in run.model.parameters())
    assert need.gradients == (need.weights if shell == "stepwise" else largest)
    two = memory.need_of(plan, job, Ranks(0, 2, torch.device("cpu"), mesh="there"))
    assert two.weights == need.weights // 2 and two.state == need.state // 2 and two.gathered > 0 == need.gathered
    assert two.activations < need.activations
    less = memory.need_of(plan_of(path, Job(recompute="blocks"), ranks), Job(recompute="blocks"), ranks)
    assert less.activations <= need.activations


def test_what_a_job_with_layers_in_subspaces_needs_at_least_is_what_it_takes(place):
    """Coefficients have gradients and moments; weights and bases stand beside them; x P is kept where x was."""
    problem = tiny("scale_words.txt", width=16, batch_size=4, dtype="float64")
    blocks = [n for n, shape in problem.shapes.items() if n.startswith("blocks.") and len(shape) == 2]
    rules = {n: RSO(Adam(0.02), rank=2, update_gap=3) if n in blocks else Adam(0.02) for n in problem.shapes}
    card = card_of(Recipe(problem, rules, steps=12), place / "layers.json")
    ranks, needs = Ranks(0, 1, torch.device("cpu")), {}
    for shell in ("stepwise", "subspace"):
        plan = plan_of(card, job := Job(shell=shell), ranks)
        needs[shell] = memory.need_of(plan, job, ranks)
    need, run = needs["subspace"], run_of(plan, source_of(None, None, plan.problem, seed=0, steps=12), job, ranks)
    run.step()
    named = dict(run.model.named_parameters())
    assert need.weights == tensor_bytes(named.values()) and need.state == optimizer_bytes(run.optimizer)
    assert need.gradients == tensor_bytes(w for w in named.values() if w.requires_grad) < needs["stepwise"].gradients
    tokens = 4 * 8 * 8  # sequences x context x bytes
    assert needs["stepwise"].activations - need.activations == tokens * (3 * 16 + problem.model.hidden - 7 * 2)  # see memory/subspace.py
    two = memory.need_of(plan, job, Ranks(0, 2, torch.device("cpu"), mesh="there"))
    gradients = tensor_bytes(w for n, w in named.items() if n.startswith("blocks.") and w.requires_grad)
    assert two.gathered == need.weights + gradients  # of the one block


def stopped(path, out, monkeypatch):
    """A job that is stopped in its eleventh step, with checkpoints of steps 4 and 8."""
    from sandbox.scale.loop import Run

    straight = Run.step
    monkeypatch.setattr(Run, "step", lambda self: straight(self) if len(self.losses) < 10 else sys.exit("stopped"))
    with pytest.raises(SystemExit, match="stopped"):
        train(path, out=out, checkpoint_every=4, **QUIET)
    monkeypatch.setattr(Run, "step", straight)


def test_an_interrupted_checkpoint_costs_nothing(path, tmp_path, monkeypatch):
    """Beside the whole ones lie one that was being written, and one whose file was cut off."""
    straight, said = train(path, **QUIET), []
    stopped(path, out := tmp_path / "out", monkeypatch)
    folder = out / "checkpoints"
    shutil.copytree(folder / "step-00000008", folder / ".step-00000010")
    cut = next((folder / "step-00000008").glob("*.distcp"))
    cut.write_bytes(cut.read_bytes()[:-50])
    again = train(path, out=out, checkpoint_every=4, say=said.append)
    assert said[0].startswith(f"the checkpoint {folder / 'step-00000008'} is not whole ({cut.name} has ")
    assert any(line.startswith("goes on after step 4 of 12") for line in said)
    assert again.losses == straight.losses and again.held_out == straight.held_out


def test_a_checkpoint_that_breaks_off_leaves_the_one_before(path, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    straight, out = train(path, **QUIET), tmp_path / "out"
    stopped(path, out, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            train(path, out=out, checkpoint_every=3, **QUIET)
    assert train(path, out=out, **QUIET).losses == straight.losses


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("progress.json", "[]"),
        ("progress.json", "{}"),
        ("progress.json", '{"step": 8, "losses": [1.0], "job": {}}'),
        ("progress.json", '{"step": 1, "losses": ["x"], "job": {}}'),
        ("progress.json", '{"step": "8", "losses": 1, "job": {}}'),
        ("whole.json", "[]"),
    ],
)
def test_a_checkpoint_that_says_something_else_is_passed_over(path, file, content, tmp_path, monkeypatch):
    stopped(path, out := tmp_path / "out", monkeypatch)
    newest = out / "checkpoints" / "step-00000008"
    (newest / file).write_text(content)
    sizes = {} if file == "whole.json" else json.loads((newest / "whole.json").read_text()) | {file: len(content)}
    if sizes:
        (newest / "whole.json").write_text(json.dumps(sizes))
    said = []
    train(path, out=out, say=said.append)
    assert said[0].startswith(f"the checkpoint {newest} is not whole (whole.json or progress.json holds something else than was written)")
    assert any(line.startswith("goes on after step 4 of 12") for line in said)


@contextmanager
def no_file_above(size):
    """As on a full disk: the system refuses what goes beyond, with error 27 in the place of 28."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_under_a_checkpoint_is_one_sentence_and_costs_nothing(path, tmp_path, monkeypatch):
    straight, out = train(path, **QUIET), tmp_path / "out"
    stopped(path, out, monkeypatch)
    size = max(file.stat().st_size for file in (out / "checkpoints" / "step-00000008").iterdir())
    words = r"the checkpoint .*step-00000010 could not be written \(.+\); those before it are kept, and the same command goes on from"
    with no_file_above(size // 2), pytest.raises(ValueError, match=words) as refusal:
        train(path, out=out, checkpoint_every=10, **QUIET)
    assert "\n" not in str(refusal.value)
    assert sorted(file.name for file in (out / "checkpoints").iterdir()) == ["step-00000004", "step-00000008"]
    assert train(path, out=out, **QUIET).losses == straight.losses


def test_a_full_disk_at_the_end_leaves_the_checkpoints(path, tmp_path, monkeypatch):
    """The job is not done before its files are there, so the same command makes the last steps again and not all of them."""
    stopped(path, out := tmp_path / "out", monkeypatch)
    with no_file_above(2_000), pytest.raises(OSError):
        train(path, out=out, checkpoint_every=0, **QUIET)
    assert sorted(file.name for file in out.iterdir()) == ["checkpoints", "losses.csv"]
    said = []
    train(path, out=out, say=said.append)
    assert any(line.startswith("goes on after step 8 of 12") for line in said)


def test_ctrl_c_says_how_to_go_on(path, tmp_path, monkeypatch):
    from sandbox.scale.loop import Run

    straight = Run.step

    def step(self):
        if len(self.losses) == 9:
            raise KeyboardInterrupt
        return straight(self)

    words = ["train", str(path), "--out", str(tmp_path), "--checkpoint-every", "4"]
    with monkeypatch.context() as patched:
        patched.setattr(Run, "step", step)
        stopped_here = CliRunner().invoke(app, words)
    assert stopped_here.exit_code == 130
    assert f"interrupted; the same command goes on from the newest checkpoint in {tmp_path / 'checkpoints'}" in stopped_here.stderr
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0 and "goes on after step 8 of 12" in again.stdout


def test_checkpoints_of_another_job_are_not_gone_on_from(path, tmp_path, monkeypatch):
    stopped(path, out := tmp_path / "out", monkeypatch)
    with pytest.raises(ValueError, match="is a checkpoint of another job: batch None there and 8 now; choose another --out, or --fresh"):
        train(path, out=out, batch=8, **QUIET)
    said = []
    assert len(train(path, out=out, batch=8, start="fresh", say=said.append).losses) == 12
    assert not any(line.startswith("goes on") for line in said)


def test_the_two_newest_checkpoints_are_kept(path, tmp_path):
    train(path, out=tmp_path, checkpoint_every=2, **QUIET)
    kept = sorted(file.name for file in (tmp_path / "checkpoints").iterdir())
    assert kept == ["finished.json", "step-00000008", "step-00000010"]
    assert json.loads((tmp_path / "checkpoints" / "step-00000010" / "progress.json").read_text())["step"] == 10


def test_a_finished_job_is_trained_anew_by_the_same_call_and_gone_on_from_by_a_longer_one(path, tmp_path):
    """As before there were checkpoints: another card may use the same folder once a job is done."""
    first, said = train(path, out=tmp_path, checkpoint_every=4, steps=10, **QUIET), []
    assert train(path, out=tmp_path, checkpoint_every=4, steps=10, say=said.append) == first
    assert not any(line.startswith("goes on") for line in said)
    longer = train(path, out=tmp_path, steps=12, say=said.append)
    assert any(line.startswith("goes on after step 8 of 12") for line in said) and longer.losses == train(path, **QUIET).losses
    assert len(train(path, out=tmp_path, batch=8, checkpoint_every=5, **QUIET).losses) == 12
    assert sorted(file.name for file in (tmp_path / "checkpoints").glob("step-*")) == ["step-00000005", "step-00000010"]


def test_layers_in_a_subspace_train_as_the_frame_does_and_go_on(place, tmp_path, monkeypatch):
    """One process, where the shell works: the numbers of RSO in the stepwise shell, and plain weights at the end."""
    problem = tiny("scale_words.txt", batch_size=4, dtype="float64")
    rules = {n: RSO(Adam(0.02), rank=2, update_gap=3) if r.kind in ("query", "ffn_in") else Adam(0.02) for n, r in problem.roles.items()}
    card = card_of(Recipe(problem, rules, steps=12), place / "rso.json")
    plain = train(card, out=tmp_path / "plain", **QUIET)
    layers = train(card, shell="subspace", **QUIET)
    assert layers.losses == pytest.approx(plain.losses, rel=1e-9, abs=0)  # twelve steps of rounding of float64
    from sandbox.scale.loop import Run

    straight = Run.step
    with monkeypatch.context() as patched:
        patched.setattr(Run, "step", lambda self: straight(self) if len(self.losses) < 10 else sys.exit("stopped"))
        with pytest.raises(SystemExit):
            train(card, shell="subspace", out=tmp_path / "layers", checkpoint_every=4, **QUIET)
    again = train(card, shell="subspace", out=tmp_path / "layers", **QUIET)
    assert again.losses == layers.losses
    from safetensors.torch import load_file

    ours, theirs = (load_file(tmp_path / name / "weights.safetensors") for name in ("layers", "plain"))
    assert ours.keys() == theirs.keys()
    for name, w in ours.items():
        torch.testing.assert_close(w, theirs[name], rtol=1e-9, atol=1e-9)


def test_tensorboard_is_written_or_its_absence_is_said(path, tmp_path):
    said = []
    train(path, out=tmp_path, tensorboard="on", steps=2, say=said.append)
    if any(line.startswith("TensorBoard is not installed, so no events are written") for line in said):
        assert not (tmp_path / "tensorboard").exists()
    else:
        assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_pace_is_said_with_mfu_where_the_peak_is_known(path):
    said = []
    train(path, steps=2, peak_tflops=0.001, say=said.append)
    assert any("tokens/s, MFU " in line for line in said) and any("min" in line and "s left" in line for line in said)


def test_validation_on_the_way_is_that_of_the_weights_then(path):
    said = []
    train(path, steps=6, validate_every=3, say=said.append)
    alone = train(path, steps=3, **QUIET)
    assert f"step 3 of 6: held-out loss {alone.held_out:.4f} nats per token" in said


def test_bfloat16_makes_a_group_of_one_and_ends_it(path):
    job = Job(precision="bfloat16")
    with ranks_of(job) as ranks:
        assert ranks.world == 1 and ranks.mesh is not None
    assert not torch.distributed.is_initialized()


def test_passes_add_up_to_the_whole_batch(path):
    """Float64: sums in another order, twelve steps."""
    assert train(path, accumulate=4, **QUIET).losses == pytest.approx(train(path, **QUIET).losses, rel=1e-10, abs=0)


def test_a_schedule_keeps_its_shape_over_another_number_of_steps():
    assert stretched(Schedule(100, 10, 0.1), 1000) == Schedule(1000, 100, 0.1)
    assert stretched(None, 1000) is None


def test_flops_of_a_token_are_those_of_its_matrices():
    """Two for every weight forward, twice that backward; scores and values of attention: 4 D T forward per layer; tables are looked up."""
    config = LlamaConfig(20, width=16, layers=2, heads=2, context=8)
    matrices = 2 * (4 * 16 * 16 + 3 * 16 * config.hidden) + 20 * 16
    gains = 5 * 16  # counted as weights, which they are
    assert flops_per_token(Trainee(config)) == 6 * (matrices + gains) + 3 * 2 * 4 * 16 * 8

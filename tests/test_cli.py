"""The command as a user meets it: exit codes, tables, JSON, a kill and a Ctrl-C in mid-run, start-up time."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("ledger_conftest", Path(__file__).parent / "ledger" / "conftest.py")
ledger_conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ledger_conftest)
folder = ledger_conftest.folder

ENV = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def start(folder, *words, **env):
    command = [sys.executable, "-m", "sandbox.cli", *words]
    where = Path(__file__).parents[1]
    pipe = subprocess.PIPE
    env = ENV | {"PYTHONPATH": str(where)} | env
    as_from_a_terminal = dict(start_new_session=True, preexec_fn=_hear_ctrl_c)
    return subprocess.Popen(command, cwd=folder.path, env=env, stdout=pipe, stderr=pipe, text=True, **as_from_a_terminal)


def _hear_ctrl_c():
    """A shell that started the tests in its background has made them, and their children, deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def sandbox(folder, *words, **env):
    process = start(folder, *words, **env)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def call(folder, monkeypatch, capsys, *words):
    """The same in this process: (exit code, stdout, stderr)."""
    from sandbox.cli import main

    monkeypatch.chdir(folder.path)
    monkeypatch.setattr(sys, "argv", ["sandbox", *words])
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    return code, *capsys.readouterr()


@pytest.fixture
def here(folder, monkeypatch, capsys):
    return lambda *words: call(folder, monkeypatch, capsys, *words)


def check(here, *words):
    return here("check", "--workers", "0", *words)


def test_a_first_and_a_second_check(here, folder):
    code, out, _ = check(here)
    assert code == 0
    assert "4 claims: 3 HOLDS, 1 not run; none differs from the record" in out
    report = folder.path / "results" / "report.html"
    assert f"wrote {report}" in out and report.is_file()
    calls = list(folder.calls)
    assert check(here)[0] == 0 and folder.calls == calls


def test_json_is_a_list_with_the_published_keys(here):
    code, out, _ = check(here, "--json", "toy.upper")
    (found,) = json.loads(out)
    assert code == 0 and found["outcome"] == "HOLDS" == found["predicted"] and found["found"] is None
    for key in ("id", "value", "low", "high", "limit", "seeds", "seconds"):
        assert found[key] is not None
    assert found["low"] < found["value"] < found["high"] < found["limit"] == 10.0 and found["seeds"] == 3


def test_a_difference_from_the_record_exits_1_and_says_both(here, folder):
    folder.edit("limit=3.0", "limit=4.0")
    code, out, _ = check(here)
    assert code == 1 and "toy.count: predicted HOLDS, but this run gives VIOLATED" in out
    assert "1 VIOLATED" in out and "1 differs from the record" in out


def test_violated_as_predicted_is_a_success(here, folder):
    folder.edit("limit=3.0),", "limit=4.0, predicted=Outcome.VIOLATED),")
    assert check(here)[0] == 0


def test_predicted_and_found_both_show_and_found_decides(here, folder):
    folder.edit("limit=3.0),", "limit=4.0, found=Found(Outcome.VIOLATED, '2026-01-01', 'it is 3')),")
    folder.edit("import Claim, Grid", "import Claim, Found, Grid")
    code, out, _ = check(here, "toy.count")
    assert code == 0 and "HOLDS, found VIOLATED" in out


def test_an_error_exits_1_with_its_sentence(here, folder):
    folder.edit("    log(setting, seed)\n", "    raise RuntimeError('boom')\n")
    code, out, _ = check(here, "toy.count")
    assert code == 1 and "toy.count: could not be judged. RuntimeError: boom (toy.py:" in out and "1 with errors" in out


def test_inconclusive_says_how_many_seeds_would_decide(here, folder):
    folder.edit("limit=10.0", "limit=2.002")
    code, out, _ = check(here, "toy.upper")
    assert code == 1 and "the interval straddles the limit; about " in out and "seeds in all would decide (now 3)" in out


@pytest.mark.parametrize(
    "words, message",
    [
        (["check", "toy.uper"], "no claim is named 'toy.uper' among 4; the nearest are toy.upper"),
        (["check", "toy.slow"], "toy.slow is of the full tier (about 77 s on one core) and nothing is recorded for it; add --tier full"),
        (["check", "--workers", "-1"], "must be >= 0 (0: in this process), got -1"),
        (["check", "toy.count", "--record"], "--tier quick runs none of the 1 that were asked for: name one of them and add --tier full"),
        (["check", "--record"], "--tier quick runs none of the 4 that were asked for"),
        (["check", "toy.count", "--record", "--tier", "full"], "--tier full runs none of the 1 that were asked for"),
        (["check", "toy.slow", "--fresh"], "toy.slow is of the full tier, so --tier quick cannot run it anew; add --tier full (about 77 s"),
        (["check", "toy.count", "--fresh", "--go-on"], "--go-on takes what is recorded as run: give one of them"),
        (["check", "--out", "pyproject.toml"], "pyproject.toml cannot"),
        (["check", "--out", "/proc/results"], "/proc/results cannot"),
        (["report", "--out", "pyproject.toml/deep"], "pyproject.toml/deep cannot"),
        (["hessian", "--out", "pyproject.toml"], "pyproject.toml cannot"),
        (["hessian", "--steps", "-1"], "of steps >= 0 of AdamW (0: at the start), got -1"),
        (["list", "--root", "/nowhere"], "/nowhere/experiments is not a folder"),
        (["prove"], "has none; name another root"),
    ],
)
def test_wrong_calls_exit_2_with_one_sentence(here, folder, words, message):
    code, _, err = here(*words)
    assert code == 2 and message in err and err.startswith("sandbox: ") and err.count("\n") == 1
    assert folder.calls == []  # said before anything runs


def test_an_unknown_option_exits_2(here):
    assert here("check", "--nonsense")[0] == 2
    assert here("check", "--tier", "slow")[0] == 2


def test_a_slow_claim_by_name_shows_its_record_once_there_is_one(here, folder):
    assert check(here, "toy.slow", "--tier", "full", "--record")[0] == 0
    assert (folder.path / "experiments" / "records" / "toy.json").is_file()
    (folder.path / "results" / "ledger.sqlite").unlink()
    code, out, _ = check(here, "toy.slow")
    assert code == 0 and "recorded 20" in out and folder.calls == ["4.0 0", "4.0 1"]


def test_fresh_of_a_slow_claim_is_refused_even_where_something_is_stored(here, folder):
    """Without --tier full nothing would run, and the stored rows would look like new ones."""
    check(here, "toy.slow", "--tier", "full")
    code, _, err = check(here, "toy.slow", "--fresh")
    assert code == 2 and "cannot run it anew; add --tier full" in err
    assert check(here, "toy.slow")[0] == 0 and check(here, "toy.slow", "--fresh", "--tier", "full")[0] == 0
    assert folder.calls == ["4.0 0", "4.0 1"] * 2


def test_fresh_of_a_whole_system_runs_what_its_tier_can(here, folder):
    assert check(here, "toy", "--fresh")[0] == 0 and len(folder.calls) == 7
    folder.edit('tier="quick"', 'tier="study"')
    code, _, err = sandbox(folder, "check", "toy", "--fresh")[0::1]
    assert code == 2 and "of the study tier" in err


@pytest.mark.parametrize("where", ["results/cards", "experiments/records"])
def test_places_that_cannot_be_written_are_found_before_the_work(here, folder, where):
    (folder.path / where).parent.mkdir(exist_ok=True)
    (folder.path / where).write_text("a file in the way")
    code, _, err = check(here, "--tier", "full", "--record")
    assert code == 2 and f"{where} cannot" in err and folder.calls == []


def test_a_file_that_the_system_refuses_is_one_sentence(here, folder):
    """The page itself is a folder: nothing that was tried before could tell."""
    (folder.path / "results" / "report.html").mkdir(parents=True)
    code, _, err = check(here, "toy.count")
    assert code == 2 and "results/report.html cannot be used: Is a directory" in err and err.count("\n") == 1


def test_fresh_and_out(here, folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("out")
    check(here, "toy.count", "--out", str(other))
    check(here, "toy.count", "--out", str(other), "--fresh")
    assert folder.calls == ["3.0 0"] * 2 and (other / "ledger.sqlite").is_file()
    assert not (folder.path / "results").exists()


def test_a_damaged_ledger_exits_2(here, folder):
    (folder.path / "results").mkdir()
    (folder.path / "results" / "ledger.sqlite").write_bytes(b"no database at all " * 20)
    code, _, err = check(here)
    assert code == 2 and "is truncated or is no SQLite file" in err and folder.calls == []


def test_list_runs_nothing_and_shows_source_cost_and_last_verdict(here, folder):
    check(here, "toy.count")
    calls = list(folder.calls)
    code, out, _ = here("list", "--json")
    found = {entry["id"]: entry for entry in json.loads(out)}
    assert code == 0 and folder.calls == calls
    assert found["toy.count"]["outcome"] == "HOLDS" and found["toy.upper"]["outcome"] is None
    assert found["toy.slow"]["cost_s"] == 77.0 and found["toy.slow"]["tier"] == "full"
    assert "this test (derived)" in here("list")[1]


def test_report_writes_the_page_from_what_is_there(here, folder):
    code, out, _ = here("report")
    assert code == 0 and "report.html" in out and folder.calls == []
    code, out, _ = here("report", "--json")
    assert code == 0 and json.loads(out) == [{"id": str(folder.path / "results" / "report.html"), "status": "written"}]


PROOF = "def step_1_holds():\n    assert 1 + 1 == 2\n\n\ndef step_2_{name}():\n    assert {condition}\n"


def test_prove_runs_the_steps_and_exits_1_where_one_fails(here, folder, monkeypatch):
    from sandbox.ledger import proofs

    monkeypatch.setattr(proofs, "bounds", lambda: ())
    (folder.path / "pyproject.toml").write_text("[tool.pytest.ini_options]\npython_files = ['proof_*.py']\n")
    (folder.path / "proofs").mkdir()
    for name, condition in (("good", "2 > 1"), ("bad", "1 > 2")):
        (folder.path / "proofs" / f"proof_{name}.py").write_text(PROOF.format(name=name, condition=condition))
    code, out, _ = here("prove", "--json")
    found = {entry["id"]: entry for entry in json.loads(out)}
    assert code == 1 and (found["good"]["status"], found["bad"]["status"]) == ("proved", "failed")
    assert all(found["good"][key] is None for key in ("predicted", "found", "value", "low", "high", "limit", "seeds"))
    assert found["good"]["seconds"] >= 0 and found["good"]["steps"] == 2 and list(found["bad"]["failed"]) == ["step_2_bad"]
    assert here("prove", "good")[0] == 0
    assert "the nearest are: good" in here("prove", "goood")[2]


def test_prove_refuses_a_step_that_asserts_nothing(here, folder, monkeypatch):
    from sandbox.ledger import proofs

    monkeypatch.setattr(proofs, "bounds", lambda: ())
    (folder.path / "pyproject.toml").write_text("[tool.pytest.ini_options]\npython_files = ['proof_*.py']\n")
    (folder.path / "proofs").mkdir()
    (folder.path / "proofs" / "proof_idle.py").write_text("def step_1_says_nothing():\n    assert True\n")
    code, out, _ = here("prove", "--json")
    assert code == 1 and json.loads(out)[0]["status"] == "failed"


def test_prove_lets_coq_check_the_certificates(here, folder, monkeypatch):
    from sandbox.ledger import proofs

    monkeypatch.setattr(proofs, "bounds", lambda: ())
    (folder.path / "pyproject.toml").write_text("[tool.pytest.ini_options]\npython_files = ['proof_*.py']\n")
    (folder.path / "proofs").mkdir()
    text = "import sympy\nfrom sandbox.theory.certificate import Identity\n\nx = sympy.Symbol('x')\n"
    text += "CERTIFICATES = (Identity('double', x + x, {} * x),)\n\n\ndef step_1_counts():\n    assert 1 + 1 == 2\n"
    (folder.path / "proofs" / "proof_good.py").write_text(text.format(2))
    monkeypatch.setenv("PATH", "")
    code, out, _ = here("prove", "--coq", str(folder.path / "coq"))
    assert code == 0 and "skipped: coqc was not found" in " ".join(out.split())
    assert "Theorem double" in (folder.path / "coq" / "proof_good.v").read_text()
    monkeypatch.undo()


def test_every_bound_of_the_package_names_a_proof_that_is_there(root):
    from sandbox.ledger.proofs import bounds, proofs

    names = {name for proof in proofs(root) for name in proof.bounds}
    assert names == {bound.name for bound in bounds() if bound.proof} and len(names) >= 3
    assert [proof.id for proof in proofs(root, ["rso.exact_constant"])] == ["rso_exact_subproblem"]


@pytest.mark.slow
def test_hessian_writes_pictures_and_strict_json(here, folder):
    code, out, _ = here("hessian", "gpt", "--width", "8", "--json", "--out", str(folder.path))
    rows = json.loads(out)
    mass = {row["id"]: row["mass"] for row in rows}
    assert code == 0
    for name in ("hessian.svg", "spectra.svg"):
        assert (folder.path / name).read_text().lstrip().startswith("<")
    query = next(row["name"] for row in rows if "query" in row["name"])
    assert mass[f"gpt step 0/{query}/adam-mini"] > mass[f"gpt step 0/{query}/random"]
    code, out, err = here("hessian", "gpt", "--width", "8", "--tensors", "*query.weight", "--out", str(folder.path))
    assert code == 0 and "adam-mini" in out and "wrote" in out and query in out and err == ""


def test_a_card_that_is_not_there(here):
    for words in (["verify"], ["verify", "--json"], ["show"], ["show", "--json"]):
        code, out, err = here("card", *words, "nothing.json")
        assert code == 2 and out == "" and "the card 'nothing.json' does not exist" in err


def test_a_card_as_json_says_whether_its_seal_holds(here, folder, monkeypatch):
    from sandbox.handoff import reading

    class Found:
        def as_json(self):
            return {"schema": "s", "digest": "d"}

    for problems, status in (([], "sealed"), (["it was changed"], "changed")):
        monkeypatch.setattr(reading, "read", lambda path, problems=problems: (Found(), problems))
        code, out, _ = here("card", "show", "--json", "any.json")
        expected = {"id": "any.json", "status": status, "problems": problems, "schema": "s", "digest": "d"}
        assert code == 0 and json.loads(out) == [expected]


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this should have happened by now"
        time.sleep(0.02)


def stored(folder):
    import sqlite3

    path = folder.path / "results" / "ledger.sqlite"
    if not path.is_file():
        return 0
    connection = sqlite3.connect(path, timeout=10)
    try:
        return connection.execute("SELECT count(*) FROM rows").fetchone()[0]
    except sqlite3.OperationalError:  # not created yet
        return 0
    finally:
        connection.close()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on_where_it_was(folder, blow):
    """Two workers, one of which hangs; the blow falls after the second row is stored. As from a terminal, Ctrl-C hits the workers too.

    The run ends at once, no worker outlives it, nothing stored runs again, nothing is lost.
    """
    process = start(folder, "check", "--workers", "2", NAP="0.3", HANG="1.0 0")
    wait_for(lambda: stored(folder) >= 2)
    os.kill(process.pid, blow) if blow is signal.SIGKILL else os.killpg(process.pid, blow)
    _, err = process.communicate(timeout=60)
    kept, before = stored(folder), len(folder.calls)
    if blow is signal.SIGINT:
        assert process.returncode == 130 and "every finished row is stored" in err and "Traceback" not in err
    else:
        assert process.returncode == -signal.SIGKILL
    assert 2 <= kept < 7
    wait_for(lambda: not alive(process.pid))
    code, out, _ = sandbox(folder, "check", "--json", "--workers", "0")
    assert code == 0 and all(entry["outcome"] == "HOLDS" for entry in json.loads(out)[:3])
    assert stored(folder) == 7
    assert len(folder.calls) - before == 7 - kept


def alive(session):
    """Whether a process of the session is left: workers must not outlive the run that started them."""
    found = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(session)], capture_output=True, text=True).stdout
    return any("Z" not in line for line in found.splitlines())


def test_help_starts_in_half_a_second_and_loads_nothing_heavy(folder):
    """The number to reach is 0.5 s of the process's own time on a quiet core; three tries, the best counts."""
    import resource

    def seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code, out, _ = sandbox(folder, "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert code == 0 and "check" in out
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.5
    heavy = "{'torch', 'numpy', 'sympy', 'matplotlib', 'pydantic', 'scipy'} & set(sys.modules)"
    code = f"import sys, sandbox.cli; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


@pytest.mark.parametrize(
    "words", [[], *([w] for w in ("list", "check", "prove", "report", "hessian", "train")), ["card", "show"], ["card", "verify"]]
)
def test_every_command_has_help_with_an_example(here, words):
    code, out, _ = here(*words, "--help")
    assert code == 0 and (not words or f"Example: sandbox {' '.join(words)}" in out)

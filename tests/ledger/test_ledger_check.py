"""Run, resume, share, correct: on a folder of small claims, in this process and on a pool."""

import dataclasses
import json

import pytest

from sandbox.ledger.check import Orders, check, record
from sandbox.ledger.collect import collect
from sandbox.ledger.execute import pool
from sandbox.ledger.store import Store
from sandbox.verdict import Outcome

ALL = ("toy.upper", "toy.shared", "toy.count", "toy.slow")


def run(folder, ids=ALL[:3], anew=(), executor=None, slots=1):
    with Store(folder.path / "ledger.sqlite") as store:
        results = check(collect(folder.path), store, Orders(ids, anew, slots), executor=executor)
    return {result.claim.id: result for result in results}


def forget():
    """The next collect reads the files again, as the next process would."""
    import sys

    from sandbox.ledger import code_version

    for name in [name for name in sys.modules if name.startswith("experiments_")]:
        del sys.modules[name]
    code_version.imported.cache_clear()


def test_verdicts_and_what_they_cost(folder):
    results = run(folder)
    assert {name: r.outcome for name, r in results.items()} == {
        "toy.upper": Outcome.HOLDS,
        "toy.shared": Outcome.HOLDS,
        "toy.count": Outcome.HOLDS,
        "toy.slow": None,
    }
    upper = results["toy.upper"]
    assert [len(case.verdict.fit.samples) for case in upper.cases] == [3, 3] and upper.origin == "measured"
    assert upper.cases[1].verdict.fit.value == pytest.approx(2.001, rel=1e-12)
    assert len(upper.code) == 16 and len(upper.date) == 10 and upper.seconds > 0
    assert results["toy.slow"].origin == "missing" and results["toy.slow"].agrees


def test_shared_rows_are_measured_once(folder):
    run(folder)
    assert sorted(folder.calls) == sorted([f"{x} {seed}" for x in (1.0, 2.0) for seed in range(3)] + ["3.0 0"])


def test_a_second_run_measures_nothing_and_gives_the_same(folder):
    first = run(folder)
    before = list(folder.calls)
    forget()
    second = run(folder)
    assert folder.calls == before
    assert {k: r.as_json() for k, r in first.items()} == {k: r.as_json() for k, r in second.items()}


def test_only_what_is_missing_is_run(folder):
    run(folder, ["toy.count"])
    assert folder.calls == ["3.0 0"]
    run(folder)
    assert len(folder.calls) == 7


def test_changed_code_runs_again_and_keeps_the_old_rows(folder):
    run(folder, ["toy.count"])
    folder.edit("Question", "A question")
    forget()
    run(folder, ["toy.count"])
    assert folder.calls == ["3.0 0"] * 2
    with Store(folder.path / "ledger.sqlite") as store:
        assert store.connection.execute("SELECT count(*) FROM rows").fetchone() == (2,)


def test_fresh_runs_anew_and_only_what_was_named(folder):
    run(folder)
    run(folder, ["toy.count"], anew=["toy.count"])
    assert folder.calls.count("3.0 0") == 2 and len(folder.calls) == 8


def test_fresh_on_one_claim_leaves_its_siblings_their_stored_rows(folder):
    """toy.shared has the rows of toy.upper, and toy.slow has others of the same subject; all of them keep their verdicts."""
    before = run(folder, ALL)
    after = run(folder, ["toy.upper"], anew=["toy.upper"])
    assert len(folder.calls) == 9 + 6
    for name in ALL:
        assert after[name].outcome is before[name].outcome is Outcome.HOLDS and after[name].origin == "measured", name


def test_fresh_on_one_claim_does_not_weaken_its_verdict_through_holm(folder):
    """At the limit 2.004 divisor 1 decides and 2 does not (class TestHolm): toy.slow, stored, must keep its place in the family."""
    folder.edit("limit=10.0", "limit=2.004")
    folder.edit("plan=Grid((Setting(4.0),), (0, 1))", "limit=99.0, plan=Grid((Setting(4.0),), (0, 1))")
    assert run(folder, ALL)["toy.upper"].outcome is Outcome.HOLDS
    assert run(folder, ["toy.upper"], anew=["toy.upper"])["toy.upper"].outcome is Outcome.HOLDS


def test_siblings_of_a_fresh_claim_see_its_new_rows(folder):
    """The new value is stored under the same code, and a sibling that was not asked for shows it."""
    folder.edit('"y": setting.x', '"y": setting.x + float(os.environ.get("SHIFT", "0"))')
    run(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHIFT", "1")
        after = run(folder, ["toy.upper"], anew=["toy.upper"])
    assert [case.verdict.fit.value for case in after["toy.shared"].cases] == pytest.approx([2.001, 3.001], rel=1e-12)


def test_an_edit_in_mid_run_stores_nothing_under_the_old_version(folder):
    """The third call edits its file: the two rows before it are kept, its own and the later ones are not there."""
    edit = "    if (setting.x, seed) == (1.0, 2): Path(__file__).write_text(Path(__file__).read_text() + '# edited')\n"
    folder.edit("    log(setting, seed)\n", "    log(setting, seed)\n" + edit)
    results = run(folder, ["toy.upper"])
    assert "the sources changed while this ran; run again" in results["toy.upper"].error
    with Store(folder.path / "ledger.sqlite") as store:
        assert store.connection.execute("SELECT seed FROM rows ORDER BY seed").fetchall() == [(0,), (1,)]
    assert len(folder.calls) == 3


def test_any_executor_gives_the_same_bytes(folder, tmp_path_factory):
    def bytes_of(path):
        with Store(path) as store:
            rows = store.connection.execute('SELECT subject, setting_hash, seed, code, setting, "values" FROM rows').fetchall()
        plain = [(*row[:5], {k: v for k, v in json.loads(row[5]).items() if k != "pid"}) for row in rows]
        return json.dumps(plain), {json.loads(row[5])["pid"] for row in rows}

    run(folder)
    here, pids = bytes_of(folder.path / "ledger.sqlite")
    (folder.path / "ledger.sqlite").unlink()
    with pool(2) as executor:
        run(folder, executor=executor, slots=4)
    there, other_pids = bytes_of(folder.path / "ledger.sqlite")
    assert here == there
    assert not pids & other_pids  # so it really was the pool


def test_an_error_stops_its_claim_and_no_other(folder):
    folder.edit("    log(setting, seed)\n", "    log(setting, seed)\n    if setting.x == 2.0: raise RuntimeError('boom')\n")
    results = run(folder)
    for name in ("toy.upper", "toy.shared"):
        assert "RuntimeError: boom (toy.py:" in results[name].error and not results[name].agrees
        assert results[name].outcome is None and results[name].as_json()["error"]
    assert results["toy.count"].outcome is Outcome.HOLDS
    rows_before = folder.calls.count("1.0 0")
    run(folder)
    assert folder.calls.count("1.0 0") == rows_before  # what was measured is kept, the failure is tried again
    assert len([call for call in folder.calls if call.startswith("2.0")]) == 2


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('estimate=Mean("y")', 'estimate=Mean("z")', "needs the value 'z'"),
        ("limit=10.0", "limit=lambda s: 1 / 0", "ZeroDivisionError: division by zero"),
        ('tier="quick", cost_s', 'scope=lambda s: 1 / 0, tier="quick", cost_s', "ZeroDivisionError"),
        ("    sizes: tuple", "    extra: object = frozenset()\n    sizes: tuple", "TypeError"),
    ],
)
def test_an_error_in_the_claims_own_code_is_its_error(folder, old, new, message):
    folder.edit(old, new)
    results = run(folder)
    assert message in results["toy.upper"].error


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_fails_its_own_claim_and_no_other(folder, workers):
    """x = 3 kills its worker, every time; whatever was in the air with it runs once more and all other claims are judged."""
    folder.edit("    log(setting, seed)\n", "    log(setting, seed)\n    if setting.x == 3.0: os._exit(9)\n")
    with pool(workers) as executor:
        results = run(folder, ALL, executor=executor, slots=2 * workers)
    assert "a worker process was killed" in results["toy.count"].error
    for name in ("toy.upper", "toy.shared", "toy.slow"):
        assert results[name].outcome is Outcome.HOLDS and not results[name].error, name
    assert folder.calls.count("3.0 0") == 2  # once among others, once alone
    assert max(folder.calls.count(call) for call in set(folder.calls)) == 2


def test_a_worker_that_is_killed_once_costs_nothing_but_time(folder):
    """As where memory was short for a moment: the first call of x = 3 kills, the second one does not."""
    once = "    if setting.x == 3.0 and CALLS.read_text().count('3.0') == 1: os._exit(9)\n"
    folder.edit("    log(setting, seed)\n", "    log(setting, seed)\n" + once)
    with pool(2) as executor:
        results = run(folder, ALL, executor=executor, slots=4)
    assert all(result.outcome is Outcome.HOLDS and not result.error for result in results.values())


def test_a_later_stage_gets_the_rows_that_a_failed_claim_no_longer_waits_for(folder):
    """toy.wide asks for fresh seeds of both sides at once, and fails at the first; toy.tuned asks for the same ones in stage 2."""
    wide = "    claim(id='toy.wide', cost_s=9.0, plan=Grid((Rate('bad'), *(Rate(m, 0.2) for m in ('ours', 'theirs'))), (7, 8, 9)),\n"
    wide += "          measure=per_seed(loss), estimate=Mean('loss'), subject='rates'),\n"
    stages = STAGES.replace("best = {", "if setting.method == 'bad': raise RuntimeError('boom')\n    best = {").replace("0.8,", "0.2,")
    folder.edit("CLAIMS = (", stages + wide)
    folder.edit("import Mean, Range", "import Mean, PairedDifference, Range")
    folder.edit("from sandbox.verdict", "from sandbox.ledger.tuning import Tuned\nfrom sandbox.verdict")
    results = run(folder, ["toy.wide", "toy.tuned"])
    assert "RuntimeError: boom" in results["toy.wide"].error
    assert results["toy.tuned"].outcome is Outcome.HOLDS and not results["toy.tuned"].error
    assert len(folder.calls) == len(set(folder.calls)) == 1 + 2 * (3 * 2 + 3)


def test_an_executor_that_stays_broken_ends_with_errors(folder):
    from concurrent.futures import BrokenExecutor

    class Broken:
        def submit(self, fn, order):
            raise BrokenExecutor("no more workers")

    results = run(folder, executor=Broken())
    assert all("a worker process was killed" in results[name].error for name in ALL[:3])


def test_out_of_scope_is_decided_before_measuring(folder):
    folder.edit(
        'claim(id="toy.count",',
        'claim(id="toy.count", scope=lambda s: "x must be 1" if s.x != 1 else None, predicted=Outcome.OUT_OF_SCOPE,',
    )
    results = run(folder, ["toy.count"])
    assert folder.calls == []
    assert results["toy.count"].outcome is Outcome.OUT_OF_SCOPE and results["toy.count"].agrees
    assert results["toy.count"].cases[0].verdict.reason == "x must be 1"


def test_some_settings_out_of_scope_leave_the_others(folder):
    folder.edit('claim(id="toy.shared",', 'claim(id="toy.shared", scope=lambda s: "x < 2" if s.x >= 2 else None,')
    results = run(folder, ["toy.shared"])
    assert folder.calls == ["1.0 0", "1.0 1", "1.0 2"]
    assert [case.verdict.outcome for case in results["toy.shared"].cases] == [Outcome.HOLDS, Outcome.OUT_OF_SCOPE]
    assert results["toy.shared"].outcome is Outcome.HOLDS


def test_an_assumption_that_only_the_run_can_tell(folder):
    """All rows are measured, and the setting whose own rows break the assumption promises nothing."""
    broken = 'lambda samples: "y reached 2" if max(one.values["y"] for one in samples) >= 2 else None'
    folder.edit('claim(id="toy.shared",', f'claim(id="toy.shared", scope_of_rows={broken},')
    first, second = run(folder, ["toy.shared"])["toy.shared"].cases
    assert {call.split()[0] for call in folder.calls} == {"1.0", "2.0"}
    assert (first.verdict.outcome, second.verdict.outcome) == (Outcome.HOLDS, Outcome.OUT_OF_SCOPE)
    assert second.verdict.reason == "y reached 2"


def scope_with_nan(folder, ys, reached=2):
    """The verdict of a claim whose rows hold these y, one a seed, and whose scope reads their maximum."""
    rows = ", ".join(f"float({y!r})" for y in map(str, ys))
    broken = f'lambda samples: "y reached {reached}" if max(one.values["y"] for one in samples) >= {reached} else None'
    changed = f"plan=Grid((Setting(1.0),), tuple(range({len(ys)}))), measure=per_seed(lambda s, seed: dict(y=[{rows}][seed])),"
    folder.edit('claim(id="toy.shared",', f'claim(id="toy.shared", subject="toy.nan", scope_of_rows={broken}, {changed}')
    return run(folder, ["toy.shared"])["toy.shared"].cases[0].verdict


@pytest.mark.parametrize("ys", [["nan", 1, 1], [1, "nan", 1], [1, 1, "nan"], ["nan", "nan", "nan"]])
def test_a_nan_does_not_pass_for_an_assumption_that_is_met(folder, ys):
    verdict = scope_with_nan(folder, ys)
    assert (verdict.outcome, verdict.more_seeds) == (Outcome.INCONCLUSIVE, None)
    assert [f"y is nan at seed {seed}" in verdict.reason for seed in range(3)] == [y == "nan" for y in ys]


@pytest.mark.parametrize("ys", [["nan", 1, 3], [3, "nan", 1], [1, 3, "nan"]])
def test_a_seed_that_breaks_the_assumption_decides_wherever_the_nan_stands(folder, ys):
    verdict = scope_with_nan(folder, ys)
    assert (verdict.outcome, verdict.reason) == (Outcome.OUT_OF_SCOPE, "y reached 2")


def test_a_nan_among_the_numbers_of_a_path_is_seen(folder):
    folder.edit(
        'claim(id="toy.shared",', 'claim(id="toy.shared", scope_of_rows=lambda samples: [s.values["path"] for s in samples][9:] or None,'
    )
    folder.edit('{"y": ', '{"path": [[1.0], [2.0, float("nan")]], "y": ')
    assert "path is nan at seed 2" in run(folder, ["toy.shared"])["toy.shared"].cases[0].verdict.reason


def test_a_nan_that_no_scope_reads_is_a_run_that_diverged(folder):
    """There the assumption is known to be met, so the claim is refuted as by any divergence."""
    folder.edit('claim(id="toy.shared",', 'claim(id="toy.shared", scope_of_rows=lambda samples: None,')
    folder.edit("setting.x + 0.001 * (seed % 3)", 'float("nan")')
    assert run(folder, ["toy.shared"])["toy.shared"].cases[0].verdict.outcome is Outcome.VIOLATED


def test_a_condition_of_the_bound_that_fails_is_out_of_scope(folder):
    folder.edit(
        "CLAIMS = (",
        "import sympy\nfrom sandbox.theory.base import Bound\nt = sympy.Symbol('t', positive=True)\n"
        "BOUND = Bound('b', 'y', 2 * t, (t < 2,), 'upper', 'derived')\nCLAIMS = (\n"
        "    claim(id='toy.bound', limit=None, bound=BOUND, constants=lambda s: {'t': s.x}),",
    )
    results = run(folder, ["toy.bound"])
    first, second = results["toy.bound"].cases
    assert (first.verdict.outcome, first.verdict.limit) == (Outcome.HOLDS, 2.0)  # y = 1.001, limit 2 t = 2
    assert (
        second.verdict.outcome is Outcome.OUT_OF_SCOPE and "b requires t < 2, and 2 < 2 is false, given {'t': 2.0}" in second.verdict.reason
    )
    assert {call.split()[0] for call in folder.calls} == {"1.0"}


def test_expensive_tasks_go_first(folder):
    run(folder, ALL)
    assert [call.split()[0] for call in folder.calls[:3]] == ["4.0", "4.0", "3.0"]  # 38.5 s, then 1 s, then 1/6 s a row


def test_chunks_of_seeds_go_to_one_call(folder):
    folder.edit("(0, 1, 2)), measure=per_seed(one)", "(0, 1, 2), chunk=2), measure=per_seed(one)")
    with Store(folder.path / "ledger.sqlite") as store:
        orders = []

        class Spy:
            def submit(self, fn, order):
                from sandbox.ledger.execute import InProcess

                orders.append(order.seeds)
                return InProcess().submit(fn, order)

        check(collect(folder.path), store, Orders(["toy.upper"]), executor=Spy())
    assert orders == [(0, 1), (0, 1), (2,), (2,)]  # of both settings, the longer ones first


def test_seconds_are_those_of_the_worker_shared_among_its_seeds(folder):
    from concurrent.futures import Future

    from sandbox.ledger.worker import Delivery

    class Clock:
        """Every call takes 6 s."""

        def submit(self, fn, order):
            future = Future()
            future.set_result(Delivery(tuple({"y": 1.0} for _ in order.seeds), 6.0))
            return future

    folder.edit("(0, 1, 2)), measure=per_seed(one)", "(0, 1, 2), chunk=3), measure=per_seed(one)")
    result = run(folder, ["toy.upper"], executor=Clock())["toy.upper"]
    assert result.seconds == pytest.approx(12.0, rel=1e-12)  # two settings of three seeds
    with Store(folder.path / "ledger.sqlite") as store:
        assert {row.seconds for row in store.rows("toy", result.code).values()} == {2.0}


STAGES = """
@dataclass(frozen=True)
class Rate:
    method: str
    lr: float = 0.0


def loss(setting, seed):
    with CALLS.open("a") as file:
        file.write(f"{setting.method} {setting.lr} {seed}\\n")
    best = {"ours": 0.8, "theirs": 0.2}[setting.method]
    return {"loss": (setting.lr / best - 1) ** 2 + 0.01 * seed + (0.001 * seed if setting.method == "ours" else 0)}


GRID = (0.1, 0.2, 0.4)
PLAN = Tuned(Rate("ours"), Rate("theirs"), GRID, GRID, (0, 1), (7, 8, 9), key="loss")
CLAIMS = (
    claim(id="toy.tuned", kind="parity", margin=0.1, limit=None, plan=PLAN, measure=per_seed(loss),
          estimate=PairedDifference("ours", "theirs"), subject="rates"),
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plan_of_stages_goes_through_all_of_them_in_one_run(folder, workers):
    """ours is best at 0.8: the grid extends by 0.8 and 1.6; then 3 fresh seeds of both, 2 x 3 + 2 x 2 + 2 x 3 rows and 6."""
    folder.edit("CLAIMS = (", STAGES)
    folder.edit("import Mean, Range", "import Mean, PairedDifference, Range")
    folder.edit("from sandbox.verdict", "from sandbox.ledger.tuning import Tuned\nfrom sandbox.verdict")
    with pool(workers) as executor:
        result = run(folder, ["toy.tuned"], executor=executor, slots=4)["toy.tuned"]
    assert result.outcome is Outcome.HOLDS and result.telling.setting.lr == 0.8
    assert result.telling.verdict.fit.value == pytest.approx(0.008, rel=1e-9)  # 0.001 times the mean of 7, 8, 9
    assert len(folder.calls) == len(set(folder.calls)) == 10 + 6 + 6
    before = list(folder.calls)
    assert run(folder, ["toy.tuned"])["toy.tuned"].outcome is Outcome.HOLDS and folder.calls == before


def test_a_plan_of_stages_that_is_out_of_scope_runs_nothing(folder):
    folder.edit("CLAIMS = (", STAGES.replace('subject="rates"', 'subject="rates", scope=lambda s: "not here"'))
    folder.edit("import Mean, Range", "import Mean, PairedDifference, Range")
    folder.edit("from sandbox.verdict", "from sandbox.ledger.tuning import Tuned\nfrom sandbox.verdict")
    result = run(folder, ["toy.tuned"])["toy.tuned"]
    assert result.outcome is Outcome.OUT_OF_SCOPE and folder.calls == []


class TestHolm:
    """The family is the file: toy.upper and toy.shared have 2 cases each, toy.slow has 1, toy.count has no statistics: 5.

    Setting x = 2 gives y = 2, 2.001, 2.002: mean 2.001, se 0.001 / sqrt 3. The quantile t(1 - 0.025 / divisor, 2) is 4.303, 6.205, 7.649,
    8.860, 9.925 for divisors 1 to 5, so the upper end is 2.00348, 2.00458, 2.00542, 2.00612, 2.00673.
    """

    def outcome(self, folder, ids, limit=None):
        if limit:
            folder.edit("limit=10.0", f"limit={limit}")
            folder.edit("plan=Grid((Setting(4.0),), (0, 1))", "limit=99.0, plan=Grid((Setting(4.0),), (0, 1))")
        return run(folder, ids)["toy.upper"].outcome

    def test_what_has_not_run_keeps_its_place_in_the_family(self, folder):
        """x = 1 and the two cases of toy.shared, whose rows are the same, are decided first; toy.slow has not run: divisor 2."""
        assert self.outcome(folder, ["toy.upper"], 2.004) is Outcome.INCONCLUSIVE

    def test_running_it_makes_the_open_verdict_decide_whoever_is_asked_for(self, folder):
        self.outcome(folder, ["toy.upper"], 2.004)
        assert self.outcome(folder, ["toy.slow"]) is Outcome.HOLDS  # divisor 1
        assert self.outcome(folder, ["toy.upper"]) is self.outcome(folder, ALL) is self.outcome(folder, []) is Outcome.HOLDS

    def test_counts_are_no_part_of_it(self, folder):
        """With toy.count in the family the divisor would be 3."""
        assert self.outcome(folder, ["toy.upper"], 2.005) is Outcome.HOLDS

    @pytest.mark.parametrize("limit, outcome", [(2.0060, Outcome.INCONCLUSIVE), (2.0062, Outcome.HOLDS)])
    def test_divisor_4_where_only_the_own_other_case_was_decided_before(self, folder, limit, outcome):
        folder.edit('"y is at most 5", limit=5.0', '"y is at most 5", limit=5.0, subject="other"')
        assert self.outcome(folder, ["toy.upper"], limit) is outcome

    def test_settings_out_of_scope_are_no_part_of_it(self, folder):
        """Both cases of toy.shared leave the family, which has 3 left; x = 1 is decided first: divisor 2."""
        folder.edit('"y is at most 5", limit=5.0', '"y is at most 5", limit=5.0, subject="other", scope=lambda s: "never"')
        assert self.outcome(folder, ["toy.upper"], 2.0046) is Outcome.HOLDS

    def test_the_reason_says_so(self, folder):
        folder.edit("limit=10.0", "limit=2.004")
        result = run(folder, ["toy.upper"])["toy.upper"]
        assert "decided alone" in result.telling.verdict.reason and "by 2" in result.telling.verdict.reason


class TestRecords:
    def recorded(self, folder):
        run(folder, ALL)
        with Store(folder.path / "ledger.sqlite") as store:
            paths, incomplete = record(collect(folder.path), store, ["toy.slow"])
        assert incomplete == []
        return paths[0]

    def test_rows_come_back_whatever_the_code_is_now(self, folder):
        folder.edit('claim(id="toy.slow",', 'claim(id="toy.slow", subject="slow",')
        path = self.recorded(folder)
        before = run(folder, [])["toy.slow"]
        assert path == folder.path / "experiments" / "records" / "toy.json"
        (folder.path / "ledger.sqlite").unlink()
        folder.edit("Question", "A question")
        forget()
        after = run(folder, [])["toy.slow"]
        assert (before.origin, after.origin) == ("measured", "recorded")
        assert (after.code, after.date, after.outcome) == (before.code, before.date, before.outcome)
        assert after.seconds == pytest.approx(before.seconds, abs=1e-3)  # rounded to a millisecond a row
        assert [s.values for s in after.telling.verdict.fit.samples] == [s.values for s in before.telling.verdict.fit.samples]
        assert len(folder.calls) == 9

    def test_the_file_is_stable_sorted_and_says_where_it_comes_from(self, folder):
        path = self.recorded(folder)
        text = path.read_text()
        assert self.recorded(folder).read_text() == text
        entry = json.loads(text)["subjects"]["toy"]
        assert set(entry) == {"code", "torch", "rows"} and entry["rows"][0].keys() == {"setting", "seed", "values", "seconds", "date"}
        assert len(entry["rows"]) == 9 == len([line for line in text.splitlines() if '"seed"' in line])  # one row to a line
        assert not list(path.parent.glob("*.partial"))

    def test_other_subjects_stay(self, folder):
        path = self.recorded(folder)
        content = json.loads(path.read_text())
        content["subjects"]["other"] = content["subjects"]["toy"] | {"code": "old"}
        path.write_text(json.dumps(content))
        assert json.loads(self.recorded(folder).read_text())["subjects"]["other"]["code"] == "old"

    def test_rows_of_claims_that_were_not_run_again_stay_with_their_own_code(self, folder):
        path = self.recorded(folder)
        content = json.loads(path.read_text())
        kept = content["subjects"]["toy"]["rows"][0] | {"seed": 999, "code": "older"}
        content["subjects"]["toy"]["rows"].append(kept)
        path.write_text(json.dumps(content))
        rows = json.loads(self.recorded(folder).read_text())["subjects"]["toy"]["rows"]
        assert len(rows) == 10 and kept in rows and [row for row in rows if "code" in row] == [kept]

    def test_what_is_not_whole_is_not_recorded(self, folder):
        with Store(folder.path / "ledger.sqlite") as store:
            assert record(collect(folder.path), store, ["toy.slow"]) == ([], ["toy.slow"])

    def partly(self, folder):
        """A record that lacks one of the two rows of toy.slow, made by other sources than those that are there now; an empty ledger."""
        path = self.recorded(folder)
        content = json.loads(path.read_text())
        entry = content["subjects"]["toy"]
        entry["rows"] = [row for row in entry["rows"] if (row["setting"]["x"], row["seed"]) != (4.0, 1)]
        path.write_text(json.dumps(content))
        (folder.path / "ledger.sqlite").unlink()
        folder.edit("Question", "A question")
        forget()
        return path, entry["code"]

    def test_a_record_of_other_sources_is_gone_on_with(self, folder):
        path, old = self.partly(folder)
        done = len(folder.calls)
        assert run(folder, [])["toy.slow"].outcome is None
        orders = Orders(["toy.slow"], going_on=["toy.slow"])
        with Store(folder.path / "ledger.sqlite") as store:
            results = {one.claim.id: one for one in check(collect(folder.path), store, orders)}
            assert folder.calls[done:] == ["4.0 1"]  # the missing row alone
            assert results["toy.slow"].outcome is not None
            assert record(collect(folder.path), store, ["toy.slow"]) == ([], ["toy.slow"])
            assert record(collect(folder.path), store, ["toy.slow"], ["toy.slow"]) == ([path], [])
        rows = {(row["setting"]["x"], row["seed"]): row for row in json.loads(path.read_text())["subjects"]["toy"]["rows"]}
        assert rows[4.0, 0]["code"] == old and "code" not in rows[4.0, 1]  # each row keeps the sources that made it
        assert len(rows) == 9

    def test_without_being_asked_nothing_goes_on_from_a_record(self, folder):
        self.partly(folder)
        done = len(folder.calls)
        run(folder, ["toy.slow"])
        assert sorted(folder.calls[done:]) == ["4.0 0", "4.0 1"]

    def test_measured_rows_of_this_code_come_before_recorded_ones(self, folder):
        self.recorded(folder)
        assert run(folder, [])["toy.slow"].origin == "measured"

    @pytest.mark.parametrize(
        "text, message", [("{", "damaged"), ('{"schema": 9}', "has schema 9 and this code reads schema 1"), ("[]", "damaged")]
    )
    def test_a_damaged_record_is_named(self, folder, text, message):
        path = self.recorded(folder)
        path.write_text(text)
        with pytest.raises(ValueError, match=f"the record {path} cannot be read: .*{message}"):
            run(folder, [])

    @pytest.mark.parametrize("lost", ["code", "torch", "rows", "setting", "seed", "values", "seconds", "date"])
    @pytest.mark.parametrize("use", [run, recorded], ids=["read", "write"])
    def test_a_record_that_lacks_a_key_is_named(self, folder, lost, use):
        path = self.recorded(folder)
        content = json.loads(path.read_text())
        entry = content["subjects"]["toy"]
        del (entry if lost in entry else entry["rows"][0])[lost]
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=f"the record {path} cannot be read: it is damaged .the key '{lost}' is missing"):
            run(folder, []) if use is run else self.recorded(folder)

    @pytest.mark.parametrize("subjects", ["[]", "3", '{"toy": []}', '{"toy": {"code": "", "torch": "", "rows": [3]}}'])
    def test_a_record_of_another_shape_is_named(self, folder, subjects):
        path = self.recorded(folder)
        path.write_text('{"schema": 1, "subjects": ' + subjects + "}")
        with pytest.raises(ValueError, match=f"the record {path} cannot be read: it is damaged"):
            run(folder, [])

    def test_infinity_survives(self, folder):
        folder.edit('"pid": os.getpid()', '"pid": float("inf")')
        self.recorded(folder)
        (folder.path / "ledger.sqlite").unlink()
        assert run(folder, [])["toy.slow"].telling.verdict.fit.samples[0].values["pid"] == float("inf")


def test_json_of_a_diverged_claim_is_strict(folder):
    folder.edit('"y": setting.x', '"y": float("nan") if setting.x == 3 else setting.x')
    found = run(folder)["toy.count"].as_json()
    assert found["outcome"] == "VIOLATED" and found["value"] is None and "diverged" in found["reason"]
    json.dumps(found, allow_nan=False)


def test_a_result_keeps_the_prediction_beside_the_finding(folder):
    folder.edit(
        'claim(id="toy.count",',
        'claim(id="toy.count", found=__import__("sandbox.ledger.claim", fromlist=["x"]).Found(Outcome.VIOLATED, "2026-01-01", "why"),',
    )
    result = run(folder)["toy.count"]
    assert not result.agrees  # it holds, but the record says violated
    changed = dataclasses.replace(result, claim=dataclasses.replace(result.claim, limit=4.0))
    assert changed.as_json()["predicted"] == "HOLDS" and changed.as_json()["found"] == "VIOLATED"

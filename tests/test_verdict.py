"""Every cell of the outcome table, its edges, Holm's correction by hand and by brute force, and that re-seeding changes no verdict."""

import math

import numpy as np
import pytest

from sandbox.fit import Fit, Mean, PairedDifference, Range, Sample
from sandbox.verdict import Outcome, holm, judge, out_of_scope

A, H, V, I = Outcome.ATTAINED, Outcome.HOLDS, Outcome.VIOLATED, Outcome.INCONCLUSIVE  # noqa: E741


def between(low, high):
    """A fit whose interval is exactly [low, high]."""
    return Fit("q", (low + high) / 2, 0.0, 0, low, high, (Sample(0, {}),))


def values(*x):
    return [Sample(i, {"x": value}) for i, value in enumerate(x)]


# limit 10, tau 0.1: the band is [9, 11]
TABLE = [
    # low, high, upper, lower, equality
    (1, 2, H, V, V),
    (1, 9, H, I, I),  # touches the bottom of the band
    (1, 10, H, I, I),
    (1, 11, H, I, I),  # up to the top edge, the edge included
    (1, 11.5, I, I, I),
    (9, 11, A, A, H),  # the whole band, edges included
    (9.5, 10.5, A, A, H),
    (10, 10, A, A, H),
    (8.5, 8.5, H, V, V),
    (9.5, 12, I, H, I),
    (11, 12, I, H, I),  # touches the top of the band
    (11.5, 11.5, V, H, V),
    (12, 13, V, H, V),
    (8, 12, I, I, I),
]


@pytest.mark.parametrize("low, high, upper, lower, equality", TABLE)
def test_every_cell_of_the_table(low, high, upper, lower, equality):
    outcomes = [judge(between(low, high), kind, limit=10.0, tau=0.1).outcome for kind in ("upper", "lower", "equality")]
    assert outcomes == [upper, lower, equality]


@pytest.mark.parametrize("low, high, upper, lower, equality", TABLE)
def test_upper_and_lower_are_mirror_images(low, high, upper, lower, equality):
    """Turning every number round turns upper into lower; the band of a negative limit has the same width."""
    outcomes = [judge(between(-high, -low), kind, limit=-10.0, tau=0.1).outcome for kind in ("lower", "upper", "equality")]
    assert outcomes == [upper, lower, equality]


@pytest.mark.parametrize("low, high, outcome", [(3, 3, H), (3, 4, I), (2, 3, I), (2, 2, V), (2.5, 4, I)])
def test_a_count_has_no_tolerance(low, high, outcome):
    assert judge(between(low, high), "equality", limit=3.0).outcome is outcome


@pytest.mark.parametrize("low, high, outcome", [(-2, -1, H), (-2, 0, I), (-1, 1, I), (0, 0, I), (0, 1, I), (1, 2, V)])
def test_ordering_is_strict_on_both_sides(low, high, outcome):
    assert judge(between(low, high), "ordering").outcome is outcome


@pytest.mark.parametrize(
    "low, high, outcome",
    [(-0.02, 0.02, H), (0.01, 0.015, H), (0.01, 0.021, I), (0.02, 0.03, I), (0.021, 0.03, V), (-0.03, -0.021, V), (-1, 1, I)],
)
def test_parity_on_both_sides(low, high, outcome):
    assert judge(between(low, high), "parity", margin=0.02).outcome is outcome


def test_parity_takes_the_90_percent_interval():
    """Two one-sided tests at 5 %: with half widths 1.9 at 90 % and 2.4 at 95 % a margin between the two decides."""
    fit = Mean("x")(values(-1.0, 0.0, 1.0, 4.0, -4.0), "q")
    at_90, at_95 = fit.at_level(0.90).half_width, fit.half_width
    margin = (at_90 + at_95) / 2
    verdict = judge(fit, "parity", margin=margin)
    assert verdict.outcome is H and verdict.fit.level == 0.90
    assert judge(fit, "upper", limit=margin).outcome is I


def test_parity_keeps_a_level_above_95_percent():
    fit = Mean("x")(values(-1.0, 1.0), "q").at_level(0.99)
    assert judge(fit, "parity", margin=1.0).fit.level == 0.99


@pytest.mark.parametrize("kind", ["upper", "lower", "equality", "ordering", "parity"])
def test_divergence_is_violated_without_a_fit(kind):
    fit = Range("x")(values(1.0, math.nan), "q")
    verdict = judge(fit, kind, limit=5.0, margin=1.0 if kind == "parity" else None)
    assert verdict.outcome is V and "diverged" in verdict.reason


def test_out_of_scope_names_the_assumption_and_has_no_fit():
    verdict = out_of_scope("upper", "P is not orthonormal")
    assert (verdict.outcome, verdict.fit, verdict.limit) == (Outcome.OUT_OF_SCOPE, None, None)
    assert verdict.reason == "P is not orthonormal"


def test_wrong_calls():
    with pytest.raises(ValueError, match=r"must be >= 0, got -0\.1 for 'q'"):
        judge(between(0, 1), "upper", limit=1.0, tau=-0.1)
    for margin in (None, 0.0, -1.0):
        with pytest.raises(ValueError, match=f"needs a margin > 0, got {margin} for 'q'"):
            judge(between(0, 1), "parity", margin=margin)


@pytest.mark.parametrize("se, value, df", [(1.0, 1.0, 3), (0.3, -0.1, 11), (2.0, 0.5, 1)])
def test_more_seeds_is_the_least_number_that_decides_at_this_spread(se, value, df):
    """By trying the two neighbours: the same value and spread on n seeds decide, on n - 1 they do not."""
    verdict = judge(Fit("q", value, se, df, 0.0, 2.0, ()), "ordering")
    sd, n = se * math.sqrt(df + 1), verdict.more_seeds
    outcomes = [judge(Fit("q", value, sd / math.sqrt(m), m - 1, 0.0, 2.0, ()), "ordering").outcome for m in (n - 1, n)]
    assert verdict.outcome is I and outcomes[0] is I and outcomes[1] is not I and n > df + 1


def test_more_seeds_where_nobody_can_say():
    assert judge(between(-1, 1), "ordering").more_seeds is None  # a range does not shrink
    assert judge(Fit("q", 1.0, 1.0, 3, 0.0, 2.0, ()), "upper", limit=5.0).more_seeds is None  # decided
    assert judge(Fit("q", 0.0, 1.0, 3, 0.0, 2.0, ()), "ordering").more_seeds is None  # on the edge
    assert judge(Fit("q", 1e-300, 1.0, 3, 0.0, 2.0, ()), "ordering").more_seeds is None  # as good as on it


@pytest.mark.parametrize(
    "kind, value, distance", [("upper", 9.01, 1.99), ("lower", 10.99, 1.99), ("equality", 9.01, 0.01), ("equality", 10.2, 0.8)]
)
def test_more_seeds_counts_only_the_edge_that_decides(kind, value, distance):
    """The band is [9, 11]: 9.01 lies 0.01 from its bottom, which has no say for an upper limit. With t about 2:
    (2 sd / distance)^2; t lies in 1.96..2.07, which is 7 % of its square, and rounding up adds at most 5 %."""
    verdict = judge(Fit("q", value, 1.5, 9, 0.0, 20.0, ()), kind, limit=10.0, tau=0.1)
    assert verdict.outcome is I
    assert verdict.more_seeds == pytest.approx((2 * 1.5 * math.sqrt(10) / distance) ** 2, rel=0.12)


def test_more_seeds_after_holm_is_counted_at_the_corrected_level():
    """In a family of 5 the level is 99 %: of the one that was open before, and of the one that Holm opens."""
    before, lost = judge(shifted(0.2), "ordering"), judge(shifted(0.02), "ordering")
    again, opened = holm([before, lost], 5)
    for verdict, alone in ((again, before), (opened, lost)):
        assert verdict.outcome is I
        assert verdict.more_seeds == judge(alone.fit.at_level(0.99), "ordering").more_seeds
    assert again.fit == before.fit and again.more_seeds > before.more_seeds


class TestOneSideDiverged:
    """ours - theirs; a claim speaks of ours."""

    def outcome(self, ours, theirs, kind, **limits):
        rows = [Sample(i, {"ours": a, "theirs": b}) for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
        return judge(PairedDifference("ours", "theirs")(rows, "q"), kind, **limits)

    @pytest.mark.parametrize("kind, limits", [("ordering", {}), ("parity", {"margin": 0.1}), ("upper", {"limit": 1.0})])
    @pytest.mark.parametrize("lost", [math.inf, math.nan])
    def test_a_diverged_baseline_decides_nothing(self, kind, limits, lost):
        verdict = self.outcome([1.0, 1.1, 1.2], [2.0, lost, 2.2], kind, **limits)
        assert verdict.outcome is I and verdict.reason.startswith("the baseline diverged (theirs)") and verdict.more_seeds is None
        assert holm([verdict], 3) == (verdict,)

    @pytest.mark.parametrize("kind, limits", [("ordering", {}), ("parity", {"margin": 0.1}), ("lower", {"limit": -9.0})])
    @pytest.mark.parametrize("theirs", [[2.0, 2.1, 2.2], [2.0, math.inf, 2.2], [math.inf, 2.1, 2.2]])
    def test_ours_diverged_is_violated_whatever_the_baseline_did(self, kind, limits, theirs):
        assert self.outcome([1.0, math.inf, 1.2], theirs, kind, **limits).outcome is V

    def test_a_difference_that_was_taken_before_says_the_same_by_its_sign(self):
        assert judge(Range("x")(values(-math.inf), "q"), "ordering").outcome is I
        assert judge(Range("x")(values(math.inf), "q"), "ordering").outcome is V

    def test_a_single_number_has_no_baseline(self):
        assert judge(Mean("x")(values(1.0, -math.inf), "q"), "lower", limit=0.0).outcome is V


class TestEqualSamples:
    """2^-n against 2.5 % on one side: n = 6 gives 1.6 %, n = 5 gives 3.1 %."""

    @pytest.mark.parametrize("n, outcome", [(2, I), (5, I), (6, H)])
    def test_they_decide_from_six_on(self, n, outcome):
        verdict = judge(Mean("x")(values(*[-1.0] * n), "q"), "ordering")
        assert (verdict.outcome, verdict.p, verdict.fit.low, verdict.fit.high) == (outcome, 2.0**-n, -1.0, -1.0)
        if outcome is I:
            assert f"all {n} samples are equal" in verdict.reason and verdict.more_seeds == 6

    def test_violation_needs_them_too(self):
        assert [judge(Mean("x")(values(*[1.0] * n), "q"), "upper", limit=0.0).outcome for n in (5, 6)] == [I, V]

    def test_holm_sees_their_p(self):
        """0.025 / 2 = 0.0125 lies between 2^-6 and 2^-7."""
        six, seven = (judge(Mean("x")(values(*[-1.0] * n), "q"), "ordering") for n in (6, 7))
        assert [holm([verdict], 2)[0].outcome for verdict in (six, seven)] == [I, H]
        assert holm([six], 2)[0].more_seeds == 7

    def test_on_the_edge_no_number_of_them_decides(self):
        verdict = judge(Mean("x")(values(*[10.0] * 50), "q"), "upper", limit=10.0)
        assert (verdict.outcome, verdict.p, verdict.more_seeds) == (I, 1.0, None)

    def test_a_range_is_no_statistic(self):
        assert judge(Range("x")(values(3.0, 3.0), "q"), "equality", limit=3.0).outcome is H


@pytest.mark.parametrize("limit", [math.inf, -math.inf, math.nan])
def test_a_limit_that_is_not_finite_is_refused(limit):
    with pytest.raises(ValueError, match=f"must be a finite number.*got {limit} for 'q'"):
        judge(between(0, 1), "upper", limit=limit)


def shifted(p, n=10):
    """A fit whose one-sided p against 0 is p, below 0."""
    from scipy import stats

    return Fit("q", -1.0, 1.0 / float(stats.t.isf(p, n - 1)), n - 1, -1.0, -1.0, ())


def outcomes(ps, family=None):
    return [v.outcome for v in holm([judge(shifted(p), "ordering") for p in ps], family or len(ps))]


def test_the_p_of_a_verdict_is_that_of_its_interval():
    assert judge(shifted(0.013), "ordering").p == pytest.approx(0.013, rel=1e-9)  # quantile and tail are inverse to rounding
    assert judge(shifted(0.0249), "ordering").outcome is H
    assert judge(shifted(0.0251), "ordering").outcome is I  # 95 % two-sided is 2.5 % on one side


@pytest.mark.parametrize(
    "kind, mean, edges",
    [
        ("upper", 8.0, [11.0]),  # HOLDS rests on the top of the band alone
        ("upper", 12.0, [11.0]),  # VIOLATED too
        ("upper", 10.2, [9.0, 11.0]),  # ATTAINED on both
        ("lower", 12.0, [9.0]),
        ("lower", 8.0, [9.0]),
        ("lower", 9.8, [9.0, 11.0]),
        ("equality", 10.2, [9.0, 11.0]),
        ("equality", 8.0, [9.0]),
        ("equality", 12.0, [11.0]),
    ],
)
def test_p_is_the_largest_over_the_edges_that_the_outcome_rests_on(kind, mean, edges):
    from scipy import stats

    verdict = judge(Fit("q", mean, 0.2, 9, mean, mean, ()), kind, limit=10.0, tau=0.1)
    assert verdict.p == pytest.approx(max(stats.t.sf(abs(mean - edge) / 0.2, 9) for edge in edges), rel=1e-12)
    assert verdict.outcome is not I


def test_holm_by_hand():
    """Four claims at 2.5 %: 0.005 <= 0.025 / 4, 0.008 <= 0.025 / 3, 0.02 > 0.025 / 2, so it stops there: 0.024 stays open although
    0.024 <= 0.025 / 1. In the order given, not in the order of p."""
    assert outcomes([0.024, 0.005, 0.02, 0.008]) == [I, H, I, H]


def test_holm_is_stronger_than_dividing_by_the_family():
    """0.012 > 0.025 / 3 but <= 0.025 / 2, which is its turn."""
    assert outcomes([0.001, 0.012, 0.02]) == [H, H, H]


def test_a_claim_that_did_not_run_counts_as_p_one():
    """Alone in a family of 3 the divisor is 3: 0.02 > 0.025 / 3 is open, 0.008 is not."""
    assert outcomes([0.02], family=3) == [I]
    assert outcomes([0.008], family=3) == [H]
    assert outcomes([0.02]) == [H]


def test_holm_against_brute_force_over_closed_testing():
    """Closed testing with Bonferroni on every intersection is the definition that Holm's procedure is a shortcut of."""
    from itertools import combinations

    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(1, 6))
        ps = list(rng.choice([0.002, 0.004, 0.006, 0.0075, 0.009, 0.012, 0.02, 0.024], n))
        subsets = [s for k in range(1, n + 1) for s in combinations(range(n), k)]
        kept = [all(any(len(s) * ps[j] <= 0.025 for j in s) for s in subsets if i in s) for i in range(n)]
        assert outcomes(ps) == [H if keep else I for keep in kept], ps


def test_parity_is_corrected_at_its_own_level():
    """5 % on each side by itself, so 2.5 % in a family of two, which is the 95 % interval and no other."""
    p_open, p_kept = 0.03, 0.02
    for p, outcome in ((p_open, I), (p_kept, H)):
        fit = shifted(p)
        verdict = judge(fit, "parity", limit=-1e6, margin=1e6)  # the far edge cannot matter
        assert verdict.outcome is H and verdict.p == pytest.approx(p, rel=1e-6)  # 1e6 leaves 1e-10 of rounding in the edge
        assert holm([verdict], 2)[0].outcome is outcome


def test_parity_and_ordering_in_one_family_are_ranked_by_their_own_levels():
    """0.03 of 5 % (0.6) comes before 0.02 of 2.5 % (0.8); 0.6 > 1/2, so both stay open."""
    parity = judge(shifted(0.03), "parity", limit=-1e6, margin=1e6)
    assert [v.outcome for v in holm([judge(shifted(0.02), "ordering"), parity], 2)] == [I, I]
    parity = judge(shifted(0.024), "parity", limit=-1e6, margin=1e6)  # 0.48 <= 1/2, then 0.8 <= 1
    assert [v.outcome for v in holm([judge(shifted(0.02), "ordering"), parity], 2)] == [H, H]


def test_holm_leaves_counts_open_cases_and_divergence_alone():
    count, inside = judge(between(3, 3), "equality", limit=3.0), judge(shifted(0.2), "ordering")
    gone = judge(Mean("x")(values(1.0, math.inf), "q"), "ordering")
    away = out_of_scope("ordering", "not here")
    again = holm([count, inside, gone, away], 5)
    assert (again[0], *again[2:]) == (count, gone, away)
    assert (again[1].outcome, again[1].fit, again[1].reason) == (I, inside.fit, "")


def test_what_survives_keeps_its_interval_and_what_does_not_says_why():
    kept, lost = holm([judge(shifted(0.001), "ordering"), judge(shifted(0.02), "ordering")], 3)
    assert (kept.fit.level, kept.outcome) == (0.95, H)
    assert lost.outcome is I and lost.reason == "decided alone (p = 0.02), not after Holm's correction by 2"
    assert lost.fit.level == pytest.approx(0.975) and lost.more_seeds > 10  # the interval that straddles is the one shown


def test_attained_may_fall_back_to_holds():
    """Inside the band by a wide margin at the top and a narrow one at the bottom: wider, only the top is still certain."""
    fit = Fit("q", 9.2, 0.08, 9, 9.0, 9.5, ())
    verdict = judge(fit, "upper", limit=10.0, tau=0.1)
    assert verdict.outcome is A
    assert holm([verdict], 20)[0].outcome is H


def test_a_family_smaller_than_its_members_is_refused():
    with pytest.raises(ValueError, match="a family of 1 cannot hold 2"):
        holm([judge(shifted(0.01), "ordering")] * 2, 1)


def test_reseeding_rarely_decides_wrongly_and_never_when_the_effect_is_large():
    """12 paired seeds as in the training claims. A true difference of 6 standard errors is found every time in 300; none at all is
    called a difference in 5 % of runs (both tails), of 1000: standard deviation 0.7 %, so 8 % is four of them above."""

    def outcome(rng, difference):
        common = rng.normal(0, 1, 12)
        pairs = zip(common + difference + rng.normal(0, 0.1, 12), common, strict=True)
        fit = PairedDifference("a", "b")([Sample(i, {"a": a, "b": b}) for i, (a, b) in enumerate(pairs)], "q")
        return judge(fit, "ordering").outcome

    assert {outcome(np.random.default_rng(i), -6 * 0.1 / math.sqrt(12)) for i in range(300)} <= {H, I}
    large = {outcome(np.random.default_rng(i), -0.5) for i in range(300)}
    wrong = sum(outcome(np.random.default_rng(i), 0.0) is not I for i in range(1000))
    assert large == {H} and wrong < 80

"""Runs, closed form and semidefinite worst case of the same optimizer code in one picture: a row per rule, over its step and over K.

It draws every claim whose samples carry a value `semidefinite`: circles are that value, the line is the claim's own limit, and
every instance that was run is a mark with the 95 % interval of its mean over seeds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np

from sandbox.ledger.result import Case, Result
from sandbox.report.canvas import COLOURS, INK, blank, style, svg
from sandbox.report.section import inline
from sandbox.verdict import Outcome

VALUE = "semidefinite"
INSTANCES = {  # key of a sample -> (word in the legend, colour that follows the theme, marker)
    "isotropic": ("runs on L |W|² / 2", COLOURS[Outcome.HOLDS], "D"),
    "ill-conditioned": ("runs on an ill-conditioned quadratic", COLOURS[Outcome.INCONCLUSIVE], "s"),
    "nonconvex": ("runs on a nonconvex function", COLOURS[Outcome.OUT_OF_SCOPE], "v"),
}
LINE, CIRCLE = COLOURS[Outcome.ATTAINED], COLOURS[Outcome.VIOLATED]
STEPS = {"gradient descent": "lr L", "rso": "t = eta Lhat"}
NOTE = (
    "The worst case over all smooth functions of the optimizer's own code (circles: semidefinite programming, which knows no formula), "
    "the closed form (line), and runs of that code. Left: the sum of squared gradient norms over L times the initial gap; right: "
    "its mean over K."
)


def worst_cases(results: Sequence[Result]) -> str:
    """The figure for the page; "" where no such claim has been run."""
    drawn = [result for result in results if any(_cases(result)) and not result.claim.subject]
    if not drawn:
        return ""
    picture = inline(worst_case_figure(drawn), "runs, closed form and semidefinite worst case")
    return f"<figure class='overview'><div class='wide'>{picture}</div><figcaption>{escape(NOTE)}</figcaption></figure>"


def worst_case_figure(results: Sequence[Result]) -> bytes:
    """A row of two panels per claim."""
    figure = blank(7.4, 2.75 * len(results) + 0.6)
    axes = figure.subplots(len(results), 2, squeeze=False)
    for row, result in zip(axes, results, strict=True):
        _over(row[0], result, "step")
        _over(row[1], result, "steps")
    _legend(figure)
    return svg(figure, "worst cases")


def _cases(result: Result) -> list[Case]:
    fits = [(case, case.verdict.fit) for case in result.cases if case.verdict.fit is not None]
    return [case for case, fit in fits if fit.samples and VALUE in fit.samples[0].values]


def _over(ax, result: Result, field: str) -> None:
    """One panel: the settings that share the most frequent value of the other field."""
    other = "steps" if field == "step" else "step"
    cases = _cases(result)
    fixed = Counter(getattr(case.setting, other) for case in cases).most_common(1)[0][0]
    cases = sorted((case for case in cases if getattr(case.setting, other) == fixed), key=lambda case: getattr(case.setting, field))
    x = np.array([getattr(case.setting, field) for case in cases], float)
    per = x if field == "steps" else np.ones_like(x)  # over K the mean is shown, whose rate is 1 / K
    _line(ax, result, cases, field)
    for key, (_, colour, marker) in INSTANCES.items():
        _marks(ax, x, [_mean(case, key) for case in cases], per, colour=colour, marker=marker)
    values = np.array([case.verdict.fit.samples[0].values[VALUE] for case in cases])
    ax.plot(x, values / per, "o", mfc="none", mec=CIRCLE, mew=1.5, ms=8.5)
    _words(ax, cases[0].setting, field)


def _line(ax, result: Result, cases: Sequence[Case], field: str) -> None:
    first = cases[0].setting
    ends = [getattr(case.setting, field) for case in (cases[0], cases[-1])]
    grid = range(ends[0], ends[1] + 1) if field == "steps" else np.linspace(*ends, 80).tolist()
    limits = [result.claim.limit_at(replace(first, **{field: x})) / (x if field == "steps" else 1) for x in grid]
    ax.plot(list(grid), limits, color=LINE, lw=1.6, zorder=1)


def _mean(case: Case, key: str) -> tuple[float, float]:
    """(mean over seeds, half width of its 95 % interval)."""
    from scipy.stats import t

    x = np.array([sample.values[key] for sample in case.verdict.fit.samples], float)
    return x.mean(), float(t.ppf(0.975, len(x) - 1)) * x.std(ddof=1) / len(x) ** 0.5 if len(x) > 1 else 0.0


def _marks(ax, x: np.ndarray, means: Sequence[tuple[float, float]], per: np.ndarray, *, colour: str, marker: str) -> None:
    value, width = np.array(means).T / per
    ax.errorbar(x, value, yerr=width, fmt=marker, color=colour, ms=4.5, mec="none", elinewidth=1.1, capsize=0)


def _words(ax, setting: Any, field: str) -> None:
    step, name = STEPS.get(setting.rule, "step"), "RSO, m = 2, r = 1" if setting.rule == "rso" else setting.rule
    fixed = f"K = {setting.steps}" if field == "step" else f"{step} = {setting.step:g}"
    ax.set_title(f"{name}, {fixed}", fontsize=9)
    ax.set_xlabel(step if field == "step" else "K, steps" if setting.rule != "rso" else "K, rounds", fontsize=9)
    ax.set_ylabel("sum / (L gap)" if field == "step" else "mean / (L gap)", fontsize=9)
    if field == "steps":
        _decades(ax)
        if ax.get_xlim()[1] < 10:
            ax.set_xticks(range(1, int(ax.get_xlim()[1]) + 1))
    else:
        ax.set_ylim(bottom=0)
    style(ax)


def _decades(ax) -> None:
    """Logarithmic axes with plain numbers, few enough to read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for axis, scale in ((ax.xaxis, ax.set_xscale), (ax.yaxis, ax.set_yscale)):
        scale("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(figure) -> None:
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], color=LINE, lw=1.6, label="closed form")]
    entries.append(Line2D([], [], ls="", marker="o", mfc="none", mec=CIRCLE, mew=1.5, ms=7, label="semidefinite worst case"))
    entries += [Line2D([], [], ls="", marker=m, color=c, mec="none", ms=5, label=word) for word, c, m in INSTANCES.values()]
    figure.legend(handles=entries, loc="outside upper left", ncols=3, fontsize=8, frameon=False, labelcolor=INK)

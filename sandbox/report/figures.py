"""Figures as SVG text: every claim at a glance, one claim in detail, curves that samples carry, a matrix as a heat map.

    bounds, counts, rates     x = measured / limit                     the limit lies at 1
    parity                    x = measured difference / margin         the band is [-1, 1]
    ordering                  x = difference / half width of its interval, the limit lies at 0

Where a limit is 0 there is no ratio: a measurement that meets it lies at 1, another one at the edge.
"""

import math
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np

from sandbox.ledger.result import Case, Result
from sandbox.report.canvas import COLOURS, INK, MARKERS, blank, legend, style, svg
from sandbox.verdict import Verdict

PANELS = {
    "measured / limit": ("upper", "lower", "equality"),
    "difference / margin (parity)": ("parity",),
    "difference / half width of its interval (ordering)": ("ordering",),
}
LEAST, MOST = 0.02, 50.0  # ratios beyond these are drawn at the edge
EDGE = 5.0  # margins or half widths; likewise
ROOM = 0.02  # of a heat map's rows, for a line of text
ROWS, DOTS = 24, 40  # most settings drawn in one figure, most seeds drawn as dots in one of them


def overview(results: Sequence[Result]) -> bytes:
    """Every claim with a measured number, its interval over its limit: a panel for each of the three scales."""
    panels = [(label, [r for r in results if _drawn(r) and r.claim.kind in kinds]) for label, kinds in PANELS.items()]
    panels = [(label, rows) for label, rows in panels if rows]
    heights = [len(rows) + 1.6 for _, rows in panels] or [1.0]
    figure = blank(7.4, 0.27 * sum(heights) + 0.55)
    if not panels:
        return svg(figure, "overview")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (label, rows) in zip(axes, panels, strict=True):
        _overview_panel(ax, label, rows)
    legend(figure, {r.telling.verdict.outcome for _, rows in panels for r in rows})
    return svg(figure, "overview")


def claim_figure(result: Result) -> bytes:
    """One claim: a row per setting with a dot per seed, the estimate, its interval and the limit (band or margin).

    x is the measured quantity; where the limits of the settings differ, the quantity over its limit. At most 24
    settings are drawn, and 40 seeds of each.
    """
    cases = [case for case in result.cases if case.verdict.fit is not None and not case.verdict.fit.diverged][:ROWS]
    figure = blank(6.2, 0.75 + 0.36 * max(len(cases), 1))
    ax = figure.subplots()
    units = _units(cases)
    for row, (case, unit) in enumerate(zip(cases, units, strict=True)):
        _draw_case(ax, row, case, unit, result)
    relative = any(unit != 1.0 for unit in units)
    label = result.claim.quantity + (" / limit" if relative else "")
    ax.set_xlabel("\n".join(wrap(label, 60)), fontsize=9)
    ax.set_yticks(range(len(cases)), labels([case.setting for case in cases]), fontsize=8)
    low, high = ax.get_xlim()
    ax.xaxis.get_major_locator().set_params(nbins=6 if high - low > 1e-3 * max(abs(low), abs(high)) else 2)
    ax.ticklabel_format(axis="x", useOffset=False)
    ax.set_ylim(len(cases) - 0.4, -0.6)
    style(ax)
    return svg(figure, result.claim.id)


def heat_map(matrix: np.ndarray, boundaries: Sequence[int], title: str, *, names: Sequence[str] = ()) -> bytes:
    """log10 |entry| of a matrix, at most 6 decades below its largest; lines at the boundaries (first rows of blocks).

    names: of the blocks from each boundary to the next, written beside those that have room for a line of text.
    Raises ValueError for anything but a matrix, for boundaries outside it, and for names that are not one for each block.
    """
    matrix = np.asarray(matrix, float)
    if matrix.ndim != 2:
        raise ValueError(f"a heat map needs a matrix, got an array of shape {matrix.shape}")
    outside = [edge for edge in boundaries if not 0 <= edge <= len(matrix)]
    if outside:
        raise ValueError(f"boundaries must lie in 0..{len(matrix)}, the rows of the matrix; got {outside}")
    if names and len(names) != len(boundaries) - 1:
        raise ValueError(f"a heat map needs one name between two boundaries, got {len(names)} names and {len(boundaries)} boundaries")
    figure = blank(5.6 + 1.4 * bool(names), 4.9)
    ax = figure.subplots()
    size = np.abs(matrix)
    top = size.max() or 1.0
    decades = np.log10(np.maximum(size, top * 1e-6) / top)
    image = ax.imshow(decades, cmap="cividis", vmin=-6, vmax=0, interpolation="nearest")
    for edge in boundaries:
        if 0 < edge < len(matrix):
            ax.axhline(edge - 0.5, color="white", lw=0.5, alpha=0.7)
            ax.axvline(edge - 0.5, color="white", lw=0.5, alpha=0.7)
    bar = figure.colorbar(image, ax=ax, shrink=0.85)
    bar.set_label("log10 of |entry| / largest |entry|", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("position along the parameter vector (columns of the picture)", fontsize=9)
    ax.set_ylabel("position along the parameter vector (rows of the picture)", fontsize=9)
    ax.tick_params(labelsize=8)
    _name_blocks(ax, boundaries, names, len(matrix) * ROOM)
    return svg(figure, title)


def _name_blocks(ax, boundaries: Sequence[int], names: Sequence[str], room: float) -> None:
    """Names in the place of numbers along the rows, for blocks of more than `room` rows."""
    shown = [
        ((first + last - 1) / 2, name) for first, last, name in zip(boundaries, boundaries[1:], names, strict=False) if last - first > room
    ]
    if shown:
        ax.set_yticks([place for place, _ in shown], [name for _, name in shown], fontsize=7)
        ax.set_ylabel("")


def curves(result: Result) -> Mapping[str, bytes]:
    """One figure per value that is a list: numbers are drawn over their index, pairs [x, y] over x; a line per seed.

    Only the case that decided the outcome is drawn. x is logarithmic where it is positive and spans a factor of 20.
    """
    case = result.telling
    if case is None or case.verdict.fit is None:
        return {}
    found: dict[str, list[tuple[int, np.ndarray]]] = {}
    for sample in case.verdict.fit.samples:
        for key, value in sample.values.items():
            line = as_line(value)
            if line is not None:
                found.setdefault(key, []).append((sample.seed, line))
    return {key: _curve_figure(f"{result.claim.id} {key}", key, lines) for key, lines in found.items()}


def as_line(value: Any) -> np.ndarray | None:
    """(n, 2) points of a list of at least three numbers or pairs of numbers; None for anything else."""
    if not isinstance(value, list | tuple) or len(value) < 3:
        return None
    try:
        points = np.asarray(value, float)
    except (TypeError, ValueError):
        return None
    if points.ndim == 1:
        return np.stack((np.arange(len(points), dtype=float), points), axis=1)
    return points if points.ndim == 2 and points.shape[1] == 2 else None


def normalised(verdict: Verdict) -> tuple[float, float, float]:
    """(low, value, high) in the units of the overview; for a limit of 0: 1 where it is met, else +-infinity."""
    fit = verdict.fit
    ends = np.array([fit.low, fit.value, fit.high], float)
    if verdict.kind == "parity":
        return tuple((ends - (verdict.limit or 0.0)) / verdict.margin)
    if verdict.kind == "ordering":
        return tuple((ends - (verdict.limit or 0.0)) / (fit.half_width or abs(fit.value) or 1.0))
    if verdict.limit:
        return tuple(ends / verdict.limit)
    return tuple(np.where(ends == 0, 1.0, np.where(ends < 0, -math.inf, math.inf)))


def per_seed(result: Result, verdict: Verdict) -> list[float]:
    """What the claim's estimator makes of each seed alone (a sample given to it twice, for an interval needs two)."""
    values = []
    for sample in verdict.fit.samples:
        try:
            values.append(result.claim.estimate((sample, sample), result.claim.quantity).value)
        except (ValueError, KeyError):
            return []
    return [value for value in values if math.isfinite(value)]


def _drawn(result: Result) -> bool:
    case = result.telling
    return case is not None and case.verdict.fit is not None and not case.verdict.fit.diverged


def _overview_panel(ax, label: str, rows: Sequence[Result]) -> None:
    ratios = label.startswith("measured")
    bottom, top = (LEAST, MOST) if ratios else (-EDGE, EDGE)
    for y, result in enumerate(rows):
        for case in result.cases:
            if case.verdict.fit is not None and not case.verdict.fit.diverged:
                low, value, high = np.clip(normalised(case.verdict), bottom, top)
                strong, colour = case is result.telling, COLOURS[case.verdict.outcome]
                ax.plot([low, high], [y, y], color=colour, lw=2.2 if strong else 0.8, solid_capstyle="butt")
                if strong:
                    ax.plot(value, y, MARKERS[case.verdict.outcome], color=colour, ms=6, mec="none")
    if ratios:
        ax.set_xscale("log")
        ticks = [0.02, 0.1, 0.5, 1, 2, 10, 50]
        ax.set_xticks(ticks, ["≤ 0.02", "0.1", "0.5", "1", "2", "10", "≥ 50"])
        ax.minorticks_off()
    else:
        ax.set_xticks([-EDGE, -3, -1, 0, 1, 3, EDGE], ["≤ -5", "-3", "-1", "0", "1", "3", "≥ 5"])
    for edge in (1.0,) if ratios else (-1.0, 1.0) if "parity" in label else (0.0,):
        ax.axvline(edge, color=INK, lw=1.0, ls=(0, (4, 3)), zorder=0)
    ax.set_xlim(bottom * 0.85 if ratios else bottom * 1.05, top * 1.18 if ratios else top * 1.05)
    ax.set_yticks(range(len(rows)), [r.claim.id for r in rows], fontsize=8)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel(label, fontsize=9)
    style(ax)


def _units(cases: Sequence[Case]) -> list[float]:
    """1 for every case where they share one limit; else each case's limit, if none is 0."""
    limits = [case.verdict.limit for case in cases]
    same = len(set(limits)) <= 1 or any(not limit for limit in limits)
    return [1.0 if same else float(limit) for limit in limits]


def _draw_case(ax, row: int, case: Case, unit: float, result: Result) -> None:
    verdict, fit = case.verdict, case.verdict.fit
    colour, limit = COLOURS[verdict.outcome], (verdict.limit or 0.0) / unit
    width = verdict.margin if verdict.kind == "parity" else verdict.tau * abs(limit)
    if width:
        ax.fill_betweenx([row - 0.42, row + 0.42], limit - width, limit + width, color=INK, alpha=0.13, lw=0)
    ax.plot([limit, limit], [row - 0.42, row + 0.42], color=INK, lw=1.2, ls=(0, (4, 3)))
    dots = np.array(per_seed(result, verdict)[:DOTS]) / unit
    ax.plot(dots, np.full(len(dots), row - 0.18), ".", color=INK, alpha=0.45, ms=5, mec="none")
    ax.plot([fit.low / unit, fit.high / unit], [row + 0.12] * 2, color=colour, lw=2.6, solid_capstyle="butt")
    ax.plot(fit.value / unit, row + 0.12, MARKERS[verdict.outcome], color=colour, ms=7, mec="none")


def _curve_figure(name: str, key: str, lines: Sequence[tuple[int, np.ndarray]]) -> bytes:
    figure = blank(6.2, 2.6)
    ax = figure.subplots()
    for _, line in lines:
        ax.plot(line[:, 0], line[:, 1], color="#0072b2", lw=1.1, alpha=max(0.25, 1 / len(lines) ** 0.5))
    x = np.concatenate([line[:, 0] for _, line in lines])
    if x.min() > 0 and x.max() >= 20 * x.min():
        ax.set_xscale("log")
    paired = not np.array_equal(lines[0][1][:, 0], np.arange(len(lines[0][1])))
    ax.set_xlabel("first number of each pair" if paired else "index of the recorded value", fontsize=9)
    ax.set_ylabel(key.replace("_", " "), fontsize=9)
    ax.set_title(f"{len(lines)} seed{'s' if len(lines) > 1 else ''}", fontsize=8, loc="right")
    style(ax)
    return svg(figure, name)


def labels(settings: Sequence[Any]) -> list[str]:
    """What tells the settings apart: `field=value` of the fields that differ; empty where there is one setting."""
    fields = list(getattr(settings[0], "__dataclass_fields__", {})) if settings else []
    telling = [name for name in fields if len({str(getattr(setting, name)) for setting in settings}) > 1]
    texts = [", ".join(f"{name}={_brief(getattr(setting, name))}" for name in telling) for setting in settings]
    return [text if len(text) <= 34 else text[:33] + "…" for text in texts]


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

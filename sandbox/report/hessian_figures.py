"""Figures of a survey of Hessians: spectra of every tensor, and block mass over the points of training."""

from collections.abc import Mapping, Sequence

import numpy as np

from sandbox.report.canvas import blank, style, svg

COLUMNS, MOST = 3, 24  # panels in a row, and in all
LONG = 30  # letters of a title
DECADES = 9  # below the largest eigenvalue of all; further down lies the rounding of float32
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito, as in `canvas`
Nodes = tuple[np.ndarray, np.ndarray]  # eigenvalues and their weights, sum 1


def spectra(found: Mapping[str, Mapping[str, Nodes]], title: str) -> bytes:
    """tensor -> target -> spectrum: the share of eigenvalues of at least a size, by sign, over |eigenvalue| (logarithmic).

    Solid: positive ones; dashed: negative ones. At most 24 tensors and 6 targets are drawn.
    """
    shown = dict(list(found.items())[:MOST])
    n_rows = -(-len(shown) // COLUMNS)
    figure = blank(7.4, 1.75 * n_rows + 0.5)
    axes = figure.subplots(n_rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    for ax, (name, by_target) in zip(axes.flat, shown.items(), strict=False):
        for colour, (nodes, weights) in zip(LINES, by_target.values(), strict=False):
            for sign, dash in ((1, "-"), (-1, "--")):
                x, share = tail(sign * nodes, weights)
                ax.step(x, share, where="pre", color=colour, ls=dash, lw=1.1)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_title(short(name), fontsize=8)
        style(ax)
    _label_below(axes)
    largest = max(float(np.abs(nodes).max()) for each in shown.values() for nodes, _ in each.values()) or 1.0
    axes.flat[0].set_xlim(largest * 10.0**-DECADES, 2 * largest)
    figure.supxlabel("size of the eigenvalue, loss / param²", fontsize=9)
    figure.supylabel("share of eigenvalues of at least that size", fontsize=9)
    _legend(figure, list(next(iter(shown.values()))), dashed="negative")
    return svg(figure, title)


def tail(nodes: np.ndarray, weights: np.ndarray) -> Nodes:
    """The positive nodes, ascending, and for each the weight of all nodes from it on."""
    order = np.argsort(nodes)
    x, w = nodes[order], weights[order]
    share = np.cumsum(w[::-1])[::-1]
    return x[x > 0], share[x > 0]


def over_targets(found: Mapping[str, Mapping[str, Sequence[float]]], targets: Sequence[str], title: str) -> bytes:
    """tensor -> partition -> excess at every target: one panel per tensor, a line per partition."""
    shown = dict(list(found.items())[:MOST])
    n_rows = -(-len(shown) // COLUMNS)
    figure = blank(7.4, 1.75 * n_rows + 0.5)
    axes = figure.subplots(n_rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    for ax, (name, by_partition) in zip(axes.flat, shown.items(), strict=False):
        for colour, values in zip(LINES, by_partition.values(), strict=False):
            ax.plot(range(len(values)), values, color=colour, marker="o", ms=3, lw=1.1)
        ax.axhline(0, color="#8a8a8a", lw=0.7)
        ax.set_xticks(range(len(targets)), targets, rotation=30, ha="right")
        ax.set_title(short(name), fontsize=8)
        style(ax)
    _label_below(axes)
    figure.supylabel("excess of block mass: 0 chance, 1 block-diagonal", fontsize=9)
    _legend(figure, list(next(iter(shown.values()))))
    return svg(figure, title)


def short(name: str) -> str:
    """The last parts of a long name."""
    if len(name) <= LONG:
        return name
    end = name[-LONG:]
    return "…" + (end.partition(".")[2] or end[1:])


def _label_below(axes) -> None:
    """Shared axes are labelled under the last row alone; here under the last panel of each column that is shown."""
    for column in axes.T:
        for ax in [ax for ax in column if ax.get_visible()][-1:]:
            ax.tick_params(labelbottom=True)


def _legend(figure, names: Sequence[str], dashed: str = "") -> None:
    """dashed: what broken lines are, if there are any."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=colour, label=name) for colour, name in zip(LINES, names, strict=False)]
    if dashed:
        lines.append(Line2D([], [], color="#8a8a8a", ls="--", label=dashed))
    figure.legend(handles=lines, loc="outside upper left", ncols=min(len(lines), 4), fontsize=8, frameon=False)

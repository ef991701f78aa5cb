"""The surface that figures are drawn on: colours, markers, and SVG text that follows a light or a dark page.

Colours are those of Okabe and Ito (2008, "Color universal design", recalled), which the common kinds of colour
blindness tell apart; every outcome has its own marker too. Ink is `currentColor` and backgrounds are clear.
matplotlib is imported where it is used, without pyplot: nothing global is changed.
"""

import io
import re

from sandbox.verdict import Outcome

COLOURS = {
    Outcome.ATTAINED: "#0072b2",
    Outcome.HOLDS: "#009e73",
    Outcome.VIOLATED: "#d55e00",
    Outcome.INCONCLUSIVE: "#e69f00",
    Outcome.OUT_OF_SCOPE: "#8a8a8a",
}
MARKERS = {
    Outcome.ATTAINED: "D",
    Outcome.HOLDS: "o",
    Outcome.VIOLATED: "X",
    Outcome.INCONCLUSIVE: "s",
    Outcome.OUT_OF_SCOPE: "P",
}
INK = "#010203"  # replaced by currentColor when the figure is written


def blank(width: float, height: float):
    """Inches. A figure without pyplot, so no window system and no global list of figures."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="none")


def style(ax) -> None:
    ax.set_facecolor("none")
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)


def legend(figure, outcomes: set[Outcome]) -> None:
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], color=COLOURS[o], marker=MARKERS[o], ls="", ms=6, label=o.name) for o in Outcome if o in outcomes]
    where = {"loc": "outside upper left", "ncols": len(marks)}
    figure.legend(handles=marks, **where, fontsize=8, frameon=False, handletextpad=0.2)


def svg(figure, name: str) -> bytes:
    """SVG with real text, `currentColor` ink, no metadata, and only ids that are referred to (salted by the name)."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for text in figure.findobj(lambda artist: hasattr(artist, "set_fontsize")):
        text.set_color(INK)
    for ax in figure.axes:
        ax.tick_params(colors=INK, labelcolor=INK)
        for spine in ax.spines.values():
            spine.set_edgecolor(INK)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text).replace(INK, "currentColor")
    return text.strip().encode()

"""What the figures share: one style a method, labels that say which way is better, SVG without a date."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath

# Settings of every figure, as in `@matplotlib.rc_context(STYLE)`; a name that holds a dollar sign is no formula.
STYLE = {"svg.hashsalt": "swagv", "svg.fonttype": "none", "font.size": 9, "text.parse_math": False}
NO_VALUE = "no value"
_LEGEND_COLUMNS = 3
# Beside ten colours: no two of forty methods share both, and no two neighbours in the legend look alike in grey.
_DASHES = ((), (5, 2), (1, 1.5), (5, 2, 1, 2), (9, 3), (3, 1, 1, 1, 1, 1), (2, 3), (9, 2, 3, 2))
_LINES = tuple((0, dash) if dash else "-" for dash in _DASHES)
_MARKERS = "os^DvPX<>ph"  # eleven, so that methods of one colour differ
_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def method_style(methods: Iterable[str]) -> dict[str, dict[str, object]]:
    """One colour and line style a method, by its place in the sorted list of all methods; readable in grey."""
    colours = matplotlib.colormaps["tab10"].colors
    return {
        name: {"color": colours[index % len(colours)], "linestyle": _LINES[index % len(_LINES)]}
        for index, name in enumerate(sorted(methods))
    }


def style_of(drawn: Iterable[str], methods: Sequence[str], markers: bool = False) -> dict[str, dict[str, object]]:
    """`method_style` of all `methods` of a run, for those that are drawn, sorted; with `markers`, one of those too.

    Raises
    ------
    ValueError
        If a drawn one is not among them: its colour would be another in the next figure.
    """
    style, drawn = method_style(methods), sorted(set(drawn))
    unknown = [method for method in drawn if method not in style]
    if unknown:
        raise ValueError(f"no colour for {', '.join(unknown)}: `methods` must list every method that is drawn")
    if markers:
        for index, look in enumerate(style.values()):
            look |= {"marker": _MARKERS[index % len(_MARKERS)], "markersize": 4}
    return {method: style[method] for method in drawn}


def place(dataset: str, model: str) -> str:
    """Title of what belongs to one network and dataset."""
    return f"{model} on {dataset}"


def clips_text(counts: pd.Series) -> str:
    """How many clips the drawn means are of.

    Examples
    --------
    >>> clips_text(pd.Series([10, 10])), clips_text(pd.Series([9, 10]))
    ('10 clips', '9 to 10 clips')
    """
    low, high = counts.min(), counts.max()
    return f"{high} clips" if low == high else f"{low} to {high} clips"


def intervals(axes: Axes, x: Sequence[float], rows: pd.DataFrame, colour: object) -> None:
    """Vertical bars from ci_low to ci_high; none where there is no interval."""
    axes.vlines(x, rows.ci_low, rows.ci_high, color=colour, linewidth=1, alpha=0.6)


def legend(figure: Figure, style: dict[str, dict[str, object]], scored: Iterable[str]) -> None:
    """All methods below the figure; those without a single value say so."""
    if not style:
        return
    scored = set(scored)
    lines = [Line2D([], [], linewidth=1.5, **look) for look in style.values()]
    made = figure.legend(
        lines,
        ["?"] * len(lines),
        loc="outside lower center",
        fontsize=7,
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        handlelength=3.5,
    )
    # Set only now: given to `legend`, a label that begins with an underscore would be left out.
    for text, name in zip(made.get_texts(), style, strict=True):
        text.set_text(name if name in scored else f"{name} ({NO_VALUE})")


def legend_height(count: int) -> float:
    """Inches that `legend` takes."""
    return 0.14 * -(-count // _LEGEND_COLUMNS)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of a text in the figures' font, in the unit of `size`."""
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    return TextToPath().get_text_width_height_descent(text, font, ismath=False)[0]


@matplotlib.rc_context(STYLE)
def message_svg(text: str) -> str:
    """A figure that only says why there is nothing to see."""
    figure = Figure(figsize=(5.2, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return svg_of(figure)


def svg_of(figure: Figure) -> str:
    """The figure as SVG text that can stand in a page; characters that XML cannot hold are replaced."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return xml_text(_stable_clips(text[text.index("<svg") :]))


def _stable_clips(svg: str) -> str:
    """Clip paths named after what is written of them.

    Matplotlib names them after all digits of their coordinates, and the last digits that its layout finds may be others
    in the next drawing.
    """
    for name, content in re.findall(r'<clipPath id="(\w+)">\s*(.*?)\s*</clipPath>', svg, re.DOTALL):
        svg = svg.replace(name, f"p{hashlib.sha256(content.encode()).hexdigest()[:10]}")
    return svg


def xml_text(text: str) -> str:
    """Text without the characters that XML cannot hold, such as control characters in a file's name."""
    return _NOT_IN_XML.sub("\ufffd", text)

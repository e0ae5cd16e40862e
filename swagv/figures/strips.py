"""Figures 1 and 4: filmstrips of explanations, with embedded pictures and text that stays text."""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ET
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

import numpy as np
import pandas as pd
from PIL import Image

from swagv.figures.drawing import message_svg, text_width, xml_text
from swagv.headings import heading

# Of a picture: dataset, model, clip_id and method; None for the method of the bare frames.
Key = tuple[str, str, str, str | None]
MAX_BYTES = 1_400_000
_SIDES = (224, 160, 112, 80, 56)  # pixels of a frame, until all of them fit
_FONT, _SMALL = 11, 10  # these and the following are pixels of the SVG
_HEIGHT, _GAP, _MARGIN, _TITLE, _SCORES = 76, 3, 10, 34, 15
_BETTER = {"deletion_auc": min, "insertion_auc": max}


class TooLarge(ValueError):
    """More pictures than fit into a file that people open."""


def choose_clips(predictions: pd.DataFrame, count: int) -> pd.DataFrame:
    """Rows of at most `count` clips of each dataset for which the first network has a prediction, one a class first.

    Parameters
    ----------
    predictions
        Rows dataset, model, shard, clip_id, status, top1.
    """
    chosen = []
    for _, rows in predictions[predictions.status == "ok"].groupby("dataset", sort=False):
        first = rows[rows.model == rows.model.iloc[0]].sort_values("clip_id")
        order = first.assign(turn=first.groupby("top1").cumcount()).sort_values(["turn", "clip_id"])
        chosen.append(order.drop(columns="turn").head(count))
    return pd.concat(chosen, ignore_index=True) if chosen else predictions[:0]


def strips_svg(rows: pd.DataFrame, pictures: Mapping[Key, np.ndarray]) -> str:
    """Explanations of a few frames of some clips: a line a method, a column a network.

    Parameters
    ----------
    rows
        dataset, model, clip_id, method, frames (the numbers shown, as text), status, target_name, p_target, top1_name,
        p_top1; in the order in which they are drawn.
    pictures
        (H, W, 3) uint8, the frames side by side (`swagv.viz.filmstrip`): of every clip and network the bare ones,
        method None, and of every row whose status is ok.

    Raises
    ------
    TooLarge
        If the pictures are too many to be shown in less than 1.5 MB.
    """
    return _sheet(rows, pictures, with_scores=False)


def versus_svg(rows: pd.DataFrame, pictures: Mapping[Key, np.ndarray]) -> str:
    """One method against another: as `strips_svg`, each strip with its scores below it, the better ones bold.

    Parameters
    ----------
    rows
        As of `strips_svg`, with deletion_auc and insertion_auc.
    pictures
        As of `strips_svg`.

    Raises
    ------
    ValueError
        If the rows are not of two methods; `TooLarge` as of `strips_svg`.
    """
    if len(rows) and rows.method.nunique() != 2:
        raise ValueError(f"one method against another, not {', '.join(rows.method.unique())}: name two")
    return _sheet(rows, pictures, with_scores=True)


def _sheet(rows: pd.DataFrame, pictures: Mapping[Key, np.ndarray], with_scores: bool) -> str:
    """A line of blocks for each clip: its frames and strips for each network that has it."""
    if rows.empty:
        return message_svg("No clip has a prediction, so there is nothing to explain.")
    images = _encode(pictures)
    width = _HEIGHT * max(picture.shape[1] / picture.shape[0] for picture in pictures.values())
    line = _HEIGHT + _GAP + _SCORES * with_scores
    methods, models = list(rows.method.unique()), list(rows.model.unique())
    labels = [*methods, *(f"frames {text}" for text in rows.frames.unique())]
    left = _MARGIN + max(text_width(label, _FONT) for label in labels) + 8
    size = left + len(models) * (width + _MARGIN)
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "xmlns:xlink": "http://www.w3.org/1999/xlink"})
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "white"})
    top = _MARGIN
    for (dataset, clip_id), of_clip in rows.groupby(["dataset", "clip_id"], sort=False):
        here = [method for method in methods if method in set(of_clip.method)]
        tops = list(accumulate([top + _TITLE, _HEIGHT + _GAP, *[line] * len(here)]))
        frames_label = f"frames {of_clip.frames.iloc[0]}"
        for label, y in zip([frames_label, *here], tops, strict=False):
            _text(svg, label, left - 8, y + _HEIGHT / 2 + 4, left, {"text-anchor": "end"})
        for model, found in of_clip.groupby("model", sort=False):
            x, first = left + models.index(model) * (width + _MARGIN), found.iloc[0]
            _text(svg, f"{clip_id}, {dataset}", x, top + 12, width, {"font-weight": "bold"})
            _text(svg, f"{model}: {_said(first)}", x, top + 27, width)
            _picture(svg, images[dataset, model, clip_id, None], x, tops[0], width, _HEIGHT)
            for row in found.to_dict("records"):
                y = tops[1 + here.index(row["method"])]
                if row["status"] == "ok":
                    _picture(svg, images[dataset, model, clip_id, row["method"]], x, y, width, _HEIGHT)
                else:
                    ET.SubElement(svg, "rect", _numbers(x=x, y=y, width=width, height=_HEIGHT) | {"fill": "#eee"})
                    _text(svg, row["status"], x + 6, y + _HEIGHT / 2 + 4, width - 12)
                if with_scores:
                    _scores(svg, row, found, x, y + _HEIGHT + 12)
        top = tops[-1] + _MARGIN
    box = {"width": f"{size:.1f}", "height": f"{top:.1f}", "viewBox": f"0 0 {size:.1f} {top:.1f}"}
    svg.attrib |= box | {"font-family": "DejaVu Sans, Verdana, sans-serif", "font-size": str(_FONT)}
    return ET.tostring(svg, encoding="unicode")


def _said(row: pd.Series) -> str:
    """What the network says of the clip, and what is explained where that is another class."""
    if pd.isna(row.p_top1):
        return "no prediction"
    said = f"predicted {row.top1_name}, p = {row.p_top1:.2f}"
    if row.target_name == row.top1_name:
        return said
    return f"{said}; explained {row.target_name}, p = {row.p_target:.2f}"


def _scores(svg: ET.Element, row: Mapping[str, object], rivals: pd.DataFrame, x: float, y: float) -> None:
    text = ET.SubElement(svg, "text", _numbers(x=x, y=y) | {"font-size": str(_SMALL)})
    for metric, better in _BETTER.items():
        value = row[metric]
        best = value == better(rivals[metric].dropna(), default=np.nan)
        span = ET.SubElement(text, "tspan", {"font-weight": "bold"} if best else {})
        span.text = f"{heading(metric, better is max)} {'–' if np.isnan(value) else f'{value:.3f}'}"
        span.tail = "\u2003"
    span.tail = ""


def _text(svg: ET.Element, text: str, x: float, y: float, room: float, more: dict[str, str] | None = None) -> None:
    """A text, cut where there is no room for it; then the whole of it shows on hovering."""
    text, more = xml_text(text), more or {}
    bold = more.get("font-weight") == "bold"
    element = ET.SubElement(svg, "text", _numbers(x=x, y=y) | more)
    element.text = text
    if text_width(text, _FONT, bold) > room:
        fits = bisect_right(range(len(text)), room, key=lambda length: text_width(text[:length] + "…", _FONT, bold))
        element.text = text[: max(fits - 1, 0)] + "…"
        ET.SubElement(element, "title").text = text


def _picture(svg: ET.Element, uri: str, x: float, y: float, width: float, height: float) -> None:
    ET.SubElement(svg, "image", _numbers(x=x, y=y, width=width, height=height) | {"xlink:href": uri})


def _numbers(**values: float) -> dict[str, str]:
    return {name: f"{value:.1f}" for name, value in values.items()}


def _encode(pictures: Mapping[Key, np.ndarray]) -> dict[Key, str]:
    """Pictures as ``data:`` addresses of JPEG, in the largest size in which all of them fit."""
    for side in _SIDES:
        found = {key: _jpeg_data_uri(picture, side) for key, picture in pictures.items()}
        if sum(map(len, found.values())) <= MAX_BYTES:
            return found
    raise TooLarge(f"{len(pictures)} filmstrips do not fit into 1.5 MB: show fewer clips, methods or networks")


def _jpeg_data_uri(picture: np.ndarray, side: int) -> str:
    image = Image.fromarray(picture)
    if image.height > side:
        image = image.resize((round(image.width * side / image.height), side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # Without subsampling: the thin coloured lines of boxes would blur.
    image.save(buffer, "JPEG", quality=85, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()

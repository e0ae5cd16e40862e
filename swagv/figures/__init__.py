"""Figures as SVG text, the same bytes for the same data: one module a figure."""

from swagv.figures.curves import curves_svg
from swagv.figures.drawing import method_style

__all__ = ["curves_svg", "method_style"]

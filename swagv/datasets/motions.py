"""The classes of the rendered videos."""

MOTIONS = ("horizontal", "vertical", "diagonal", "circle", "spin", "pulse")

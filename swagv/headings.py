"""How scores are called in tables and figures: a name, its unit, and an arrow to where it is better."""

from __future__ import annotations

_NAMES = {
    "deletion_auc": "deletion AUC",
    "insertion_auc": "insertion AUC",
    "joint": "deletion + (1 − insertion)",
    "loc_error_value": "error %, value",
    "loc_error_mean": "error %, mean",
    "loc_error_energy": "error %, energy",
    "loc_error_value_oracle": "value, oracle",
    "loc_error_mean_oracle": "mean, oracle",
    "loc_error_energy_oracle": "energy, oracle",
    "pointing": "pointing, share of clips",
    "pointing_frames": "pointing, share of frames",
    "energy_inside": "energy inside, share",
    "tracking_error": "tracking error, box diagonals",
    "tracking_gain": "tracking gain, box diagonals",
    "frame_deletion_auc": "frame deletion AUC",
    "frame_insertion_auc": "frame insertion AUC",
    "seconds": "seconds, one clip at a time",
    "seconds_best_batch": "seconds, best batch",
}


def heading(metric: str, higher_is_better: bool | None = None) -> str:
    """The words for a score, and an arrow to its better side where that is known.

    Examples
    --------
    >>> heading("insertion_auc", True), heading("loc_error_value", False), heading("my_score")
    ('insertion AUC ↑', 'error %, value ↓', 'my score')
    """
    name = _NAMES.get(metric, metric.replace("_", " "))
    return name if higher_is_better is None else f"{name} {'↑' if higher_is_better else '↓'}"

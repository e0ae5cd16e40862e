"""The control rows of the paper's Table 3, which need no network and no video: only the true boxes.

`python -m benchmarks.table3_controls --annotations FOLDER` with the folder of annot_bmvc.mat, finalAnnots.mat and
testlist01.txt. Errors are those of the best alpha (`oracle_alpha`), which is what the paper's row matches.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from swagv.catalogue import METHODS
from swagv.clips import ClipSelection, Video, clip_id
from swagv.datasets.ucf101_24 import Ucf101_24Dataset
from swagv.geometry import Geometry
from swagv.metrics.localisation import Localisation
from swagv.summary import summarise

CONTROLS = ("centre", "random", "full_frame")
ANNOTATIONS = ("annot_bmvc.mat", "finalAnnots.mat")
INDEXING = ("correct", "off_by_one")
COLUMNS = {"val": "loc_error_value_oracle", "mean": "loc_error_mean_oracle", "energy": "loc_error_energy_oracle"}
PAPER = "The paper, value, mean, energy: centre 87.91 88.26 87.66; random (C3D) 90.51 90.63 90.34; EP-3D 90.70 90.70 –"
SELECTION = ClipSelection(select="every", boxed=True)
FRAME = (240, 320)  # of every video of UCF101


def clips_of(dataset: Ucf101_24Dataset, metric: Localisation) -> Iterator[tuple[str, np.ndarray]]:
    """Id and true boxes (T, 4) in the crop of every clip, from the annotated lengths of the videos."""
    for name in dataset.names():
        boxes = dataset.boxes_of(Video(name, ""), None)
        for start in SELECTION.starts(dataset.num_frames(name), boxes):
            truth = [boxes[index] for index in SELECTION.frames_of(start)]
            yield clip_id(name, start), metric.true_boxes(np.array(truth), Geometry(), FRAME)


def table(
    folder: Path, annotations: tuple[str, ...] = ANNOTATIONS, controls: tuple[str, ...] = CONTROLS
) -> pd.DataFrame:
    """A row for each control, annotation file and indexing rule; errors in percent.

    Parameters
    ----------
    folder
        Of the annotation files and testlist01.txt.
    """
    metric = Localisation()
    shape = (SELECTION.clip_len, Geometry().crop, Geometry().crop)
    truth: dict[str, dict[tuple[str, str], np.ndarray]] = {}  # clip_id -> (annotations, indexing) -> boxes
    for file in annotations:
        for indexing in INDEXING:
            lists = {"annotations": str(folder / file), "split": str(folder / "testlist01.txt")}
            dataset = Ucf101_24Dataset(**lists, indexing=indexing)
            for name, boxes in clips_of(dataset, metric):
                truth.setdefault(name, {})[file, indexing] = boxes
    rows = []
    for control in controls:
        explainer, predicted = METHODS.load(control)(), None
        for name, by_rule in tqdm(truth.items(), desc=control, mininterval=1):
            # Maps of the others are the same for every clip.
            if predicted is None or control == "random":
                predicted = metric.predict(explainer.volume(shape, name))
            rows += [
                {"dataset": "/".join(rule), "model": "", "method": control, "clip_id": name, "status": "ok"}
                | metric.hits(predicted, boxes)
                for rule, boxes in by_rule.items()
            ]
    clips = pd.DataFrame(rows)
    found = pd.DataFrame(summarise(clips, "localisation", resamples=100))
    result = []
    for (control, rule), cell in found.groupby(["method", "dataset"], sort=False):
        file, indexing = rule.split("/")
        mine = clips[(clips.method == control) & (clips.dataset == rule)]
        errors = cell.set_index("metric")["mean"]
        result.append(
            {"row": control, "annotations": file, "indexing": indexing}
            | {column: round(errors[metric_name], 2) for column, metric_name in COLUMNS.items()}
            | {"n_videos": mine.clip_id.str.split("@").str[0].nunique(), "n_clips": len(mine)}
        )
    return pd.DataFrame(result)


def main() -> None:
    """Print the table and write it beside this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "table3_controls.csv")
    given = parser.parse_args()
    found = table(given.annotations)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    found.to_csv(given.out, index=False)
    print(found.to_string(index=False))
    print(PAPER)


if __name__ == "__main__":
    main()

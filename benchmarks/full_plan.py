"""The paper's full run as a plan: how many jobs, how long Snakemake takes to find them, and with how much memory.

`python -m benchmarks.full_plan`. 18,362 Kinetics-400 videos of one clip, 10,704 clips with boxes as of UCF101-24 and
240 videos for its threshold, two networks, thirteen methods, Tables 1 to 4 and Figures 2 to 4. A plan looks at lists
and at the names of files, so that empty ones do. Then what it will cost, of Tables 2 and 3, as `swagv estimate` says.
Linux only.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.measure import parser, write
from swagv.estimate import as_text, estimate

ROOT = Path(__file__).parents[1]
CLIPS = {"kinetics400": 18_362, "ucf101_24": 10_704, "ucf101_24_train": 240}
SHARDS = {"kinetics400": 36, "ucf101_24": 21, "ucf101_24_train": 1}
METHODS = (
    *("centre", "random", "full_frame", "guided_backprop", "grad_cam", "grad_cam_pp", "saliency_tubes"),
    *("ep3d", "rise3d", "swag_i", "swagv_i", "swagv_ig", "swagv_g"),
)
TABLES = ("table1", "table2", "table3", "table4", "figure2", "figure3", "figure4")
# Target -> what is asked for.
PLANS = {"tables 2 and 3": ("all",), "tables 1 to 4, figures 2 to 4": ("all", *TABLES)}


def write_lists(folder: Path, clips: dict[str, int]) -> dict[str, dict]:
    """Lists of videos, each an empty file, and the `datasets` of a configuration that names them."""
    (folder / "videos").mkdir()
    kinetics = folder / "kinetics.csv"
    with kinetics.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        for index in range(clips["kinetics400"]):
            rows.writerow(["abseiling", f"{index:011d}", 0, 10, "val"])
            (folder / "videos" / f"{index:011d}_000000_000010.mp4").touch()
    datasets = {"kinetics400": {"type": "kinetics", "labels": str(kinetics)}}
    for name in ("ucf101_24", "ucf101_24_train"):
        labels, boxes = folder / f"{name}.csv", folder / f"{name}_boxes.csv"
        videos = [f"{name}_{index:05d}" for index in range(clips[name])]
        for video in videos:
            (folder / "videos" / f"{video}.avi").touch()
        with labels.open("w", newline="") as file:
            csv.writer(file).writerows([["path", "label"], *([f"{video}.avi", "Biking"] for video in videos)])
        with boxes.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["video_id", "frame", "x_min", "y_min", "x_max", "y_max"])
            rows.writerows([video, frame, 10, 10, 90, 90] for video in videos for frame in range(16))
        datasets[name] = {"type": "folder", "labels": str(labels), "boxes": str(boxes)}
    for name, dataset in datasets.items():
        dataset |= {"root": str(folder / "videos"), "shards": SHARDS[name]}
    datasets["ucf101_24_train"]["alpha_for"] = "ucf101_24"
    return datasets


def configuration(datasets: dict[str, dict], weights: Path) -> dict:
    """The paper's evaluation of these datasets; a plan does not open the file of the weights."""
    return {
        "datasets": datasets,
        "models": {name: {"weights": str(weights)} for name in ("c3d", "r2plus1d_18_vmz")},
        "methods": {name: {} for name in METHODS},
        "metrics": {"insertion_deletion": {"steps": 28}, "localisation": {}},
    }


def planned(folder: Path, targets: tuple[str, ...]) -> dict[str, float]:
    """Jobs, seconds and MiB of a dry run in `folder`, whose configuration is config.yaml."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--cores", "2", "--directory", str(folder)]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(folder / "config.yaml")]
    start, peak = time.perf_counter(), 0
    with (folder / "plan.txt").open("w") as out:
        process = subprocess.Popen([*command, "--", *targets], stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
            peak = max(peak, int(found[1])) if found else peak
            time.sleep(0.05)
    seconds, said = time.perf_counter() - start, (folder / "plan.txt").read_text()
    jobs = re.search(r"^total\s+(\d+)", said, re.M)
    if process.returncode or not jobs:
        raise RuntimeError(said)
    return {"jobs": int(jobs[1]), "seconds": seconds, "peak_MiB": peak / 1024}


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__)
    options.add_argument("--tflops", type=float, help="peak of a device that is not here, as of `swagv estimate`")
    options.add_argument("--utilisation", type=float, default=0.5, help="share of it that is reached: an assumption")
    options.add_argument("--devices", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "w.safetensors"
        weights.touch()
        config = configuration(write_lists(folder, CLIPS), weights)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        rows = [{"plan": plan} | planned(folder, targets) for plan, targets in PLANS.items()]
        cost = estimate(config, tflops=given.tflops, utilisation=given.utilisation)
    write("full_plan", pd.DataFrame(rows), given.out)
    print(f"\n{as_text(cost, given.devices)}")


if __name__ == "__main__":
    main()

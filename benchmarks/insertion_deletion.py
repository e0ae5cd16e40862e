"""Insertion and deletion: against bare forward passes of the same network, and against loops that others use.

`python -m benchmarks.insertion_deletion [--model r2plus1d_18 …] [--clips 2] [--rounds 2] [--precision …] [--only …]`.
All score the same maps of the same clips, in 28 steps, and are given nothing else:

- **RISE-style loop**: point after point of a game, a batch of all clips, the network as it comes; 58 passes a clip.
- **torchcam**: its DeletionInsertionMetric on all clips, the network as it comes; 56 passes a clip.
- **bare forward passes**: one batch again and again, 56 a clip, of the network made ready.
- **swagv**: `swagv.metrics.insertion_deletion`, 56 passes a clip.
- **swagv job**: the workflow's stage as a process of its own, from starting Python to the finished table. The stage
  before has the scores of intact and blank clips, so it makes 54 passes a clip; `of_bare` is corrected for that.
- **torchcam script**: torchcam as a process of its own, as its users run it: from starting Python to the areas, in the
  environment that the user has rather than the one that the workflow gives its jobs.

`speedup` is over the RISE-style loop, or the first contender of `--only`, and `of_torchcam` over torchcam, of the job
over the script; `of_bare` is a time over that of the bare passes in the same precision. `auc_error` is the difference
from the loop's areas, of the mean over clips and the largest of a clip, over both games; networks without weights in
the package get random ones, whose scores say nothing, and no error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchcam.metrics import DeletionInsertionMetric

from benchmarks.clips import rendered_frames
from benchmarks.measure import interleaved, parser, ratios, write
from swagv.metrics.insertion_deletion import InsertionDeletion, area
from swagv.models.build import build_model
from swagv.models.cards import load_card
from swagv.models.classifier import VideoClassifier
from swagv.models.inference import for_inference
from swagv.runtime import ENVIRONMENT
from swagv.stores import create_store
from swagv.tables import PREDICTIONS, write_table

STEPS = 28
PASSES, JOB_PASSES = 2 * (STEPS - 1) + 2, 2 * (STEPS - 1)
MODELS = ("r2plus1d_18", "c3d", "r2plus1d_demo", "c3d_demo")
LOOP, SCRIPT = "RISE-style loop", "torchcam script"
_JOB = """
import json, sys
from pathlib import Path
from swagv.stages.insertion_deletion import insertion_deletion
folder, spec, runtime = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
key = {"dataset": "d", "model": "m", "method": "x", "shard": "0000"}
insertion_deletion(*(folder / name for name in ("clips", "predictions", "maps", "out")), key, spec, runtime)
"""
_SCRIPT = """
import sys
import torch
from benchmarks.insertion_deletion import torchcam
from swagv.models.build import build_model
clips, attribution, target = torch.load(sys.argv[1], weights_only=True).values()
torch.set_num_threads(int(sys.argv[4]))
model = build_model(sys.argv[2], sys.argv[3] or None, channels_last=False).to(clips.device)
torchcam(model, clips, attribution, target, int(sys.argv[5]))
"""


def rise_loop(model: VideoClassifier, clips: Tensor, attribution: Tensor, target: Tensor) -> np.ndarray:
    """Deletion and insertion areas (clips, 2): a set of voxels after another, all clips at once."""
    order = torch.sort(attribution.flatten(1), dim=1, descending=True, stable=True).indices
    curves = torch.empty(len(clips), 2, STEPS + 1)
    blank = torch.zeros_like(clips)
    with torch.inference_mode():
        for game, (start, end) in enumerate([(clips, blank), (blank, clips)]):
            shown, end = start.flatten(2).clone(), end.flatten(2)
            for step in range(STEPS + 1):
                scores = model.network(shown.view(clips.shape)).softmax(1)
                curves[:, game, step] = scores.gather(1, target[:, None])[:, 0].cpu()
                low, high = (at * order.shape[1] // STEPS for at in (step, step + 1))
                chosen = order[:, low:high][:, None].expand(-1, clips.shape[1], -1)
                shown.scatter_(2, chosen, end.gather(2, chosen))
    return area(curves).numpy()


class KnownMap:
    """What torchcam's metric asks for its map, for a map that is known: no method's time is in the measurement."""

    def __init__(self, model: VideoClassifier, attribution: Tensor):
        self.model, self._attribution = model, attribution

    def __call__(self, *_: object, **__: object) -> list[Tensor]:
        return [self._attribution]

    def fuse_cams(self, maps: list[Tensor]) -> Tensor:
        return maps[0]

    @contextmanager
    def _hooks_off(self):
        yield


def torchcam(model: VideoClassifier, clips: Tensor, attribution: Tensor, target: Tensor, batch_size: int) -> np.ndarray:
    """Areas (1, 2), which are means over the clips: torchcam keeps no others."""
    metric = DeletionInsertionMetric(
        KnownMap(model, attribution), lambda logits: logits.softmax(-1), steps=STEPS, batch_size=batch_size
    )
    metric.update(clips, class_idx=target.tolist())
    found = metric.summary()
    return np.array([[found["deletion_auc"], found["insertion_auc"]]])


def bare(ready: VideoClassifier, batch: Tensor, passes: int) -> None:
    """So many forward passes of a batch, and their scores on the host."""
    with torch.inference_mode():
        scores = [ready(batch[: passes - start]).softmax(1) for start in range(0, passes, len(batch))]
        torch.cat(scores).cpu()


def swagv(ready: VideoClassifier, clips: Tensor, attribution: Tensor, target: Tensor, batch_size: int) -> np.ndarray:
    """Areas (clips, 2)."""
    found = InsertionDeletion(STEPS, precision=ready.precision)(
        ready, clips, attribution, target, batch_size=batch_size
    )
    return torch.stack([found["deletion_auc"], found["insertion_auc"]], 1).numpy()


def write_shard(folder: Path, frames: np.ndarray, attribution: Tensor, target: Tensor) -> None:
    """What the workflow's stage reads."""
    names = [f"v{index}@000000" for index in range(len(frames))]
    for name, key, rows, dtype in (
        ("clips", "frames", frames, "uint8"),
        ("maps", "attribution", attribution.cpu().numpy(), "float32"),
    ):
        with create_store(folder / name, names, {}) as store:
            store.write(key, rows, dtype)
    known = {"status": "ok", "p_target": 0.5, "p_blank": 0.1}
    rows = [known | {"clip_id": name, "target": int(label)} for name, label in zip(names, target, strict=True)]
    write_table(folder / "predictions", rows, PREDICTIONS, {})


def job(folder: Path, name: str, weights: str | None, batch_size: int, device: str) -> None:
    """The workflow's stage on `write_shard`'s folder."""
    spec = {"model": {"card": name, "weights": weights, "settings": {}}, "metric": {"steps": STEPS}}
    runtime = {"device": device, "threads": torch.get_num_threads(), "batch_size": batch_size}
    command = [sys.executable, "-c", _JOB, str(folder), json.dumps(spec), json.dumps(runtime)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def script(saved: Path, name: str, weights: str | None, batch_size: int) -> None:
    """`torchcam` on what is `saved`, without the settings that the workflow gives its jobs."""
    environment = {key: value for key, value in os.environ.items() if key not in ENVIRONMENT}
    arguments = (saved, name, weights or "", torch.get_num_threads(), batch_size)
    subprocess.run([sys.executable, "-c", _SCRIPT, *map(str, arguments)], check=True, env=environment)


def table(
    name: str, clips: int, batch_size: int, rounds: int, device: str, precisions: Sequence[str], only: Sequence[str]
) -> pd.DataFrame:
    """A row a contender; of those in whose names is one of `only`."""
    weights = "default" if load_card(name).weights else None
    torch.manual_seed(0)
    # As it comes: in PyTorch's usual memory format.
    plain = build_model(name, weights, channels_last=False).to(device)
    model = build_model(name, weights).to(device)
    model.load_state_dict(plain.state_dict())
    model.network.to(memory_format=model.memory_format)
    frames = rendered_frames(clips)
    inputs = model.preprocess(frames)
    with torch.no_grad():
        target = model(inputs).argmax(1)
    # No two voxels are alike: methods that order equal ones otherwise have the same areas.
    attribution = torch.randn(clips, *inputs.shape[2:], generator=torch.Generator().manual_seed(0)).to(device)
    attribution += inputs.abs().amax(1)
    given = (attribution, target)
    batch = inputs.repeat(-(-batch_size // clips), 1, 1, 1, 1)[:batch_size]
    batch = batch.contiguous(memory_format=model.memory_format)
    contiguous = inputs.contiguous()
    made: dict[str, Callable[[], np.ndarray | None]] = {
        LOOP: partial(rise_loop, plain, contiguous, *given),
        "torchcam": partial(torchcam, plain, contiguous, *given, batch_size),
    }
    with torch.inference_mode():  # the shapes that each will see
        plain(contiguous)
        plain(batch.contiguous())
    for precision in precisions:
        ready = for_inference(model, precision)
        bare(ready, batch, 2 * batch_size)
        made[f"bare forward passes, {precision}"] = partial(bare, ready, batch, PASSES * clips)
        made[f"swagv, {precision}"] = partial(swagv, ready, inputs, *given, batch_size)
    areas: dict[str, np.ndarray | None] = {}

    def kept(contender: str) -> Callable[[], None]:
        return lambda: areas.update({contender: made[contender]()})

    with tempfile.TemporaryDirectory() as folder:
        write_shard(Path(folder), frames, *given)
        saved = Path(folder) / "clips.pt"
        torch.save({"clips": contiguous, "attribution": attribution, "target": target}, saved)
        made[SCRIPT] = partial(script, saved, name, weights, batch_size)
        made["swagv job, fp32"] = partial(job, Path(folder), name, weights, batch_size, device)
        calls = {name: kept(name) for name in made if any(part in name for part in only)}
        if not calls:
            raise SystemExit(f"--only {' '.join(only)}: none of {', '.join(made)}")
        seconds = interleaved(calls, rounds, warm_up=False)
    found = ratios(seconds, next(iter(seconds))).set_index("contender")
    found.insert(1, "seconds_a_clip", found["seconds"] / clips)
    for contender in seconds:
        rival = SCRIPT if "job" in contender else "torchcam"
        if rival in seconds:
            found.loc[contender, "of_torchcam"] = np.median(seconds[rival] / seconds[contender])
        passes = f"bare forward passes, {contender.rpartition(', ')[2]}"
        if contender.startswith("swagv") and passes in seconds:
            part = JOB_PASSES / PASSES if "job" in contender else 1
            found.loc[contender, "of_bare"] = np.median(seconds[contender] / (seconds[passes] * part))
        if areas[contender] is not None and weights and LOOP in seconds:
            found.loc[contender, "auc_error"] = np.abs(areas[contender].mean(0) - areas[LOOP].mean(0)).max()
            if len(areas[contender]) == clips:
                found.loc[contender, "auc_error_of_a_clip"] = np.abs(areas[contender] - areas[LOOP]).max()
    found = found.reset_index()
    found.insert(0, "model", name)
    return found.assign(clips=clips, batch_size=batch_size)


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__, "rounds", "device")
    options.add_argument("--model", nargs="+", default=list(MODELS))
    options.add_argument("--clips", type=int, default=2)
    options.add_argument("--batch-size", type=int, default=8)
    options.add_argument(
        "--precision", nargs="+", help="fp32 is always among them; all that the device has if left out"
    )
    options.add_argument("--only", nargs="+", default=[""], help="contenders with one of these in their names")
    given = options.parse_args()
    torch.set_num_threads(max(torch.get_num_threads(), 2))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # of the networks as they come
    known = ("fp32", "bf16") if given.device == "cpu" else ("fp32", "tf32", "bf16")
    precisions = [name for name in known if name == "fp32" or name in (given.precision or known)]
    settings = (given.clips, given.batch_size, given.rounds, given.device, precisions, given.only)
    parts = [table(name, *settings) for name in given.model]
    write(f"insertion_deletion_{given.device}", pd.concat(parts), given.out)


if __name__ == "__main__":
    main()

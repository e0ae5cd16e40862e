"""Insertion and deletion: against bare forward passes of the same network, and against loops that others use.

`python -m benchmarks.insertion_deletion [--model r2plus1d_18 …] [--clips 2] [--rounds 3]`. Networks without weights of
their own in the package are given random ones, which take as long.

- **torchcam**: its DeletionInsertionMetric, the network as it comes, batches of the same size.
- **RISE-style loop**: point after point, all clips in one batch, the network as it comes.
- **bare forward passes**: of one batch again and again, as many as the curves need, of the network made ready.
- **swagv**: `swagv.metrics.insertion_deletion`, everything that it does to clips and attributions included.

All score the same attribution, Grad-CAM's. `of_bare` is a time over that of the bare passes in the same precision;
`speedup` is over the RISE-style loop, `of_torchcam` the same over torchcam; `auc_error` is the difference from that
loop's areas, of the mean over clips and the largest of one clip, over both games.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch
import torchcam.metrics
from torch import Tensor
from torchcam.methods import GradCAM
from torchcam.metrics import DeletionInsertionMetric

from benchmarks.clips import rendered_frames
from benchmarks.measure import interleaved, parser, ratios, write
from swagv.metrics.insertion_deletion import InsertionDeletion, area
from swagv.models.build import build_model
from swagv.models.cards import load_card
from swagv.models.classifier import VideoClassifier
from swagv.models.inference import for_inference

STEPS = 28
MODELS = ("r2plus1d_18", "c3d", "r2plus1d_demo", "c3d_demo")


def rise_loop(model: VideoClassifier, clips: Tensor, attribution: Tensor, target: Tensor) -> np.ndarray:
    """Deletion and insertion areas (clips, 2): a voxel set after another, all clips at once."""
    order = torch.sort(attribution.flatten(1), dim=1, descending=True, stable=True).indices
    curves = torch.empty(len(clips), 2, STEPS + 1)
    with torch.inference_mode():
        for game, (start, end) in enumerate([(clips, torch.zeros_like(clips)), (torch.zeros_like(clips), clips)]):
            shown, end = start.flatten(2).clone(), end.flatten(2)
            for step in range(STEPS + 1):
                scores = model.network(shown.view(clips.shape)).softmax(1)
                curves[:, game, step] = scores.gather(1, target[:, None])[:, 0].cpu()
                low, high = (at * order.shape[1] // STEPS for at in (step, step + 1))
                chosen = order[:, low:high][:, None].expand(-1, clips.shape[1], -1)
                shown.scatter_(2, chosen, end.gather(2, chosen))
    return area(curves).numpy()


def grad_cam(model: VideoClassifier, clip: Tensor, target: int) -> Tensor:
    """torchcam's map (1,T,H,W) of one clip, as its metric ranks it."""
    with GradCAM(model, f"network.{model.cam_layer}", input_shape=tuple(clip.shape[1:])) as extractor:
        low = extractor(target, model(clip).softmax(-1))[0]
    return torchcam.metrics._resize_cam(low, tuple(clip.shape[2:])).detach().view(1, *clip.shape[2:])


def contenders(
    name: str, clips: int, batch_size: int, device: str
) -> tuple[dict[str, Callable[[], np.ndarray | None]], int]:
    """What takes turns, each giving areas (clips, 2) or nothing; and how many forward passes the curves need."""
    weights = "default" if load_card(name).weights else None
    torch.manual_seed(0)
    # As it comes: in PyTorch's usual memory format.
    plain = build_model(name, weights, channels_last=False).to(device)
    model = build_model(name, weights).to(device)
    model.load_state_dict(plain.state_dict())
    model.network.to(memory_format=model.memory_format)
    inputs = model.preprocess(rendered_frames(clips))
    contiguous = inputs.contiguous()
    with torch.inference_mode():
        target = model(inputs).argmax(1).clone()
    maps = [grad_cam(plain, one[None], int(label)) for one, label in zip(contiguous, target, strict=True)]
    attribution = torch.cat(maps)
    passes = 2 * (STEPS - 1) * clips
    batch = inputs.repeat(-(-batch_size // clips), 1, 1, 1, 1)[:batch_size].contiguous(
        memory_format=model.memory_format
    )

    def torchcam_metric() -> np.ndarray:
        areas = []
        for one, label in zip(contiguous, target.tolist(), strict=True):
            with GradCAM(plain, f"network.{plain.cam_layer}", input_shape=tuple(inputs.shape[1:])) as extractor:
                metric = DeletionInsertionMetric(
                    extractor, lambda logits: logits.softmax(-1), steps=STEPS, batch_size=batch_size
                )
                metric.update(one[None], class_idx=label)
            found = metric.summary()
            areas.append([found["deletion_auc"], found["insertion_auc"]])
        return np.array(areas)

    def bare(ready: VideoClassifier) -> None:
        with torch.inference_mode():
            for start in range(0, passes, batch_size):
                ready(batch[: passes - start]).softmax(1).cpu()

    def swagv(ready: VideoClassifier, precision: str) -> np.ndarray:
        metric = InsertionDeletion(STEPS, precision=precision)
        known = {"p_intact": intact, "p_blank": blank}  # by the stage before, as in the workflow
        found = metric(ready, inputs, attribution, target, batch_size=batch_size, **known)
        return torch.stack([found["deletion_auc"], found["insertion_auc"]], 1).numpy()

    made = {
        "RISE-style loop": partial(rise_loop, plain, contiguous, attribution, target),
        "torchcam": torchcam_metric,
    }
    precisions = ("fp32", "bf16") if device == "cpu" else ("fp32", "tf32", "bf16")
    for precision in precisions:
        ready = for_inference(model, precision)
        with torch.inference_mode():
            ready(batch)
            if precision == "fp32":
                ends = [ready(some).softmax(1).gather(1, target[:, None])[:, 0] for some in (inputs, inputs * 0)]
                intact, blank = ends
        made[f"bare forward passes, {precision}"] = partial(bare, ready)
        made[f"swagv, {precision}"] = partial(swagv, ready, precision)
    with torch.inference_mode():
        plain.network(contiguous)
    return made, passes


def table(name: str, clips: int, batch_size: int, rounds: int, device: str) -> pd.DataFrame:
    """A row a contender."""
    made, passes = contenders(name, clips, batch_size, device)
    areas: dict[str, np.ndarray | None] = {}

    def kept(contender: str) -> Callable[[], None]:
        return lambda: areas.update({contender: made[contender]()})

    seconds = interleaved({contender: kept(contender) for contender in made}, rounds, warm_up=False)
    found = ratios(seconds, "RISE-style loop").set_index("contender")
    for contender in made:
        precision = contender.rpartition(", ")[2]
        bare = f"bare forward passes, {precision}"
        found.loc[contender, "of_torchcam"] = np.median(seconds["torchcam"] / seconds[contender])
        if contender.startswith("swagv"):
            found.loc[contender, "of_bare"] = np.median(seconds[contender] / seconds[bare])
        if areas[contender] is not None:
            error = areas[contender] - areas["RISE-style loop"]
            found.loc[contender, "auc_error"] = np.abs(error.mean(0)).max()
            found.loc[contender, "auc_error_of_a_clip"] = np.abs(error).max()
    found.insert(0, "model", name)
    found.insert(2, "ms_a_pass", found["seconds"] / passes * 1e3)
    return found.reset_index().assign(clips=clips, batch_size=batch_size, passes=passes)


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__)
    options.add_argument("--model", nargs="+", default=list(MODELS))
    options.add_argument("--clips", type=int, default=2)
    options.add_argument("--batch-size", type=int, default=8)
    given = options.parse_args()
    torch.set_num_threads(max(torch.get_num_threads(), 2))
    parts = [table(name, given.clips, given.batch_size, given.rounds, given.device) for name in given.model]
    write(f"insertion_deletion_{given.device}", pd.concat(parts), given.out)


if __name__ == "__main__":
    main()

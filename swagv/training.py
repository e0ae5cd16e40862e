"""Train the demo networks on rendered videos: `swagv train r2plus1d_demo`."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from swagv.datasets.rendering import MOTIONS, render_video, write_video
from swagv.decode import read_frames
from swagv.errors import ConfigError
from swagv.geometry import Geometry
from swagv.models.build import build_model
from swagv.models.classifier import VideoClassifier

logger = logging.getLogger(__name__)

TRAINING_SEED, HELD_OUT_SEED = 10_000_000, 20_000_000


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides the trained weights.

    Parameters
    ----------
    videos
        Number of rendered training videos, seeds ``TRAINING_SEED`` upwards, classes in turn.
    epochs, batch_size, learning_rate, weight_decay
        Of AdamW under a one-cycle schedule.
    seed
        Of initialisation, shuffling and augmentation.
    """

    videos: int = 2400
    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 4e-3
    weight_decay: float = 0.02
    seed: int = 0


def train(model_name: str, out: Path, recipe: TrainingRecipe | None = None, held_out_videos: int = 300) -> float:
    """Train a demo network from scratch and save it with its recipe and held-out accuracy in the file's metadata.

    Parameters
    ----------
    model_name
        A registered model whose categories are the rendered motions.
    out
        The safetensors file to write.
    held_out_videos
        Rendered from other seeds, encoded as H.264 and decoded like any video before they are classified.

    Returns
    -------
    float
        Top-1 accuracy on the held-out videos, in [0, 1].
    """
    recipe = recipe or TrainingRecipe()
    torch.manual_seed(recipe.seed)
    model = build_model(model_name, weights=None)
    if model.categories != MOTIONS:
        raise ConfigError(
            f"{model_name!r} names {len(model.categories)} categories; only demo networks are trained here"
        )
    frames, labels = _render_set(TRAINING_SEED, recipe.videos)
    _fit(model, frames, labels, recipe)
    model.eval()
    out.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().contiguous() for name, value in model.network.state_dict().items()}
    metadata = {"model": model_name, "recipe": json.dumps(asdict(recipe), sort_keys=True)}
    save_file(weights, out, metadata)
    accuracy = held_out_accuracy(model, held_out_videos)
    save_file(
        weights, out, metadata | {"held_out_accuracy": f"{accuracy:.4f}", "held_out_videos": str(held_out_videos)}
    )
    return accuracy


def held_out_accuracy(model: VideoClassifier, videos: int, seed: int = HELD_OUT_SEED) -> float:
    """Top-1 accuracy on videos rendered from `seed` upwards, written as H.264 and read back."""
    with torch.inference_mode():
        correct = sum(
            int(model(model.preprocess(frames[None])).argmax(1).item() == label)
            for frames, label in held_out_clips(videos, seed)
        )
    return correct / videos


def held_out_clips(videos: int, seed: int) -> Iterator[tuple[np.ndarray, int]]:
    """Frames and labels of the videos of `held_out_accuracy`."""
    with tempfile.TemporaryDirectory() as folder:
        for index in tqdm(range(videos), desc="held-out"):
            label, path = index % len(MOTIONS), Path(folder) / "video.mp4"
            write_video(path, render_video(label, seed + index).frames)
            yield read_frames(path, range(16), Geometry()).frames, label


def _render_clip(seed: int) -> np.ndarray:
    return Geometry().frames(render_video(seed % len(MOTIONS), seed, num_frames=16).frames)


def _render_set(seed: int, videos: int) -> tuple[np.ndarray, Tensor]:
    first = seed - seed % len(MOTIONS)
    seeds = range(first, first + videos)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        clips = list(tqdm(pool.map(_render_clip, seeds, chunksize=16), total=videos, desc="render"))
    return np.stack(clips), torch.tensor([value % len(MOTIONS) for value in seeds])


def _fit(model: VideoClassifier, frames: np.ndarray, labels: Tensor, recipe: TrainingRecipe) -> None:
    batches = len(frames) // recipe.batch_size
    optimiser = torch.optim.AdamW(model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * batches, pct_start=0.25
    )
    rng = np.random.default_rng(recipe.seed)
    model.train()
    for epoch in range(recipe.epochs):
        order, correct, loss_sum = rng.permutation(len(frames)), 0, 0.0
        for batch in tqdm(
            np.array_split(order[: batches * recipe.batch_size], batches), desc=f"epoch {epoch}", leave=False
        ):
            clips, target = _augment(frames[batch], rng), labels[batch]
            optimiser.zero_grad()
            logits = model(model.preprocess(clips))
            loss = torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.05)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            correct += int((logits.argmax(1) == target).sum())
            loss_sum += float(loss)
        logger.info(
            "epoch %d: loss %.3f, training accuracy %.3f",
            epoch,
            loss_sum / batches,
            correct / (batches * recipe.batch_size),
        )


def _augment(clips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror in x, y and time and permute colours, each clip on its own: no motion changes its class by these."""
    out = np.empty_like(clips)
    for index, clip in enumerate(clips):
        for axis in (0, 1, 2):
            if rng.uniform() < 0.5:
                clip = np.flip(clip, axis)
        out[index] = clip[..., rng.permutation(3)]
    return out

"""A video network together with what must be known to use and to explain it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from swagv.errors import ConfigError, NotApplicable
from swagv.geometry import Geometry


class VideoClassifier(nn.Module):
    """A network and its preprocessing, categories and layer names.

    Parameters
    ----------
    network
        Maps N,3,T,H,W float to logits N,K (before the softmax).
    categories
        The K class names, in the order of the logits. Where none are given, the first logits name them "0", "1", ….
    geometry
        Resize and crop of the frames.
    clip_len
        T, frames a clip.
    mean, std, bgr, cam_layer, head, channels_last
        As on a `swagv.models.cards.ModelCard`.
    reshape
        Makes a map N,K,t,h,w of what a layer gives, where that is something else; None where it is one.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        categories: tuple[str, ...],
        geometry: Geometry,
        clip_len: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        bgr: bool = False,
        cam_layer: str = "",
        head: str = "",
        reshape: Callable[[Tensor], Tensor] | None = None,
        channels_last: bool = False,
    ):
        super().__init__()
        self.network = network
        self.categories = tuple(categories)
        self.geometry = geometry
        self.clip_len = clip_len
        self.cam_layer = cam_layer
        self.head = head
        self.reshape = reshape
        self.bgr = bgr
        self.precision: str | None = None  # of forward passes, where `swagv.models.inference.for_inference` chose it
        self.memory_format = torch.channels_last_3d if channels_last else torch.contiguous_format
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1, 1), persistent=False)

    @property
    def crop(self) -> int:
        """Side of the square input, in pixels."""
        return self.geometry.crop

    def forward(self, clips: Tensor) -> Tensor:
        """Logits N,K of preprocessed clips N,3,T,H,W.

        Raises
        ------
        ConfigError
            If the network gives something else.
        """
        with self._in_its_precision():
            logits = self.network(clips.contiguous(memory_format=self.memory_format))
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ConfigError(f"{type(self.network).__name__} gives {given}; logits N,K are needed")
        if self.categories and len(self.categories) != logits.shape[1]:
            raise ConfigError(
                f"{type(self.network).__name__} gives {logits.shape[1]} logits; there are {len(self.categories)} "
                "categories. Set `categories` to the names of its classes, in their order"
            )
        if not self.categories:
            self.categories = tuple(str(index) for index in range(logits.shape[1]))
        return logits.float() if self.precision == "bf16" else logits

    def _in_its_precision(self) -> AbstractContextManager:
        device = self.mean.device.type
        if self.precision == "bf16":
            return torch.autocast(device, torch.bfloat16)
        if self.precision is not None and device == "cuda":
            return _tf32(self.precision == "tf32")
        return nullcontext()

    def preprocess(self, frames: np.ndarray) -> Tensor:
        """Normalised clips N,3,T,crop,crop float32 of frames N,T,H,W,3 uint8.

        Frames of the network's own size are only normalised; others are resized and cropped first.

        Raises
        ------
        ValueError
            If `frames` has another rank, dtype or number of frames.
        """
        if frames.ndim != 5 or frames.dtype != np.uint8 or frames.shape[-1] != 3:
            raise ValueError(f"frames must be uint8 N,T,H,W,3; got {frames.dtype} {frames.shape}")
        if frames.shape[1] != self.clip_len:
            raise ValueError(f"this network takes {self.clip_len} frames a clip; got {frames.shape[1]}")
        if frames.shape[2:4] != (self.crop, self.crop):
            frames = self.geometry.frames(frames)
        clips = torch.from_numpy(np.ascontiguousarray(frames)).to(self.mean.device)
        clips = clips.permute(0, 4, 1, 2, 3).float() / 255
        return ((clips.flip(1) if self.bgr else clips) - self.mean) / self.std

    def frames(self, clips: Tensor) -> np.ndarray:
        """The inverse of `preprocess`: frames N,T,H,W,3 uint8 RGB of preprocessed clips N,3,T,H,W."""
        clips = clips * self.std + self.mean
        clips = ((clips.flip(1) if self.bgr else clips) * 255).round().clamp(0, 255).byte()
        return clips.permute(0, 2, 3, 4, 1).cpu().numpy()

    def layer(self, name: str) -> nn.Module:
        """The submodule of the network with this dotted name.

        Raises
        ------
        NotApplicable
            If there is none; the message lists the top-level names.
        """
        try:
            return self.network.get_submodule(name)
        except AttributeError:
            names = ", ".join(name for name, _ in self.network.named_children())
            raise NotApplicable(f"the network has no layer {name!r}; its layers are {names}") from None


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Whether a GPU may round the factors of float32 products to 10 bits, as PyTorch lets it in convolutions."""
    if hasattr(torch.backends.cudnn, "conv"):  # from PyTorch 2.9; the old names must not be read once these are set
        name, value, backends = "fp32_precision", "tf32" if allowed else "ieee", (torch.backends.cudnn.conv,)
    else:
        name, value, backends = "allow_tf32", allowed, (torch.backends.cudnn,)
    backends = (*backends, torch.backends.cuda.matmul)
    before = [getattr(backend, name) for backend in backends]
    try:
        for backend in backends:
            setattr(backend, name, value)
        yield
    finally:
        for backend, old in zip(backends, before, strict=True):
            setattr(backend, name, old)

"""Stores of explanations: each map is kept as what it is, and expanded to T,H,W where it is read.

The attribute `layout` of a store says how:

dense
    ``attribution`` (n,T,H,W) float32; of any method that is none of the others.
layer
    ``layer_map`` (n,t,h,w) float32 at the resolution of a network's layer, upsampled on a CPU.
supervoxels
    ``scores`` (n,S) float32, one a supervoxel; the labels are in the store of the supervoxels.
pixels
    Nothing: the store of the gradients has the maps.
control
    Nothing: a control is drawn again from the clip's id.

A store that another one refers to is named by its path from there, and by the digests of its arrays.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from swagv.errors import SwagvError
from swagv.methods.controls import Control
from swagv.registry import load_object
from swagv.stores import check_codecs, open_store

LAYOUTS = ("dense", "layer", "supervoxels", "pixels", "control")


class Explanations:
    """The maps of a store, by the number of the clip.

    Attributes
    ----------
    store
        The zarr group, with its `status` and `clip_ids`.

    Raises
    ------
    SwagvError
        If there is no finished store, or one that it refers to is not there or was made anew with other contents.
    """

    def __init__(self, path: Path | str):
        self.store = open_store(path)
        self._layout = self.store.attrs.get("layout", "dense")
        if self._layout not in LAYOUTS:
            raise SwagvError(f"{path}: no layout {self._layout!r}. It was written by another version of swagv")
        self._of = _referred(Path(path), self.store) if "of" in self.store.attrs else None

    def __getitem__(self, index: int) -> np.ndarray:
        """Attribution (T,H,W) float32 of a clip, as the method gave it.

        Raises
        ------
        SwagvError
            If the clip has none: its status is not ok.
        """
        status = self.store.attrs["status"][index]
        if status != "ok":
            raise SwagvError(f"clip {self.store.attrs['clip_ids'][index]} has no explanation: {status}")
        return {
            "dense": lambda: self.store["attribution"][index],
            "layer": lambda: self._upsampled(index),
            "supervoxels": lambda: self.store["scores"][index][self._of["labels"][index]],
            "pixels": lambda: self._of["attribution"][index],
            "control": lambda: self._control.volume(
                tuple(self.store.attrs["shape"]), self.store.attrs["clip_ids"][index]
            ),
        }[self._layout]()

    @cached_property
    def _control(self) -> Control:
        named = self.store.attrs["spec"]["method"]
        made = load_object(named["object"])
        if not (isinstance(made, type) and issubclass(made, Control)):  # before it is called: a file names it
            raise SwagvError(f"{self.store.store}: {named['object']} is no control")
        return made(**named["settings"])

    def rows(self, indices: Sequence[int]) -> np.ndarray:
        """Attributions (n,T,H,W) of several clips."""
        return np.stack([self[index] for index in indices])

    def _upsampled(self, index: int) -> np.ndarray:
        import torch

        from swagv.upsampling import upsample

        low = torch.from_numpy(self.store["layer_map"][index][None])
        return upsample(low, tuple(self.store.attrs["shape"]), self.store.attrs["upsampling"])[0].numpy()


def _referred(path: Path, group: zarr.Group) -> zarr.Group:
    of, results = group.attrs["of"], path.absolute().parents[3]  # DATASET/MODEL/explanations/METHOD/SHARD.zarr
    where = Path(os.path.normpath(path.absolute().parent / of["path"]))
    if not where.is_relative_to(results):
        raise SwagvError(f"{path} refers to {of['path']}, which is not in {results}")
    found = open_store(where)
    for name in ("attribution", "labels"):  # of which one is read
        if name in found:
            check_codecs(f"{where}/{name}", found[name])
    same_clips = found.attrs["clip_ids"] == group.attrs["clip_ids"]
    if not same_clips or found.attrs.get("digests") != of["digests"]:
        raise SwagvError(f"{path} was made from other contents of {of['path']}. Run the workflow again")
    return found

"""From the resolution of a layer to that of the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

UPSAMPLINGS = ("trilinear", "scipy_cubic")


def upsample(maps: Tensor, size: tuple[int, ...], how: str = "trilinear") -> Tensor:
    """Maps N,t,h,w to N,T,H,W float32; `how` as in `swagv.methods.layer_maps.LayerMap`."""
    import numpy as np
    import torch
    from scipy import ndimage

    maps = maps.float()
    if how == "trilinear":
        return torch.nn.functional.interpolate(maps[:, None], size=size, mode="trilinear", align_corners=False)[:, 0]
    zoom = [new / old for new, old in zip(size, maps.shape[1:], strict=True)]
    return torch.from_numpy(np.stack([ndimage.zoom(one, zoom, order=3) for one in maps.cpu().numpy()])).to(maps.device)

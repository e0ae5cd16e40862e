"""Winograd's convolution against PyTorch's: the layers of R(2+1)D-18 and C3D that swagv computes so.

`python -m benchmarks.winograd [--clips 8] [--rounds 5]`. `error` is the largest difference over the largest output.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn

from benchmarks.measure import interleaved, parser, ratios, write
from swagv.models.winograd import WinogradConv3d

# Frames of a kernel, channels in and out, frames and side of the feature maps.
LAYERS = {
    "r2plus1d_18": ((1, 64, 144, 16, 56), (1, 128, 230, 8, 28), (1, 128, 288, 8, 28), (1, 256, 576, 4, 14)),
    "c3d": ((3, 64, 128, 16, 56), (3, 128, 256, 8, 28), (3, 256, 256, 8, 28), (3, 512, 512, 4, 14)),
}


@torch.inference_mode()
def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__, "rounds")
    options.add_argument("--clips", type=int, default=8)
    given = options.parse_args()
    torch.manual_seed(0)
    parts = []
    for model, layers in LAYERS.items():
        for taps, channels, out_channels, frames, side in layers:
            clips = torch.randn(given.clips, channels, frames, side, side).to(memory_format=torch.channels_last_3d)
            layer = nn.Conv3d(channels, out_channels, (taps, 3, 3), padding=(taps // 2, 1, 1))
            layer.to(memory_format=torch.channels_last_3d)
            winograd = WinogradConv3d(layer)
            expected = layer(clips)
            error = (winograd(clips) - expected).abs().max() / expected.abs().max()
            contenders = {
                "PyTorch": lambda layer=layer, clips=clips: layer(clips),
                "Winograd": lambda layer=winograd, clips=clips: layer(clips),
            }
            found = ratios(interleaved(contenders, given.rounds), "PyTorch").assign(clips=given.clips)
            found.loc[1, "error"] = float(error)
            found.insert(0, "layer", f"{taps}x3x3, {channels} to {out_channels} channels, {frames}x{side}x{side}")
            found.insert(0, "model", model)
            parts.append(found)
    write("winograd", pd.concat(parts), given.out)


if __name__ == "__main__":
    main()

"""From what a layer of a transformer gives to a map N,K,t,h,w: the functions that a card's `reshape` names.

One of your own is any function of the layer's output, as pytorch-grad-cam's `reshape_transform`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def channels_last(output: Tensor) -> Tensor:
    """N,t,h,w,K, as the layers of a Video Swin Transformer give it (Liu et al., CVPR 2022), to N,K,t,h,w."""
    return output.movedim(-1, 1)


def mvit_tokens(output: Tensor) -> Tensor:
    """Tokens N,1+t*h*w,K of a Multiscale Vision Transformer (Fan et al., ICCV 2021) to N,K,t,h,w.

    The first token is the class's and has no place. Of 16 frames t is 8 in every layer; h and w are equal.

    Raises
    ------
    ValueError
        If there are not 1 + 8 * h * h tokens.
    """
    tokens = output[:, 1:]
    side = round((tokens.shape[1] / 8) ** 0.5)
    if 8 * side * side != tokens.shape[1]:
        raise ValueError(f"{output.shape[1]} tokens are not 1 + 8 * h * h of a class and a grid of 8 frames")
    return tokens.unflatten(1, (8, side, side)).movedim(-1, 1)

"""A network of a user's own, as `type: tests.models.own_network:small` names it."""

import torch
from torch import nn


class Small(nn.Module):
    """Mean colour of a clip N,3,T,H,W, then one linear layer."""

    def __init__(self, classes: int = 5):
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3, 4)))


def small(classes: int = 5) -> nn.Module:
    """With weights of its own: every one 0.5."""
    network = Small(classes)
    nn.init.constant_(network.head.weight, 0.5)
    return network


def no_network() -> int:
    """Not a factory of a network."""
    return 3


def wrong_rank() -> nn.Module:
    """Gives back its input."""
    return nn.Identity()

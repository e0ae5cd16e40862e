"""Video networks and weights of torchvision, as they are."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from swagv.errors import ConfigError
from swagv.models.numpy_pickle import DAMAGE
from swagv.models.torchvision_import import import_torchvision
from swagv.registry import did_you_mean


def network(name: str, num_classes: int = 400, **arguments: Any) -> nn.Module:
    """A video network of torchvision with fresh weights, by torchvision's name: ``r3d_18``, ``mc3_18``, ``s3d``.

    Input N,3,T,H,W; output logits N,num_classes.

    Raises
    ------
    ValueError
        If torchvision has no video network of this name.
    """
    models = import_torchvision().models
    known = models.list_models(module=models.video)
    if name not in known:
        raise ValueError(f"torchvision has no video network {name!r}.{did_you_mean(name, known)}")
    return models.get_model(name, weights=None, num_classes=num_classes, **arguments)


def fetch_state_dict(name: str) -> dict[str, Tensor]:
    """Weights ``"Enum.MEMBER"``, downloaded once by torchvision, which checks their hash.

    Raises
    ------
    ConfigError
        If torchvision has no such weights, or they can neither be found in its cache nor downloaded whole.
    """
    models = import_torchvision().models
    enum, _, member = name.partition(".")
    try:
        weights = models.get_weight(name)
    except (KeyError, ValueError) as error:
        found = getattr(models.video, enum, None)
        known = [item.name for item in found] if found is not None else []
        raise ConfigError(
            f"torchvision has no weights {name}.{did_you_mean(member, known)} Known: {', '.join(known) or 'none'}"
        ) from error
    try:
        # The hash is checked when a file is downloaded; one that lies in torchvision's cache is read as it is.
        return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, *DAMAGE) as error:  # no network, a full disk, a file that is not what it was
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ConfigError(
            f"torchvision could not get {name} ({reason}). Give weights: a file, or connect to a network"
        ) from error

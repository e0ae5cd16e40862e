"""Metrics: how good an explanation is.

A metric of your own is a frozen dataclass whose fields are its configuration keys. A configuration names it as
``package.module:Object``, or by a name that your package registers under the entry point ``swagv.metrics``:

- ``higher_is_better``, a class variable: score -> whether more of it is better.
- ``needs_network``, a class variable, true if it is not there: whether it runs the network. One that does not is given
  None for `model` and `clips`, arrays in the place of tensors, and no GPU.
- ``__call__(self, model, clips, attribution, target)`` with clips N,C,T,H,W, attribution N,T,H,W and target N, which
  returns each score as (N,), and whatever else is worth keeping of each clip as (N,) or (N, k). What else it takes is
  asked for by name: ``boxes`` (N,T,4, true boxes in pixels of the map, NaN for none; without a default only clips that
  have one are scored), ``batch_size``.
- ``passes(self, shape)``, if there: the `swagv.forward_passes.Passes` of one clip of that shape (T,H,W), from which
  ``swagv estimate`` tells what it will cost.

A score that is NaN is left out of the mean and counted as failed; with one that runs the network, whose scores must be
finite, so are the clip's other scores.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable


def needs_network(metric: object) -> bool:
    """Whether a metric, or its class, runs the network."""
    return getattr(metric, "needs_network", True)


def annotations_of(metric: Callable) -> dict[str, bool]:
    """Keyword-only arguments of a metric, and whether it needs them."""
    parameters = inspect.signature(metric).parameters.values()
    return {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY}

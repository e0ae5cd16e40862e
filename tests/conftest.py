"""Shared fixtures: where the real data is, and small networks with known answers."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    path = Path(os.environ.get("SWAGV_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"real videos not found at {path}; set SWAGV_DATA")
    return path


@pytest.fixture(scope="session")
def demo_models():
    from swagv.models.build import build_model

    torch.set_num_threads(2)
    return {name: build_model(name) for name in ("r2plus1d_demo", "c3d_demo")}

"""What tests of stages on very small clips share."""

import pytest
import torch


@pytest.fixture
def one_thread(monkeypatch):
    """Keep a network to one thread: the second has nothing to do, and makes the first wait where cores are busy."""
    before, set_threads = torch.get_num_threads(), torch.set_num_threads
    set_threads(1)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    yield
    set_threads(before)

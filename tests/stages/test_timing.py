"""timing: every second is known, since the method itself moves the clock."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from swagv.errors import NotApplicable
from swagv.methods.explainer import Explainer
from swagv.models.classifier import VideoClassifier
from swagv.stages import timing as stage
from swagv.stores import create_store
from swagv.tables import PREDICTIONS, TIMING, read_provenance, read_table, write_table

CLIPS = ["c@0", "a@0", "broken@0", "b@0"]
STATUS = ["ok", "ok", "unreadable: x", "ok"]
TARGETS = [4, 1, None, 2]
KEY = {"dataset": "d", "model": "m", "method": "a", "shard": "0000"}
RUNTIME = {"device": "cpu", "threads": 2}
# A mean and a linear layer, of clips of 2x8x8 pixels.
MODEL = {
    "card": "tests.models.own_network:small",
    "weights": "default",
    "settings": {"clip_len": 2, "geometry": {"resize": [8, 8], "crop": 8}},
}
COPY = 0.5  # seconds a clip from the device to memory


class Clock:
    """Stands for the module `time` of the stage; and what the method was called with."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def perf_counter(self):
        return self.now


CLOCK = Clock()


@dataclass(frozen=True)
class Metered(Explainer):
    """A call takes `call` seconds, those of each of its clips, and 1000 more where it is the first of its size.

    Parameters
    ----------
    call
        Size of the batch, as text, to seconds a call; `otherwise` where the size is not there.
    seconds
        clip_id to seconds.
    full_at
        Size of the first batch that the device's memory cannot hold.
    reason
        Why the method and the network do not go together, if they do not.
    """

    call: dict[str, float] = field(default_factory=dict)
    otherwise: float = 32.0
    seconds: dict[str, float] = field(default_factory=dict)
    full_at: int = 1000
    reason: str = ""

    def __call__(self, model, clips, target, clip_ids=None):
        first = len(clip_ids) not in [len(ids) for ids, *_ in CLOCK.calls]
        CLOCK.calls.append((list(clip_ids), target.tolist(), model.frames(clips)[:, 0, 0, 0, 0].tolist()))
        if self.reason:
            raise NotApplicable(self.reason)
        if len(clips) >= self.full_at:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        CLOCK.now += self.call.get(str(len(clips)), self.otherwise)
        CLOCK.now += sum(self.seconds.get(clip_id, 0) for clip_id in clip_ids) + 1000 * first
        return SimpleNamespace(cpu=lambda: setattr(CLOCK, "now", CLOCK.now + COPY * len(clips)))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Preprocessing and waiting for what was before take time too, and none of it counts."""
    CLOCK.now, CLOCK.calls = 0.0, []
    preprocess = VideoClassifier.preprocess

    def slow(self, frames):
        CLOCK.now += 5000
        return preprocess(self, frames)

    monkeypatch.setattr(VideoClassifier, "preprocess", slow)
    monkeypatch.setattr(stage, "_wait_for", lambda device: setattr(CLOCK, "now", CLOCK.now + 7000))
    monkeypatch.setattr(stage, "time", CLOCK)
    return CLOCK


def run(folder, largest, status=STATUS, budget=np.inf, **settings):
    """The table of a shard whose i-th clip has pixels of value i; `largest` batch, and most clips."""
    frames = np.broadcast_to(np.arange(4, dtype=np.uint8)[:, None, None, None, None], (4, 2, 8, 8, 3))
    with create_store(folder / "clips.zarr", CLIPS, {}) as store:
        store.status = status
        store.write("frames", frames, "uint8")
    known = [
        {"clip_id": clip, "status": value, "target": target}
        for clip, value, target in zip(CLIPS, status, TARGETS, strict=True)
    ]
    write_table(folder / "p.parquet", known, PREDICTIONS, {})
    spec = {"method": {"object": "tests.stages.test_timing:Metered", "settings": settings}}
    spec |= {"model": MODEL, "clips": largest}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "_LARGEST", largest)
        patch.setattr(stage, "_BUDGET", budget)
        stage.timing(folder / "clips.zarr", folder / "p.parquet", folder / "t.parquet", KEY, spec, RUNTIME)
    found = read_provenance(folder / "t.parquet")
    assert (found["stage"], found["spec"], found["device"]) == ("timing", spec, "cpu")
    table = read_table(folder / "t.parquet")
    assert table.columns.tolist() == TIMING.names
    assert table[list(KEY)].to_dict("records") == [KEY] * len(table)
    return table


def sizes():
    """Size of the batch of every call."""
    return [len(ids) for ids, *_ in CLOCK.calls]


SECONDS = {"c@0": 1, "a@0": 2, "b@0": 4}


def test_seconds_of_every_clip_alone_and_in_the_best_batch(tmp_path):
    table = run(tmp_path, 4, seconds=SECONDS)
    assert table.clip_id.tolist() == ["c@0", "a@0", "b@0"]  # the order of the shard, without the broken one
    assert table.status.tolist() == ["ok"] * 3
    # A call takes 32 seconds, and every clip its own and half a second to be copied; 1000 of the first call are not in.
    assert table.seconds.tolist() == [33.5, 34.5, 36.5]
    # All three and the first once more, so that all four places are filled.
    assert table.seconds_best_batch.tolist() == [(32 + 1 + 2 + 4 + again + 4 * COPY) / 4 for again in (1, 2, 4)]
    assert table.best_batch.tolist() == [4] * 3
    assert table.device.tolist() == ["cpu"] * 3
    assert table.threads.tolist() == [2] * 3


def test_every_clip_is_once_the_first_of_a_batch(tmp_path):
    table = run(tmp_path, 3, seconds=SECONDS)  # and so none of 4 clips
    assert table.seconds_best_batch.tolist() == [(32 + 1 + 2 + 1) / 2, (32 + 2 + 4 + 1) / 2, (32 + 4 + 1 + 1) / 2]
    assert table.best_batch.tolist() == [2] * 3


def test_a_batch_may_hold_every_clip_more_than_once(tmp_path):
    table = run(tmp_path, 8, seconds=SECONDS)
    thrice_twice = [3 * 1 + 3 * 2 + 2 * 4, 2 * 1 + 3 * 2 + 3 * 4, 3 * 1 + 2 * 2 + 3 * 4]
    assert table.seconds_best_batch.tolist() == [(32 + clips + 8 * COPY) / 8 for clips in thrice_twice]
    assert table.best_batch.tolist() == [8] * 3
    assert CLOCK.calls[-1][0] == [*["b@0", "c@0", "a@0"] * 2, "b@0", "c@0"]


def test_there_are_no_more_calls_than_eight_that_count(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "_CALLS", 2)
    table = run(tmp_path, 2, seconds=SECONDS)
    assert len(table) == 2
    table = run(tmp_path / "more", 4, seconds=SECONDS)
    assert table.clip_id.tolist() == ["c@0", "a@0"]
    assert table.seconds.tolist() == [33.5, 34.5]
    # The third clip is in the batches of the two that count.
    assert table.seconds_best_batch.tolist() == [(32 + 1 + 2 + 4 + again + 4 * COPY) / 4 for again in (1, 2)]


def test_every_call_has_the_pixels_and_the_targets_of_its_clips(tmp_path):
    run(tmp_path, 4, seconds=SECONDS)
    c, a, b = ("c@0", 4, 0), ("a@0", 1, 1), ("b@0", 2, 3)
    expected = [[c], [c], [a], [b], [c, a], [c, a], [a, b], [b, c]]
    expected += [[c, a, b, c], [c, a, b, c], [a, b, c, a], [b, c, a, b]]
    assert [list(zip(*call, strict=True)) for call in CLOCK.calls] == expected


def test_only_so_many_clips_are_taken(tmp_path):
    table = run(tmp_path, 2, seconds=SECONDS)
    assert table.clip_id.tolist() == ["c@0", "a@0"]
    assert table.seconds.tolist() == [33.5, 34.5]
    assert {clip_id for ids, *_ in CLOCK.calls for clip_id in ids} == {"c@0", "a@0"}
    assert set(sizes()) == {1, 2}


def test_one_clip_has_no_batch_to_be_in(tmp_path):
    table = run(tmp_path, 1, seconds=SECONDS)
    assert table[["clip_id", "seconds", "seconds_best_batch", "best_batch"]].to_numpy().tolist() == [
        ["c@0", 33.5, 33.5, 1]
    ]
    assert sizes() == [1, 1]


@pytest.mark.parametrize(
    ("call", "best", "seconds", "tried"),
    [
        # 2 % faster per clip is not worth a batch twice as large, however fast a larger one would be
        ({"1": 99.5, "2": 2 * 97.5, "4": 4.0}, 1, 100.0, {1, 2}),
        ({"1": 99.5, "2": 2 * 95.5, "4": 4 * 94.5}, 2, 96.0, {1, 2, 4}),
        ({"1": 99.5, "2": 2 * 95.5, "4": 4 * 89.5, "8": 8 * 199.5}, 4, 90.0, {1, 2, 4, 8}),
        ({"1": 99.5, "2": 2 * 199.5}, 1, 100.0, {1, 2}),
    ],
)
def test_batches_grow_while_that_is_faster(tmp_path, call, best, seconds, tried):
    table = run(tmp_path, 8, call=call)
    assert table.best_batch.tolist() == [best] * 3
    assert table.seconds.tolist() == [100.0] * 3
    assert table.seconds_best_batch.tolist() == pytest.approx([seconds] * 3, rel=1e-12)
    assert set(sizes()) == tried


def test_a_full_memory_ends_the_search(tmp_path):
    table = run(tmp_path, 16, seconds=SECONDS, full_at=4)
    assert table.status.tolist() == ["ok"] * 3
    assert table.best_batch.tolist() == [2] * 3
    assert table.seconds.tolist() == [33.5, 34.5, 36.5]
    assert table.seconds_best_batch.tolist() == [18.0, 19.5, 19.0]
    assert sizes().count(4) == 1
    assert max(sizes()) == 4


def test_a_clip_that_does_not_fit_alone_is_an_error(tmp_path):
    with pytest.raises(torch.cuda.OutOfMemoryError):
        run(tmp_path, 4, full_at=1)
    assert not (tmp_path / "t.parquet").exists()


def test_a_method_that_does_not_fit_the_network_is_a_status(tmp_path):
    table = run(tmp_path, 4, reason="the network has no layer 'x'")
    assert table.clip_id.tolist() == ["c@0", "a@0", "b@0"]
    assert table.status.tolist() == ["not_applicable: the network has no layer 'x'"] * 3
    assert table[["seconds", "seconds_best_batch", "best_batch", "device", "threads"]].isna().all(axis=None)
    assert sizes() == [1]


@pytest.mark.parametrize(("budget", "tried"), [(4 * 2 * 100.0, {1, 2}), (4 * 2 * 100.0 - 1, {1}), (3000, {1, 2, 4})])
def test_no_batch_is_tried_that_would_take_too_long(tmp_path, budget, tried):
    """The uncounted call and three others; a clip takes 100 seconds alone, and 80 in a batch of two."""
    run(tmp_path, 8, budget=budget, call={"1": 99.5, "2": 2 * 79.5, "4": 4 * 99.5})
    assert set(sizes()) == tried


def test_a_shard_without_one_good_clip_is_a_row_for_each(tmp_path):
    table = run(tmp_path, 3, status=["unreadable: x"] * 4)
    assert table.clip_id.tolist() == CLIPS[:3]
    assert set(table.status) == {"unreadable: x"}
    assert table.seconds.isna().all()
    assert CLOCK.calls == []

"""score: any metric, clip by clip, as it is called directly."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import swagv.network_batches
from swagv.errors import SwagvError
from swagv.metrics.frame_deletion import FrameDeletion
from swagv.metrics.frame_profile import FrameProfile
from swagv.metrics.pointing import Pointing
from swagv.stages.score import score
from swagv.stores import create_store, open_store
from swagv.tables import PREDICTIONS, read_provenance, read_rows, write_table

# Neither in the order of their names nor of their fates.
CLIPS = ["good@000008", "unlabelled@000000", "broken@000000", "unboxed@000000", "mapless@000000", "good@000000"]
STATUS = ["ok", "label 'x' is not a category of the network", "unreadable: x", "ok", "attribution is not finite", "ok"]
TARGETS = [3, None, None, 0, 1, 5]
GOOD, UNBOXED = (0, 5), 3
FRAMES, SIDE = 8, 32
KEY = {"dataset": "d", "model": "m", "method": "a", "shard": "0000"}
RUNTIME = {"device": "cpu", "threads": 2, "batch_size": 3}
GEOMETRY = {"resize": [32, 48], "crop": SIDE}
MODEL = {
    "card": "r2plus1d_demo",
    "weights": "default",
    "settings": {"clip_len": FRAMES, "geometry": {"resize": [SIDE, SIDE], "crop": SIDE}},
}
NAMES = ["dataset", "model", "method", "shard", "clip_id", "status", "target"]


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """Clips of videos of 64x96 pixels, one without a box in any frame; predictions and maps of some of them."""
    folder, rng = tmp_path_factory.mktemp("shard"), np.random.default_rng(0)
    frames = rng.integers(0, 256, (6, FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
    maps = rng.normal(size=(6, FRAMES, SIDE, SIDE)).astype(np.float32)
    boxes = np.tile(np.float32([20, 10, 51, 41]), (6, FRAMES, 1))
    boxes[:, 2], boxes[UNBOXED] = np.nan, np.nan
    with create_store(folder / "clips.zarr", CLIPS, {"sizes": [[64, 96]] * 6}) as store:
        store.status = [one if one.startswith("unreadable") else "ok" for one in STATUS]
        store.write("frames", frames, "uint8")
        store.write("boxes", boxes, "float32")
    with create_store(folder / "maps.zarr", CLIPS, {}) as store:
        store.status = STATUS
        store.write("attribution", maps, "float32")
    known = [
        {"dataset": "d", "model": "m", "shard": "0000", "clip_id": clip, "target": target}
        | {"status": status if target is None else "ok"}
        for clip, status, target in zip(CLIPS, STATUS, TARGETS, strict=True)
    ]
    write_table(folder / "p.parquet", known, PREDICTIONS, {})
    # A resize by a half, a crop 8 pixels from the left, then truncation: 25.5 - 8 and 20.5.
    mapped = np.tile([2.0, 5, 17, 20], (FRAMES, 1))
    mapped[2] = np.nan
    return folder, frames, maps, mapped


def run(folder, out, metric, settings=(), runtime=RUNTIME, **spec):
    """The rows and the schema of the table that the stage writes."""
    spec = {"metric": {"object": metric, "settings": dict(settings)}, "method": {"object": "o"}} | spec
    score(folder / "clips.zarr", folder / "p.parquet", folder / "maps.zarr", out, KEY, spec, runtime)
    found = read_provenance(out)
    assert (found["stage"], found["spec"], found["device"]) == ("score", spec, "cpu")
    return read_rows(out), pq.read_schema(out)


def check_keys(rows, status):
    for row, clip, target, value in zip(rows, CLIPS, TARGETS, status, strict=True):
        assert {name: row[name] for name in NAMES} == KEY | {"clip_id": clip, "target": target, "status": value}
        assert all((row[name] is None) == (value != "ok") for name in row if name not in NAMES)


WITHOUT_A_BOX = [*STATUS[:UNBOXED], "no_true_box", *STATUS[UNBOXED + 1 :]]


def test_a_row_a_clip_in_their_order_with_the_numbers_of_the_metric(shard, tmp_path):
    folder, _, maps, boxes = shard
    path, settings = "swagv.metrics.pointing:Pointing", {"tolerance": 3.0}
    rows, schema = run(folder, tmp_path / "x.parquet", path, settings, geometry=GEOMETRY)
    check_keys(rows, WITHOUT_A_BOX)
    assert schema.names == [*NAMES, "pointing", "pointing_frames", "energy_inside"]
    assert set(schema.types[len(NAMES) :]) == {pa.float64()}
    for index in GOOD:
        direct = Pointing(**settings)(None, None, maps[[index]], None, boxes=boxes[None])
        assert {name: [rows[index][name]] for name in direct} == {name: v.tolist() for name, v in direct.items()}
        assert (
            direct["energy_inside"] != Pointing()(None, None, maps[[index]], None, boxes=boxes[None])["energy_inside"]
        )


def test_what_is_not_a_score_is_a_list_of_the_clip(shard, tmp_path):
    folder, _, maps, boxes = shard
    rows, schema = run(folder, tmp_path / "x.parquet", "swagv.metrics.frame_profile:FrameProfile", geometry=GEOMETRY)
    check_keys(rows, STATUS)
    assert np.isnan([rows[UNBOXED]["tracking_error"], rows[UNBOXED]["tracking_gain"]]).all()  # which need a box
    assert sum(rows[UNBOXED]["profile"]) == pytest.approx(1)
    assert schema.names == [*NAMES, "tracking_error", "tracking_gain", "profile"]
    assert schema.types[len(NAMES) :] == [pa.float64(), pa.float64(), pa.list_(pa.float32())]
    for index in GOOD:
        direct = FrameProfile()(None, None, maps[[index]], None, boxes=boxes[None])
        assert rows[index]["profile"] == direct["profile"][0].astype(np.float32).tolist()
        for name in ("tracking_error", "tracking_gain"):
            assert rows[index][name] == direct[name][0]


def test_a_box_that_the_crop_leaves_out_is_none(shard, tmp_path):
    folder, frames, _, _ = shard
    for name in ("p.parquet", "maps.zarr"):
        (tmp_path / name).symlink_to(folder / name)
    boxes = np.tile(np.float32([20, 10, 51, 41]), (6, FRAMES, 1))
    boxes[GOOD[0]] = [0, 10, 10, 41]  # halved and moved by 8: from -8 to -3
    boxes[GOOD[1], 1:] = [0, 10, 10, 41]
    with create_store(tmp_path / "clips.zarr", CLIPS, {"sizes": [[64, 96]] * 6}) as store:
        store.status = [one if one.startswith("unreadable") else "ok" for one in STATUS]
        store.write("frames", frames, "uint8")
        store.write("boxes", boxes, "float32")
    rows, _ = run(tmp_path, tmp_path / "x.parquet", "swagv.metrics.pointing:Pointing", geometry=GEOMETRY)
    assert [rows[index]["status"] for index in GOOD[:2]] == ["no_true_box", "ok"]
    maps = open_store(folder / "maps.zarr")["attribution"][GOOD[1]]
    seen = np.full((1, FRAMES, 4), np.nan)
    seen[0, 0] = [2, 5, 17, 20]
    direct = Pointing()(None, None, maps[None], None, boxes=seen)
    assert rows[GOOD[1]]["energy_inside"] == direct["energy_inside"][0]


def normalised(frames):
    """As the demo networks are given theirs."""
    mean, std = np.array([0.43216, 0.394666, 0.37645]), np.array([0.22803, 0.22145, 0.216989])
    return torch.from_numpy(((frames / 255 - mean) / std).transpose(0, 4, 1, 2, 3)).float()


@pytest.mark.usefixtures("one_thread")
def test_a_metric_that_needs_the_network_is_given_the_clip_and_its_target(shard, tmp_path, demo_models, monkeypatch):
    folder, frames, maps, _ = shard
    sizes, load = [], swagv.network_batches.load_for_stage

    def counting(*given):
        model = load(*given)
        model.network.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
        return model

    monkeypatch.setattr(swagv.network_batches, "load_for_stage", counting)
    path, settings = "swagv.metrics.frame_deletion:FrameDeletion", {"fill": "zero"}
    rows, schema = run(folder, tmp_path / "x.parquet", path, settings, model=MODEL)
    assert max(sizes) == RUNTIME["batch_size"]
    check_keys(rows, STATUS)  # it asks for no box, and the clip without one is scored
    curves = ["frame_deletion_curve", "frame_insertion_curve"]
    assert schema.names == [*NAMES, "frame_deletion_auc", "frame_insertion_auc", *curves]
    assert schema.types[len(NAMES) :] == [pa.float64()] * 2 + [pa.list_(pa.float32())] * 2
    metric, spread = FrameDeletion(**settings), []
    for index in (*GOOD, UNBOXED):
        given = normalised(frames[[index]]), torch.from_numpy(maps[[index]]), torch.tensor([TARGETS[index]])
        direct = metric(demo_models["r2plus1d_demo"], *given)
        for name, value in direct.items():
            assert rows[index][name] == pytest.approx(value[0].tolist(), rel=1e-4)
        spread.append(np.ptp(rows[index]["frame_deletion_curve"]) / max(rows[index]["frame_deletion_curve"]))
    assert min(spread) > 0.05  # far more than the tolerance


@dataclass(frozen=True)
class Plain:
    """A metric of a user's own that takes neither boxes nor batches."""

    higher_is_better: ClassVar[dict[str, bool]] = {"logit": True, "peak": True}
    needs_network: ClassVar[bool] = True
    scale: float = 1.0

    def __call__(self, model, clips, attribution, target):
        with torch.inference_mode():
            logit = model(clips).gather(1, target[:, None])[:, 0]
        return {"corner": attribution[:, :3, 0, 0], "peak": attribution.amax((1, 2, 3)), "logit": self.scale * logit}


@pytest.mark.usefixtures("one_thread")
def test_a_metric_of_a_users_own_is_given_what_it_asks_for(shard, tmp_path, demo_models):
    folder, frames, maps, _ = shard
    rows, schema = run(folder, tmp_path / "x.parquet", "tests.stages.test_score:Plain", {"scale": -2.0}, model=MODEL)
    check_keys(rows, STATUS)
    assert schema.names == [*NAMES, "logit", "peak", "corner"]
    for index in (*GOOD, UNBOXED):
        assert rows[index]["peak"] == maps[index].max()
        assert rows[index]["corner"] == maps[index, :3, 0, 0].tolist()
        with torch.inference_mode():
            logits = demo_models["r2plus1d_demo"](normalised(frames[[index]]))[0]
        assert rows[index]["logit"] == pytest.approx(-2 * logits[TARGETS[index]].item(), abs=1e-4)
        assert logits.std() > 0.01


@pytest.mark.usefixtures("one_thread")
def test_scores_of_a_network_that_are_not_finite_are_none(shard, tmp_path):
    path = "tests.stages.test_score:Plain"
    rows, _ = run(shard[0], tmp_path / "x.parquet", path, {"scale": float("inf")}, model=MODEL)
    check_keys(rows, ["the network's scores are not finite" if one == "ok" else one for one in STATUS])
    assert all(row["logit"] is None for row in rows)


def test_a_shard_without_one_good_clip_still_has_a_row_a_clip(shard, tmp_path):
    folder, *_ = shard
    status = [one if one != "ok" else "unreadable: y" for one in STATUS]
    (tmp_path / "p.parquet").write_bytes((folder / "p.parquet").read_bytes())
    with create_store(tmp_path / "clips.zarr", CLIPS, {"sizes": [[0, 0]] * 6}) as store:
        store.status = status
        store.write("frames", [None] * 6, "uint8")
    with create_store(tmp_path / "maps.zarr", CLIPS, {}) as store:
        store.status = status
        store.write("attribution", [None] * 6, "float32")
    path = "swagv.metrics.frame_profile:FrameProfile"
    rows, schema = run(tmp_path, tmp_path / "x.parquet", path, geometry=GEOMETRY)
    check_keys(rows, status)
    assert schema.names == [*NAMES, "tracking_error", "tracking_gain"]


def test_stores_of_other_clips_are_refused(shard, tmp_path):
    folder, _, maps, _ = shard
    with create_store(tmp_path / "maps.zarr", CLIPS[::-1], {}) as store:
        store.write("attribution", maps, "float32")
    spec = {"metric": {"object": "swagv.metrics.pointing:Pointing", "settings": {}}, "geometry": GEOMETRY}
    paths = folder / "clips.zarr", folder / "p.parquet", tmp_path / "maps.zarr", tmp_path / "x.parquet"
    with pytest.raises(SwagvError, match="these stores hold different clips"):
        score(*paths, KEY, spec, RUNTIME)
    assert not (tmp_path / "x.parquet").exists()

"""Stages as the workflow calls them, on one small shard."""

import json

import numpy as np
import pytest
import torch

from swagv.clips import Video
from swagv.config import Evaluation
from swagv.datasets.rendering import render_video
from swagv.explanations import Explanations
from swagv.geometry import Geometry
from swagv.methods.explainer import Explainer
from swagv.network_batches import load_for_stage
from swagv.stages import explain_cached
from swagv.stages.decode import decode
from swagv.stages.explain import explain
from swagv.stages.insertion_deletion import insertion_deletion
from swagv.stages.localisation import localisation
from swagv.stages.plan import plan
from swagv.stages.predict import predict
from swagv.stages.supervoxels import supervoxels
from swagv.stores import create_store, open_store
from swagv.summary import summarise
from swagv.tables import MANIFEST, PREDICTIONS, read_provenance, read_table, write_table

CONFIG = {
    "datasets": {"d": {"type": "rendered", "videos": 1, "shards": 1}},
    "models": {"c3d_demo": {"target": "label"}},
    "methods": {"swagv_i": {}, "swagv_ig": {}, "swagv_g": {}, "grad_cam": {"layer": "nonsense"}, "centre": {}},
    "metrics": {"insertion_deletion": {"steps": 2}, "localisation": {}},
}
RUNTIME = {"device": "cpu", "threads": 2, "batch_size": 8, "supervoxels": "auto"}
CLIPS = ["known@000000", "unlabelled@000000", "broken@000000"]
KEY = {"dataset": "d", "model": "c3d_demo", "shard": "0000"}


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """A good clip, one whose label no network knows, and one that did not decode; predictions and gradients of them."""
    folder = tmp_path_factory.mktemp("shard")
    evaluation = Evaluation(CONFIG)
    frames = [Geometry().frames(render_video(label, label, num_frames=16).frames) for label in (0, 1)]
    with create_store(folder / "clips.zarr", CLIPS, {"sizes": [[240, 320]] * 3}) as store:
        store.status = ["ok", "ok", "unreadable: x"]
        store.write("frames", [*frames, None], "uint8")
        boxes = np.tile(np.float32([20, 20, 60, 60]), (16, 1))
        store.write("boxes", [boxes, boxes * np.nan, None], "float32", missing=np.nan)
    labels = ["horizontal", "juggling", "spin"]
    rows = [{"clip_id": clip, "label": label, "status": "ok"} for clip, label in zip(CLIPS, labels, strict=True)]
    write_table(folder / "manifest.parquet", rows, MANIFEST, {})
    model = evaluation.models["c3d_demo"]
    spec = {"model": model.spec, "target": model.target}
    predict(folder / "manifest.parquet", folder / "clips.zarr", folder / "p.parquet", KEY, spec, RUNTIME)
    spec = {"model": model.spec, "method": evaluation.gradients["guided_backprop"]}
    explain(folder / "clips.zarr", folder / "p.parquet", folder / "gradients.zarr", spec, RUNTIME)
    return folder, evaluation


def test_a_clip_without_a_target_is_a_row_in_every_table(shard):
    folder, evaluation = shard
    predictions = read_table(folder / "p.parquet")
    reason = "label 'juggling' is not a category of the network"
    assert predictions.status.tolist() == ["ok", reason, "unreadable: x"]
    spec = {"method": evaluation.methods["centre"].spec}
    explain_cached.explain_control(folder / "clips.zarr", folder / "p.parquet", folder / "centre.zarr", spec)
    spec |= {
        "metric": evaluation.metrics["insertion_deletion"].spec["settings"],
        "model": evaluation.models["c3d_demo"].spec,
    }
    paths = [folder / name for name in ("clips.zarr", "p.parquet", "centre.zarr", "id.parquet")]
    insertion_deletion(*paths, KEY | {"method": "centre"}, spec, RUNTIME)
    table = read_table(folder / "id.parquet")
    assert table.status.tolist() == predictions.status.tolist()
    assert table.deletion_auc.notna().tolist() == [True, False, False]
    row = summarise(table, "insertion_deletion", 100)[0]
    assert (row["n"], row["n_failed"]) == (1, 2)
    spec |= {
        "metric": evaluation.metrics["localisation"].spec["settings"],
        "geometry": evaluation.datasets["d"].spec["geometry"],
    }
    localisation(paths[0], paths[2], folder / "loc.parquet", KEY | {"method": "centre"}, spec)
    assert read_table(folder / "loc.parquet").status.tolist() == predictions.status.tolist()


def test_a_pair_that_cannot_be_is_a_status_not_a_crash(shard):
    folder, evaluation = shard
    spec = {"method": evaluation.methods["grad_cam"].spec, "model": evaluation.models["c3d_demo"].spec}
    explain(folder / "clips.zarr", folder / "p.parquet", folder / "cam.zarr", spec, RUNTIME)
    status = open_store(folder / "cam.zarr").attrs["status"]
    assert status[0].startswith("not_applicable: the network has no layer 'nonsense'")


@pytest.mark.parametrize("name", ["swagv_i", "swagv_ig", "swagv_g"])
def test_swagv_in_one_call_equals_the_cached_stages(name, shard, demo_models):
    folder, evaluation = shard
    method, model = evaluation.methods[name], demo_models["c3d_demo"]
    spec, store = json.loads(json.dumps({"recipe": method.recipe})), folder / f"{name}.zarr"
    gradients = folder / "gradients.zarr"
    needed = gradients if "gradient" in method.explainer.features else None
    supervoxels(folder / "clips.zarr", needed, folder / f"{name}-labels.zarr", spec, RUNTIME)
    explain_cached.explain_supervoxels(gradients, folder / f"{name}-labels.zarr", store, {})
    clips = model.preprocess(open_store(folder / "clips.zarr")["frames"][:1])
    target = torch.tensor([read_table(folder / "p.parquet").target[0]]).long()
    ours = method.explainer(model, clips, target)[0].numpy()
    cached = Explanations(store)[0]
    assert cached.std() > 0
    assert np.abs(ours - cached).max() <= 1e-5 * np.abs(cached).max()


def test_scores_that_are_not_finite_are_a_status(shard, tmp_path, monkeypatch):
    """A network that divides by the spread of a clip has no answer for a blank one."""
    import swagv.stages.insertion_deletion as stage
    import swagv.stages.predict as predicting

    folder, evaluation = shard

    def load(*given):
        model = load_for_stage(*given)
        whole = model.network.forward
        model.network.forward = lambda x: whole(x / x.flatten(1).std(1).view(-1, 1, 1, 1, 1))
        return model

    monkeypatch.setattr(stage, "load_for_stage", load)
    monkeypatch.setattr(predicting, "load_for_stage", load)
    spec = {"method": evaluation.methods["centre"].spec, "model": evaluation.models["c3d_demo"].spec}
    spec |= {"metric": evaluation.metrics["insertion_deletion"].spec["settings"], "target": "top1"}
    explain_cached.explain_control(folder / "clips.zarr", folder / "p.parquet", tmp_path / "c.zarr", spec)
    paths = [folder / "clips.zarr", folder / "p.parquet", tmp_path / "c.zarr", tmp_path / "id.parquet"]
    insertion_deletion(*paths, KEY | {"method": "centre"}, {**spec, "metric": {"steps": 3}}, RUNTIME)
    assert read_table(tmp_path / "id.parquet").status[0] == "ok"  # the blank score is known here
    predict(folder / "manifest.parquet", folder / "clips.zarr", tmp_path / "p.parquet", KEY, spec, RUNTIME)
    assert read_table(tmp_path / "p.parquet").status[0] == "the network's scores are not finite"
    monkeypatch.setattr(stage.InsertionDeletion, "__call__", lambda *a, **k: {"deletion_auc": torch.tensor([np.nan])})
    paths[-1] = tmp_path / "again.parquet"
    insertion_deletion(*paths, KEY | {"method": "centre"}, {**spec, "metric": {"steps": 3}}, RUNTIME)
    table = read_table(tmp_path / "again.parquet")
    assert table.status[0] == "the network's scores are not finite"
    assert table.deletion_auc.isna().all()


def test_counts_of_supervoxels_are_recorded(shard):
    folder, evaluation = shard
    spec = {"recipe": evaluation.methods["swagv_i"].recipe}
    supervoxels(folder / "clips.zarr", None, folder / "n.zarr", spec, RUNTIME)
    attributes = open_store(folder / "n.zarr").attrs
    assert attributes["n_seeded"] == [81, 81, 0]  # 120 requested
    assert 50 < attributes["n_final"][0] < 90


@pytest.mark.parametrize("how", [{"supervoxels": "scikit-image"}, {"supervoxels": "numba", "threads": 1}])
def test_neither_engine_nor_groups_nor_threads_change_supervoxels(how, shard, tmp_path, monkeypatch):
    folder, evaluation = shard
    spec = {"recipe": evaluation.methods["swagv_ig"].recipe}
    paths = [folder / "clips.zarr", folder / "gradients.zarr"]
    supervoxels(*paths, tmp_path / "a.zarr", spec, RUNTIME)
    monkeypatch.setattr("swagv.stages.supervoxels._VOXELS", 1)
    supervoxels(*paths, tmp_path / "b.zarr", spec, RUNTIME | how)
    one, other = open_store(tmp_path / "a.zarr"), open_store(tmp_path / "b.zarr")
    assert np.array_equal(one["labels"], other["labels"])
    found, expected = other.attrs.asdict(), one.attrs.asdict()
    engines = expected.pop("engine"), found.pop("engine")
    assert expected.pop("digest") != found.pop("digest") or engines[0] == engines[1]  # which is of the engine, too
    assert engines == ("numba", how.get("supervoxels", "numba"))
    assert found == expected
    assert one["labels"][0].max() > 20
    assert one.attrs["status"][2] == "unreadable: x"


def test_a_time_limit_is_a_status(tmp_path):
    from swagv.clips import ClipSelection
    from swagv.datasets.rendering import write_video
    from swagv.decode import Decoder
    from swagv.stages.plan import _clips_of

    write_video(tmp_path / "v.mp4", render_video(0, 0, num_frames=16).frames)
    row = {"video_id": Video("v", "v.mp4").video_id, "path": str(tmp_path / "v.mp4")}
    with Decoder(time_limit=0.0) as decoder:
        (found,) = _clips_of(row, decoder, ClipSelection(), lambda found: {})
    assert found["status"] == "unreadable"
    assert "longer than 0 s" in found["detail"]


def test_plan_and_decode_give_each_clip_its_boxes_and_each_bad_video_a_row(tmp_path):
    from swagv.datasets.rendering import write_video
    from tests.datasets.test_tubes import entry, write_mat

    rendered = render_video(0, 0, num_frames=40)
    (tmp_path / "Biking").mkdir()
    names = [f"Biking/v_Biking_g01_c0{index}" for index in range(1, 5)]
    for name in names[:3]:
        write_video(tmp_path / f"{name}.mp4", rendered.frames)
    drift = np.stack([np.arange(40), np.full(40, 30), np.full(40, 50), np.full(40, 60)], 1).astype(np.uint8)
    tubes = [
        entry(sf=9, ef=40, boxes=drift[8:]),
        entry(sf=1, ef=20, boxes=drift[:20] * [1, 1, 0, 1]),
        entry(sf=5, ef=22),
        entry(),
    ]
    annotations = write_mat(tmp_path / "a.mat", *((name, 40, [tube]) for name, tube in zip(names, tubes, strict=True)))
    (tmp_path / "split.txt").write_text("".join(f"{name}.avi\n" for name in names))
    settings = {"root": str(tmp_path), "annotations": str(annotations), "split": str(tmp_path / "split.txt")}
    clips = {"select": "every", "clip_len": 16, "frame_step": 1, "clip_step": 8, "boxed": True}
    spec = {"dataset": {"object": "swagv.datasets.ucf101_24:Ucf101_24Dataset", "settings": settings}, "shards": 1}
    plan(tmp_path / "m.parquet", None, "0000", spec | {"clips": clips}, 60)
    manifest = read_table(tmp_path / "m.parquet")
    assert list(zip(manifest.clip_id, manifest.status, strict=True)) == [
        (f"{names[0]}@000008", "ok"), (f"{names[0]}@000016", "ok"), (f"{names[0]}@000024", "ok"),
        (f"{names[1]}@000000", "bad_annotation"), (f"{names[2]}@000000", "too_few_boxes"),
        (f"{names[3]}@000000", "missing"),
    ]  # fmt: skip
    assert "18 frames have one" in manifest.detail[4]
    decode(tmp_path / "m.parquet", tmp_path / "c.zarr", {"clip_len": 16, "geometry": {}}, 60)
    store = open_store(tmp_path / "c.zarr")
    boxes = store["boxes"][:]
    assert store.attrs["sizes"][:3] == [[240, 320]] * 3
    for row, start in enumerate((8, 16, 24)):
        x = np.arange(start, start + 16)
        true = np.stack([x, np.full(16, 30), x + 50, np.full(16, 90)], 1)
        assert np.array_equal(boxes[row], true)
    assert np.isnan(boxes[3:]).all()


def test_a_clip_is_explained_the_same_whatever_its_companions(tmp_path):
    """To the last bit, alone, in pairs and in a pair that is filled up."""
    evaluation = Evaluation(CONFIG)
    frames = [Geometry().frames(render_video(label, label, num_frames=16).frames) for label in range(3)]
    model = evaluation.models["c3d_demo"]
    spec = {"model": model.spec, "method": evaluation.gradients["guided_backprop"]}
    found = {}
    # "x" is a clip that did not decode: pairs go across it.
    orders = ((0, 1, 2), (2, "x", 0, 1), (1,), ("x", 1, 0, "x", 2, 2, "x"))
    for run, order in enumerate(orders):
        folder = tmp_path / str(run)
        folder.mkdir()
        names = [f"{place}@{index}" for place, index in enumerate(order)]
        status = ["unreadable: x" if index == "x" else "ok" for index in order]
        with create_store(folder / "c.zarr", names, {}) as store:
            store.status = status
            store.write("frames", [None if index == "x" else frames[index] for index in order], "uint8")
        rows = [
            KEY | {"clip_id": name, "status": value, "target": 1, "label": -1}
            for name, value in zip(names, status, strict=True)
        ]
        write_table(folder / "p.parquet", rows, PREDICTIONS, {})
        explain(folder / "c.zarr", folder / "p.parquet", folder / "g.zarr", spec, RUNTIME)
        explained = open_store(folder / "g.zarr")
        assert explained.attrs["status"] == status
        for index, one in zip(order, explained["attribution"][:], strict=True):
            assert np.array_equal(found.setdefault(index, one), one)
    assert all(np.ptp(one) > 0 for index, one in found.items() if index != "x")
    assert np.ptp(found["x"]) == 0


def test_a_clip_whose_map_is_not_finite_leaves_its_companion_alone(shard, tmp_path, monkeypatch):
    import swagv.stages.explain as stage

    class OneBad(Explainer):
        def __call__(self, model, clips, target, clip_ids):
            maps = torch.ones(len(clips), 2, 3, 4)
            maps[[name == CLIPS[0] for name in clip_ids]] = torch.nan
            return maps

    folder, evaluation = shard
    rows = [KEY | {"clip_id": clip, "status": "ok", "target": 1, "label": -1} for clip in CLIPS]
    rows[2]["status"] = "unreadable: x"
    write_table(tmp_path / "p.parquet", rows, PREDICTIONS, {})
    monkeypatch.setattr(stage, "load_object", lambda path: OneBad)
    spec = {"model": evaluation.models["c3d_demo"].spec, "method": {"object": "x:Y", "settings": {}}}
    explain(folder / "clips.zarr", tmp_path / "p.parquet", tmp_path / "g.zarr", spec, RUNTIME)
    store = open_store(tmp_path / "g.zarr")
    assert store.attrs["status"] == ["attribution is not finite", "ok", "unreadable: x"]
    assert store["attribution"][:].sum((1, 2, 3)).tolist() == [0, 24, 0]


def test_half_precision_is_in_the_provenance_and_near_the_full_one(shard, tmp_path):
    folder, evaluation = shard
    spec = {"method": evaluation.methods["centre"].spec, "model": evaluation.models["c3d_demo"].spec}
    explain_cached.explain_control(folder / "clips.zarr", folder / "p.parquet", tmp_path / "c.zarr", spec)
    paths = [folder / "clips.zarr", folder / "p.parquet", tmp_path / "c.zarr"]
    areas = {}
    for precision in ("fp32", "bf16"):
        out = tmp_path / f"{precision}.parquet"
        insertion_deletion(*paths, out, KEY, spec | {"metric": {"steps": 2, "precision": precision}}, RUNTIME)
        areas[precision] = read_table(out).deletion_auc[0]
        assert read_provenance(out)["precision"] == precision
    assert 0 < abs(areas["fp32"] - areas["bf16"]) < 0.01

import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch

from swagv.catalogue import METHODS
from swagv.datasets.rendering import render_video
from swagv.errors import SwagvError
from swagv.explanations import Explanations
from swagv.geometry import Geometry
from swagv.methods.grad_cam import GradCam
from swagv.registry import load_object
from swagv.slic import slic_supervoxels_of
from swagv.stages.explain import explain
from swagv.stages.explain_cached import explain_control, explain_pixels, explain_supervoxels
from swagv.stages.supervoxels import supervoxels
from swagv.stores import create_store, open_store
from swagv.tables import PREDICTIONS, write_table

IDS = [f"v{index}@000000" for index in range(3)]
TARGETS = [4, 1, 0]
RUNTIME = {"device": "cpu", "threads": 2, "supervoxels": "numba"}


@pytest.fixture(scope="module")
def shard(tmp_path_factory, demo_spec):
    """Folder of a shard of three clips, the second of which has no prediction, and their frames."""
    folder = tmp_path_factory.mktemp("shard")
    frames = Geometry().frames(np.stack([render_video(index, index, 16).frames for index in range(3)]))
    with create_store(folder / "clips.zarr", IDS, {}) as store:
        store.write("frames", frames, "uint8")
    status = ["ok", "unreadable", "ok"]
    rows = [{"clip_id": i, "status": s, "target": t} for i, s, t in zip(IDS, status, TARGETS, strict=True)]
    write_table(folder / "predictions.parquet", rows, PREDICTIONS, {})
    explain(
        folder / "clips.zarr", folder / "predictions.parquet", folder / "gradients.zarr",
        {"method": method("guided_backprop"), "model": demo_spec}, RUNTIME,
    )  # fmt: skip
    return folder, frames


@pytest.fixture(scope="module")
def demo_spec():
    from swagv.config import Evaluation

    given = {"datasets": {"d": {"type": "rendered", "videos": 1, "shards": 1}}, "models": {"r2plus1d_demo": {}}}
    return Evaluation(given | {"methods": {"centre": {}}, "metrics": {"localisation": {}}}).models["r2plus1d_demo"].spec


def method(name, **settings):
    made = load_object(METHODS.path(name))(**settings)
    return {"object": METHODS.path(name), "settings": asdict(made)}


def explained(model, frames, spec, index):
    """The method itself, of one clip in a batch of two equal ones, as the stage fills them up."""
    explainer = load_object(spec["object"])(**spec["settings"])
    clips = model.preprocess(frames[[index, index]])
    return explainer(model, clips, torch.tensor([TARGETS[index]] * 2), [IDS[index]] * 2)[0].numpy()


def assert_maps(found, expected):
    """Of the clips that are ok, to the last bit."""
    assert found.store.attrs["status"] == ["ok", "unreadable", "ok"]
    for index in (0, 2):
        assert found[index].dtype == np.float32
        np.testing.assert_array_equal(found[index], expected(index))
    np.testing.assert_array_equal(found.rows([0, 2]), np.stack([expected(0), expected(2)]))
    with pytest.raises(SwagvError, match="clip v1@000000 has no explanation: unreadable"):
        found[1]


@pytest.mark.parametrize(
    "spec",
    [
        method("grad_cam"),
        method("grad_cam_pp", upsampling="scipy_cubic"),
        method("saliency_tubes"),
        method("input_x_gradient"),
    ],
    ids=lambda spec: spec["object"].split(":")[1],
)
def test_methods_that_run_the_network(shard, demo_models, demo_spec, spec, tmp_path):
    folder, frames = shard
    out = tmp_path / "maps.zarr"
    explain(folder / "clips.zarr", folder / "predictions.parquet", out, {"method": spec, "model": demo_spec}, RUNTIME)
    model = demo_models["r2plus1d_demo"]
    model.network.to(memory_format=model.memory_format)
    assert_maps(Explanations(out), lambda index: explained(model, frames, spec, index))
    assert ("layer_map" in open_store(out)) == ("input_x" not in spec["object"])


class Doubled(GradCam):
    """Does more than to upsample."""

    def __call__(self, model, clips, target, clip_ids=None):
        return 2 * super().__call__(model, clips, target)


def test_a_layer_map_that_is_more_than_upsampled_is_kept_as_it_comes(
    shard, demo_models, demo_spec, tmp_path, monkeypatch
):
    folder, frames = shard
    spec, out = method("grad_cam"), tmp_path / "maps.zarr"
    monkeypatch.setattr("swagv.stages.explain.load_object", lambda path: Doubled)
    explain(folder / "clips.zarr", folder / "predictions.parquet", out, {"method": spec, "model": demo_spec}, RUNTIME)
    model = demo_models["r2plus1d_demo"]
    model.network.to(memory_format=model.memory_format)
    assert_maps(Explanations(out), lambda index: 2 * explained(model, frames, spec, index))


@pytest.mark.parametrize("name", ["centre", "random", "full_frame"])
def test_controls_are_drawn_when_read(shard, name, tmp_path):
    folder, frames = shard
    out, spec = tmp_path / "maps.zarr", method(name)
    explain_control(folder / "clips.zarr", folder / "predictions.parquet", out, {"method": spec})
    control = load_object(spec["object"])(**spec["settings"])
    assert_maps(Explanations(out), lambda index: control.volume(frames.shape[1:4], IDS[index]))
    assert not list(open_store(out))


def test_pixels_are_read_where_the_gradients_are(shard, tmp_path):
    folder, _ = shard
    explain_pixels(folder / "gradients.zarr", tmp_path / "maps.zarr", {"method": method("guided_backprop")})
    gradients = open_store(folder / "gradients.zarr")["attribution"]
    assert_maps(Explanations(tmp_path / "maps.zarr"), lambda index: gradients[index])


@pytest.fixture
def moved(shard, tmp_path):
    """A shard with supervoxels and SWAG-V, moved to another place after it was made."""
    made = tmp_path / "made"
    shutil.copytree(shard[0], made)
    recipe = load_object(METHODS.path("swagv_i"))(n_segments=20).recipe
    supervoxels(made / "clips.zarr", None, made / "labels.zarr", {"recipe": asdict(recipe)}, RUNTIME)
    explain_supervoxels(made / "gradients.zarr", made / "labels.zarr", made / "a" / "maps.zarr", {})
    return made.rename(tmp_path / "moved")


def test_a_score_for_each_supervoxel(moved, shard):
    _, frames = shard
    maps = Explanations(moved / "a" / "maps.zarr")
    gradients = open_store(moved / "gradients.zarr")["attribution"]

    def expected(index):
        recipe = asdict(load_object(METHODS.path("swagv_i"))(n_segments=20).recipe)
        (found,) = slic_supervoxels_of(frames[[index]], [None], **recipe, engine="scikit-image", threads=1)
        map_, mean = gradients[index], np.zeros(frames.shape[1:4], np.float32)
        for label in np.unique(found.labels):
            there = found.labels == label
            mean[there] = map_[there].astype(np.float64).sum() / there.sum()
        return mean

    for index in (0, 2):
        np.testing.assert_allclose(maps[index], expected(index), rtol=1e-6)
    assert maps.store["scores"].shape[1] == max(open_store(moved / "labels.zarr").attrs["n_final"])


def test_a_store_that_is_gone_or_other_than_it_was_is_one_error(moved, shard):
    with create_store(moved / "other.zarr", IDS, {}) as store:
        store.write("labels", np.zeros((3, 16, 112, 112), np.uint16), "uint16")
    shutil.rmtree(moved / "labels.zarr")
    with pytest.raises(SwagvError, match=r"no zarr store at .*moved/labels\.zarr"):
        Explanations(moved / "a" / "maps.zarr")
    (moved / "other.zarr").rename(moved / "labels.zarr")
    with pytest.raises(SwagvError, match=r"made from other contents of \.\./labels\.zarr. Run the workflow again"):
        Explanations(moved / "a" / "maps.zarr")

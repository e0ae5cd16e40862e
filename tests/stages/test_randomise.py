"""randomise: what holds on to the network falls with it, and what does not stays as it was."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from swagv.datasets.rendering import render_video
from swagv.geometry import Geometry
from swagv.methods.explainer import Explainer
from swagv.methods.guided_backprop import GuidedBackprop
from swagv.models.build import build_model
from swagv.randomisation import randomised
from swagv.stages.explain import explain
from swagv.stages.randomise import randomise
from swagv.stores import create_store, open_store
from swagv.tables import PREDICTIONS, RANDOMISATION, read_provenance, read_table, write_table

pytestmark = pytest.mark.usefixtures("one_thread")

CLIPS = ["c@0", "a@0", "b@0"]
STATUS = ["ok", "unreadable: x", "ok"]
TARGETS = [0, None, 1]
KEY = {"dataset": "d", "model": "m", "method": "x", "shard": "0000"}
RUNTIME = {"device": "cpu", "threads": 1, "batch_size": 8}
SIZE = {"clip_len": 8, "geometry": Geometry(resize=(32, 32), crop=32)}
MODEL = {
    "card": "r2plus1d_demo",
    "weights": "default",
    "settings": {"clip_len": 8, "geometry": {"resize": [32, 32], "crop": 32}},
}
LAYERS = ["trained", "fc", "layer4", "layer3", "layer2", "layer1", "stem"]
GUIDED = {"object": "swagv.methods.guided_backprop:GuidedBackprop", "settings": {"reduce": "signed_sum"}}


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """Two rendered clips, and between them one that did not decode."""
    folder = tmp_path_factory.mktemp("shard")
    frames = [SIZE["geometry"].frames(render_video(label, label, num_frames=8).frames) for label in (0, 1)]
    with create_store(folder / "clips.zarr", CLIPS, {}) as store:
        store.status = STATUS
        store.write("frames", [frames[0], None, frames[1]], "uint8")
    known = [
        {"clip_id": clip, "status": status, "target": target}
        for clip, status, target in zip(CLIPS, STATUS, TARGETS, strict=True)
    ]
    write_table(folder / "p.parquet", known, PREDICTIONS, {})
    return folder


def run(shard, folder, method, maps=None, clips=3, seed=0):
    """The table of a method, whose stored maps are those of the stage before or the given ones."""
    spec = {"method": method, "model": MODEL}
    if maps is None:
        explain(shard / "clips.zarr", shard / "p.parquet", folder / "maps.zarr", spec, RUNTIME)
    else:
        with create_store(folder / "maps.zarr", CLIPS, {}) as store:
            store.status = STATUS
            store.write("attribution", maps, "float32")
    spec |= {"seed": seed, "clips": clips}
    paths = shard / "clips.zarr", shard / "p.parquet", folder / "maps.zarr", folder / "r.parquet"
    randomise(*paths, KEY, spec, RUNTIME)
    found = read_provenance(folder / "r.parquet")
    assert (found["stage"], found["spec"], found["device"]) == ("randomise", spec, "cpu")
    table = read_table(folder / "r.parquet")
    assert table.columns.tolist() == RANDOMISATION.names
    assert table[list(KEY)].to_dict("records") == [KEY] * len(table)
    return table


def of_clip(table, clip_id):
    """The rows of a clip that has every depth."""
    rows = table[table.clip_id == clip_id]
    assert rows.depth.tolist() == list(range(7))
    assert rows.layer.tolist() == LAYERS
    return rows


def test_a_map_that_needs_the_network_falls_with_it(shard, tmp_path):
    table = run(shard, tmp_path, GUIDED)
    assert table.clip_id.tolist() == ["a@0"] + ["b@0"] * 7 + ["c@0"] * 7
    failed, scored = table[table.clip_id == "a@0"], table[table.clip_id != "a@0"]
    assert failed.status.tolist() == ["unreadable: x"]
    assert failed[["depth", "layer", "spearman", "spearman_abs"]].isna().all(axis=None)
    assert (scored.status == "ok").all()
    frames, stored = open_store(shard / "clips.zarr")["frames"], open_store(tmp_path / "maps.zarr")["attribution"]
    trained = build_model("r2plus1d_demo", **SIZE)
    networks = {depth: randomised(trained, depth, 0) for depth in (1, 6)}
    for index, clip_id in ((0, "c@0"), (2, "b@0")):
        rows = of_clip(table, clip_id)
        assert rows.spearman.iloc[0] == pytest.approx(1, abs=1e-6)  # the same map, explained anew
        assert rows.spearman_abs.iloc[0] == pytest.approx(1, abs=1e-6)
        assert rows.spearman_abs.iloc[1] > 0.7  # a new last layer alone changes little
        assert rows.spearman_abs.iloc[6] < 0.4
        assert abs(rows.spearman.iloc[6]) < 0.4
        for depth, network in networks.items():
            given = network.preprocess(frames[index : index + 1]), torch.tensor([TARGETS[index]])
            new, old = GuidedBackprop("signed_sum")(network, *given)[0].numpy(), stored[index]
            expected = (
                spearmanr(old.ravel(), new.ravel()).statistic,
                spearmanr(abs(old).ravel(), abs(new).ravel()).statistic,
            )
            found = rows[["spearman", "spearman_abs"]].iloc[depth].tolist()
            assert found == pytest.approx(expected, abs=1e-3)  # another memory layout rounds the network's numbers
            assert abs(expected[0] - expected[1]) > 0.01


@pytest.mark.parametrize("method", ["sobel:Sobel", "controls:RandomPoint"])
def test_a_map_that_ignores_the_network_stays_as_it_was(shard, tmp_path, method):
    table = run(shard, tmp_path, {"object": f"swagv.methods.{method}", "settings": {}})
    for clip_id in ("b@0", "c@0"):
        rows = of_clip(table, clip_id)
        assert rows.spearman.tolist() == [1.0] * 7
        assert rows.spearman_abs.tolist() == [1.0] * 7
        assert rows.status.tolist() == ["ok"] * 7


def test_clips_with_a_map_are_taken_first_and_the_seed_is_that_of_the_weights(shard, tmp_path):
    first, other = (run(shard, tmp_path / str(seed), GUIDED, clips=1, seed=seed) for seed in (3, 4))
    rows, other = of_clip(first, "b@0"), of_clip(other, "b@0")
    assert len(first) == 7
    assert rows.spearman.iloc[0] == other.spearman.iloc[0]
    assert not np.isclose(rows.spearman[1:], other.spearman[1:], atol=1e-4).any()
    two = run(shard, tmp_path / "two", {"object": "swagv.methods.sobel:Sobel", "settings": {}}, clips=2)
    assert two.clip_id.tolist() == ["b@0"] * 7 + ["c@0"] * 7


@dataclass(frozen=True)
class Known(Explainer):
    """A map of ranks as long as the last layer is the trained one, and what `then` says afterwards."""

    then: str = "reversed"

    def __call__(self, model, clips, target, clip_ids=None):
        shape = clips.shape[0], *clips.shape[2:]
        ranks = torch.arange(clips[0, 0].numel(), dtype=torch.float32).expand(len(clips), -1).reshape(shape)
        if torch.equal(model.network.fc.weight.cpu(), build_model("r2plus1d_demo").network.fc.weight):
            return ranks
        return {"reversed": -ranks, "flat": 0 * ranks, "broken": ranks / 0}[self.then]


def ranks():
    return np.arange(8 * 32 * 32, dtype=np.float32).reshape(8, 32, 32)


@pytest.mark.parametrize(
    ("then", "status", "spearman", "spearman_abs"),
    [
        ("reversed", "ok", -1.0, 1.0),
        ("flat", "the new map is constant", np.nan, np.nan),
        ("broken", "attribution is not finite", np.nan, np.nan),
    ],
)
def test_what_a_random_network_gives_is_a_row_of_its_depth(shard, tmp_path, then, status, spearman, spearman_abs):
    method = {"object": "tests.stages.test_randomise:Known", "settings": {"then": then}}
    rows = of_clip(run(shard, tmp_path, method, [ranks(), None, ranks()], clips=1), "b@0")
    assert rows.status.tolist() == ["ok"] + [status] * 6
    assert rows.spearman.tolist() == pytest.approx([1.0] + [spearman] * 6, nan_ok=True, rel=0, abs=0)
    assert rows.spearman_abs.tolist() == pytest.approx([1.0] + [spearman_abs] * 6, nan_ok=True, rel=0, abs=0)


def test_a_stored_map_without_ranks_and_a_method_that_does_not_fit_are_statuses(shard, tmp_path):
    flat = {"object": "swagv.methods.controls:FullFrame", "settings": {}}
    rows = of_clip(run(shard, tmp_path / "flat", flat, clips=1), "b@0")
    assert rows.status.tolist() == ["the stored map is constant"] * 7
    assert rows.spearman.isna().all()
    unfit = {"object": "swagv.methods.grad_cam:GradCam", "settings": {"layer": "nonsense"}}
    rows = of_clip(run(shard, tmp_path / "unfit", unfit, [ranks(), None, ranks()], clips=1), "b@0")
    assert rows.status.str.startswith("not_applicable: the network has no layer 'nonsense'").all()
    assert rows.spearman.isna().all()

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import zarr

import swagv
from swagv.cli import main
from swagv.datasets.rendering import render_video, write_video
from swagv.given_clips import GivenClips
from swagv.metrics.insertion_deletion import InsertionDeletion

MODEL = ["--model", "c3d_demo"]
QUICK = ["--set", "steps=3"]
CIRCLE = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """v.mp4 of 40 frames and boxes.npy, its true boxes in pixels of the crop."""
    folder = tmp_path_factory.mktemp("videos")
    video = render_video(CIRCLE, 5, 40)
    write_video(folder / "v.mp4", video.frames)
    return folder


@pytest.fixture(scope="module")
def clips(folder, demo_models):
    """Frames (3,16,112,112,3) of three clips, their preprocessed clips, and centre and noise maps of them."""
    model = demo_models["c3d_demo"]
    frames = np.concatenate([swagv.read_clip(folder / "v.mp4", start=start)[None] for start in (0, 10, 20)])
    frames = model.geometry.frames(frames)
    tensors = model.preprocess(frames)
    return frames, tensors, {name: swagv.explain(model, tensors, name).numpy() for name in ("centre", "random_noise")}


def evaluated(capsys, *arguments):
    """What `swagv evaluate --json` prints."""
    assert main(["evaluate", *map(str, arguments), *MODEL, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_explain_wrote_is_scored_as_the_library_scores_it(folder, tmp_path, demo_models, capsys):
    out = tmp_path / "v.npz"
    assert main(["explain", str(folder / "v.mp4"), *MODEL, "--method=swagv_ig", "--method=centre", f"--out={out}"]) == 0
    capsys.readouterr()
    found = evaluated(capsys, out, *QUICK)
    model = demo_models["c3d_demo"]
    tensors = model.preprocess(swagv.read_clip(folder / "v.mp4")[None])
    for row in found["rows"]:
        with np.load(out) as arrays:
            maps = arrays[f"attribution/{row['method']}"][None]
        expected = swagv.evaluate(model, tensors, maps, metrics=InsertionDeletion(steps=3))
        assert row["clip_id"] == "v@000012"
        assert row["target_name"] == "circle"
        for name, value in expected.items():
            assert np.allclose(row[name], value[0].numpy(), rtol=1e-4, atol=1e-6), name
    summary = {(row["method"], row["metric"]): row for row in found["summary"]}
    assert summary["centre", "insertion_auc"]["mean"] == found["rows"][0]["insertion_auc"]
    assert summary["centre", "insertion_auc"]["ci_low"] is None  # one video says nothing of the spread


def test_one_array_from_elsewhere_with_the_video(folder, tmp_path, clips, demo_models, capsys):
    np.save(tmp_path / "mine.npy", clips[2]["centre"][1])
    np.savez(tmp_path / "mine.npz", attribution=clips[2]["centre"][1:2])  # as `swagv.explain` gives it, N = 1
    with_video = [f"--video={folder / 'v.mp4'}", "--start=10", *QUICK]
    rows = [evaluated(capsys, tmp_path / f"mine.{kind}", *with_video)["rows"] for kind in ("npy", "npz")]
    assert rows[0][0]["method"] == rows[1][0]["method"] == "mine"
    assert rows[0][0]["deletion_curve"] == rows[1][0]["deletion_curve"]
    metric = InsertionDeletion(steps=3)
    expected = swagv.evaluate(demo_models["c3d_demo"], clips[1][1:2], clips[2]["centre"][1:2], metrics=metric)
    assert rows[0][0]["deletion_auc"] == pytest.approx(float(expected["deletion_auc"][0]), rel=1e-4)


@pytest.mark.parametrize("kind", ["npz", "zarr"])
def test_many_clips_with_boxes_and_ids(kind, tmp_path, clips, capsys):
    frames, _, maps = clips
    boxes = np.tile(np.float32([30, 30, 80, 80]), (3, 16, 1))
    boxes[2] = np.nan
    maps = {f"attribution/{name}": found.copy() for name, found in maps.items()}
    maps["attribution/random_noise"][1, 0, 0, 0] = np.nan
    arrays = maps | {"frames": frames, "boxes": boxes, "target": np.array(["circle", "circle", "horizontal"])}
    ids = ["a@000000", "a@000010", "b@000020"]
    if kind == "npz":
        np.savez(tmp_path / "m.npz", **arrays, clip_ids=np.array(ids))
    else:
        group = zarr.create_group(str(tmp_path / "m.zarr"), attributes={"clip_ids": ids})
        for name, array in arrays.items():
            group.create_array(name, data=array)
    metrics = ["--metric=insertion_deletion", "--metric=localisation", "--metric=pointing"]
    outs = [tmp_path / f"o.{suffix}" for suffix in ("csv", "parquet", "json", "svg")]
    found = evaluated(capsys, tmp_path / f"m.{kind}", *metrics, *QUICK, *[f"--out={out}" for out in outs])
    rows = {(row["clip_id"], row["method"]): row for row in found["rows"]}
    assert len(rows) == 6
    assert rows["b@000020", "centre"]["target"] == 0
    assert rows["a@000010", "random_noise"]["status"] == "attribution is not finite"
    assert "deletion_auc" not in rows["a@000010", "random_noise"]
    assert "hits_value" not in rows["b@000020", "centre"]  # it has no true box, and insertion all the same
    assert 0 < rows["b@000020", "centre"]["insertion_auc"] < 1
    summary = {(row["method"], row["metric"]): row for row in found["summary"]}
    assert (summary["centre", "deletion_auc"]["n"], summary["random_noise", "deletion_auc"]["n_failed"]) == (3, 1)
    assert (summary["centre", "pointing"]["n"], summary["centre", "pointing"]["n_failed"]) == (2, 1)
    assert summary["centre", "pointing"]["mean"] == 1  # the box is in the middle
    assert summary["centre", "deletion_auc"]["ci_low"] < summary["centre", "deletion_auc"]["mean"]
    assert list(pd.read_csv(outs[0]).clip_id) == [row["clip_id"] for row in found["rows"]]
    assert len(pd.read_parquet(outs[1]).deletion_curve[0]) == 4
    assert json.loads(outs[2].read_text())["summary"] == found["summary"]
    assert outs[3].read_text().count("<svg") == 1


def test_frames_in_another_file_are_found_by_id(tmp_path, clips, capsys):
    frames, _, maps = clips
    targets, boxes = np.array([3, 0, 4]), np.tile(np.float32([30, 30, 80, 80]), (3, 16, 1))
    more = {"frames": frames, "clip_ids": np.array(["a", "b", "c"]), "target": targets}
    own = {"attribution": maps["centre"][[2, 0]], "clip_ids": np.array(["c", "a"]), "boxes": boxes[:2]}
    np.savez(tmp_path / "maps.npz", **own)
    np.savez(tmp_path / "frames.npz", **more)
    metrics = ["--metric=insertion_deletion", "--metric=pointing"]
    found = evaluated(capsys, tmp_path / "maps.npz", f"--clips={tmp_path / 'frames.npz'}", *QUICK, *metrics)["rows"]
    assert [row["target"] for row in found] == [4, 3]  # of the file that has them, found by id
    assert [row["pointing"] for row in found] == [1, 1]  # and boxes of the other
    np.savez(tmp_path / "all.npz", **more, attribution=maps["centre"])
    expected = evaluated(capsys, tmp_path / "all.npz", *QUICK)["rows"]
    assert [row["clip_id"] for row in found] == ["c", "a"]
    for row, other in zip(found, (expected[2], expected[0]), strict=True):
        assert row["deletion_auc"] == pytest.approx(other["deletion_auc"], rel=1e-5)


def test_a_whole_video_is_cut_into_clips(folder, tmp_path, capsys):
    out = tmp_path / "w.npz"
    assert main(["explain", str(folder / "v.mp4"), *MODEL, "--whole", "--method=centre", f"--out={out}"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(out), *MODEL, *QUICK, "--json"]) == 0
    said = capsys.readouterr()
    assert [row["clip_id"] for row in json.loads(said.out)["rows"]] == ["w@000000", "w@000016"]
    assert said.err == "swagv: the last 8 frames make no whole clip and are left out\n"


def test_text_has_arrows_and_counts(tmp_path, clips, capsys):
    np.savez(tmp_path / "m.npz", attribution=clips[2]["centre"], frames=clips[0])
    assert main(["evaluate", str(tmp_path / "m.npz"), *MODEL, *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("m  deletion AUC ↓")
    assert lines[0].endswith("n 3")
    assert "[" in lines[0]


class Runs:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickles_are_not_run(tmp_path, capsys):
    np.savez(tmp_path / "m.npz", attribution=np.array([Runs(tmp_path / "ran")], object))
    assert main(["evaluate", str(tmp_path / "m.npz"), *MODEL]) == 2
    assert "holds Python objects; save its arrays as numbers" in capsys.readouterr().err
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    assert main(["evaluate", str(tmp_path / "p.npz"), *MODEL]) == 2
    capsys.readouterr()
    store = tmp_path / "m.zarr"
    store.mkdir()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    (store / "attribution").mkdir()
    pickled = {"id": "pickle", "protocol": 5}
    for kind, filters, compressor in (
        ("|O", [pickled], None),
        ("|O", [{"id": "vlen-utf8"}], pickled),
        ("<f4", None, pickled),
    ):
        put_pickle(store / "attribution", tmp_path / "ran", kind, filters, compressor)
        assert main(["evaluate", str(store), *MODEL]) == 2
        assert "'pickle'" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def put_pickle(folder, ran, kind, filters, compressor):
    """An array of zarr 2 whose one chunk, unpickled, makes a file."""
    folder.mkdir(exist_ok=True, parents=True)
    array = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": kind, "fill_value": None, "order": "C"}
    (folder / ".zarray").write_text(json.dumps(array | {"filters": filters, "compressor": compressor}))
    (folder / "0").write_bytes(pickle.dumps(Runs(ran)))


@pytest.mark.parametrize("where", ["../../gradients/g/0000.zarr", "../../../../../elsewhere.zarr"])
def test_a_store_that_explanations_refer_to_is_not_trusted_either(where, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NUMCODECS_ALLOW_UNSAFE_PICKLE_DECODE", "1")
    store = tmp_path / "results/d/m/explanations/g/0000.zarr"
    other = (store.parent / where).resolve()
    said = {"complete": True, "clip_ids": ["v@0"], "status": ["ok"]}
    zarr.create_group(str(other), zarr_format=2, attributes=said | {"digests": {}})
    packed = {"id": "pickle", "protocol": 5}
    put_pickle(other / "attribution", tmp_path / "ran", "|O", [{"id": "vlen-utf8"}], packed)
    of = {"path": where, "digests": {}}
    zarr.create_group(str(store), attributes=said | {"layout": "pixels", "of": of})
    frames = np.zeros((1, 16, 112, 112, 3), np.uint8)
    np.savez(tmp_path / "f.npz", frames=frames, clip_ids=np.array(["v@0"]))
    assert main(["evaluate", str(store), *MODEL, f"--clips={tmp_path / 'f.npz'}"]) == 2
    error = capsys.readouterr().err
    assert "packed by 'pickle'" in error or "which is not in" in error
    assert not (tmp_path / "ran").exists()


def test_a_file_that_names_a_control_imports_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "evil_control.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    said = {"complete": True, "clip_ids": ["v@0"], "status": ["ok"], "layout": "control", "shape": [16, 112, 112]}
    spec = {"method": {"object": "evil_control:X", "settings": {}}}
    zarr.create_group(str(tmp_path / "e.zarr"), attributes=said | {"spec": spec})
    assert main(["evaluate", str(tmp_path / "e.zarr"), *MODEL]) == 2
    assert "is of the control 'evil_control:X', which is not registered here" in capsys.readouterr().err


ONE = {"attribution": (16, 112, 112), "frames": (16, 112, 112, 3)}
TWO = {"attribution": (2, 16, 112, 112), "frames": (2, 16, 112, 112, 3)}


@pytest.mark.parametrize(
    ("shapes", "more", "arguments", "message"),
    [
        ({"maps": (1,)}, {}, [], "has no array attribution or attribution/METHOD; it has maps"),
        ({"attribution": (16, 112, 112)}, {}, [], "has no array frames; it has attribution. Give --clips"),
        (ONE | {"attribution": (16, 56, 56)}, {}, [], "m (16, 56, 56) float32; the network sees (16, 112, 112)"),
        (ONE | {"attribution": (8, 112, 112)}, {}, [], "m (8, 112, 112) float32; the network sees (16, 112, 112)"),
        (TWO | {"frames": (3, 16, 112, 112, 3)}, {}, [], "of (2, 16) clips and frames, m.npz has (3, 16)"),
        (
            {"attribution/a": (16, 112, 112), "attribution/b": (8, 112, 112), "frames": (16, 112, 112, 3)},
            {},
            [],
            "differ",
        ),
        (ONE | {"attribution/m": (16, 112, 112)}, {}, [], "are both of the method 'm'; rename one"),
        (ONE | {"attribution": (16, 112)}, {}, [], "(N,T,H,W) numbers are needed"),
        (TWO | {"attribution": (0, 16, 112, 112)}, {}, [], "(N,T,H,W) numbers are needed"),
        (ONE, {"frames": np.zeros((16, 112, 112, 3), np.float32)}, [], "frames are float32"),
        (ONE, {"target": 9}, [], "target 9 of clip m@000000: the network has 6 classes"),
        (ONE, {"target": "cirle"}, [], "Did you mean 'circle'"),
        (TWO, {"target": [1.5, 2.5]}, [], "target is float64 (2,); (2,) whole numbers or names are needed"),
        (TWO, {"target": [[1, 2], [3, 4]]}, [], "target is int64 (2, 2)"),
        (TWO, {"target": [1]}, [], "target is int64 (1,)"),
        (TWO, {"target": 1}, [], "one target for 2 clips; give one each"),
        (TWO, {"boxes": np.zeros((16, 4))}, [], "boxes are float64 (16, 4); (2, 16, 4) numbers are needed"),
        (TWO, {"clip_ids": ["v@0", "v@0"]}, [], "two clips are called v@0"),
        (TWO, {"clip_ids": ["v@0"]}, [], "2 explanations and 1 clip_ids"),
        (
            ONE,
            {},
            ["--metric=insertion_deletoin"],
            "Did you mean 'insertion_deletion'",
        ),
        (ONE, {}, ["--metric=builtins:print"], "metric 'builtins:print' is a builtin_function_or_method"),
        (ONE, {}, ["--set=step=3"], "no setting 'step'. Did you mean 'steps'"),
        (ONE, {}, ["--set=steps=0"], "steps=0: must be at least 1"),
        (ONE, {}, ["--set=steps=1000000000"], "and at most 10000"),
        (ONE, {}, ["--method=swagv"], "has no method 'swagv'; it has m"),
        (ONE, {}, ["--metric=localisation"], "localisation needs true boxes: an array boxes (N,T,4)"),
        (ONE, {}, ["--target=cirle"], "Did you mean 'circle'"),
        (ONE, {}, ["--start=3"], "--start and --frame-step are of --video, which is not given"),
        (ONE, {}, ["--out=o.txt"], "what to write is told by the suffix"),
        (ONE, {}, ["--out=m.csv"], "m.csv is a folder; give a file to write"),
        (ONE, {}, ["--out=m.npz"], "what to write is told by the suffix"),
        (ONE, {}, ["--metric=pointing", "--out=o.svg"], "no curves to draw without the metric insertion_deletion"),
        (ONE, {}, ["--clips=absent.npz"], "absent.npz: there is no such file"),
        (ONE, {}, ["--clips=m.csv"], "m.csv is a folder, and no zarr group"),
        (ONE, {}, ["--clips=t.npz"], "t.npz is neither an npz or npy file nor the folder of a zarr group"),
        (ONE, {}, ["--clips=m.npz", "--video=v.mp4"], "not from both"),
        (ONE, {}, ["--clip-len=8"], "m@000000"),
    ],
)
def test_what_cannot_be_scored_is_one_line(shapes, more, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.csv").mkdir()
    (tmp_path / "t.npz").write_text("text")
    made = {name: np.full(shape, 9, np.uint8 if name == "frames" else np.float32) for name, shape in shapes.items()}
    np.savez("m.npz", **made | {name: np.array(value) for name, value in more.items()})
    if arguments == ["--clip-len=8"]:  # which cuts the 16 frames into two clips that C3D does not take
        message = "model 'c3d_demo' does not take clips of 8 frames"
    assert main(["evaluate", "m.npz", *MODEL, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"m.csv", "m.npz", "t.npz"}


def test_where_no_clip_can_be_scored_the_exit_code_says_so(tmp_path, clips, capsys):
    np.savez(tmp_path / "m.npz", attribution=clips[2]["centre"] + np.inf, frames=clips[0])
    assert main(["evaluate", str(tmp_path / "m.npz"), *MODEL]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "m: 3 clips attribution is not finite"
    boxes = np.full((3, 16, 4), np.nan)
    np.savez(tmp_path / "b.npz", attribution=clips[2]["centre"] > 0.5, frames=clips[0], boxes=boxes)
    assert main(["evaluate", str(tmp_path / "b.npz"), *MODEL, "--metric=pointing"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "b: 3 clips no_true_box"


def test_a_clip_is_read_when_it_is_asked_for(tmp_path):
    """Of zarr: a clip whose chunk is cut is found when it is reached, and named."""
    group = zarr.create_group(str(tmp_path / "m.zarr"))
    group.create_array("attribution", shape=(2, 16, 8, 8), chunks=(1, 16, 8, 8), dtype="float32")[:] = 1.0
    group.create_array("frames", shape=(2, 16, 8, 8, 3), chunks=(1, 16, 8, 8, 3), dtype="uint8")[:] = 1
    (tmp_path / "m.zarr" / "attribution" / "c" / "1" / "0" / "0" / "0").write_bytes(b"cut")
    clips = GivenClips(tmp_path / "m.zarr", (16, 8, 8))
    assert clips[0].maps["m"].shape == (16, 8, 8)
    with pytest.raises(swagv.errors.ConfigError, match="clip m-1 cannot be read"):
        clips[1]


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "swagv evaluate v.npz --model i3d" in capsys.readouterr().out

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
    found = evaluated(capsys, out)
    model = demo_models["c3d_demo"]
    tensors = model.preprocess(swagv.read_clip(folder / "v.mp4")[None])
    for row in found["rows"]:
        with np.load(out) as arrays:
            expected = swagv.evaluate(model, tensors, arrays[f"attribution/{row['method']}"][None])
        assert row["clip_id"] == "v@000012"
        assert row["target_name"] == "circle"
        for name, value in expected.items():
            assert np.allclose(row[name], value[0].numpy(), rtol=1e-4, atol=1e-6), name
    summary = {(row["method"], row["metric"]): row for row in found["summary"]}
    assert summary["centre", "insertion_auc"]["mean"] == found["rows"][0]["insertion_auc"]
    assert summary["centre", "insertion_auc"]["ci_low"] is None  # one video says nothing of the spread


def test_one_array_from_elsewhere_with_the_video(folder, tmp_path, clips, capsys):
    np.save(tmp_path / "mine.npy", clips[2]["centre"][1])
    np.savez(tmp_path / "mine.npz", attribution=clips[2]["centre"][1])
    with_video = [f"--video={folder / 'v.mp4'}", "--start=10", *QUICK]
    rows = [evaluated(capsys, tmp_path / f"mine.{kind}", *with_video)["rows"] for kind in ("npy", "npz")]
    assert rows[0] == rows[1]
    assert rows[0][0]["method"] == "mine"
    expected = swagv.evaluate(swagv.load_model("c3d_demo"), clips[1][1:2], clips[2]["centre"][1:2])
    with_all = evaluated(capsys, tmp_path / "mine.npz", f"--video={folder / 'v.mp4'}", "--start=10")["rows"][0]
    assert with_all["deletion_auc"] == pytest.approx(float(expected["deletion_auc"][0]), rel=1e-4)


@pytest.mark.parametrize("kind", ["npz", "zarr"])
def test_many_clips_with_boxes_and_ids(kind, tmp_path, clips, capsys):
    frames, _, maps = clips
    boxes = np.tile(np.float32([30, 30, 80, 80]), (3, 16, 1))
    boxes[2] = np.nan
    maps = {f"attribution/{name}": found.copy() for name, found in maps.items()}
    maps["attribution/random_noise"][1, 0, 0, 0] = np.nan
    arrays = maps | {"frames": frames, "boxes": boxes, "target": np.array([3, 3, 0])}
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
    np.savez(tmp_path / "maps.npz", attribution=maps["centre"][[2, 0]], clip_ids=np.array(["c", "a"]))
    np.savez(tmp_path / "frames.npz", frames=frames, clip_ids=np.array(["a", "b", "c"]))
    found = evaluated(capsys, tmp_path / "maps.npz", f"--clips={tmp_path / 'frames.npz'}", *QUICK)["rows"]
    np.savez(tmp_path / "all.npz", attribution=maps["centre"], frames=frames, clip_ids=np.array(["a", "b", "c"]))
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
    assert "cannot be read as an npz file" in capsys.readouterr().err
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    assert main(["evaluate", str(tmp_path / "p.npz"), *MODEL]) == 2
    store = tmp_path / "m.zarr"
    store.mkdir()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    (store / "attribution").mkdir()
    array = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "fill_value": None, "order": "C"}
    for filters in ([{"id": "pickle", "protocol": 5}],):
        (store / "attribution" / ".zarray").write_text(json.dumps(array | {"filters": filters, "compressor": None}))
        (store / "attribution" / "0").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
        assert main(["evaluate", str(store), *MODEL]) == 2
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("arrays", "arguments", "message"),
    [
        ({"maps": (1,)}, [], "has no array attribution or attribution/METHOD; it has maps"),
        ({"attribution": (16, 112, 112)}, [], "has no array frames; it has attribution. Give --clips"),
        (
            {"attribution": (16, 56, 56), "frames": (16, 112, 112, 3)},
            [],
            "(16, 56, 56); the network sees (16, 1",
        ),
        (
            {"attribution": (8, 112, 112), "frames": (8, 112, 112, 3)},
            [],
            "(8, 112, 112); the network sees (16, 112, 112)",
        ),
        ({"attribution": (2, 16, 112, 112), "frames": (3, 16, 112, 112, 3)}, [], "are not of the same clips"),
        (
            {"attribution/a": (16, 112, 112), "attribution/b": (8, 112, 112), "frames": (16, 112, 112, 3)},
            [],
            "one (N,T",
        ),
        ({"attribution": (16, 112), "frames": (16, 112, 112, 3)}, [], "one (N,T,H,W) float for all is needed"),
        ({}, ["--metric=insertion_deletoin"], "unknown metric 'insertion_deletoin'. Did you mean 'insertion_deletion'"),
        ({}, ["--set=step=3"], "no setting 'step'. Did you mean 'steps'"),
        ({}, ["--set=steps=0"], "steps=0: must be at least 1"),
        ({}, ["--method=swagv"], "has no method 'swagv'; it has m"),
        ({}, ["--metric=localisation"], "localisation needs true boxes: an array boxes (N,T,4)"),
        ({}, ["--target=cirle"], "Did you mean 'circle'"),
        ({}, ["--out=o.txt"], "what to write is told by the suffix"),
        ({}, ["--clips=absent.npz"], "absent.npz cannot be read as an npz file or a zarr group: there is no such file"),
        ({}, ["--clips=m.npz", "--video=v.mp4"], "not from both"),
        ({"target": ()}, [], "target 9 of clip m@000000: the network has 6 classes"),
    ],
)
def test_what_cannot_be_scored_is_one_line(arrays, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    whole = {"attribution": (16, 112, 112), "frames": (16, 112, 112, 3)}
    arrays = arrays if arrays and "target" not in arrays else whole | arrays
    kinds = {"frames": np.uint8, "target": int}
    made = {name: np.full(shape, 9, kinds.get(name, np.float32)) for name, shape in arrays.items()}
    np.savez("m.npz", **made)
    assert main(["evaluate", "m.npz", *MODEL, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o.txt").exists()


def test_a_clip_is_read_when_it_is_asked_for(tmp_path):
    """Of zarr: a clip whose chunk is cut is found when it is reached, and named."""
    group = zarr.create_group(str(tmp_path / "m.zarr"))
    group.create_array("attribution", shape=(2, 16, 8, 8), chunks=(1, 16, 8, 8), dtype="float32")[:] = 1.0
    group.create_array("frames", shape=(2, 16, 8, 8, 3), chunks=(1, 16, 8, 8, 3), dtype="uint8")[:] = 1
    (tmp_path / "m.zarr" / "attribution" / "c" / "1" / "0" / "0" / "0").write_bytes(b"cut")
    clips = GivenClips(tmp_path / "m.zarr", 16)
    assert clips[0].maps["m"].shape == (16, 8, 8)
    with pytest.raises(swagv.errors.ConfigError, match="clip m-1 cannot be read"):
        clips[1]


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "swagv evaluate v.npz --model i3d" in capsys.readouterr().out

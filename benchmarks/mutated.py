"""The kinds of input of `benchmarks.mutations`: what is sound, how it is damaged, and what must hold of the result."""

from __future__ import annotations

import io
import json
import math
import pickle
import re
import shutil
import time
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.invariants import WATCH, Kind, OneByOne, Outcome, Violation, where, wrong_message
from benchmarks.mutators import damaged, damaged_pickle, damaged_table, damaged_tree, damaged_zip, payloads

ROOT = Path(__file__).parents[1]


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


# Videos: whole shards, through the stages that plan and decode them.

_CODECS = {
    ".mp4": "libx264", ".avi": "mpeg4", ".ts": "mpeg2video", ".webm": "libvpx", ".mkv": "mjpeg", ".mov": "libx264",
}  # fmt: skip
_TIME_LIMIT = 6.0
_CLIP = {"select": "every", "clip_len": 8, "clip_step": 8, "frame_step": 1, "boxed": False}
_GEOMETRY = {"resize": [48, 64], "crop": 48}
_STATUS = {"ok", "unreadable", "truncated", "too_few_frames"}


def _encode(path: Path, codec: str, frames: np.ndarray) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = frames.shape[2], frames.shape[1]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _videos(folder: Path) -> dict[str, Any]:
    """Bytes of a film of 24 frames of 64x48 pixels in each container, and of 8 images as PNG and as JPEG."""
    from PIL import Image

    from swagv.datasets.rendering import render_video
    from swagv.provenance import provenance

    provenance("plan", {})  # asks git, once
    frames = np.ascontiguousarray(render_video(0, 0, 24).frames[:, ::5, ::5])
    found: dict[str, Any] = {"films": {}, "images": {}}
    for suffix, codec in _CODECS.items():
        _encode(folder / f"sound{suffix}", codec, frames)
        found["films"][suffix] = (folder / f"sound{suffix}").read_bytes()
        (folder / f"sound{suffix}").unlink()
    for suffix, kind in ((".png", "PNG"), (".jpg", "JPEG")):
        found["images"][suffix] = []
        for frame in frames[:8]:
            data = io.BytesIO()
            Image.fromarray(frame).save(data, kind)
            found["images"][suffix].append(data.getvalue())
    return found


def _run_videos(state: dict[str, Any], cases: dict[int, np.random.Generator], folder: Path) -> Iterator[Outcome]:
    """One shard of all cases and a sound video; halves of it where it fails, until the guilty one is alone."""
    inputs = {index: _damaged_video(state, rng) for index, rng in cases.items()}
    todo = [list(inputs)]
    while todo:
        indices = todo.pop()
        try:
            yield from _shard(state, {index: inputs[index] for index in indices}, folder)
        except Exception as error:  # no video may stop the others
            if len(indices) == 1:
                yield Outcome(
                    indices[0], type(error).__name__, 0.0, f"{type(error).__name__}: {error} ({where(error)})"
                )
            else:
                todo += [indices[len(indices) // 2 :], indices[: len(indices) // 2]]


def _damaged_video(state: dict[str, Any], rng: np.random.Generator) -> dict[str, bytes]:
    """Bytes of the files of one video, by their names behind that of the video."""
    if rng.random() < 0.85:
        suffix = list(_CODECS)[int(rng.integers(len(_CODECS)))]
        return {suffix: damaged(rng, state["films"][suffix])}
    suffix, guilty = (".png", ".jpg")[int(rng.integers(2))], int(rng.integers(8))
    images = enumerate(state["images"][suffix])
    return {f"/{place}{suffix}": damaged(rng, data) if place == guilty else data for place, data in images}


def _shard(state: dict[str, Any], cases: dict[int, dict[str, bytes]], folder: Path) -> list[Outcome]:
    from swagv.decode import Decoder
    from swagv.stages import decode as decode_stage
    from swagv.stages import plan as plan_stage
    from swagv.stores import open_store
    from swagv.tables import read_rows

    seconds: dict[str, float] = {}
    memory: dict[str, int] = {}

    class Timed(Decoder):
        def _note(self, path: Path | str, start: float) -> None:
            name = Path(path).name
            seconds[name] = max(seconds.get(name, 0.0), time.perf_counter() - start)
            if self._child is not None:
                status = Path(f"/proc/{self._child.pid}/status").read_text()
                if found := re.search(r"VmHWM:\s+(\d+)", status):
                    memory[name] = int(found[1]) << 10

        def probe(self, path: Path | str) -> Any:
            start = time.perf_counter()
            try:
                return super().probe(path)
            finally:
                self._note(path, start)

        def iter_frames(self, path: Path | str, *given: Any) -> Iterator[Any]:
            start = time.perf_counter()
            try:
                yield from super().iter_frames(path, *given)
            finally:
                self._note(path, start)

    shutil.rmtree(folder, ignore_errors=True)
    films = folder / "films"
    films.mkdir(parents=True)
    (films / "sound.mp4").write_bytes(state["films"][".mp4"])
    names = {}
    for index, files in cases.items():
        names[f"{index:06d}{next(iter(files)) if len(files) == 1 else ''}"] = index
        for name, data in files.items():
            path = films / f"{index:06d}{name}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
    WATCH.begin()
    plan_stage.Decoder = decode_stage.Decoder = Timed
    spec = {"dataset": {"object": "swagv.datasets.folder:FolderDataset", "settings": {"root": str(films)}}}
    plan_stage.plan(folder / "m.parquet", None, "0000", spec | {"shards": 1, "clips": _CLIP}, _TIME_LIMIT)
    decode_stage.decode(folder / "m.parquet", folder / "c.zarr", {"geometry": _GEOMETRY, "clip_len": 8}, _TIME_LIMIT)
    rows, store = read_rows(folder / "m.parquet"), open_store(folder / "c.zarr")
    of_video: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        of_video.setdefault(Path(row["path"]).name, []).append(place)
    outcomes = []
    general = WATCH.problem() or _sound(rows, store, of_video.get("sound.mp4", []))
    for name, index in names.items():
        found = [(rows[place], store.attrs["status"][place], place) for place in of_video.get(name, [])]
        problem = general or _wrong_video(found, store, films / name)
        if not problem and memory.get(name, 0) > 1 << 30:
            problem = f"its decoder took {memory[name] >> 20} MiB"
        general = ""  # said once
        statuses = [status for _, status, _ in found]
        status = statuses[0].partition(":")[0] if found else "lost"
        outcomes.append(Outcome(index, status, seconds.get(name, 0.0), problem))
    return outcomes


def _sound(rows: list[dict[str, Any]], store: Any, places: list[int]) -> str:
    """What is wrong with the sound video among the others."""
    if [store.attrs["status"][place] for place in places] != ["ok"] * 3:
        return "the sound video beside it did not come out"
    return _wrong_frames(Path(rows[places[0]]["path"]), [(rows[place], "ok", place) for place in places], store)


def _wrong_video(found: list[tuple[dict[str, Any], str, int]], store: Any, path: Path) -> str:
    if not found:
        return "the manifest has no row of it"
    for row, status, _ in found:
        if row["status"] not in _STATUS or status.partition(":")[0] not in _STATUS:
            return f"unknown status {row['status']!r}, {status!r}"
        problem = "" if status == "ok" and not row["detail"] else wrong_message(row["detail"] or status)
        if problem or (problem := wrong_message(status)):
            return problem
    whole = [entry for entry in found if entry[1] == "ok" and not entry[0]["detail"]]
    return _wrong_frames(path, whole, store) if whole else ""


def _wrong_frames(path: Path, found: list[tuple[dict[str, Any], str, int]], store: Any) -> str:
    """Whether clips are not what PyAV, or Pillow, gives from the first frame on."""
    import av
    from PIL import Image, ImageOps

    from swagv.geometry import Geometry

    if path.is_dir():
        images = sorted(path.iterdir(), key=lambda image: int(image.stem))
        frames = [np.asarray(ImageOps.exif_transpose(Image.open(image)).convert("RGB")) for image in images]
    else:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.best("video")
            # After damage that VP8's decoder does not notice, its frames depend on the number of threads.
            stream.codec_context.thread_count = 1
            frames = [
                np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90) for frame in container.decode(stream)
            ]
    for row, _, place in found:
        if row["num_frames"] != len(frames):
            return f"{row['num_frames']} frames where PyAV reads {len(frames)}"
        expected = Geometry(**_GEOMETRY).frames(np.stack(frames[row["start_frame"] : row["start_frame"] + 8]))
        difference = np.abs(expected.astype(int) - store["frames"][place]).max()
        if difference > 4:  # two conversions to RGB
            return f"frames from {row['start_frame']} differ by {difference} from what PyAV reads"
    return ""


# Annotations.


def _videos_at(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "root" / name).write_bytes(b"x")
    return folder / "root"


_KINETICS = ["0wR5jVB-WPk_000417_000427", "-egPJubR-CE_000001_000011", "__NrybzYzUg_000415_000425"]


def _kinetics(folder: Path) -> dict[str, Any]:
    root = _videos_at(folder, *(f"{name}.mp4" for name in _KINETICS))
    header = "label,youtube_id,time_start,time_end,split"
    rows = [
        f"{label},{name[:11]},{int(name[12:18])},{int(name[19:])},val"
        for label, name in zip(("abseiling", "zumba", "playing chess"), _KINETICS, strict=True)
    ]
    rows += ["zumba,abcdefghijk,3,13,train", "abseiling,ABCDEFGHIJK,0,10,test"]
    lines = [f"{name} 0 299 {label}" for label, name in enumerate(_KINETICS)]
    return {"root": str(root), "table": "\n".join([header, *rows]), "list": "\n".join(lines)}


def _kinetics_case(state: dict[str, Any], rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, ...]]:
    from swagv.clips import ABSENT
    from swagv.datasets.kinetics import KineticsDataset
    from swagv.models.cards import KINETICS400

    which, separator = (("table", ","), ("list", " "))[int(rng.integers(2))]
    path = folder / "labels.csv"
    path.write_bytes(damaged_table(rng, state[which], separator))
    yield ("labels.csv",)
    videos = KineticsDataset(root=state["root"], labels=str(path)).list_videos()
    _need(any(video.token != ABSENT for video in videos), "no video is there")
    for video in videos:
        _need(
            re.fullmatch(r"[A-Za-z0-9_-]{11}_[0-9]{6}_[0-9]{6}", video.video_id) is not None, f"id {video.video_id!r}"
        )
        _need(video.label in KINETICS400, f"label {video.label!r}")
        _need(Path(video.path).resolve().is_relative_to(state["root"]), f"path {video.path!r}")


_BOXES = "video_id,frame,x_min,y_min,x_max,y_max"


def _folder(folder: Path) -> dict[str, Any]:
    root = _videos_at(folder, "run/a.mp4", "run/b.mp4", "jump/c.avi", "spin/one/1.png", "spin/one/2.png")
    boxes = [f"{video},{frame},{frame}.5,2,{frame + 30},40" for frame in range(4) for video in ("run/a", "spin/one")]
    labels = ["path,label", "run/a.mp4,running", "jump/c.avi,jumping", "spin/one,spinning", "gone.mp4,absent"]
    return {"root": str(root), "boxes": "\n".join([_BOXES, *boxes]), "labels": "\n".join(labels)}


def _folder_case(state: dict[str, Any], rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, ...]]:
    from swagv.datasets.folder import FolderDataset
    from swagv.manifest import assign_shards

    settings = {"root": state["root"]}
    for name in (("labels",), ("boxes",), ("labels", "boxes"))[int(rng.choice(3, p=[0.4, 0.5, 0.1]))]:
        (folder / f"{name}.csv").write_bytes(damaged_table(rng, state[name], ","))
        settings[name] = str(folder / f"{name}.csv")
    yield (*(f"{name}.csv" for name in ("labels", "boxes") if name in settings), state["root"])
    dataset = FolderDataset(**settings)
    videos = dataset.list_videos()
    assign_shards(videos, 3)
    for video in videos:
        _need(Path(video.path).resolve().is_relative_to(state["root"]), f"path {video.path!r}")
        video.video_id.encode()
        for frame, (x_min, y_min, x_max, y_max) in dataset.boxes_of(video).items():
            _need(frame >= 0, f"frame {frame}")
            _need(x_min <= x_max and y_min <= y_max, f"box {x_min}, {y_min}, {x_max}, {y_max}")
            _need(bool(np.isfinite(np.float32([x_min, y_min, x_max, y_max])).all()), f"box {x_min} to {x_max}")


_UCF = [f"Biking/v_Biking_g0{group}_c01" for group in range(1, 5)]


def _ucf(folder: Path) -> dict[str, Any]:
    from scipy.io import savemat

    root = _videos_at(folder, *(f"{name}.avi" for name in _UCF[:3]))
    boxes = np.tile(np.array([200, 100, 90, 80], np.uint8), (20, 1))
    tubes = [{"sf": 3, "ef": 22, "label": 1, "boxes": boxes}]
    tree = {name: {"numf": 60, "label": 1, "annotations": tubes} for name in _UCF}
    rows = [{"name": name, "num_imgs": 60, "tubes": np.array(tubes, object)} for name in _UCF]
    out = {"root": str(root), "tree": tree, "split": "\n".join(f"{name}.avi 3" for name in _UCF), "mats": []}
    for compressed in (False, True):
        data = io.BytesIO()
        savemat(data, {"annot": np.array(rows, object)}, do_compression=compressed)
        out["mats"].append(data.getvalue())
    out["hostile"] = payloads(str(WATCH.marker))
    (folder / "sound.pkl").write_bytes(pickle.dumps(tree, protocol=2))
    return out


_BILLION = reduce(lambda ones, _: [ones] * 10, range(9), 1)  # of ones, in lists that stand in lists ten times
_ARRAYS = (
    _BILLION, [_BILLION],
    np.zeros((0, 4)), np.full((3, 4), np.nan), np.full((3, 4), np.inf), np.full((3, 4), -1), np.full((20, 4), 1e300),
    np.ones((3, 3)), np.ones(4), np.ones((2, 2, 4)), np.array(None), np.array([None] * 4), np.array("x"), np.float64(3),
    np.array(["a", "b"]), np.ones((3, 4)) * 1j, np.ones((3, 4), bool), np.array(["2024-01-01"], "M8[D]"), np.int64(-5),
    np.zeros(3, [("a", "f4")]), np.array(b"x"), np.float32(np.nan), np.uint64(2**64 - 1), np.array([[1.0]]),
    np.ones((4, 3)).T, np.array([60]), np.full((20, 4), 9999), np.float16(np.inf), (1, 2, 3, 4), ((1, 2, 3, 4),) * 20,
    [[1, 2, 3, 4]] * 20, [[1, 2], [3]], "3", b"3", 3.0, 3.5, -3, 10**30, math.nan, None, True, {}, [], {"sf": 1}, 2j,
)  # fmt: skip


def _check_ucf(settings: dict[str, Any]) -> None:
    from swagv.datasets.ucf101_24 import Ucf101_24Dataset
    from swagv.decode import Probe
    from swagv.errors import AnnotationError

    dataset = Ucf101_24Dataset(**settings)
    for video in dataset.list_videos():
        _need(Path(video.path).resolve().is_relative_to(settings["root"]), f"path {video.path!r}")
        try:
            frames = dataset.num_frames(video.video_id)
            boxes = dataset.boxes_of(video, None, Probe(frames, 240, 320))
        except AnnotationError as error:
            if problem := wrong_message(str(error)):
                raise Violation(problem) from error
            continue
        for frame, box in boxes.items():
            _need(type(frame) is int and 0 <= frame < frames, f"frame {frame} of {frames}")
            _need(bool(np.isfinite(box).all()) and min(box) >= 0 and max(box) <= 20_000, f"box {box}")
            _need(box[0] <= box[2] and box[1] <= box[3], f"box {box}")


def _ucf_pickle_case(state: dict[str, Any], rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, ...]]:
    protocol = int(rng.integers(6))
    if rng.random() < 0.5:
        data = pickle.dumps(damaged_tree(rng, state["tree"], _ARRAYS), protocol=protocol)
    else:
        data = damaged_pickle(rng, pickle.dumps(state["tree"], protocol=protocol), state["hostile"])
    path = folder / "annotations.pkl"
    path.write_bytes(data)
    yield ("annotations.pkl", state["root"])
    _check_ucf({"root": state["root"], "annotations": str(path), "one_tube": bool(rng.random() < 0.5)})


def _ucf_mat_case(state: dict[str, Any], rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, ...]]:
    path = folder / "annotations.mat"
    path.write_bytes(damaged(rng, state["mats"][int(rng.integers(2))]))
    yield ("annotations.mat", state["root"])
    _check_ucf({"root": state["root"], "annotations": str(path)})


def _ucf_split_case(state: dict[str, Any], rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, ...]]:
    path = folder / "split.txt"
    path.write_bytes(damaged_table(rng, state["split"], " "))
    yield ("split.txt", state["root"])
    annotations = str(folder / "sound.pkl")
    _check_ucf({"root": state["root"], "annotations": annotations, "split": str(path)})


# Configurations.


def _configs(folder: Path) -> list[dict[str, Any]]:
    """The configurations that come with the product, their paths those of small synthetic data."""
    from swagv.config import Evaluation, load_config

    made = {name: folder / name for name in ("kinetics", "ucf")}
    for path in made.values():
        path.mkdir(exist_ok=True)
    kinetics, ucf = _kinetics(made["kinetics"]), _ucf(made["ucf"])
    (folder / "val.csv").write_text(kinetics["table"])
    for name, listed in (("test", _UCF[:1]), ("train", _UCF[1:])):
        (folder / f"{name}.txt").write_text("".join(f"{name}\n" for name in listed))
    demo, large, ucf24 = (load_config(ROOT / f"config/{name}.yaml") for name in ("config", "kinetics400", "ucf101_24"))
    large["datasets"]["kinetics400"] |= {"root": kinetics["root"], "labels": str(folder / "val.csv")}
    for name, listed in (("ucf101_24", "test"), ("ucf101_24_train", "train")):
        paths = {"annotations": str(folder / "ucf" / "sound.pkl"), "split": str(folder / f"{listed}.txt")}
        ucf24["datasets"][name] |= {"root": ucf["root"]} | paths
    for config in (large, ucf24):
        for name in config["models"]:
            config["models"][name]["weights"] = str(folder / "val.csv")  # any file: it is not opened
        for name in list(config["methods"])[4:]:  # fewer say as much
            del config["methods"][name]
    found = [demo, large, ucf24]
    for config in found:
        Evaluation(config)
    return found


_NAME = re.compile(r"[A-Za-z0-9_+=.,-]{1,200}")
_MODULES = (":", "json", "os")


def _check_config(config: dict[str, Any]) -> None:
    from swagv.config import Evaluation, canonical

    evaluation = Evaluation(config)
    names = [evaluation.datasets, evaluation.models, evaluation.methods, evaluation.metrics, evaluation.experiments]
    names += [evaluation.known_methods, evaluation.known_metrics, evaluation.gradients, evaluation.recipes]
    for name in {name for listed in names for name in listed}:
        _need(_NAME.fullmatch(name) is not None and name.strip(".") != "", f"{name!r} becomes a folder of the results")
    for dataset in evaluation.datasets.values():
        _need(len(dataset.shards) <= 9999, "too many shards")
        json.loads(canonical(dataset.spec))
    for listed in (evaluation.models, evaluation.known_methods, evaluation.known_metrics):
        for entry in listed.values():
            _need("NaN" not in canonical(entry.spec) and "Infinity" not in canonical(entry.spec), f"{entry.spec}")
    runtime = evaluation.runtime
    _need(0 < runtime["time_limit"] <= 1e9 and 1 <= runtime["threads"] <= 10_000, f"runtime {runtime}")
    _need(evaluation.bootstrap <= 10**7, f"bootstrap {evaluation.bootstrap}")


def _config_case(state: list[dict[str, Any]], rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, ...]]:
    config = damaged_tree(rng, state[int(rng.integers(3))])
    (folder / "config.repr").write_text(repr_of(config), encoding="utf-8", errors="backslashreplace")
    yield ()
    _check_config(config if isinstance(config, dict) else {"datasets": config})


def repr_of(config: Any) -> str:
    """What a case of configurations was, to read."""
    try:
        return repr(config)[:20_000]
    except (RecursionError, ValueError):  # too deep, or a number too long to write
        return "no text can show it"


_LAUGHS = b"&a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 9)) for name in b"bcdefghi"
)
_YAML = (
    *(b"!!python/object/apply:os.system [touch code-was-run]", b"!!python/name:os.system"),
    *(b"!!python/module:os", b"!!binary x", b"!!int x", b"!!float x", b"!!bool x", b"!!timestamp x", b"!!set {a}"),
    *(b"!!omap [a: 1]", b"!!pairs [a]", b"!!null x", b"!!str [a]", b"!!map x", b"!!seq x", b"!!binary AAAA", b"!x y"),
    *(b"2024-99-99", b"2024-01-01", b"0x_", b"0b_", b"1:99:99", b"0x" + b"f" * 5000, b"9" * 5000, b"1" + b"_" * 40),
    *(b".inf", b".nan", b"*a", b"&a [*a]", b"&a {b: *a}", b"<<: *a", b"<<: 3", b"<<: [3]", b"? [a]\n: b\n"),
    *(b"? {a: b}\n: c\n", b"[" * 3000, b"{a: " * 1000, b"- " * 2000, b'"\\ud800"', b'"\\0"', b'"\\x1b[2J"'),
    *(b"%YAML 3.0\n---\n", b"---\n", b"...\n", b"\xff\xfe", b"\xef\xbb\xbf", b"\t", b"\0", b"\x85", b"\xe2\x80\xa8"),
    *(_LAUGHS, b"|\n", b">\n", b"'", b'"', b"yes", b"on", b"~", b"1e5", b"- "),
)  # fmt: skip


def _yaml(folder: Path) -> list[bytes]:
    import yaml

    return [yaml.safe_dump(config, sort_keys=False).encode() for config in _configs(folder)]


def _yaml_case(state: list[bytes], rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, ...]]:
    from swagv.config import load_config

    data = state[int(rng.integers(3))]
    if rng.random() < 0.5:  # a value or a line
        places = [found.end() for found in re.finditer(rb": |^|\n", data)]
        place = places[int(rng.integers(len(places)))]
        data = data[:place] + _YAML[int(rng.integers(len(_YAML)))] + (b" ", b"\n")[int(rng.integers(2))] + data[place:]
    else:
        data = damaged(rng, data, _YAML)
    path = folder / "config.yaml"
    path.write_bytes(data)
    yield ()
    _check_config(load_config(path))


# Weights.


def _randomised(network: Any) -> dict[str, Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(value.shape, generator=generator) + 0.1 if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }


def _tiny(folder: Path) -> dict[str, Any]:
    """A narrow C3D's weights in each kind of file, and where in the bytes its numbers stand."""
    import torch
    from safetensors.torch import save

    from swagv.models.build import make_network
    from swagv.models.cards import load_card
    from swagv.models.layouts import LAYOUTS, convert_weights

    state = _randomised(make_network(load_card("c3d_demo", {"arguments": {"width": 1}})))
    files = {".safetensors": save(state)}
    for suffix, zipped in ((".pth", True), (".pt", False)):
        data = io.BytesIO()
        torch.save(state, data, _use_new_zipfile_serialization=zipped)
        files[suffix] = data.getvalue()
    blobs = {
        LAYOUTS["vmz-c3d"].name_of(key).format(classes=6): value.numpy()
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    pickles = [pickle.dumps({"blobs": blobs}, protocol=protocol) for protocol in (2, 3, 4)]
    numbers = {name: _numbers_in(data, state) for name, data in files.items()}
    (folder / "sound.pkl").write_bytes(pickles[0])
    convert_weights("vmz-c3d", folder / "sound.pkl", folder / "sound.safetensors", {"width": 1})  # imports much, once
    return {"state": state, "files": files, "numbers": numbers, "pickles": pickles, "blobs": blobs} | {
        "pickled": [_numbers_in(data, state) for data in pickles],
        "hostile": payloads(str(WATCH.marker)),
    }


def _numbers_in(data: bytes, state: dict[str, Any]) -> np.ndarray:
    """Which bytes of a file are those of numbers, (n,) bool."""
    inside = np.zeros(len(data), bool)
    for value in state.values():
        raw = value.numpy().tobytes()
        for written in (raw, raw.decode("latin1").encode()):  # the second by the pickles of Python 2
            place = data.find(written) if value.is_floating_point() else -1
            if place >= 0:
                inside[place : place + len(written)] = True
    return inside


def _only_numbers_changed(old: bytes, new: bytes, inside: np.ndarray) -> bool:
    """Whether two files of weights differ in numbers alone: what no reader can see where there is no checksum."""
    if len(old) != len(new):
        return False
    changed = np.frombuffer(old, np.uint8) != np.frombuffer(new, np.uint8)
    return not (changed & ~inside).any()


def _same_weights(found: dict[str, Any], sound: dict[str, Any], data: bytes, numbers_alone: bool) -> None:
    """Whether weights are the sound ones but for numbers that were damaged themselves in `data`, the file."""
    import torch

    _need(found.keys() == sound.keys(), f"keys {sorted(found.keys() ^ sound.keys())} changed")
    for key, value in sound.items():
        other = found[key]
        _need(other.shape == value.shape and other.dtype == value.dtype, f"{key} is {other.dtype} {tuple(other.shape)}")
        _need(bool(torch.isfinite(other).all()), f"{key} is not finite")
        raw = value.numpy().tobytes()
        there = raw in data or raw.decode("latin1").encode() in data
        _need(
            numbers_alone or not there or torch.equal(other, value), f"{key} has other numbers, and its own are there"
        )


def _weights_case(state: dict[str, Any], rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, ...]]:
    from swagv.models.build import build_model

    suffix = (".safetensors", ".pth", ".pt")[int(rng.integers(3))]
    old = state["files"][suffix]
    if suffix == ".safetensors":
        data = damaged(rng, old, [b'"F32"', b'"I32"', b'"BF16"', b"[0,4]", b"{", b"}", b'"a":', b"1e999", b"\\ud800"])
        if rng.random() < 0.4:  # the header alone
            length = 8 + int.from_bytes(old[:8], "little")
            header = damaged_tree(rng, json.loads(old[8:length]), _JSON)
            encoded = json.dumps(header).encode()
            data = len(encoded).to_bytes(8, "little") + encoded + old[length:]
    elif suffix == ".pth" and rng.random() < 0.6:
        data = damaged_zip(rng, old, lambda found: damaged_pickle(rng, found, state["hostile"]))
    elif suffix == ".pt" and rng.random() < 0.6:
        places = rng.integers(0, 400, 2)
        piece = state["hostile"][int(rng.integers(len(state["hostile"])))]
        data = old[: places[0]] + piece + b"0" * int(rng.integers(2)) + old[places[0] :]
    else:
        data = damaged(rng, old)
    path = folder / f"weights{suffix}"
    path.write_bytes(data)
    yield (path.name,)
    model = build_model("c3d_demo", path, arguments={"width": 1})
    same = suffix != ".pth" and _only_numbers_changed(old, data, state["numbers"][suffix])
    _same_weights(model.network.state_dict(), state["state"], data, same)


_JSON = (
    *("F32", "F64", "F16", "BF16", "I32", "U32", "I64", "I8", "BOOL", "F8_E4M3", "C64", "x", "", "x" * 3000, None),
    *(True, -1, 0, 1, 4, 2**31, 2**63, 2**64, 10**30, 1.5, [], [0, 0], [4, 0], [0, 2**63], [[1]], [2**32, 2**32], [0]),
    *([1] * 100, {}, {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}),
)  # fmt: skip


def _pickle_weights_case(state: dict[str, Any], rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, ...]]:
    from safetensors.torch import load_file

    from swagv.models.layouts import convert_weights

    which = int(rng.integers(3))
    old = state["pickles"][which]
    if rng.random() < 0.3:
        data = pickle.dumps({"blobs": damaged_tree(rng, state["blobs"], _ARRAYS)}, protocol=int(rng.integers(6)))
        same = True  # numpy wrote every array as it is
    else:
        data = damaged_pickle(rng, old, state["hostile"])
        same = _only_numbers_changed(old, data, state["pickled"][which])
    source, out = folder / "weights.pkl", folder / "out.safetensors"
    source.write_bytes(data)
    out.unlink(missing_ok=True)
    yield ("weights.pkl",)
    try:
        convert_weights("vmz-c3d", source, out, {"width": 1})
    except Exception:
        _need(not out.exists(), "it was refused and written")
        raise
    _same_weights(load_file(out), state["state"], data, same)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("videos", 110, _videos, _run_videos, batch=100, seconds=_TIME_LIMIT + 4),
        Kind("kinetics", 120, _kinetics, OneByOne(_kinetics_case)),
        Kind("folder", 130, _folder, OneByOne(_folder_case)),
        Kind("ucf_pickle", 100, _ucf, OneByOne(_ucf_pickle_case)),
        Kind("ucf_split", 32, _ucf, OneByOne(_ucf_split_case)),
        Kind("ucf_mat", 8, _ucf, OneByOne(_ucf_mat_case)),
        Kind("config", 220, _configs, OneByOne(_config_case)),
        Kind("yaml", 80, _yaml, OneByOne(_yaml_case)),
        Kind("weights", 120, _tiny, OneByOne(_weights_case)),
        Kind("pickled_weights", 80, _tiny, OneByOne(_pickle_weights_case)),
    )
}

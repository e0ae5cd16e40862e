"""The decode stage on small videos: each is decoded once, and what cannot be read is a status."""

import av
import numpy as np
import pytest
from PIL import Image

from swagv import decode as reading
from swagv.datasets.rendering import render_video, write_video
from swagv.decode import Decoder, read_frames
from swagv.geometry import Geometry
from swagv.stages import decode as stage
from swagv.stores import open_store
from swagv.tables import MANIFEST, write_table

SPEC = {"geometry": {"resize": [64, 80], "crop": 48}, "clip_len": 4}
GEOMETRY = Geometry(**SPEC["geometry"])


def rows_of(path, starts, status="ok", frame_step=2):
    return [
        {"clip_id": f"{path.stem}@{start}", "video_id": path.stem, "path": str(path), "label": "spin"}
        | {"start_frame": start, "frame_step": frame_step, "status": status}
        for start in starts
    ]


def run(tmp_path, rows):
    write_table(tmp_path / "manifest.parquet", rows, MANIFEST, {})
    stage.decode(tmp_path / "manifest.parquet", tmp_path / "clips.zarr", SPEC, 60)
    return open_store(tmp_path / "clips.zarr")


@pytest.fixture
def video(tmp_path):
    write_video(tmp_path / "v.mp4", render_video(0, 0, num_frames=40).frames)
    return tmp_path / "v.mp4"


def test_clips_of_files_and_folders_with_the_reader_of_each(video, tmp_path):
    with av.open(str(video)) as given, av.open(str(tmp_path / "t.ts"), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                made.mux(packet)
    (tmp_path / "images").mkdir()
    for number, pixels in enumerate(read_frames(video, range(12)).frames):
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    rows = rows_of(tmp_path / "gone.mp4", [0], "unreadable") + rows_of(video, [0, 3, 5, 30])
    rows += rows_of(tmp_path / "t.ts", [1]) + rows_of(tmp_path / "images", [2, 5])
    store = run(tmp_path, rows)
    assert store.attrs["readers"] == ["", *["decord"] * 4, "pyav", "images", "images"]
    assert store.attrs["status"] == ["unreadable", *["ok"] * 7]
    assert store["frames"].shape == (8, 4, 48, 48, 3)
    assert not store["frames"][0].any()
    for index, row in list(enumerate(rows))[1:]:
        start = row["start_frame"]
        expected = read_frames(row["path"], range(start, start + 8, 2), GEOMETRY).frames
        assert (store["frames"][index] == expected).all(), row["clip_id"]


def test_a_video_of_many_clips_is_opened_and_decoded_once(video, tmp_path, monkeypatch):
    opened, given = [], []

    class InThisProcess(Decoder):
        def iter_frames(self, path, indices, geometry=None):
            for frame in reading.iter_frames(path, indices, geometry):
                given.append(frame)
                yield frame

    def opening(path, *settings, **more):
        opened.append(path)
        return open_it(path, *settings, **more)

    open_it = av.open
    monkeypatch.setattr(av, "open", opening)
    monkeypatch.setattr(stage, "Decoder", InThisProcess)
    store = run(tmp_path, rows_of(video, range(34), frame_step=1))
    assert store.attrs["status"] == ["ok"] * 34
    assert len(opened) == 1
    assert len(given) == 37


def test_clips_before_the_place_where_a_video_breaks_are_kept(video, tmp_path):
    """The manifest may be older than the file."""
    rows = rows_of(video, [0, 20, 33, 34, 90]) + rows_of(tmp_path / "absent.mp4", [0, 4])
    found = run(tmp_path, rows)
    assert found.attrs["status"] == [
        "ok", "ok", "ok", *["unreadable: frame 40 is not there"] * 2, *["unreadable: file not found"] * 2
    ]  # fmt: skip
    expected = read_frames(video, range(33, 40, 2), GEOMETRY).frames
    assert (found["frames"][2] == expected).all()
    assert found["frames"][:3].any(axis=(1, 2, 3, 4)).all()
    assert not found["frames"][3:].any()


def test_frames_are_written_as_they_come(video, tmp_path, monkeypatch):
    """Of 200 clips of a long video no more frames are held than a clip or two need."""
    alive, most = set(), []

    class Counted(np.ndarray):
        def __del__(self):
            alive.discard(id(self))

    def counting(path, indices, geometry=None):
        for index in indices:
            pixels = np.full((48, 48, 3), index % 256, np.uint8).view(Counted)
            alive.add(id(pixels))
            most.append(len(alive))
            yield reading.Frame(pixels, "decord", (64, 80))

    monkeypatch.setattr(Decoder, "iter_frames", lambda self, *given: counting(*given))
    store = run(tmp_path, rows_of(video, range(0, 1600, 8)))
    assert store["frames"].shape[0] == 200
    assert (store["frames"][:, :, 0, 0, 0] == (np.arange(0, 1600, 8)[:, None] + [0, 2, 4, 6]) % 256).all()
    assert max(most) < 20

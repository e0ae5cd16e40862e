import shutil
import weakref

import numpy as np
import pytest
import zarr

from swagv.errors import SwagvError
from swagv.publish import publish
from swagv.stores import create_store, ok_rows, open_store


def test_round_trip_one_chunk_a_clip_and_missing_rows(tmp_path):
    rows = [np.full((2, 3), 7, np.uint8), None, np.arange(6, dtype=np.uint8).reshape(2, 3)]
    with create_store(tmp_path / "s.zarr", ["a", "b", "c"], {}) as writer:
        writer.status[1] = "unreadable"
        writer.write("frames", rows, "uint8")
    store = open_store(tmp_path / "s.zarr")
    assert store["frames"].chunks == (1, 2, 3)
    assert (store["frames"][2] == rows[2]).all()
    assert ok_rows(store) == (["ok", "unreadable", "ok"], [0, 2])


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), create_store(tmp_path / "s.zarr", ["a"], {}):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_its_mark_is_refused(tmp_path):
    zarr.create_group(store=str(tmp_path / "s.zarr"))
    with pytest.raises(SwagvError, match="not complete"):
        open_store(tmp_path / "s.zarr")


def test_a_second_writer_of_a_folder_fails_instead_of_mixing(tmp_path):
    def write_late():
        with publish(tmp_path / "s") as partial:
            partial.mkdir()
            (tmp_path / "s").mkdir()
            (tmp_path / "s" / "first").write_text("first")

    with pytest.raises(FileExistsError, match="another process"):
        write_late()
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["first"]


def test_left_overs_of_a_killed_writer_are_swept(tmp_path):
    (tmp_path / ".t.parquet.12345678.partial").write_text("half")
    with publish(tmp_path / "t.parquet") as partial:
        partial.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_writer_whose_files_another_one_swept_publishes_nothing(tmp_path):
    def write_swept():
        with create_store(tmp_path / "s.zarr", ["a"], {}) as writer:
            writer.write("frames", [np.ones((2, 3), np.uint8)], "uint8")
            shutil.rmtree(next(tmp_path.glob(".s.zarr.*.partial")))
            writer.write("boxes", [np.ones((2, 4), np.float32)], "float32")

    with pytest.raises(SwagvError, match="another process removed frames"):
        write_swept()
    assert list(tmp_path.iterdir()) == []


def test_rows_may_come_one_by_one_and_the_first_ones_be_missing(tmp_path):
    """Two of them are alive, and the bytes are those of a list."""
    given = []

    def rows():
        for index in range(200):
            row = None if index < 70 or index == 150 else np.full((2, 3), index, np.uint8)
            given.extend([] if row is None else [weakref.ref(row)])
            alive.append(sum(ref() is not None for ref in given))
            yield row

    clips = [str(index) for index in range(200)]
    alive = []
    with create_store(tmp_path / "a.zarr", clips, {}) as writer:
        writer.write("frames", rows(), "uint8", missing=9)
    assert 1 <= max(alive) <= 3
    with create_store(tmp_path / "b.zarr", clips, {}) as writer:
        writer.write("frames", list(rows()), "uint8", missing=9)
    found = open_store(tmp_path / "a.zarr")["frames"][:]
    expected = np.array([9 if index < 70 or index == 150 else index for index in range(200)])
    assert (found == expected[:, None, None]).all()
    files = [path.relative_to(tmp_path / "a.zarr") for path in (tmp_path / "a.zarr").rglob("*") if path.is_file()]
    assert len(files) == 6  # the group's and the array's descriptions, and 4 zarr shards
    assert all((tmp_path / "a.zarr" / path).read_bytes() == (tmp_path / "b.zarr" / path).read_bytes() for path in files)


def test_all_rows_missing(tmp_path):
    with create_store(tmp_path / "s.zarr", ["a", "b"], {}) as writer:
        writer.write("frames", iter([None, None]), "uint8")
    assert open_store(tmp_path / "s.zarr")["frames"].shape == (2, 1)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([3], "frames: 1 rows for 2 clips"),
        ([3, 3, 3], "frames: more rows than 2 clips"),
        ([3, 1], r"frames: a row has shape \(1,\), the first one \(3,\)"),
    ],
)
def test_rows_that_do_not_fit_the_clips_are_refused(shapes, message, tmp_path):
    def write():
        with create_store(tmp_path / "s.zarr", ["a", "b"], {}) as writer:
            writer.write("frames", [np.ones(shape, np.uint8) for shape in shapes], "uint8")

    with pytest.raises(ValueError, match=message):
        write()
    assert list(tmp_path.iterdir()) == []

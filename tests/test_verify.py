import shutil

import numpy as np
import pytest

from swagv.cli import main
from swagv.stores import create_store
from swagv.tables import PREDICTIONS, read_provenance, read_rows, write_table
from swagv.verify import damaged


@pytest.fixture
def results(tmp_path):
    """A clip store of 70 clips in two blocks, a store that refers to it, and a table."""
    frames = np.random.default_rng(0).integers(0, 256, (70, 2, 8, 8, 3), dtype=np.uint8)
    ids = [f"v{index}" for index in range(70)]
    with create_store(tmp_path / "d/m/gradients/g/0000.zarr", ids, {}) as store:
        store.write("attribution", frames[..., 0].astype(np.float32), "float32")
        store.write("frames", frames, "uint8")
        digests = store._digests
    of = {"layout": "pixels", "of": {"path": "../../gradients/g/0000.zarr", "digests": digests}}
    with create_store(tmp_path / "d/m/explanations/g/0000.zarr", ids, of):
        pass
    rows = [{"clip_id": name, "p_target": 0.125 * index} for index, name in enumerate(ids)]
    write_table(tmp_path / "d/m/predictions/0000.parquet", rows, PREDICTIONS, {"made by": "a test"})
    (tmp_path / "d/m/.0001.parquet.abcd.partial").write_bytes(b"half")
    return tmp_path


def found(results):
    return {str(path.relative_to(results / "d/m")): reason for path, reason in damaged(results)}


def test_what_is_whole_is_not_damaged(results, capsys):
    assert found(results) == {}
    assert main(["verify", str(results)]) == 0
    assert capsys.readouterr().out == "3 stores and tables, 0 damaged\n"


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", [2000, -2000])
def test_a_flipped_bit_in_the_middle_of_a_chunk(results, place):
    flip(results / "d/m/gradients/g/0000.zarr/frames/c/0/0/0/0/0", place)
    reason = found(results)
    assert list(reason) == ["gradients/g/0000.zarr"]


def test_chunks_that_are_gone_read_as_zeros_and_are_found(results):
    shutil.rmtree(results / "d/m/gradients/g/0000.zarr/frames/c/1")
    assert found(results) == {"gradients/g/0000.zarr": "frames holds other numbers than were written"}


def test_a_store_that_another_refers_to(results):
    shutil.rmtree(results / "d/m/gradients")
    (reason,) = found(results).items()
    assert reason[0] == "explanations/g/0000.zarr"
    assert "no zarr store at" in reason[1]


def test_a_flipped_bit_in_a_table_is_found_or_changes_nothing(results):
    path = results / "d/m/predictions/0000.parquet"
    data, rows, caught = path.read_bytes(), read_rows(path), 0
    places = range(0, len(data), 11)
    for place in places:
        flip(path, place)
        if found(results):
            assert list(found(results)) == ["predictions/0000.parquet"]
            caught += 1
        else:
            assert read_rows(path) == rows
            assert read_provenance(path) == {"made by": "a test"}
        path.write_bytes(data)
    assert caught > len(places) / 2


def test_what_is_removed_is_made_by_the_next_run(results, capsys):
    (results / "d/m/predictions/0000.parquet").write_bytes(b"PAR1")
    shutil.rmtree(results / "d/m/gradients/g/0000.zarr/attribution/c")
    assert main(["verify", str(results)]) == 1
    assert main(["verify", str(results), "--remove"]) == 0
    assert capsys.readouterr().out.endswith("3 stores and tables, 2 damaged and removed\n")
    # The explanation is whole, and refers to what is gone now.
    assert list(found(results)) == ["explanations/g/0000.zarr"]
    assert main(["verify", str(results / "absent")]) == 2

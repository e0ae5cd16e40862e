import json
import shutil

import numpy as np
import pytest
import zarr

from swagv.cli import main
from swagv.errors import SwagvError
from swagv.explanations import Explanations
from swagv.stores import create_store, open_store
from swagv.tables import PREDICTIONS, read_provenance, read_rows, write_table
from swagv.verify import verify


@pytest.fixture
def results(tmp_path):
    """A clip store of 70 clips in two blocks, a store that refers to it, and a table."""
    tmp_path = tmp_path / "results"
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


def found(results, part=""):
    """What is damaged, of all or of one stage alone."""
    return {str(one.path.relative_to(results / "d/m")): one.reason for one in verify(results / part)}


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


def test_chunks_that_are_gone_do_not_read_as_zeros(results):
    shutil.rmtree(results / "d/m/gradients/g/0000.zarr/frames/c/1")
    both = found(results)
    assert list(both) == ["explanations/g/0000.zarr", "gradients/g/0000.zarr"]
    assert all("gradients/g/0000.zarr is damaged. Delete it" in reason for reason in both.values())


def test_a_flipped_bit_in_what_a_store_says_of_itself(results):
    """In its own metadata and in an array's: found, or the clips are the same."""
    store = results / "d/m/gradients/g/0000.zarr"
    sound = open_store(store)
    attrs, frames = dict(sound.attrs), sound["frames"][:]
    for name in ("zarr.json", "frames/zarr.json"):
        data, caught = (store / name).read_bytes(), 0
        places = range(0, len(data), 23)
        for place in places:
            flip(store / name, place)
            if found(results, "d/m/gradients"):
                caught += 1
            else:
                read = open_store(store)
                assert {key: value for key, value in read.attrs.items() if key in attrs} == attrs
                np.testing.assert_array_equal(read["frames"][:], frames)
            (store / name).write_bytes(data)
        assert caught > len(places) / 2


@pytest.mark.parametrize("change", [{"status": ["ok"] * 69 + ["lost"]}, {"layout": "other"}, {"spec": {"a": 1}}])
def test_what_is_changed_by_hand(results, change):
    store = results / "d/m/explanations/g/0000.zarr"
    zarr.open_group(str(store), mode="r+").attrs.update(change)
    assert list(found(results)) == ["explanations/g/0000.zarr"]
    with pytest.raises(SwagvError, match="is damaged"):
        open_store(store)


def test_a_store_names_no_code_that_is_run(results, tmp_path):
    marker = tmp_path / "marker"
    spec = {"method": {"object": "subprocess:getoutput", "settings": {"cmd": f"touch {marker}"}}}
    bad = results / "d/m/explanations/bad/0000.zarr"
    with create_store(bad, ["v0"], {"layout": "control", "shape": [2, 8, 8], "spec": spec}):
        pass
    assert found(results) == {}
    with pytest.raises(SwagvError, match="subprocess:getoutput is no control"):
        Explanations(bad)[0]
    assert not marker.exists()


def test_a_link_to_another_disk_is_followed(results, tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    shutil.move(results / "d/m/gradients", disk / "gradients")
    (results / "d/m/gradients").symlink_to(disk / "gradients")
    assert found(results) == {}
    flip(disk / "gradients/g/0000.zarr/frames/c/0/0/0/0/0", 2000)
    assert list(found(results)) == ["gradients/g/0000.zarr"]


def test_a_store_that_another_refers_to(results):
    shutil.rmtree(results / "d/m/gradients")
    (reason,) = found(results).items()
    assert reason[0] == "explanations/g/0000.zarr"
    assert "no zarr store at" in reason[1]


def test_a_flipped_bit_in_a_table_is_found_or_changes_nothing(results):
    path = results / "d/m/predictions/0000.parquet"
    data, rows, caught = path.read_bytes(), read_rows(path), 0
    places = range(0, len(data), 43)
    for place in places:
        flip(path, place)
        if damaged := found(results, "d/m/predictions"):
            assert list(damaged) == ["predictions/0000.parquet"]
            caught += 1
        else:
            assert read_rows(path) == rows
            assert read_provenance(path) == {"made by": "a test"}
        path.write_bytes(data)
    assert caught > len(places) / 2


def test_what_is_removed_is_made_by_the_next_run(results, capsys):
    (results / "d/m/predictions/0000.parquet").write_bytes(b"PAR1")
    flip(results / "d/m/gradients/g/0000.zarr/attribution/c/0/0/0/0", 2000)
    assert main(["verify", str(results)]) == 1
    locks = results.parent / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    assert main(["verify", str(results), "--remove"]) == 2
    assert "Snakemake runs here, or was killed" in capsys.readouterr().err
    shutil.rmtree(locks.parent)
    assert main(["verify", str(results), "--remove"]) == 0
    assert capsys.readouterr().out.endswith("3 stores and tables, 2 damaged and removed\n")
    # The explanation is whole, and refers to what is gone now.
    assert list(found(results)) == ["explanations/g/0000.zarr"]
    assert main(["verify", str(results / "absent")]) == 2


def test_what_cannot_be_read_at_the_moment_is_not_removed(results, capsys, monkeypatch):
    def stale(path):
        raise OSError(116, "Stale file handle", str(path))

    monkeypatch.setattr("swagv.verify.check_table", stale)
    assert main(["verify", str(results), "--remove"]) == 1
    assert "could not be read: [Errno 116] Stale file handle" in capsys.readouterr().out
    assert (results / "d/m/predictions/0000.parquet").exists()


def test_of_a_link_into_a_cache_the_copy_is_named(results, tmp_path_factory, capsys):
    cached = tmp_path_factory.mktemp("cache") / "abc.zarr"
    store = results / "d/m/gradients/g/0000.zarr"
    shutil.move(store, cached)
    store.symlink_to(cached)
    flip(cached / "frames/c/0/0/0/0/0", 2000)
    assert main(["verify", str(results), "--remove"]) == 0
    assert f"was a link to {cached}, which stays; remove that too" in capsys.readouterr().out
    assert cached.exists()
    assert not store.exists()


def test_a_table_whose_header_makes_no_sense_is_damaged_and_removed(results, capsys):
    """pyarrow raises an OSError of such a table, as a disk does that is away for a moment."""
    table = results / "d/m/predictions/0000.parquet"
    flip(table, -12)  # in the footer
    assert main(["verify", str(results), "--remove", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["found"]
    assert (one["path"], one["damaged"]) == (str(table), True)
    assert not table.exists()

"""Files of weights that are damaged, or say of their numbers what is not so."""

import io
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from swagv.errors import ConfigError
from swagv.models.numpy_pickle import flatten
from swagv.models.state_dict import check_fit, read_state_dict

SOUND = {"weight": torch.rand(2, 3), "bias": torch.rand(2)}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite(value):
    with pytest.raises(ConfigError, match=r"keys 1 not finite \(bias\)"):
        check_fit("f", SOUND | {"bias": torch.tensor([0.0, value])}, SOUND)


def test_whole_numbers_are_no_floats_and_floats_of_any_width_are(tmp_path):
    save_file(SOUND, tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(data.replace(b'"F32"', b'"I32"', 1))
    with pytest.raises(ConfigError, match=r"1 of another type \(\w+ torch.int32 for torch.float32\)"):
        check_fit("f", read_state_dict(tmp_path / "w.safetensors"), SOUND)
    check_fit("f", {key: value.half() for key, value in SOUND.items()}, SOUND)


def test_a_member_whose_checksum_does_not_hold(tmp_path):
    data = io.BytesIO()
    torch.save(SOUND, data)
    raw = SOUND["weight"].numpy().tobytes()
    damaged = data.getvalue().replace(raw, raw[:-1] + bytes([raw[-1] ^ 1]))
    assert damaged != data.getvalue()
    (tmp_path / "w.pth").write_bytes(damaged)
    assert torch.load(tmp_path / "w.pth", weights_only=True)["weight"].shape == (2, 3)  # PyTorch takes it
    with pytest.raises(ConfigError, match=r"w\.pth is not a file of weights \(.*data/\d in it is damaged"):
        read_state_dict(tmp_path / "w.pth")


def test_damage_that_raises_what_no_list_of_errors_had(tmp_path):
    data = io.BytesIO()
    torch.save(SOUND, data, _use_new_zipfile_serialization=False)
    cut = data.getvalue()[:120] + b"X\x01"  # the length of a text, cut off
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("other/data.pkl", b"")
    (tmp_path / "cut.pt").write_bytes(cut)
    listed = data.getvalue().rindex(b"\x80\x02]")  # of the storages that follow, one under another name
    numbered = data.getvalue().index(b"X", listed) + 5
    renamed = bytearray(data.getvalue())
    renamed[numbered] ^= 1  # another digit
    (tmp_path / "keys.pt").write_bytes(renamed)
    for name in ("cut.pt", "zip.pth", "keys.pt"):
        with pytest.raises(ConfigError, match=f"{name} is not a file of weights"):
            read_state_dict(tmp_path / name)


def test_the_reason_is_shown_without_pytorchs_advice(tmp_path):
    torch.save({"a": print}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"\(Unsupported global: GLOBAL \w*\.?print") as error:
        read_state_dict(tmp_path / "w.pth")
    assert "weights_only" not in str(error.value)


def test_trees_that_are_no_arrays_of_floats():
    numbers, shared = np.zeros(2, np.float32), {"a": np.zeros(2, np.float32)}
    assert flatten({"a": {"b": numbers}, "c": numbers}, "f").keys() == {"a/b", "c"}
    inside: dict = {}
    inside["x"] = inside
    for tree, message in (
        ({"a": numbers.view(np.int32)}, "f: a is a array of int32; a numeric array is needed, of floats"),
        ({"a": inside}, "f: a/x stands in two places"),
        ({"a": shared, "b": shared}, "f: b stands in two places"),
        ({3: numbers}, "f: 3 is no name of an array"),
        ({"a": shared, "a/a": numbers}, "f: 'a' is no name of an array, or the name of two"),
    ):
        with pytest.raises(ConfigError, match=message):
            flatten(tree, "f")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\n<!DOCTYPE html><html>404", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
    ],
)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_what_stands_in_place_of_weights_is_said(name, content, reason, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=f"{name} is not a file of weights \\(.*{reason}"):
        read_state_dict(tmp_path / name)


def test_an_archive_of_something_else_is_told_from_a_checkpoint(tmp_path):
    np.savez(tmp_path / "o.npz", a=np.zeros(3))
    with pytest.raises(ConfigError, match=r"o\.npz is not a file of weights \(it is a zip archive of something else"):
        read_state_dict(tmp_path / "o.npz")

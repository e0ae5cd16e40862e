"""Published layouts: every name by hand, there and back; nothing in a file is run."""

import pickle
import struct
from typing import ClassVar

import numpy as np
import pytest
import torch

from swagv.cli import main
from swagv.errors import ConfigError
from swagv.models.build import build_model
from swagv.models.c3d import C3D
from swagv.models.i3d import I3D
from swagv.models.layouts import LAYOUTS, convert_weights
from swagv.models.video_resnet import R2Plus1D

NORM = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}


def _randomised(network):
    torch.manual_seed(1)
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape) + (0.5 if "running_var" in key else 0))
    return network.eval()


def _norm(name, module):
    return {f"{name}_{short}": getattr(module, long).detach().numpy() for short, long in NORM.items()}


def _weight(name, module):
    return {f"{name}_w": module.weight.detach().numpy()}


def _weight_and_bias(name, module):
    return _weight(name, module) | {f"{name}_b": module.bias.detach().numpy()}


def _r2plus1d_blobs(network):
    """As VMZ names them, written out block by block."""
    stem = network.stem
    blobs = _weight("conv1_middle", stem[0]) | _norm("conv1_middle_spatbn_relu", stem[1])
    blobs |= _weight("conv1", stem[3]) | _norm("conv1_spatbn_relu", stem[4])
    blocks = [*network.layer1, *network.layer2, *network.layer3, *network.layer4]
    for i, block in enumerate(blocks):
        for j, conv in ((1, block.conv1), (2, block.conv2)):
            blobs |= _weight(f"comp_{i}_conv_{j}_middle", conv[0][0])
            blobs |= _norm(f"comp_{i}_spatbn_{j}_middle", conv[0][1])
            blobs |= _weight(f"comp_{i}_conv_{j}", conv[0][3])
            blobs |= _norm(f"comp_{i}_spatbn_{j}", conv[1])
        if i in (2, 4, 6):
            blobs |= _weight(f"shortcut_projection_{i}", block.downsample[0])
            blobs |= _norm(f"shortcut_projection_{i}_spatbn", block.downsample[1])
    return blobs | _weight_and_bias(f"last_out_L{network.fc.out_features}", network.fc)


def _c3d_blobs(network):
    blobs = {}
    for name in ("conv1a", "conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b"):
        layers = getattr(network, name)
        blobs |= _weight_and_bias(name, layers[0]) | _norm(f"{name}_bn", layers[1])
    blobs |= _weight_and_bias("fc6", network.fc6[0]) | _weight_and_bias("fc7", network.fc7[0])
    return blobs | _weight_and_bias(f"last_out_L{network.fc8.out_features}", network.fc8)


class _Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2's `str`, and names modules as numpy did then."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def _save(self, value):
        raw = value.encode("latin1") if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _save


def _write(path, found):
    with path.open("wb") as file:
        _Python2Pickler(file, protocol=2).dump(found)
    path.write_bytes(path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    return path


VMZ = {
    "vmz-r2plus1d": (lambda: R2Plus1D(7, width=4, mid_planes="vmz", eps=1e-3), _r2plus1d_blobs, {"width": 4}),
    "vmz-c3d": (lambda: C3D(7, width=2), _c3d_blobs, {"width": 2}),
}


@pytest.mark.parametrize("layout", sorted(VMZ))
def test_vmz_there_and_back(tmp_path, layout):
    make, blobs_of, arguments = VMZ[layout]
    network = _randomised(make())
    blobs = blobs_of(network)
    assert len(blobs) == sum(not key.endswith("num_batches_tracked") for key in network.state_dict())
    blobs |= {f"{name}_momentum": value for name, value in list(blobs.items())[:3]}
    done = convert_weights(layout, _write(tmp_path / "w.pkl", {"blobs": blobs}), tmp_path / "o.safetensors", arguments)
    assert (done.tensors, done.left_overs) == (len(network.state_dict()), 3)
    name = LAYOUTS[layout].model
    card_arguments = {"mid_planes": "vmz", "eps": 1e-3} if "r2plus1d" in layout else {}
    model = build_model(
        name, tmp_path / "o.safetensors", categories=list("abcdefg"), arguments=card_arguments | arguments
    )
    clip = torch.randn(1, 3, 16, 112, 112)
    with torch.inference_mode():
        assert torch.allclose(model(clip), network(clip), rtol=1e-5)


def test_vmz_at_full_size_needs_no_arguments(tmp_path):
    network = R2Plus1D(mid_planes="vmz", eps=1e-3)
    with (tmp_path / "w.pkl").open("wb") as file:
        pickle.dump({"blobs": _r2plus1d_blobs(network)}, file)
    convert_weights("vmz-r2plus1d", tmp_path / "w.pkl", tmp_path / "o.safetensors")
    model = build_model("r2plus1d_18_vmz", tmp_path / "o.safetensors")
    for key, value in network.state_dict().items():
        assert torch.equal(model.network.state_dict()[key], value)


def test_every_misfit_is_named(tmp_path):
    make, blobs_of, arguments = VMZ["vmz-c3d"]
    blobs = blobs_of(make())
    blobs["conv9z_w"] = blobs.pop("conv3b_bn_riv")
    blobs["fc6_b"] = blobs["fc6_b"][:5]
    with pytest.raises(ConfigError) as error:
        convert_weights("vmz-c3d", _write(tmp_path / "w.pkl", {"blobs": blobs}), tmp_path / "o.safetensors", arguments)
    message = str(error.value)
    assert "1 missing (conv3b_bn_riv)" in message
    assert "1 unexpected (conv9z_w)" in message
    assert "1 of another shape (fc6_b (5,) for (128,))" in message
    blobs["last_out_L7_b"] = np.float32(0)
    with pytest.raises(ConfigError, match=r"of another shape \(.*last_out_L7_b \(\) for \(7,\)\)"):
        convert_weights("vmz-c3d", _write(tmp_path / "w.pkl", {"blobs": blobs}), tmp_path / "o.safetensors", arguments)
    assert not (tmp_path / "o.safetensors").exists()


def test_a_name_cannot_ask_for_any_number_of_classes(tmp_path):
    path = _write(tmp_path / "w.pkl", {"blobs": {"last_out_L999999999_b": np.zeros(2, np.float32)}})
    with pytest.raises(ConfigError, match="it has 999999999 classes; at most 100,000"):
        convert_weights("vmz-c3d", path, tmp_path / "o.safetensors")


def test_common_pytorch_layout_of_i3d(tmp_path):
    network = _randomised(I3D(num_classes=7))
    state = network.state_dict()
    ported = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    assert {"Conv3d_1a_7x7.conv3d.weight", "Mixed_3b.b1a.bn.weight", "Mixed_5c.b3b.conv3d.weight"} < ported.keys()
    assert {"Mixed_4f.b2b.bn.running_var", "logits.conv3d.weight", "logits.conv3d.bias"} < ported.keys()
    torch.save(ported, tmp_path / "rgb.pt")
    assert main(["convert-weights", "pytorch-i3d", str(tmp_path / "rgb.pt"), str(tmp_path / "o.safetensors")]) == 0
    model = build_model("i3d", tmp_path / "o.safetensors", categories=list("abcdefg"))
    for key, value in ported.items():
        assert torch.equal(model.network.state_dict()[key], value)


def test_common_pytorch_layout_of_c3d(tmp_path):
    network = _randomised(C3D(487, width=2, batch_norm=False, pad_last_pool=True))
    layers = {"conv1": network.conv1a[0], "conv2": network.conv2a[0]}
    layers |= {name: getattr(network, name)[0] for name in ("conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")}
    layers |= {"fc6": network.fc6[0], "fc7": network.fc7[0], "fc8": network.fc8}
    ported = {f"{name}.{key}": value for name, layer in layers.items() for key, value in layer.state_dict().items()}
    torch.save(ported, tmp_path / "c3d.pickle")
    for out in ("o.safetensors", "again.safetensors"):
        convert_weights("pytorch-c3d", tmp_path / "c3d.pickle", tmp_path / out, {"width": 2})
    assert (tmp_path / "o.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    arguments = {"batch_norm": False, "pad_last_pool": True, "width": 2}
    model = build_model("c3d_sports1m", tmp_path / "o.safetensors", arguments=arguments)
    clip = torch.randn(1, 3, 16, 112, 112)
    with torch.inference_mode():
        assert torch.allclose(model(clip), network(clip), rtol=1e-5)


class _Runs:
    """Unpickled by an ordinary unpickler, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("layout", ["vmz-c3d", "flax-i3d"])
def test_a_pickle_that_names_anything_else_is_refused_and_not_run(tmp_path, capsys, layout):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"blobs": {"a": np.zeros(2), "b": _Runs(tmp_path / "ran")}}))
    assert main(["convert-weights", layout, str(tmp_path / "w.pkl"), str(tmp_path / "o.safetensors")]) == 2
    error = capsys.readouterr().err
    assert "it names _io.open" in error or "it names io.open" in error
    assert not (tmp_path / "ran").exists()
    # The same file, opened as any pickle, does run: the test would notice.
    pickle.loads((tmp_path / "w.pkl").read_bytes())["blobs"]["b"].close()
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("layout", ["pytorch-i3d", "pytorch-c3d"])
def test_a_checkpoint_that_names_anything_else_is_refused_and_not_run(tmp_path, layout):
    torch.save({"state_dict": _Runs(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="is not a file of weights"):
        convert_weights(layout, tmp_path / "w.pth", tmp_path / "o.safetensors")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a pickle of numpy arrays"),
        (b"\x80\x02]q\x00.", "holds a list; a dict of arrays is needed"),
        (pickle.dumps({"weights": {}}), "has no 'blobs'"),
        (pickle.dumps({"blobs": {"conv1a_w": "text"}}), "conv1a_w is a str; a numeric array is needed"),
        (pickle.dumps({"blobs": {"conv1a_w": np.array([None])}}), "holds an array of 'O8'; numbers or text are needed"),
        (pickle.dumps({"blobs": {"conv1a_w": np.zeros(9)}})[:-30], "is not a pickle of numpy arrays"),
    ],
)
def test_files_that_are_no_caffe2_pickle(tmp_path, content, message):
    (tmp_path / "w.pkl").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        convert_weights("vmz-c3d", tmp_path / "w.pkl", tmp_path / "o.safetensors")


def test_numpy_scalars_are_arrays_too(tmp_path):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"blobs": {"fc6_b": np.float32(1), "a": np.zeros(2)}}))
    with pytest.raises(ConfigError, match=r"unexpected \(a\).*fc6_b \(\) for \(4096,\)"):
        convert_weights("vmz-c3d", tmp_path / "w.pkl", tmp_path / "o.safetensors")


def test_unknown_layout_and_absent_file(tmp_path):
    (tmp_path / "there.pkl").touch()
    with pytest.raises(ConfigError, match=r"must end in \.safetensors"):
        convert_weights("vmz-c3d", tmp_path / "there.pkl", tmp_path / "o.pth")
    with pytest.raises(ConfigError, match=r"unknown layout 'vmz-c3'\. Did you mean 'vmz-c3d'"):
        convert_weights("vmz-c3", tmp_path / "w.pkl", tmp_path / "o.safetensors")
    with pytest.raises(ConfigError, match="weights not found"):
        convert_weights("vmz-c3d", tmp_path / "w.pkl", tmp_path / "o.safetensors")

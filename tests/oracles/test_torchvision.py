"""torchvision as the oracle: its networks, its loader, its class names; and its import beside a CPU-only torch."""

import io
import subprocess
import sys
from email.message import Message
from pathlib import Path

import numpy as np
import pytest
import torch

from swagv.errors import ConfigError
from swagv.geometry import Geometry
from swagv.models import torchvision_import
from swagv.models.build import build_model
from swagv.models.cards import KINETICS400, load_card
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def torchvision():
    return torchvision_import.import_torchvision()


@pytest.fixture
def served(monkeypatch, tmp_path):
    """Stands in for the network: torchvision's download, with the hash that it asks for, gives `served.state`."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    class Served:
        state: dict
        asked: tuple = ()

    def download(url, dst, hash_prefix=None, progress=True):
        Served.asked = (Path(url).name, hash_prefix)
        torch.save(Served.state, dst)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return Served


def _settled(network):
    """Statistics as after training, so that no batch norm is the identity."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator) * 0.1)
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "weights", "file", "size"),
    [
        ("r2plus1d_18", "default", "r2plus1d_18-91a641e6.pth", (8, 64, 64)),
        ("r2plus1d_18", "KINETICS400_V1", "r2plus1d_18-91a641e6.pth", (8, 64, 64)),
        ("r3d_18", "default", "r3d_18-b3b3357e.pth", (8, 64, 64)),
        ("mc3_18", "KINETICS400_V1", "mc3_18-a90a0ba3.pth", (8, 64, 64)),
        ("s3d", "default", "s3d-d76dad2f.pth", (16, 224, 224)),
    ],
)
def test_torchvisions_weights_give_torchvisions_outputs(torchvision, served, name, weights, file, size):
    torch.manual_seed(0)
    oracle = _settled(getattr(torchvision.models.video, name)(weights=None))
    served.state = oracle.state_dict()
    model = build_model(name, weights)
    assert served.asked == (file, file.removesuffix(".pth").rpartition("-")[2])
    clip = torch.randn(1, 3, *size)
    with torch.inference_mode():
        wanted, found = oracle(clip), model(clip)
    assert (wanted - found).abs().max() <= 1e-5 * wanted.abs().max()


def test_a_download_of_other_bytes_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    class Answer(io.BytesIO):
        def info(self):
            return Message()

    monkeypatch.setattr(torch.hub, "urlopen", lambda request: Answer(b"something else"))
    with pytest.raises(ConfigError, match=r"could not get R3D_18_Weights.KINETICS400_V1 .*invalid hash value"):
        build_model("r3d_18")
    assert not list(tmp_path.rglob("*.pth"))


def test_a_file_in_torchvisions_cache_is_not_run(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)

    class Runs:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    torch.save({"fc.weight": Runs()}, tmp_path / "hub" / "checkpoints" / "r3d_18-b3b3357e.pth")
    with pytest.raises(ConfigError, match="could not get R3D_18_Weights"):
        build_model("r3d_18")
    assert not (tmp_path / "ran").exists()


def test_names_of_weights_that_torchvision_does_not_have():
    with pytest.raises(ConfigError, match=r"no weights R3D_18_Weights.KINETICS400_V7\. Did you mean 'KINETICS400_V1'"):
        build_model("r3d_18", "KINETICS400_V7")


def test_class_names_and_preprocessing_are_torchvisions(torchvision):
    for name in ("r2plus1d_18", "r3d_18", "mc3_18", "s3d"):
        card = load_card(name)
        weights = torchvision.models.get_weight(card.torchvision)
        assert tuple(weights.meta["categories"]) == card.categories == KINETICS400
        theirs = weights.transforms()
        assert card.geometry == Geometry(tuple(theirs.resize_size), theirs.crop_size[0])
        assert (list(card.mean), list(card.std)) == (theirs.mean, theirs.std)
        assert card.clip_len >= weights.meta.get("min_temporal_size", 1)


@pytest.mark.parametrize(("resize", "crop"), [((128, 171), 112), (256, 224), ((33, 35), 32), ((37, 39), 32)])
@pytest.mark.parametrize("size", [(240, 320), (240, 318), (320, 240)])
def test_the_crop_is_torchvisions(torchvision, resize, crop, size):
    geometry = Geometry(resize, crop)
    height, width = geometry.resized(*size)
    places = torch.arange(height * width).view(1, height, width)
    corner = torchvision.transforms.functional.center_crop(places, [crop, crop])[0, 0, 0].item()
    assert geometry.offset(*size) == divmod(corner, width)


def test_preprocessed_frames_are_torchvisions(torchvision):
    frames = np.random.default_rng(0).integers(0, 256, (16, 60, 80, 3), np.uint8)
    theirs = torchvision.models.video.R3D_18_Weights.KINETICS400_V1.transforms()
    wanted = theirs(torch.from_numpy(frames).permute(0, 3, 1, 2))
    found = build_model("r3d_18", None).preprocess(frames[None])[0]
    # Both round to whole grey values between resize and crop: one apart where a value lies halfway.
    assert (wanted - found).abs().max() <= 1.01 / 255 / min(load_card("r3d_18").std)
    assert (wanted - found).abs().mean() < 1e-3


def test_operators_are_declared_only_where_they_are_missing(torchvision):
    assert torchvision_import.missing_operators() == []
    if not torchvision_import._fragment.cache_info().currsize:  # its own library fits this torch and brought them
        return
    # Where they are there already, declaring them a second time would be an error.
    code = (
        "import torch; from swagv.models import torchvision_import as ours\n"
        "library = torch.library.Library('torchvision', 'FRAGMENT')\n"
        "[library.define(ours._SCHEMAS[name]) for name in ours.missing_operators()]\n"
        "ours.import_torchvision(); print(ours._fragment.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "0\n", done.stderr


def test_one_module_imports_torchvision():
    lines = [
        (path.name, line)
        for path in (ROOT / "swagv").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(("import torchvision", "from torchvision"))
    ]
    assert lines == [("torchvision_import.py", "    import torchvision")]

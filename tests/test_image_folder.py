import numpy as np
import pytest
from PIL import Image

from swagv.decode import Decoder, probe, read_frames
from swagv.errors import DecodeError
from swagv.geometry import Geometry
from swagv.image_folder import images_in

COLOURS = np.random.default_rng(0).integers(0, 256, (12, 20, 30, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Twelve images, 1.png to 12.png, and what is none of them."""
    folder = tmp_path / "video"
    folder.mkdir()
    for number, pixels in enumerate(COLOURS, start=1):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    for name in ("._1.png", "notes.txt"):
        (folder / name).write_bytes(b"x")
    (folder / "13.png").mkdir()
    return folder


def test_a_folder_is_a_video_in_the_order_of_its_numbers(folder):
    assert [path.name for path in images_in(folder)] == [f"{number}.png" for number in range(1, 13)]
    with Decoder(60) as decoder:
        found = decoder.probe(folder)
        assert (found.num_frames, found.height, found.width, found.detail) == (12, 20, 30, "")
        frames = decoder.read_frames(folder, [0, 1, 9, 11])
        assert (frames.reader, frames.size) == ("images", (20, 30))
        assert (frames.frames == COLOURS[[0, 1, 9, 11]]).all()
        with pytest.raises(DecodeError, match="frame 12 is not there"):
            decoder.read_frames(folder, [3, 12])
    resized = read_frames(folder, range(12), Geometry(resize=16, crop=16))
    assert (resized.frames == Geometry(resize=16, crop=16).frames(COLOURS)).all()
    assert resized.size == (20, 30)


def test_numbers_of_any_width_and_place(tmp_path):
    names = ["a2_001.jpg", "a2_9.JPG", "a2_0010.jpeg", "a10_1.png", "b1.png", "frame.png"]
    for name in reversed(names):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in images_in(tmp_path)] == names


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA", "I;16", "CMYK"])
def test_images_of_any_kind_become_rgb(mode, tmp_path):
    grey = COLOURS[0, ..., 0]
    if mode == "I;16":
        image, expected = Image.fromarray(grey.astype(np.uint16) * 257), np.stack([grey] * 3, axis=-1)
    else:
        image = Image.fromarray(COLOURS[0] // 128 * 255).convert(mode)
        expected = np.asarray(image.convert("RGB"))
    name = "1.jpg" if mode == "CMYK" else "1.png"
    image.save(tmp_path / name)
    found = read_frames(tmp_path, [0]).frames[0]
    assert (found.dtype, found.shape) == (np.uint8, (20, 30, 3))
    if mode == "CMYK":  # JPEG loses some
        assert np.abs(found.astype(int) - expected).mean() < 40
    else:
        assert (found == expected).all()


def test_a_turned_photograph_is_turned(tmp_path):
    orientation = Image.Exif()
    orientation[274] = 6  # shown turned clockwise by 90 degrees
    Image.fromarray(COLOURS[0]).save(tmp_path / "1.png", exif=orientation)
    assert (read_frames(tmp_path, [0]).frames[0] == np.rot90(COLOURS[0], -1)).all()


def test_what_is_wrong_with_a_folder_is_said(folder):
    Image.fromarray(COLOURS[0][:, :17]).save(folder / "7.png")
    for call in (probe, lambda path: read_frames(path, range(12))):
        with pytest.raises(DecodeError, match=r"differ in size: 1.png and 7.png have 30x20 and 17x20 pixels"):
            call(folder)
    whole = (folder / "3.png").read_bytes()
    for broken in (b"", b"text", whole[:200], whole[:40] + b"\0" * 30 + whole[70:]):
        (folder / "3.png").write_bytes(broken)
        with pytest.raises(DecodeError, match=r"3\.png is no readable image"):
            probe(folder)
    for image in images_in(folder):
        image.unlink()
    with pytest.raises(DecodeError, match="a folder without images"):
        probe(folder)
    with pytest.raises(DecodeError, match="frame 0 is not there"):
        read_frames(folder, [0])


def save(folder, *names, shade=0):
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.new("RGB", (30, 20), (shade, shade, shade)).save(folder / name)


def test_of_several_series_the_frames_are_taken(tmp_path):
    """Optical flow lies beside the frames in some layouts."""
    for shade, name in enumerate(("img_{:05d}.jpg", "flow_x_{:05d}.jpg", "flow_y_{:05d}.jpg", "img_{:05d}_mask.png")):
        save(tmp_path / "v", *(name.format(number) for number in range(1, 19)), shade=50 * shade)
    assert probe(tmp_path / "v").num_frames == 18
    assert read_frames(tmp_path / "v", range(18)).frames.max() == 0
    save(tmp_path / "w", *(f"{name}_{number}.png" for number in range(3) for name in ("left", "right")))
    with pytest.raises(DecodeError, match=r"images of 2 series \(left_#\.png, right_#\.png\)"):
        probe(tmp_path / "w")
    save(tmp_path / "x", *(f"img_{number}.{suffix}" for number in range(3) for suffix in ("png", "jpg")))
    with pytest.raises(DecodeError, match="which are the frames cannot be told"):
        read_frames(tmp_path / "x", [0])


def test_a_gap_is_named_and_a_constant_step_is_none(tmp_path):
    save(tmp_path / "v", *(f"frame{number}.png" for number in (1, 2, 3, 7, 8)))
    found = probe(tmp_path / "v")
    assert (found.truncated, found.detail) == (True, "no image between frame3.png and frame7.png")
    save(tmp_path / "w", *(f"{number}.png" for number in range(0, 50, 5)))
    assert (probe(tmp_path / "w").truncated, probe(tmp_path / "w").num_frames) == (False, 10)

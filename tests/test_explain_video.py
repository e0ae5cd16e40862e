import json
import resource
import weakref
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

import swagv
import swagv.explain_video
from swagv.cli import main
from swagv.datasets.rendering import render_video, write_video
from swagv.decode import read_frames
from swagv.explain_video import Explained, Look, film_frames, frame_rate, shown_size
from swagv.geometry import Geometry
from swagv.pieces import Piece, pieces, windows
from swagv.viz import BAR_HEIGHT
from tests.conftest import ROOT

MODEL = ["--model", "c3d_demo"]
CIRCLE = 3
GAP = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """short.mp4 of 24 frames, long.mp4 of 100, three.mp4 of 3, tone.mp4 with sound, frames/ and long.npy, its boxes."""
    folder = tmp_path_factory.mktemp("videos")
    torch.set_num_threads(2)
    long = render_video(CIRCLE, 5, 100)
    write_video(folder / "long.mp4", long.frames)
    np.save(folder / "long.npy", long.boxes)
    write_video(folder / "short.mp4", long.frames[:24])
    write_video(folder / "three.mp4", long.frames[:3])
    (folder / "text.mp4").write_text("no video")
    (folder / "frames").mkdir()
    for t in range(16):
        Image.fromarray(long.frames[t, ::2, ::2]).save(folder / "frames" / f"{t}.png")
    add_tone(folder / "short.mp4", folder / "tone.mp4", "aac")
    return folder


def add_tone(source, out, codec, **options):
    """A copy of a video with 0.96 s of 440 Hz."""
    with av.open(str(source)) as original, av.open(str(out), "w", **options) as container:
        video = container.add_stream_from_template(original.streams.video[0])
        sound = container.add_stream(codec, rate=44100, layout="mono")
        wave = np.sin(2 * np.pi * 440 * np.arange(42336) / 44100).astype(np.float32)
        resampler = av.AudioResampler(sound.codec_context.format, "mono", 44100, sound.codec_context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
        frame.sample_rate, frame.pts = 44100, 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(part))
        container.mux(sound.encode())
        for packet in original.demux(original.streams.video[0]):
            if packet.dts is not None:
                packet.stream = video
                container.mux(packet)


def sound_of(path):
    """Bytes and times in seconds of a file's packets of sound."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [bytes(packet) for packet in packets], [float(packet.pts * packet.time_base) for packet in packets]


def film(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(stream)]), stream.average_rate


@pytest.fixture(scope="module")
def whole(folder):
    """All of the long video, explained."""
    outs = {suffix: folder / f"whole.{suffix}" for suffix in ("mp4", "npz", "png")}
    arguments = [*MODEL, "--method", "guided_backprop", "--whole", *[f"--out={out}" for out in outs.values()]]
    assert main(["explain", str(folder / "long.mp4"), *arguments]) == 0
    return outs


def test_one_clip_with_two_methods(folder, tmp_path, capsys):
    outs = [tmp_path / "new" / name for name in ("o.mp4", "o.png", "o.npz")]
    methods = ["--method", "swagv_ig", "--method", "random_noise"]
    arguments = [*MODEL, *methods, "--borders", *[f"--out={out}" for out in outs]]
    assert main(["explain", str(folder / "short.mp4"), *arguments]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].endswith("  circle")
    assert lines[5:] == [str(out) for out in outs]
    assert said.err == ""

    pictures, rate = film(outs[0])
    assert pictures.shape == (16, 240 + 2 * BAR_HEIGHT, 3 * 320 + 2 * GAP, 3)
    assert rate == 25
    frames = read_frames(folder / "short.mp4", range(4, 20)).frames
    apart = np.abs(pictures[:, BAR_HEIGHT:-BAR_HEIGHT, :320].astype(int) - frames).mean()
    assert apart < 4  # of 255, after another round of H.264
    assert np.asarray(Image.open(outs[1])).shape == (3 * (240 + BAR_HEIGHT), 4 * 320 + 3 * GAP, 3)

    model = swagv.load_model("c3d_demo")
    clips = model.preprocess(frames[None])
    with np.load(outs[2], allow_pickle=False) as arrays:
        names = {"attribution/swagv_ig", "attribution/random_noise", "frames", "frame_indices", "target"}
        assert set(arrays) == names
        assert arrays["target"] == CIRCLE
        assert arrays["target"].shape == ()
        assert np.array_equal(arrays["frame_indices"], range(4, 20))
        assert np.array_equal(arrays["frames"], model.geometry.frames(frames))
        for name in ("swagv_ig", "random_noise"):
            expected = swagv.explain(model, clips, name, clip_ids=["short@000004"])[0].numpy()
            assert arrays[f"attribution/{name}"].dtype == np.float32
            assert np.array_equal(arrays[f"attribution/{name}"], expected)


def test_json_and_everything_set(folder, tmp_path, capsys):
    out = tmp_path / "o.npz"
    asked = ["--target", "spin", "--start", "2", "--frame-step", "2", "--clip-len", "8", "--device", "cpu"]
    asked += ["--method", "swagv_i", "--set", "n_segments=20", "model.bgr=true", "--set", "swagv_i.w_color=12"]
    asked += ["--json", "--out", str(out)]
    assert main(["explain", str(folder / "short.mp4"), "--model", "r2plus1d_demo", *asked]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["target"]["class"] == "spin"
    assert said["files"] == [str(out)]
    assert said["method"] == ["swagv_i"]
    assert [clip["start"] for clip in said["clips"]] == [2]
    assert len(said["top5"]) == 5
    assert said["top5"] == said["clips"][0]["top5"]
    model = swagv.load_model("r2plus1d_demo", bgr=True, clip_len=8)
    clips = model.preprocess(read_frames(folder / "short.mp4", range(2, 18, 2)).frames[None])
    with np.load(out, allow_pickle=False) as arrays:
        expected = swagv.explain(model, clips, "swagv_i", "spin", n_segments=20, w_color=12)[0].numpy()
        assert np.array_equal(arrays["attribution/swagv_i"], expected)


def test_a_folder_of_small_frames_and_the_default_name(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", str(folder / "frames"), *MODEL, "--method", "grad_cam"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "frames.grad_cam.mp4"
    pictures, rate = film("frames.grad_cam.mp4")
    height, width = shown_size(120, 160)
    assert pictures.shape == (16, height + 2 * BAR_HEIGHT, 2 * width + GAP, 3)
    assert rate == 25


def test_colours_are_where_the_map_is():
    """A map that is 1 on the actor, in the network's pixels, colours the actor in the video's, and nothing else."""
    video, geometry = render_video(CIRCLE, 5, 16), Geometry()
    boxes = geometry.boxes(video.boxes, 240, 320)
    y, x = np.mgrid[:112, :112]
    on = [(x >= a) & (x <= c) & (y >= b) & (y <= d) for a, b, c, d in boxes]
    maps = {"m": np.float32(on)}
    frames = geometry.frames(video.frames)
    scores = np.float32([0.75, 0.25])
    clip = Explained(Piece(range(16)), frames, video.frames, scores, 0, "run", maps, {})
    for t, picture in enumerate(film_frames(clip, Look(geometry, (240, 320), 1.0, False))):
        shown = picture[BAR_HEIGHT:-BAR_HEIGHT, 320 + GAP :].astype(int)
        yellow = np.abs(shown - [252, 255, 164]).max(-1) < 3
        rows, columns = np.flatnonzero(yellow.any(1)), np.flatnonzero(yellow.any(0))
        found = np.array([columns[0], rows[0], columns[-1], rows[-1]])
        assert np.abs(found - video.boxes[t]).max() <= 3  # a pixel of the network's is 1.9 of the video's
        left, top, right, bottom = np.rint(video.boxes[t] + np.array([-3, -3, 4, 4])).astype(int)
        shown[top:bottom, left:right] = 0
        assert (shown.max(-1) < 0.75 * 255 + 1).all()  # muted


def test_the_whole_video_stays_in_step(folder, whole):
    """Each frame once and in its place; the map follows the actor in time."""
    frames = read_frames(folder / "long.mp4", range(100)).frames
    pictures, _ = film(whole["mp4"])
    assert len(pictures) == 100
    left = pictures[:, BAR_HEIGHT:-BAR_HEIGHT, :320].astype(int)
    apart = [[np.abs(left[t] - frames[max(0, min(99, t + d))]).mean() for d in (-1, 0, 1)] for t in range(1, 99)]
    assert (np.argmin(apart, 1) == 1).all()

    boxes = Geometry().boxes(np.load(folder / "long.npy"), 240, 320)
    true = (boxes[:, :2] + boxes[:, 2:]) / 2
    with np.load(whole["npz"], allow_pickle=False) as arrays:
        assert np.array_equal(arrays["frame_indices"], range(100))
        assert arrays["target"].shape == (100,)
        maps = arrays["attribution/guided_backprop"]
        assert np.array_equal(arrays["frames"], Geometry().frames(frames))
    y, x = np.mgrid[:112, :112]
    strong = np.where(maps > np.quantile(maps, 0.99, (1, 2), keepdims=True), maps, 0)
    mass = strong.sum((1, 2))
    centre = np.stack([(strong * x).sum((1, 2)) / mass, (strong * y).sum((1, 2)) / mass], 1)
    # Less where the actor is in the whole video: what is left is its motion.
    centre, true = centre - np.median(centre, 0), true - true.mean(0)
    shuffled = np.random.default_rng(0).permutation(100)
    together, control = (np.median(np.hypot(*(centre - other).T)) for other in (true, true[shuffled]))
    assert together < 0.7 * control


def test_what_the_whole_video_says(folder, whole, tmp_path, capsys):
    out = str(tmp_path / "o.png")
    assert main(["explain", str(folder / "short.mp4"), *MODEL, "--method", "centre", "--whole", "--out", out]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["0", "8"]
    assert lines[0].endswith("circle")
    assert lines[2:] == [out]
    height = 2 * (240 + BAR_HEIGHT)
    assert np.asarray(Image.open(whole["png"])).shape == (height, 4 * 320 + 3 * GAP, 3)


class Thing:
    """A frame that can be counted."""


def test_a_clip_of_frames_is_held_at_a_time_and_two_of_explanations(folder, tmp_path, monkeypatch):
    alive, peak = weakref.WeakSet(), 0

    def things():
        nonlocal peak
        for _ in range(100):
            thing = Thing()
            alive.add(thing)
            peak = max(peak, len(alive))
            yield thing
            del thing

    plan = pieces(100, 16, whole=True)
    found = [(piece.indices[0], len(held)) for piece, held in windows(things(), plan)]
    assert found == [(start, 16) for start in (0, 16, 32, 48, 64, 80, 84)]
    assert peak <= 2 * 16 + 1

    explained, most = weakref.WeakSet(), 0
    make = swagv.explain_video._explained

    def counted(*given):
        nonlocal most
        clip = make(*given)
        explained.add(clip)
        most = max(most, len(explained))
        return clip

    monkeypatch.setattr(swagv.explain_video, "_explained", counted)
    arguments = ["--method", "centre", "--whole", "--out", str(tmp_path / "o.png")]
    assert main(["explain", str(folder / "long.mp4"), *MODEL, *arguments]) == 0
    assert most <= 2


@pytest.mark.parametrize(
    ("frames", "clip_len", "step"), [(100, 16, 1), (16, 16, 1), (17, 16, 1), (32, 16, 1), (40, 4, 3)]
)
def test_the_pieces_of_a_whole_video_have_each_frame_once(frames, clip_len, step):
    plan = pieces(frames, clip_len, step, whole=True)
    assert all(len(piece.indices) == clip_len for piece in plan)
    new = [index for piece in plan for index in piece.indices[piece.covered :]]
    assert new == list(range(0, frames, step))


def test_sound_is_kept_with_the_whole_video_and_only_then(folder, tmp_path, capsys):
    packets, times = sound_of(folder / "tone.mp4")
    assert len(packets) > 35
    arguments = [*MODEL, "--method", "centre", "--out"]
    assert main(["explain", str(folder / "tone.mp4"), *arguments, str(tmp_path / "whole.mp4"), "--whole"]) == 0
    assert main(["explain", str(folder / "tone.mp4"), *arguments, str(tmp_path / "clip.mp4")]) == 0
    found, when = sound_of(tmp_path / "whole.mp4")
    assert found == packets[-len(found) :]  # what plays before the first picture is left out
    assert len(packets) - len(found) <= 1
    assert np.allclose(when, times[-len(found) :], atol=1e-3)
    assert len(film(tmp_path / "whole.mp4")[0]) == 24
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert not container.streams.audio
    assert capsys.readouterr().err == ""


def test_sound_that_mp4_cannot_hold_is_left_out_with_one_line(folder, tmp_path, capsys):
    add_tone(folder / "short.mp4", tmp_path / "tone.mkv", "pcm_u8")
    arguments = [*MODEL, "--method", "centre", "--whole", "--out", str(tmp_path / "o.mp4")]
    assert main(["explain", str(tmp_path / "tone.mkv"), *arguments]) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is silent: MP4 cannot hold its pcm_u8 sound" in said
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_a_network_of_ones_own_has_numbers_for_names(folder, tmp_path, capsys):
    arguments = ["--model", "tests.models.own_network:small", "--method", "vanilla_backprop", "--clip-len", "4"]
    arguments += ["--set", "model.geometry={resize: 32, crop: 32}", "--out", str(tmp_path / "o.png"), "--json"]
    assert main(["explain", str(folder / "short.mp4"), *arguments, "--target", "4"]) == 0
    assert json.loads(capsys.readouterr().out)["target"]["class"] == "4"
    assert main(["explain", str(folder / "short.mp4"), *arguments, "--target", "5"]) == 2
    assert "a number from 0 to 4" in capsys.readouterr().err


def test_progress_in_a_terminal_is_a_bar(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    arguments = [*MODEL, "--method", "centre", "--whole", "--out", str(tmp_path / "o.npz")]
    assert main(["explain", str(folder / "short.mp4"), *arguments]) == 0
    said = capsys.readouterr()
    assert "2/2" in said.err
    assert len(said.out.splitlines()) == 3


def test_progress_elsewhere_is_a_line_now_and_then(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("swagv.commands.progress._SECONDS_BETWEEN_LINES", 0)
    arguments = [*MODEL, "--method", "centre", "--whole", "--json", "--out", str(tmp_path / "o.npz")]
    assert main(["explain", str(folder / "short.mp4"), *arguments]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == ["clip 1 of 2", "clip 2 of 2"]
    found = json.loads(said.out)
    assert found["target"] is None
    assert len(found["clips"]) == 2


def test_a_step_keeps_the_pace(folder, tmp_path):
    arguments = [*MODEL, "--method", "centre", "--whole", "--frame-step", "3", "--clip-len", "16"]
    assert main(["explain", str(folder / "long.mp4"), *arguments, "--out", str(tmp_path / "o.mp4")]) == 0
    pictures, rate = film(tmp_path / "o.mp4")
    assert (len(pictures), rate) == (34, Fraction(25, 3))
    assert frame_rate(folder / "long.mp4") == 25


WRONG = {
    "no such file": (["absent.mp4"], "absent.mp4: file not found"),
    "no video": (["text.mp4"], "text.mp4: not one frame could be decoded"),
    "too short": (["three.mp4"], "three.mp4: the video has 3 frames; a clip of 16 needs 16"),
    "method": (["short.mp4", "--method", "grad_cm"], "unknown method 'grad_cm'. Did you mean 'grad_cam'?"),
    "model": (["short.mp4", "--model", "c3d_dem"], "unknown model 'c3d_dem'. Did you mean 'c3d_demo'?"),
    "class": (["short.mp4", "--target", "spn"], "target 'spn' is not a category of this network. Did you mean 'spin'?"),
    "number": (["short.mp4", "--target", "6"], "a number from 0 to 5"),
    "start": (["short.mp4", "--start", "9"], "start 9: a clip of 16 frames of this video starts at frame 0 to 8"),
    "clip_len": (["short.mp4", "--clip-len", "0"], "clip_len 0: must be at least 1"),
    "frame_step": (["short.mp4", "--frame-step", "0"], "frame_step 0: must be at least 1"),
    "too few frames for the network": (["short.mp4", "--clip-len", "1"], "model 'c3d_demo' does not take clips of 1"),
    "opacity": (["short.mp4", "--opacity", "1.5"], "opacity 1.5: must be from 0 to 1"),
    "setting": (["short.mp4", "--set", "layr=x"], "method 'grad_cam' has no setting 'layr'. Did you mean 'layer'?"),
    "setting of none": (["short.mp4", "--set", "rise3d.seed=1"], "'rise3d' is not one of the methods grad_cam"),
    "no setting": (["short.mp4", "--set", "layer"], "--set layer: give KEY=VALUE"),
    "pair": (["short.mp4", "--method", "saliency_tubes"], "method 'saliency_tubes' on model 'c3d_demo': "),
    "weights": (["short.mp4", "--weights", "absent.pth"], "weights of model 'c3d_demo' not found"),
    "weights of another network": (
        ["short.mp4", f"--weights={ROOT / 'swagv' / 'weights' / 'r2plus1d_demo.safetensors'}"],
        "does not fit C3D: keys",
    ),
    "suffix": (["short.mp4", "--out", "o.gif"], "o.gif: what to write is told by the suffix, one of .mp4, .png, .npz"),
    "itself": (["short.mp4", "--out", "short.mp4"], "short.mp4 is the input itself"),
    "a file for a folder": (["short.mp4", "--out", "text.mp4/o.mp4"], "text.mp4/o.mp4 cannot be written"),
    "time limit": (["short.mp4", "--time-limit", "0.001"], "longer than 0.001 s; --time-limit gives it more"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line(name, folder, monkeypatch, capsys):
    arguments, message = WRONG[name]
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert main(["explain", *MODEL, "--method", "grad_cam", *arguments]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert sorted(folder.iterdir()) == before


def test_a_gpu_that_is_absent(folder, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["explain", str(folder / "short.mp4"), *MODEL, "--device", "cuda", "--traceback"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith("swagv: device cuda: PyTorch finds no GPU here; leave --device out, or give cpu\n")


@pytest.mark.parametrize("suffix", ["mp4", "png", "npz"])
def test_a_full_disk_leaves_the_old_file_and_no_other(suffix, folder, tmp_path, capsys):
    out = tmp_path / f"full.{suffix}"
    out.write_text("old")
    arguments = [*MODEL, "--method", "centre", "--out", str(tmp_path / "other.png"), "--out", str(out)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        assert main(["explain", str(folder / "short.mp4"), *arguments]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = capsys.readouterr().err
    assert said == f"swagv: {out} cannot be written: File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "old"


def test_borders_without_supervoxels_are_a_warning(folder, tmp_path, capsys):
    out = tmp_path / "o.png"
    assert main(["explain", str(folder / "short.mp4"), *MODEL, "--method", "centre", "--borders", f"--out={out}"]) == 0
    assert "none of the methods has any" in capsys.readouterr().err


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    said = capsys.readouterr().out
    assert said.count("  swagv explain ") >= 4

import os
import random
import struct
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from swagv.datasets.folder import FolderDataset
from swagv.datasets.rendering import render_video, write_video
from swagv.decode import Decoder, _decord_frames, _pyav_frames, iter_frames, probe, read_frames
from swagv.errors import DecodeError
from swagv.geometry import Geometry

# Encoding and reading back ------------------------------------------------------------------------------------------


def numbered(num_frames, height=64, width=80, first=0):
    """A moving texture (T, H, W, 3) below eight bars, bright where the frame's number has a one: a shift is visible."""
    t, y, x = np.mgrid[first : first + num_frames, :height, :width]
    waves = [np.sin((x + 3 * t) / 9) + np.cos((y - 2 * t) / 11), np.sin((x + y + 4 * t) / 13), np.cos((x - 3 * t) / 17)]
    frames = np.stack([127 + 55 * wave for wave in waves], axis=-1)
    frames[:, : height // 3] = np.where(t >> np.minimum(x * 8 // width, 7) & 1, 225, 30)[:, : height // 3, :, None]
    return frames.round().astype(np.uint8)


def numbers(frames):
    """What the bars say."""
    height, width = frames.shape[1:3]
    centres = (np.arange(8) * 2 + 1) * width // 16
    bits = frames[:, 2 : height // 3 - 2, centres].mean(axis=(1, 3)) > 127
    return (bits << np.arange(8)).sum(1).tolist()


def encode(path, frames, codec="libx264", pixels="yuv420p", times=None, b_frames=2, muxer=None, **options):
    """Write frames (T, H, W, 3) at 25 a second, or at `times` in milliseconds, with a key frame every 12 frames."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = 12, b_frames
        stream.codec_context.bit_rate = 2_000_000
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def remux(source, out, start=0, seconds=0.0, **options):
    """The same packets from the `start`-th on, `seconds` earlier, in another container."""
    with av.open(str(source)) as given, av.open(str(out), "w", options=options) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for index, packet in enumerate(given.demux(video=0)):
            if packet.size and index >= start:
                shift = int(seconds / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                made.mux(packet)
    return out


def avi(path, chunks, index=True, title=b""):
    """An AVI file of `chunks` of 80x64 MPEG-4 video at 25 frames a second, with or without its index, byte by byte."""

    def chunk(name, data):
        return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    height, width, count, fourcc = 64, 80, len(chunks), b"DX50"
    main = struct.pack("<14I", 40000, 0, 0, 0x10 * index, count, 0, 1, 1 << 16, width, height, 0, 0, 0, 0)
    stream = (
        b"vids" + fourcc + struct.pack("<10I4H", 0, 0, 0, 1, 25, 0, count, 1 << 16, 2**32 - 1, 0, 0, 0, width, height)
    )
    picture = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, fourcc, width * height * 3, 0, 0, 0, 0)
    streams = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", picture))
    header = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + streams)
    header += chunk(b"LIST", b"INFO" + chunk(b"INAM", title)) if title else b""
    movie, entries = b"movi", b""
    for number, data in enumerate(chunks):
        entries += b"00dc" + struct.pack("<3I", 0x10 * (number == 0), len(movie), len(data))
        movie += chunk(b"00dc", data)
    path.write_bytes(
        chunk(b"RIFF", b"AVI " + header + chunk(b"LIST", movie) + (chunk(b"idx1", entries) if index else b""))
    )
    return path


def mpeg4_chunks(tmp_path, frames, b_frames):
    encode(tmp_path / "plain.avi", frames, "mpeg4", b_frames=b_frames)
    with av.open(str(tmp_path / "plain.avi")) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def packed(chunks):
    """As DivX and XviD packed B-frames for programs that could not wait: the first one rides in the chunk of the
    P-frame that it needs, and an empty frame (not coded) fills the place that this leaves."""

    def is_b(chunk):
        return chunk[chunk.index(b"\0\0\1\xb6") + 4] >> 6 == 2

    out = []
    for number, chunk in enumerate(chunks):
        after = chunks[number + 1] if number + 1 < len(chunks) else b""
        if not is_b(chunk):
            out.append(chunk + after if after and is_b(after) else chunk)
        elif is_b(chunks[number - 1]):
            out.append(chunk)
        if is_b(chunk) and not (after and is_b(after)):
            out.append(bytes.fromhex("000001b6517f"))
    start = out[0].index(b"\0\0\1\xb6")
    out[0] = out[0][:start] + b"\0\0\1\xb2DivX503b1393p" + out[0][start:]  # p: packed
    return out


def largest_difference(found, expected):
    return int((np.maximum(found, expected) - np.minimum(found, expected)).max())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """16 numbered frames in H.264."""
    return encode(tmp_path_factory.mktemp("small") / "v.mp4", numbered(16))


# Frame i is frame i -------------------------------------------------------------------------------------------------


def uneven(count):
    return np.cumsum(np.random.default_rng(0).choice([7, 20, 40, 100], count)).tolist()


FILES = {
    "h264-b-frames.mp4": lambda path, frames: encode(path, frames, b_frames=3),
    "h264-open-gop.mkv": lambda path, frames: encode(path, frames, **{"x264-params": "open-gop=1:b-pyramid=normal"}),
    "variable-rate.mp4": lambda path, frames: encode(path, frames, times=uneven(len(frames))),
    "variable-rate.mkv": lambda path, frames: encode(path, frames, times=uneven(len(frames))),
    "starts-late.mkv": lambda path, frames: encode(path, frames, times=[5000 + 40 * i for i in range(len(frames))]),
    "fragments.mp4": lambda path, frames: encode(path, frames, muxer={"movflags": "frag_keyframe+empty_moov"}),
    "mpeg4-b-frames.avi": lambda path, frames: encode(path, frames, "mpeg4"),
    "no-index.avi": lambda path, frames: avi(path, mpeg4_chunks(path.parent, frames, 0), index=False),
    "broken-text.avi": lambda path, frames: avi(path, mpeg4_chunks(path.parent, frames, 0), title=b"caf\xe9 \xff\xfe"),
    "mpeg2.mpg": lambda path, frames: encode(path, frames, "mpeg2video"),
    "mpeg2.ts": lambda path, frames: encode(path, frames, "mpeg2video"),
    "h264.ts": lambda path, frames: encode(path, frames),
    "vp9.webm": lambda path, frames: encode(path, frames, "libvpx-vp9", deadline="realtime"),
    "grey.mp4": lambda path, frames: encode(path, frames, pixels="gray"),
    "10-bit.mp4": lambda path, frames: encode(path, frames, pixels="yuv420p10le"),
    "444.mp4": lambda path, frames: encode(path, frames, pixels="yuv444p"),
}  # fmt: skip
# decord loses the first group of pictures of a transport stream and repeats the last frame instead.
DECORD_LIES = {"h264.ts", "mpeg2.ts"}
# Two conversions of these to RGB differ.
EITHER = {"10-bit.mp4"}


@pytest.mark.parametrize("name", FILES)
def test_every_frame_is_the_one_asked_for(name, tmp_path):
    frames = numbered(30)
    path = FILES[name](tmp_path / name, frames)
    counted = probe(path)
    assert (counted.num_frames, counted.height, counted.width, counted.truncated) == (30, 64, 80, False)
    assert numbers(frames) == list(range(30))
    found = read_frames(path, range(30))
    assert numbers(found.frames) == list(range(30))
    assert found.size == (64, 80)
    assert found.reader in ({"decord", "pyav"} if name in EITHER else {"pyav"} if name in DECORD_LIES else {"decord"})
    some = read_frames(path, [2, 3, 11, 12, 13, 29])
    assert numbers(some.frames) == [2, 3, 11, 12, 13, 29]
    assert (some.frames == found.frames[[2, 3, 11, 12, 13, 29]]).all()
    with pytest.raises(DecodeError, match="frame 30 is not there"):
        read_frames(path, [5, 30])


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("v.mp4", "libx264", "yuv444p"), ("v.avi", "mpeg4", "yuv420p"), ("v.mkv", "ffv1", "yuv420p")],
)
def test_odd_sizes(name, codec, pixels, tmp_path):
    frames = numbered(8, 143, 175)
    found = read_frames(encode(tmp_path / name, frames, codec, pixels), range(8))
    assert found.size == (143, 175) == found.frames.shape[1:3]
    assert numbers(found.frames) == list(range(8))
    assert np.abs(found.frames[:, 50:].astype(int) - frames[:, 50:]).mean() < 6
    small = read_frames(tmp_path / name, range(8), Geometry()).frames
    assert (small == Geometry().frames(found.frames)).all()


@pytest.mark.parametrize("b_frames", [1, 2])
@pytest.mark.parametrize("index", [True, False])
def test_packed_b_frames(b_frames, index, tmp_path):
    """UCF101's own kind of file, on which decord's seeking is wrong without an error."""
    frames = numbered(30)
    chunks = packed(mpeg4_chunks(tmp_path, frames, b_frames))
    path = avi(tmp_path / "v.avi", chunks, index=index)
    av.logging.set_level(av.logging.INFO)
    with av.logging.Capture() as log:
        assert probe(path).num_frames == 30
    av.logging.set_level(None)
    assert any("packed B-frames" in message for _, _, message in log)
    found = read_frames(path, range(30))
    assert (numbers(found.frames), found.reader) == (list(range(30)), "decord")
    # Without the last chunk decord has one frame less, or repeats one.
    found = read_frames(avi(tmp_path / "cut.avi", chunks[:-1]), range(probe(tmp_path / "cut.avi").num_frames))
    assert numbers(found.frames)[:28] == list(range(28))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("start", [5, 12, 17])
def test_cuts_without_encoding(suffix, start, tmp_path):
    """Between key frames decord's length counts what nobody can decode, and it repeats the last frame."""
    encode(tmp_path / "whole.mp4", numbered(40), b_frames=3)
    path = remux(tmp_path / "whole.mp4", tmp_path / f"cut.{suffix}", start)
    first = -(-start // 12) * 12
    assert probe(path).num_frames == 40 - first
    assert numbers(read_frames(path, range(40 - first)).frames) == list(range(first, 40))
    with pytest.raises(DecodeError, match=f"frame {40 - first} is not there"):
        read_frames(path, [0, 40 - first])


REAL = 14


def test_every_real_video_equals_a_sequential_decode(real_data):
    """Every frame of every file, and by how much a shift of one frame would show."""
    videos = FolderDataset(root=str(real_data / "videos")).list_videos()
    assert len(videos) == REAL
    with Decoder(120) as decoder:
        for video in videos:
            found = decoder.read_frames(video.path, range(decoder.probe(video.path).num_frames))
            expected = sequential(Path(video.path))
            assert found.frames.shape == expected.shape, video.path
            assert found.reader == ("images" if Path(video.path).is_dir() else "decord"), video.path
            assert largest_difference(found.frames, expected) <= 4, video.path
            assert largest_difference(found.frames[1:], expected[:-1]) > 100, video.path
            assert largest_difference(found.frames[:-1], expected[1:]) > 100, video.path


def sequential(path):
    """Frames (T, H, W, 3) by the reference: PyAV, which reads a folder of images by a pattern of their names."""
    source, options = (str(path / "%09d.png"), {"start_number": "1"}) if path.is_dir() else (str(path), {})
    with av.open(source, options=options, metadata_errors="ignore") as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_broken_metadata_text_of_a_real_file(real_data):
    (path,) = (real_data / "videos" / "hmdb51").glob("*cartwheel*.avi")
    with pytest.raises(UnicodeDecodeError), av.open(str(path)):
        pass
    assert probe(path).num_frames == 83


# What the readers do to the frames ----------------------------------------------------------------------------------


def test_h264_round_trip_is_near_lossless(tmp_path):
    video = render_video(0, 1, num_frames=20)
    write_video(tmp_path / "v.mp4", video.frames)
    with Decoder(60) as decoder:
        assert decoder.probe(tmp_path / "v.mp4").num_frames == 20
        found = decoder.read_frames(tmp_path / "v.mp4", range(3, 19, 2))
    assert found.reader == "decord"
    difference = np.abs(found.frames.astype(int) - video.frames[3:19:2])
    assert difference.mean() < 4


@pytest.mark.parametrize("geometry", [Geometry(), Geometry(resize=50, crop=40), Geometry(resize=(70, 90), crop=61)])
def test_geometry_in_the_child_equals_geometry_on_all_frames(small, geometry):
    whole = read_frames(small, range(16))
    with Decoder(60) as decoder:
        found = decoder.read_frames(small, range(16), geometry)
    assert (found.frames == geometry.frames(whole.frames)).all()
    assert found.size == (64, 80)


def test_rotation_in_the_metadata_is_applied_by_both_readers(tmp_path):
    write_video(tmp_path / "v.mp4", render_video(0, 1, num_frames=4).frames[:, :, :160])
    upright = read_frames(tmp_path / "v.mp4", range(4)).frames
    data = bytearray((tmp_path / "v.mp4").read_bytes())
    matrix = data.index(b"tkhd") + 44  # after name, version, times, id, duration, layer, volume
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "r.mp4").write_bytes(data)
    for reader in (_decord_frames, _pyav_frames):
        turned = np.stack(list(reader(tmp_path / "r.mp4", range(4))))
        assert (turned == np.rot90(upright, -1, axes=(1, 2))).all(), reader
    found, counted = read_frames(tmp_path / "r.mp4", range(4)), probe(tmp_path / "r.mp4")
    assert found.reader == "decord"
    assert found.size == (counted.height, counted.width) == upright.shape[2:0:-1]


def test_a_size_that_changes_on_the_way_ends_the_video(tmp_path):
    for name, size in (("a", (64, 80)), ("b", (48, 96))):
        encode(tmp_path / f"{name}.mpg", numbered(8, *size), "mpeg2video")
    both = b"".join((tmp_path / f"{name}.mpg").read_bytes() for name in "ab")
    (tmp_path / "v.mpg").write_bytes(both)
    given = []
    with pytest.raises(DecodeError, match="the size changes from 80x64 to 96x48 pixels at frame"):
        given.extend(iter_frames(tmp_path / "v.mpg", range(12)))
    assert numbers(np.stack([frame.pixels for frame in given])) == list(range(len(given)))
    assert len(given) >= 7  # FFmpeg may drop the last one before the change


def test_indices_that_do_not_increase_are_refused(small):
    for indices in ([], [-1, 2], [3, 3], [3, 2]):
        with pytest.raises(ValueError, match="must increase"):
            read_frames(small, indices)
        with Decoder(60) as decoder, pytest.raises(ValueError, match="must increase"):
            decoder.read_frames(small, indices)


# Files that are broken ----------------------------------------------------------------------------------------------


def without_moov(path):
    data = path.read_bytes()
    return data[: data.index(b"moov") - 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda video: b"", "0 bytes"),
        (lambda video: b"this is a text file\n" * 50, "not one frame could be decoded"),
        (without_moov, r"not one frame could be decoded \(InvalidDataError\)"),
    ],
)
def test_what_is_not_a_video_says_so(small, tmp_path, content, message):
    (tmp_path / "v.mp4").write_bytes(content(small))
    with Decoder(60) as decoder:
        with pytest.raises(DecodeError, match=message):
            decoder.probe(tmp_path / "v.mp4")
        with pytest.raises(DecodeError, match=r"0 bytes|Invalid data"):
            decoder.read_frames(tmp_path / "v.mp4", range(4))
        with pytest.raises(DecodeError, match="file not found"):
            decoder.probe(tmp_path / "absent.mp4")


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        audio = container.add_stream("aac", rate=16000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 16000
        container.mux(audio.encode(silence))
        container.mux(audio.encode())
    for call in (probe, lambda path: read_frames(path, range(4))):
        with pytest.raises(DecodeError, match="no video stream"):
            call(tmp_path / "v.mp4")


@pytest.mark.parametrize(("suffix", "options"), [("mp4", {"movflags": "faststart"}), ("mkv", {})])
def test_truncated_files_that_still_open_are_known(tmp_path, suffix, options):
    write_video(tmp_path / "v.mp4", render_video(0, 1, num_frames=30).frames)
    whole, half = tmp_path / f"w.{suffix}", tmp_path / f"h.{suffix}"
    remux(tmp_path / "v.mp4", whole, **options)
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    assert (probe(whole).num_frames, probe(whole).truncated, probe(whole).detail) == (30, False, "")
    found = probe(half)
    assert 0 < found.num_frames < 27
    assert found.truncated
    said = {"mp4": f"{found.num_frames} of 30 declared frames decode", "mkv": "of 1.2 declared seconds"}[suffix]
    assert said in found.detail
    frames = read_frames(half, range(found.num_frames)).frames
    assert largest_difference(frames, read_frames(whole, range(found.num_frames)).frames) <= 4


def test_whole_files_whose_containers_declare_more_are_not_truncated(tmp_path):
    """A stream-copied cut hides its pre-roll by an edit list; audio may outlast the video; frame rates may vary."""
    write_video(tmp_path / "v.mp4", render_video(0, 1, num_frames=40).frames)
    remux(tmp_path / "v.mp4", tmp_path / "cut.mp4", seconds=0.8)
    with av.open(str(tmp_path / "cut.mp4")) as cut:
        assert cut.streams.video[0].frames == 40
    assert (probe(tmp_path / "cut.mp4").truncated, probe(tmp_path / "cut.mp4").num_frames) == (False, 20)

    with av.open(str(tmp_path / "v.mp4")) as given, av.open(str(tmp_path / "odd.mkv"), "w") as made:
        video, audio = made.add_stream_from_template(given.streams.video[0]), made.add_stream("aac", rate=16000)
        for packet in given.demux(video=0):
            if packet.dts is not None:
                half = int(0.8 / packet.time_base)  # from there on at a third of the frame rate
                packet.pts, packet.dts = (time + 2 * max(0, time - half) for time in (packet.pts, packet.dts))
                packet.stream = video
                made.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000 * 9), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 16000
        made.mux(audio.encode(silence))
        made.mux(audio.encode())
    found = probe(tmp_path / "odd.mkv")
    assert (found.truncated, found.detail) == (False, "")


def test_damaged_files_give_frames_or_a_reason(small, tmp_path):
    """Files with bytes changed, lost or added anywhere."""
    rng, outcomes = random.Random(0), set()
    sources = [small, remux(small, tmp_path / "v.mkv"), encode(tmp_path / "v.avi", numbered(16), "mpeg4")]
    with Decoder(60) as decoder:
        for number in range(100):
            source = sources[number % 3]
            data = bytearray(source.read_bytes())
            start = rng.randrange(len(data) if number % 2 else 1000)
            data[start : start + rng.choice([0, 1, 4, 500])] = rng.randbytes(rng.choice([0, 1, 4, 500]))
            path = tmp_path / f"damaged{source.suffix}"
            path.write_bytes(data)
            try:
                counted = decoder.probe(path)
                found = decoder.read_frames(path, range(counted.num_frames))
            except DecodeError:
                outcomes.add("error")
            else:
                assert found.frames.shape == (counted.num_frames, *found.size, 3)
                outcomes.add(found.reader)
    assert outcomes == {"error", "decord", "pyav"}


# Readers that give up, crash, hang or leak ---------------------------------------------------------------------------


def test_pyav_reads_what_decord_gives_up_on(small, monkeypatch):
    import decord

    expected = read_frames(small, range(2, 10))
    give, given = decord.VideoReader.next, []

    def give_up(self):
        given.append(1)
        if len(given) > 5:
            raise decord.DECORDError("unable to handle EOF\nStack trace:")
        return give(self)

    monkeypatch.setattr(decord.VideoReader, "next", give_up)
    frames = list(iter_frames(small, range(2, 10)))
    assert [frame.reader for frame in frames] == ["decord"] * 3 + ["pyav"] * 5
    assert largest_difference(np.stack([frame.pixels for frame in frames]), expected.frames) <= 4
    assert (expected.reader, read_frames(small, range(2, 10)).reader) == ("decord", "pyav")


def test_a_frame_of_decords_that_is_another_ones_is_not_taken(small, monkeypatch):
    import decord

    give = decord.VideoReader.next

    def skip_one(self):
        if not hasattr(self, "skipped"):
            self.skipped = give(self)
        return give(self)

    monkeypatch.setattr(decord.VideoReader, "next", skip_one)
    found = read_frames(small, range(10))
    assert (numbers(found.frames), found.reader) == (list(range(10)), "pyav")


def test_time_limit_kills_the_child_and_the_next_call_works(small):
    with Decoder(60) as decoder:
        decoder.probe(small)
        decoder.time_limit = 0.0
        with pytest.raises(DecodeError, match="longer than 0 s"):
            decoder.probe(small)
        with pytest.raises(DecodeError, match="longer than 0 s"):
            decoder.read_frames(small, range(4))
        decoder.time_limit = 60.0
        assert decoder.probe(small).num_frames == 16


def test_child_that_dies_is_an_error_of_that_video(tmp_path):
    with Decoder(60) as decoder:
        decoder._child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with pytest.raises(DecodeError, match="crashed"):
            decoder.probe(tmp_path / "v.mp4")


def test_a_question_given_up_half_way_leaves_no_answer_behind(small):
    with Decoder(60) as decoder:
        first = decoder.iter_frames(small, range(16))
        next(first)
        assert decoder.probe(small).num_frames == 16
        assert numbers(decoder.read_frames(small, [7, 9]).frames) == [7, 9]


def test_the_child_takes_no_module_from_the_working_directory(small, tmp_path, monkeypatch):
    (tmp_path / "av.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    with Decoder(60) as decoder:
        assert decoder.probe(small).num_frames == 16


@pytest.fixture
def traps(tmp_path, monkeypatch, small):
    """Videos whose names say which reader hangs or crashes on them, in the child alone."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text(
        "import os, signal, time\n"
        "import av, decord\n"
        "def trap(reader, function):\n"
        "    def call(path, *given, **settings):\n"
        "        if f'{reader}-hangs' in path:\n"
        "            time.sleep(600)\n"
        "        if f'{reader}-crashes' in path:\n"
        "            os.kill(os.getpid(), signal.SIGSEGV)\n"
        "        return function(path, *given, **settings)\n"
        "    return call\n"
        "av.open, decord.VideoReader = trap('av', av.open), trap('decord', decord.VideoReader)\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "modules")
    paths = {name: tmp_path / f"{name}.mp4" for name in ("av-hangs", "av-crashes", "decord-hangs", "decord-crashes")}
    for path in paths.values():
        path.write_bytes(small.read_bytes())
    return paths


def test_a_file_that_hangs_the_reader_costs_its_time_limit_and_nothing_else(traps, small):
    with Decoder(60) as decoder:
        assert decoder.read_frames(small, range(4)).reader == "decord"
        for call in (decoder.probe, lambda path: decoder.read_frames(path, range(4))):
            decoder.time_limit, start = 2.0, time.monotonic()
            with pytest.raises(DecodeError, match="longer than 2 s"):
                call(traps["av-hangs"])
            assert 2 <= time.monotonic() - start < 60  # of the 600 it hangs
            decoder.time_limit = 60.0
            assert numbers(decoder.read_frames(small, range(4)).frames) == [0, 1, 2, 3]


def test_what_hangs_or_crashes_decord_alone_is_read_by_pyav(traps, small):
    with Decoder(60) as decoder:
        found = decoder.read_frames(traps["decord-crashes"], range(4))
        assert (numbers(found.frames), found.reader) == ([0, 1, 2, 3], "pyav")
        with pytest.raises(DecodeError, match="crashed"):
            decoder.read_frames(traps["av-crashes"], range(4))
        decoder.time_limit, start = 16.0, time.monotonic()
        found = decoder.read_frames(traps["decord-hangs"], range(4))
        assert (numbers(found.frames), found.reader) == ([0, 1, 2, 3], "pyav")
        assert time.monotonic() - start >= 8


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory of a process is read from /proc")
def test_memory_stays_flat_over_six_hundred_videos(small):
    with Decoder(60) as decoder:

        def megabytes():
            pages = int(Path(f"/proc/{decoder._child.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGESIZE") / 1e6

        for number in range(600):
            assert decoder.read_frames(small, range(4), Geometry(resize=48, crop=48)).reader == "decord"
            if number == 99:
                child, before = decoder._child.pid, megabytes()
        assert decoder._child.pid == child
        assert megabytes() - before < 15

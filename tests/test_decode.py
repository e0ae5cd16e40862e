import struct
import subprocess
import sys

import av
import numpy as np
import pytest

from swagv.datasets.rendering import render_video, write_video
from swagv.decode import Decoder, _read_decord, _read_pyav, probe, read_frames
from swagv.errors import DecodeError


def test_h264_round_trip_is_near_lossless(tmp_path):
    video = render_video(0, 1, num_frames=20)
    write_video(tmp_path / "v.mp4", video.frames)
    with Decoder(60) as decoder:
        assert decoder.probe(tmp_path / "v.mp4").num_frames == 20
        found = decoder.read_frames(tmp_path / "v.mp4", 3, 8, 2)
    assert found.reader == "decord"
    difference = np.abs(found.frames.astype(int) - video.frames[3:19:2])
    assert difference.mean() < 4


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "0 bytes"), (b"this is a text file\n" * 50, "not one frame could be decoded")]
)
def test_what_is_not_a_video_says_so(tmp_path, content, message):
    (tmp_path / "v.mp4").write_bytes(content)
    with Decoder(60) as decoder, pytest.raises(DecodeError, match=message):
        decoder.probe(tmp_path / "v.mp4")


def test_time_limit_kills_the_child_and_the_next_call_works(tmp_path):
    write_video(tmp_path / "v.mp4", render_video(0, 1, num_frames=16).frames)
    with Decoder(60) as decoder:
        decoder.probe(tmp_path / "v.mp4")
        decoder.time_limit = 0.0
        with pytest.raises(DecodeError, match="longer than 0 s"):
            decoder.probe(tmp_path / "v.mp4")
        decoder.time_limit = 60.0
        assert decoder.probe(tmp_path / "v.mp4").num_frames == 16


def test_child_that_dies_is_an_error_of_that_video(tmp_path):
    with Decoder(60) as decoder:
        decoder._child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with pytest.raises(DecodeError, match="crashed"):
            decoder.probe(tmp_path / "v.mp4")


def test_real_videos_equal_pyav_frame_by_frame(real_data):
    videos = sorted((real_data / "videos" / "ucf101").glob("*.avi")) + sorted((real_data / "videos").glob("k*/*.mp4"))
    assert len(videos) == 6
    for path in videos:
        count = min(probe(path).num_frames, 40)
        found = read_frames(path, 0, count, 1)
        with av.open(str(path)) as container:
            expected = [
                f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(count), strict=False)
            ]
        assert len(expected) == count
        assert np.abs(found.frames.astype(int) - np.stack(expected)).mean() < 1.5, path.name


def remux(source, out, **options):
    """The same packets in another container."""
    with av.open(str(source)) as given, av.open(str(out), "w", options=options) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)


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


def test_whole_files_whose_containers_declare_more_are_not_truncated(tmp_path):
    """A stream-copied cut hides its pre-roll by an edit list; audio may outlast the video; frame rates may vary."""
    write_video(tmp_path / "v.mp4", render_video(0, 1, num_frames=40).frames)
    with av.open(str(tmp_path / "v.mp4")) as given, av.open(str(tmp_path / "cut.mp4"), "w") as cut:
        stream = cut.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts = (int(time - 0.8 / packet.time_base) for time in (packet.pts, packet.dts))
                packet.stream = stream
                cut.mux(packet)
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


def test_rotation_in_the_metadata_is_applied_by_both_readers(tmp_path):
    write_video(tmp_path / "v.mp4", render_video(0, 1, num_frames=4).frames)
    upright = read_frames(tmp_path / "v.mp4", 0, 4, 1).frames
    data = bytearray((tmp_path / "v.mp4").read_bytes())
    matrix = data.index(b"tkhd") + 44  # after name, version, times, id, duration, layer, volume
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "r.mp4").write_bytes(data)
    for reader in (_read_decord, _read_pyav):
        turned = np.stack(reader(str(tmp_path / "r.mp4"), range(4)))
        assert (turned == np.rot90(upright, -1, axes=(1, 2))).all(), reader


def test_pyav_reads_what_decord_gives_up_on(tmp_path, monkeypatch):
    import decord

    write_video(tmp_path / "v.mp4", render_video(0, 1, num_frames=16).frames)
    expected = read_frames(tmp_path / "v.mp4", 2, 8, 1)

    def give_up(self):
        raise decord.DECORDError("unable to handle EOF\nStack trace:")

    monkeypatch.setattr(decord.VideoReader, "next", give_up)
    found = read_frames(tmp_path / "v.mp4", 2, 8, 1)
    assert (expected.reader, found.reader) == ("decord", "pyav")
    assert np.abs(found.frames.astype(int) - expected.frames).mean() < 1.5
    with pytest.raises(DecodeError, match="decord: unable to handle EOF; pyav: 14 of 20 frames"):
        read_frames(tmp_path / "v.mp4", 2, 20, 1)

import subprocess
import sys

import av
import numpy as np
import pytest

from swagv.datasets.rendering import render_video, write_video
from swagv.decode import Decoder, probe, read_frames
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

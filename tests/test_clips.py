import pytest

from swagv.clips import ClipSelection, clip_id


@pytest.mark.parametrize(
    ("selection", "num_frames", "starts"),
    [
        (ClipSelection(), 16, [0]),
        (ClipSelection(), 250, [117]),
        (ClipSelection(), 15, []),
        (ClipSelection("every"), 40, [0, 8, 16, 24]),
        (ClipSelection("every"), 39, [0, 8, 16]),
        (ClipSelection("every", clip_len=4, frame_step=3, clip_step=5), 15, [0, 5]),
        (ClipSelection(frame_step=2), 31, [0]),
        (ClipSelection(frame_step=2), 30, []),
    ],
)
def test_starts(selection, num_frames, starts):
    assert selection.starts(num_frames) == starts
    for start in starts:
        assert start + selection.span <= num_frames


def test_only_clips_with_a_box_in_every_sampled_frame():
    boxed = {*range(4, 30), 40, 42, 44, 46}
    assert ClipSelection("every", clip_len=4, clip_step=4, boxed=True).starts(50, boxed) == [4, 8, 12, 16, 20, 24]
    assert ClipSelection("every", clip_len=4, frame_step=2, clip_step=4, boxed=True).starts(50, boxed)[-1] == 40
    assert ClipSelection(clip_len=4, boxed=True).starts(50) == []
    assert list(ClipSelection(clip_len=3, frame_step=2).frames_of(5)) == [5, 7, 9]


def test_clip_id():
    assert clip_id("a/b", 7) == "a/b@000007"

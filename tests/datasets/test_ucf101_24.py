import os

import numpy as np
import pytest

from swagv.clips import ABSENT, ClipSelection, Video
from swagv.datasets.ucf101_24 import Ucf101_24Dataset
from swagv.decode import Probe
from swagv.errors import AnnotationError, ConfigError
from tests.datasets.test_tubes import BOXES, entry, write_mat

EVERY = ClipSelection(select="every", boxed=True)
NAMES = [f"Biking/v_Biking_g0{group}_c01" for group in range(1, 5)]


@pytest.fixture
def lists(tmp_path):
    """Annotations of four videos of 60 frames, the third with two tubes and the fourth with nonsense, and a split."""
    tubes = [[entry(sf=1, ef=20)], [entry(sf=9, ef=28)], [entry(), entry(sf=1, boxes=BOXES[:12])], [entry(sf="x")]]
    annotations = write_mat(tmp_path / "a.mat", *((name, 60, t) for name, t in zip(NAMES, tubes, strict=True)))
    split = tmp_path / "testlist01.txt"
    split.write_text("Archery/v_Archery_g01_c01.avi 3\n" + "".join(f"{name} 3\n" for name in NAMES))
    return {"annotations": str(annotations), "split": str(split)}


def clips_of(dataset, selection=EVERY):
    """(name, start) -> boxes of every clip, by the annotated lengths."""
    found = {}
    for name in dataset.names():
        boxes = dataset.boxes_of(Video(name, ""), None)
        for start in selection.starts(dataset.num_frames(name), boxes):
            found[name, start] = [boxes[index] for index in selection.frames_of(start)]
    return found


def test_filters(lists):
    assert Ucf101_24Dataset(**lists).names() == [NAMES[0], NAMES[1], NAMES[3]]
    assert Ucf101_24Dataset(**lists, one_tube=False).names() == NAMES
    assert Ucf101_24Dataset(**lists, min_boxes=21).names() == [NAMES[3]]
    assert Ucf101_24Dataset(annotations=lists["annotations"], one_tube=False).names() == NAMES
    two = Ucf101_24Dataset(**lists, videos_per_class=2).names()
    assert len(two) == 2
    assert set(Ucf101_24Dataset(**lists, videos_per_class=1).names()) < set(two)


def test_boxes_and_both_indexing_rules(lists):
    correct = Ucf101_24Dataset(**lists)
    boxes = correct.boxes_of(Video(NAMES[1], ""), None)
    assert (min(boxes), max(boxes)) == (8, 27)
    assert boxes[8] == (200, 100, 290, 180)
    assert list(EVERY.starts(60, boxes)) == [8]
    late = Ucf101_24Dataset(**lists, indexing="off_by_one").boxes_of(Video(NAMES[1], ""), None)
    assert (min(late), max(late)) == (9, 27)
    assert list(EVERY.starts(60, late)) == []
    inside = Ucf101_24Dataset(**lists, last_pixel="x+w-1").boxes_of(Video(NAMES[1], ""), None)
    assert inside[8] == (200, 100, 289, 179)
    longest = Ucf101_24Dataset(**lists, one_tube=False).boxes_of(Video(NAMES[2], ""), None)
    assert (min(longest), len(longest)) == (2, 20)
    with pytest.raises(AnnotationError, match="sf is 'x'"):
        correct.boxes_of(Video(NAMES[3], ""), None)


def test_videos_in_folders_of_classes_flat_and_as_frames(lists, tmp_path):
    (tmp_path / "Biking" / "v_Biking_g04_c01").mkdir(parents=True)
    for frame in range(2):
        (tmp_path / "Biking" / "v_Biking_g04_c01" / f"{frame}.jpg").write_bytes(b"x")
    (tmp_path / "Biking" / "v_Biking_g01_c01.avi").write_bytes(b"x")
    (tmp_path / "v_Biking_g02_c01.mp4").write_bytes(b"x")
    dataset = Ucf101_24Dataset(**lists, root=str(tmp_path), one_tube=False)
    found = {video.video_id: video for video in dataset.list_videos()}
    assert [video.label for video in found.values()] == ["Biking"] * 4
    assert {name for name, video in found.items() if video.token == ABSENT} == {NAMES[2]}
    assert found[NAMES[0]].path == str(tmp_path / "Biking" / "v_Biking_g01_c01.avi")
    assert found[NAMES[1]].path == str(tmp_path / "v_Biking_g02_c01.mp4")
    present = Ucf101_24Dataset(**lists, root=str(tmp_path), one_tube=False, only_present=True).list_videos()
    assert [video.video_id for video in present] == [NAMES[0], NAMES[1], NAMES[3]]
    other = Ucf101_24Dataset(**lists, root=str(tmp_path), one_tube=False, indexing="off_by_one").list_videos()
    changed = {video.video_id for video in other if video.token != found[video.video_id].token}
    assert changed == {NAMES[0], NAMES[1]}  # their boxes are others; the last has none


def test_boxes_fit_videos_of_another_size_and_no_other_frame_rate(lists):
    dataset = Ucf101_24Dataset(**lists)
    video = Video(NAMES[1], "")
    as_annotated = dataset.boxes_of(video, None, Probe(61, 240, 320))
    assert as_annotated == dataset.boxes_of(video)
    larger = dataset.boxes_of(video, None, Probe(60, 480, 640))
    assert larger[8] == (400, 200, 580, 360)
    for frames in (24, 56, 64):
        with pytest.raises(AnnotationError, match=f"60 frames are annotated and {frames} are there"):
            dataset.boxes_of(video, None, Probe(frames, 240, 320))


def test_a_changed_tube_changes_the_token_of_its_video_alone(lists, tmp_path):
    for name in NAMES[:2]:
        (tmp_path / f"{name.split('/')[1]}.avi").write_bytes(b"x")
    before = Ucf101_24Dataset(**lists, root=str(tmp_path)).list_videos()
    path, stat = tmp_path / "a.mat", (tmp_path / "a.mat").stat()
    write_mat(path, (NAMES[0], 60, [entry(sf=1, ef=20)]), (NAMES[1], 60, [entry(sf=10, ef=29)]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - 1000))  # as from an older archive
    after = {video.video_id: video.token for video in Ucf101_24Dataset(**lists, root=str(tmp_path)).list_videos()}
    assert [video.video_id for video in before if after.get(video.video_id, video.token) != video.token] == [NAMES[1]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"root": "nowhere"}, "dataset folder not found"),
        ({"split": "nowhere.txt"}, "split list not found"),
        ({"split": "bad"}, "'hello' is no line of a split list"),
        ({"split": "other"}, "no video of .*other passes the filters"),
        ({"annotations": "nowhere.mat"}, "annotations not found"),
        ({}, "no video of the list in"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(lists, tmp_path, settings, message):
    (tmp_path / "bad").write_text("hello\n")
    (tmp_path / "other").write_text("Archery/v_Archery_g01_c01.avi\n")
    (tmp_path / "root").mkdir()
    given = lists | {"root": str(tmp_path / "root")}
    given |= {key: str(tmp_path / value) for key, value in settings.items()}
    with pytest.raises(ConfigError, match=message):
        Ucf101_24Dataset(**given).list_videos()


def test_settings_out_of_range():
    for settings in ({"indexing": "x"}, {"last_pixel": "x"}, {"min_boxes": 0}, {"videos_per_class": -1}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            Ucf101_24Dataset(**settings)


@pytest.mark.parametrize(
    ("annotations", "indexing", "videos", "filtered", "clips"),
    [
        ("annot_bmvc.mat", "correct", 914, 697, 11_244),
        ("annot_bmvc.mat", "off_by_one", 914, 697, 10_718),
        ("finalAnnots.mat", "correct", 910, 705, 11_238),
        ("pyannot.pkl", "correct", 910, 705, 11_238),
    ],
)
def test_counts_of_the_real_lists(real_data, annotations, indexing, videos, filtered, clips):
    """914 and 697 are the paper's own counts."""
    folder = real_data / "annotations"
    lists = {"annotations": str(folder / annotations), "split": str(folder / "testlist01.txt"), "indexing": indexing}
    assert len(Ucf101_24Dataset(**lists, one_tube=False, min_boxes=1).names()) == videos
    assert len(Ucf101_24Dataset(**lists).names()) == filtered
    assert len(clips_of(Ucf101_24Dataset(**lists))) == clips


def test_the_corrected_files_give_the_same_clips_and_boxes(real_data):
    folder = real_data / "annotations"
    one, two = (
        clips_of(Ucf101_24Dataset(annotations=str(folder / name), split=str(folder / "testlist01.txt")))
        for name in ("finalAnnots.mat", "pyannot.pkl")
    )
    assert one == two
    train = Ucf101_24Dataset(annotations=str(folder / "pyannot.pkl"), split=str(folder / "trainlist01.txt")).names()
    assert {name.rsplit("_g", 1)[1][:2] for name in train} == {f"{group:02d}" for group in range(8, 26)}
    assert not set(train) & {name for name, _ in one}
    assert np.isfinite(list(one.values())).all()

import os
from pathlib import Path

import numpy as np
import pytest

from swagv.datasets.boxes import read_boxes
from swagv.datasets.folder import FolderDataset
from swagv.errors import ConfigError


@pytest.fixture
def root(tmp_path):
    for name in ("run/a.mp4", "jump/b.AVI", "jump/._b.AVI", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "not_a_video.mp4").mkdir()
    return tmp_path


def test_every_video_below_the_root_labelled_by_its_folder(root):
    videos = FolderDataset(root=str(root)).list_videos()
    assert [(video.video_id, video.label) for video in videos] == [("jump/b", "jump"), ("run/a", "run")]


def test_labels_table_with_a_byte_order_mark_and_an_absent_video(root):
    (root / "l.csv").write_text("path,label\nrun/a.mp4,running\ngone.mp4,x\n", encoding="utf-8-sig")
    videos = FolderDataset(root=str(root), labels=str(root / "l.csv")).list_videos()
    assert [(video.video_id, video.label, video.token == "absent") for video in videos] == [
        ("gone", "x", True), ("run/a", "running", False)
    ]  # fmt: skip


def test_a_listed_name_that_no_disk_can_hold_is_an_absent_video(root):
    (root / "l.csv").write_text(f"path,label\nrun/a.mp4,x\n{'y' * 300}.mp4,x\n")
    videos = FolderDataset(root=str(root), labels=str(root / "l.csv")).list_videos()
    assert [video.token == "absent" for video in videos] == [False, True]


@pytest.fixture
def frames(root):
    """Folders of images beside the videos: one of three frames, a single image, and pictures beside a video."""
    for name in ("spin/one.2/1.png", "spin/one.2/2.PNG", "spin/one.2/10.jpg", "alone/1.png", "run/1.png", "run/2.png"):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(b"x")
    (root / "1.png").write_bytes(b"x")
    (root / "2.png").write_bytes(b"x")
    return root


def test_folders_of_images_are_videos(frames):
    videos = FolderDataset(root=str(frames)).list_videos()
    found = [(video.video_id, video.label) for video in videos]
    assert found == [("jump/b", "jump"), ("run/a", "run"), ("spin/one.2", "spin")]
    assert videos[2].path == str(frames / "spin" / "one.2")


def test_links_are_followed_and_circles_end(frames, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    for name in ("1.png", "2.png", "v.mp4"):
        (outside / name).write_bytes(b"x")
    (frames / "linked").symlink_to(outside)
    (frames / "above").symlink_to(frames)
    (frames / "links").mkdir()
    for name in ("1.png", "2.png"):
        (frames / "links" / name).symlink_to(outside / name)
    (frames / "gone.mp4").symlink_to(outside / "gone.mp4")
    found = [video.video_id for video in FolderDataset(root=str(frames)).list_videos()]
    assert found == ["jump/b", "linked/v", "links", "run/a", "spin/one.2"]


def test_a_name_that_no_table_can_hold_is_named(root):
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.avi")).write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"caf\\xe9\.avi' is not UTF-8; rename it"):
        FolderDataset(root=str(root)).list_videos()


def test_the_token_of_a_folder_changes_when_images_come_or_go(frames):
    def token():
        (video,) = [v for v in FolderDataset(root=str(frames)).list_videos() if v.video_id == "spin/one.2"]
        return video.token

    tokens = [token(), token()]
    (frames / "spin" / "one.2" / "11.png").write_bytes(b"x")
    tokens.append(token())
    (frames / "spin" / "one.2" / "1.png").unlink()
    tokens.append(token())
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3


def test_labels_tables_may_name_folders_of_images(frames):
    (frames / "l.csv").write_text("path,label\nspin/one.2/,spinning\nrun/a.mp4,running\n")
    videos = FolderDataset(root=str(frames), labels=str(frames / "l.csv")).list_videos()
    assert [(video.video_id, video.label) for video in videos] == [("run/a", "running"), ("spin/one.2", "spinning")]
    assert videos[1].token.startswith("3:")


def test_a_folder_and_a_file_of_one_id_are_refused(frames):
    (frames / "spin" / "one.2.mp4").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"two videos have the id 'spin/one\.2'"):
        FolderDataset(root=str(frames)).list_videos()


def test_a_folder_without_videos_says_what_counts(tmp_path):
    with pytest.raises(ConfigError, match=r"looked for \.mp4.* and folders of \.png, \.jpg, \.jpeg"):
        FolderDataset(root=str(tmp_path)).list_videos()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,label\n.,x\n", "leads out of"),
        ("path,label\n,x\n", "leads out of"),
        ("path,label\n/etc/passwd,x\n", "leads out of"),
        ("file,class\na,b\n", "columns are file,class; need path,label"),
        ("", "columns are absent"),
        ("path,label\n../secret.mp4,x\n", "leads out of"),
    ],
)
def test_labels_tables_that_cannot_be_used(root, table, message):
    (root / "l.csv").write_text(table)
    with pytest.raises(ConfigError, match=message):
        FolderDataset(root=str(root), labels=str(root / "l.csv")).list_videos()


def test_same_id_twice_is_refused(root):
    (root / "run" / "a.avi").write_bytes(b"x")
    with pytest.raises(ConfigError, match="two videos have the id 'run/a'"):
        FolderDataset(root=str(root)).list_videos()


def test_boxes_by_video_and_frame_and_a_bad_line(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("video_id,frame,x_min,y_min,x_max,y_max\nv,3,1,2,30,40\n")
    assert read_boxes(path) == {"v": {3: (1.0, 2.0, 30.0, 40.0)}}
    path.write_text(path.read_text() + "v,4,1,2,30\n")
    with pytest.raises(ConfigError, match="line 3"):
        read_boxes(path)
    for corners in ("30,2,1,40", "1,40,30,2", "nan,2,30,40", "1,2,inf,40", "1,2,30,1e300"):
        path.write_text(f"video_id,frame,x_min,y_min,x_max,y_max\nv,3,{corners}\n")
        with pytest.raises(ConfigError, match=r"line 2: corners .* are no box; need a frame from 0, x_min <= x_max"):
            read_boxes(path)
    header = "video_id,frame,x_min,y_min,x_max,y_max\n"
    for rows, message in (
        ("v,-1,1,2,3,4\n", "line 2: frame is -1"),
        ("v,1.5,1,2,3,4\n", "line 2: invalid literal"),
        ("v,1,1,2,3,4\nv,1,1,2,3,4\nv,1,1,2,3,5\n", "line 4: 'v' has another box in frame 1"),
        ('v,1,1,2,3,4\n"v,1', "after line 2: unexpected end of data; it must be a CSV table"),
        ("v,1,1,2,3,\xff\n", "after line 1: .* can't decode byte 0xff"),
    ):
        path.write_bytes((header + rows).encode("latin1"))
        with pytest.raises(ConfigError, match=message):
            read_boxes(path)


def test_boxes_of_a_folder(root):
    table = root / "boxes.csv"
    header = "video_id,frame,x_min,y_min,x_max,y_max\n"
    table.write_text("video,frame\n")
    with pytest.raises(ConfigError, match="need video_id,frame"):
        FolderDataset(root=str(root), boxes=str(table)).list_videos()
    table.write_text(header + "run/a.mp4,3,1,2,30,40\n")
    with pytest.raises(ConfigError, match=r"no box of any video .* 'run/a\.mp4'\. Did you mean 'run/a'"):
        FolderDataset(root=str(root), boxes=str(table)).list_videos()
    tokens = []
    for boxes in ("run/a,3,1,2,30,40\n", "run/a,3,1,2,30,40\nelse,1,1,1,1,1\n", "run/a,3,1,2,30,41\n"):
        table.write_text(header + boxes)
        dataset = FolderDataset(root=str(root), boxes=str(table))
        jump, run = dataset.list_videos()
        assert dataset.boxes_of(jump) == {}
        assert dataset.boxes_of(run)[3][:3] == (1, 2, 30)
        tokens.append((jump.token, run.token))
    assert tokens[0] == tokens[1]
    assert tokens[1][0] == tokens[2][0]
    assert tokens[1][1] != tokens[2][1]  # only the video whose boxes changed


def test_damaged_tables_give_an_error_or_sound_boxes(tmp_path):
    rows = "".join(f"v{i % 3},{i},{i}.5,2,{i + 30},40\n" for i in range(20))
    whole = ("video_id,frame,x_min,y_min,x_max,y_max\n" + rows).encode()
    rng, outcomes = np.random.default_rng(0), set()
    for _ in range(1500):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 5)):
            damaged[place] = rng.integers(256)
        (tmp_path / "b.csv").write_bytes(damaged[: rng.integers(1, 2 * len(whole))])
        try:
            found = read_boxes(tmp_path / "b.csv")
        except ConfigError:
            outcomes.add("error")
            continue
        outcomes.add("read")
        for frames in found.values():
            for frame, (x_min, y_min, x_max, y_max) in frames.items():
                assert frame >= 0
                assert x_min <= x_max
                assert y_min <= y_max
    assert outcomes == {"error", "read"}

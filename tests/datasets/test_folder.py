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


@pytest.mark.parametrize(
    ("table", "message"),
    [
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
    for corners in ("30,2,1,40", "1,40,30,2", "nan,2,30,40", "1,2,inf,40"):
        path.write_text(f"video_id,frame,x_min,y_min,x_max,y_max\nv,3,{corners}\n")
        with pytest.raises(ConfigError, match=r"line 2: corners .* are no box; need frame, x_min <= x_max"):
            read_boxes(path)
    (tmp_path / "other.csv").write_text("video,frame\n")
    with pytest.raises(ConfigError, match="need video_id,frame"):
        FolderDataset(root=str(tmp_path), boxes=str(tmp_path / "other.csv")).list_videos()

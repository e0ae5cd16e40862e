import os
import re
from pathlib import Path

import pytest

from swagv.clips import ABSENT
from swagv.config import Evaluation, load_config
from swagv.datasets.kinetics import _CLASSES, KineticsDataset
from swagv.errors import ConfigError
from swagv.models.cards import KINETICS400
from tests.conftest import ROOT

HEADER = "label,youtube_id,time_start,time_end,split"
# Ids that begin with what separates them from the times, and hold it.
NAMES = ["0wR5jVB-WPk_000417_000427", "-egPJubR-CE_000001_000011", "__NrybzYzUg_000415_000425"]


def write(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x" * len(path))


def listed(folder, lines="", **settings):
    """The videos of a list beside the folder of the videos; without lines, that of `NAMES`, abseiling."""
    table = folder.with_name("list.csv")
    table.write_text(lines or "".join(f"{name} 0 299 0\n" for name in NAMES), encoding="utf-8")
    return KineticsDataset(root=str(folder), labels=str(table), **settings).list_videos()


def paths_of(folder, lines="", **settings):
    """Paths below the folder of the listed videos that are there, by their id."""
    videos = listed(folder, lines, **settings)
    return {v.video_id: os.path.relpath(v.path, folder) for v in videos if v.token != ABSENT}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "videos").mkdir()
    return tmp_path / "videos"


@pytest.mark.parametrize(
    "layout",
    [
        "{name}.mp4",
        "val/{name}.mp4",
        "val/arm_wrestling/{name}.MKV",
        "val/arm wrestling/{name}.webm",
        "{id}.avi",
        "k400/val/{id}.mp4",
        "train/replacement_for_corrupted_k400/{name}.mp4",
    ],
)
def test_layouts_of_files(root, layout):
    paths = {name: layout.format(name=name, id=name[:11]) for name in NAMES}
    write(root, *paths.values(), "val/notes.txt", f"val/{NAMES[0]}.mp4.part", "val/other.mp4", f"._{NAMES[0]}.mp4")
    assert paths_of(root) == paths
    for video in listed(root):
        stat = Path(video.path).stat()
        assert video.token == f"{stat.st_size}:{stat.st_mtime_ns}"


@pytest.mark.parametrize("layout", ["{name}/0001.jpg", "frames/abseiling/{name}/000.png", "{id}/img_00001.JPEG"])
def test_layouts_of_folders_of_frames(root, layout):
    frames = {name: layout.format(name=name, id=name[:11]) for name in NAMES}
    write(root, *frames.values(), *(path.replace("0.png", "1.png").replace("1.", "2.") for path in frames.values()))
    assert paths_of(root) == {name: os.path.dirname(path) for name, path in frames.items()}
    before = listed(root)
    (root / frames[NAMES[0]]).with_name("0099.jpg").write_bytes(b"x")
    changed = [old.video_id for old, new in zip(before, listed(root), strict=True) if old.token != new.token]
    assert changed == [NAMES[0]]


def test_a_folder_with_a_video_s_name_that_holds_no_images_is_walked_into(root):
    write(root, f"{NAMES[0]}/{NAMES[0]}.mp4", f"{NAMES[1]}/._0001.jpg", f"{NAMES[1]}/thumbs.db")
    (root / f"{NAMES[2]}.mp4").mkdir()
    assert paths_of(root) == {NAMES[0]: f"{NAMES[0]}/{NAMES[0]}.mp4"}


def test_which_file_of_several_is_taken(root):
    name, plain = NAMES[0], f"{NAMES[0][:11]}.mp4"
    best_last = [f"a/{plain}", f"z/{name}.mkv", f"z/{name}.avi", f"b/{name}.mp4"]
    best_last += [f"replacement/replacement_for_corrupted_k400/{path}" for path in (plain, f"{name}.mp4")]
    for path in best_last:
        write(root, path)
        assert paths_of(root) == {name: path}


def test_an_id_alone_names_no_file_where_two_cuts_of_one_video_are_listed(root):
    cuts = [NAMES[0], "0wR5jVB-WPk_000500_000510"]
    write(root, "0wR5jVB-WPk.mp4", f"{cuts[1]}.mp4")
    for names in (cuts, cuts[::-1]):
        assert paths_of(root, "".join(f"{name} 0 299 0\n" for name in names)) == {cuts[1]: f"{cuts[1]}.mp4"}


def test_listed_videos_that_are_not_there_are_marked(root):
    write(root, f"val/{NAMES[1]}.mp4")
    videos = listed(root)
    assert [video.video_id for video in videos] == sorted(NAMES)
    absent = [video for video in videos if video.token == ABSENT]
    assert {video.path for video in absent} == {str(root / f"{name}.mp4") for name in (NAMES[0], NAMES[2])}
    assert {video.label for video in videos} == {"abseiling"}


def test_links_are_followed(root):
    outside = root.with_name("outside")
    write(outside, f"val/{NAMES[0]}.mp4", f"val/abseiling/{NAMES[1]}.mp4")
    root.mkdir(exist_ok=True)
    (root / "val").symlink_to(outside / "val")
    assert paths_of(root) == {NAMES[0]: f"val/{NAMES[0]}.mp4", NAMES[1]: f"val/abseiling/{NAMES[1]}.mp4"}


def test_files_and_colour_come_before_optical_flow(root):
    name = NAMES[0]
    for first in ("flow", "rawframes"):
        write(root, *(f"{first}/{name}/{kind}_{number}.jpg" for kind in ("img",) for number in (1, 2)))
    write(root, f"rgb/{name}/1.jpg", f"rgb/{name}/2.jpg")
    assert paths_of(root) == {name: f"rgb/{name}"}
    write(root, f"videos/{name[:11]}.mp4")
    assert paths_of(root) == {name: f"rgb/{name}"}  # the whole name says more
    write(root, f"videos/{name}.mp4")
    assert paths_of(root) == {name: f"videos/{name}.mp4"}


@pytest.mark.parametrize(
    ("split", "expected"),
    [("val", [0, 1]), ("validate", [0, 1]), ("train", [2]), ("test", [3])],
)
def test_official_table_and_its_splits(root, split, expected):
    ids = ["0wR5jVB-WPk", "--egPJubRCE", "__NrybzYzUg", "aaaaaaaaaaa"]
    write(root, *(f"{video}.mp4" for video in ids))
    table = (
        f"{HEADER},is_cc\n"
        f"abseiling,{ids[0]},417,427,val,0\r\n\n"
        f'"massaging person\'s head",{ids[1]},000007,17,validate,1\n'
        f"no class at all,{ids[2]},1,11,neither,0\n"
        f"air drumming,{ids[2]},1,11,train,0\n"
        f"archery,{ids[3]},1000,1010,test,0\n"
    )
    names = {
        0: ("0wR5jVB-WPk_000417_000427", "abseiling"),
        1: ("--egPJubRCE_000007_000017", "massaging person's head"),
        2: ("__NrybzYzUg_000001_000011", "air drumming"),
        3: ("aaaaaaaaaaa_001000_001010", "archery"),
    }
    videos = listed(root, table, split=split)
    assert [(video.video_id, video.label) for video in videos] == sorted(names[index] for index in expected)


def test_a_table_with_a_byte_order_mark_and_columns_in_another_order(root):
    write(root, "0wR5jVB-WPk.mp4")
    table = "\ufeffyoutube_id,split,time_end,time_start,label\n0wR5jVB-WPk,val,427,417,abseiling\n"
    assert paths_of(root, table) == {NAMES[0]: "0wR5jVB-WPk.mp4"}


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("air_drumming", "air drumming"),
        ("massaging_persons_head", "massaging person's head"),
        ("massaging person’s head", "massaging person's head"),
        ("shooting_goal_(soccer)", "shooting goal (soccer)"),
        ("using_remote_controller_not_gaming", "using remote controller (not gaming)"),
        ("passing american football (in game)", "passing American football (in game)"),
        (" Abseiling ", "abseiling"),
    ],
)
def test_spellings_of_classes(root, spelling, name):
    write(root, "0wR5jVB-WPk.mp4")
    assert [v.label for v in listed(root, f"{HEADER}\n{spelling},0wR5jVB-WPk,417,427,val\n")] == [name]


def test_no_two_classes_are_spellings_of_one():
    assert sorted(_CLASSES.values()) == sorted(KINETICS400)


def test_rows_given_twice(root):
    write(root, "0wR5jVB-WPk.mp4")
    rows = f"{HEADER}\nair drumming,0wR5jVB-WPk,417,427,val\nair_drumming,0wR5jVB-WPk,417,427,val\n"
    assert [video.label for video in listed(root, rows)] == ["air drumming"]
    with pytest.raises(
        ConfigError,
        match=r"list\.csv, line 4: 0wR5jVB-WPk_000417_000427 is 'archery' here and 'air drumming' on line 2",
    ):
        listed(root, f"{rows}archery,0wR5jVB-WPk,417,427,val\n")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (f"{HEADER}\nabseilin,0wR5jVB-WPk,1,2,val\n", r"line 2: .* no class 'abseilin'. Did you mean 'abseiling'"),
        (f"{HEADER}\nair_drummin,0wR5jVB-WPk,1,2,val\n", "no class 'air_drummin'. Did you mean 'air drumming'"),
        (f"{HEADER}\n\nabseiling,0wR5jVB-WPk,1,2\n", "line 3: it has not as many fields as the header"),
        (f"{HEADER}\nabseiling,0wR5jVB-WPk,1,2,val,0\n", "line 2: it has not as many fields as the header"),
        (f"{HEADER}\nabseiling,0wR5jVB-WP,1,2,val\n", "line 2: '0wR5jVB-WP_000001_000002' is not an id of 11"),
        (f"{HEADER}\nabseiling,../jVB-WPk/,1,2,val\n", "is not an id of 11"),
        (f"{HEADER}\nabseiling,0wR5jVB-WPk,1,ten,val\n", "'0wR5jVB-WPk_000001_000ten' is not an id"),
        (f"{HEADER}\nabseiling,0wR5jVB-WPk,-1,2,val\n", "is not an id of 11"),
        (f'{HEADER}\nabseiling,0wR5jVB-WPk,1,2,val\n"abseiling,a\nb,c\n', "after line 2: unexpected end of data"),
        (f"{HEADER}\nabseiling,0wR5jVB-WPk,1,2,train\n", "lists no video of the split 'val'"),
        ("label,id,start\n", f"columns are label,id,start; need {HEADER}"),
        (f"{NAMES[0]} 0 299 0\n{NAMES[1]} 0 299\n", "line 2: '-egPJubR-CE_000001_000011 0 299' is not"),
        (f"{NAMES[0]} 0 299 400\n", "line 1: .* with a class from 0 to 399"),
        (f"{NAMES[0]} 0 299 -1\n", "line 1: .* with a class from 0 to 399"),
        ("\nabseiling/0wR5jVB-WPk_000417_000427 0 299 0\n", "line 2: 'abseiling/0wR5jVB-WPk_000417_000427' is not"),
        (f"{NAMES[0]} 0 299 0\n{NAMES[0]} 0 299 1\n", "line 2: .* is 'air drumming' here and 'abseiling' on line 1"),
        ("\n", "lists no video"),
    ],
)
def test_lists_that_cannot_be_used(root, lines, message):
    write(root, "0wR5jVB-WPk.mp4")
    with pytest.raises(ConfigError, match=message):
        listed(root, lines)


def test_settings_that_cannot_be_used(root, tmp_path):
    with pytest.raises(ValueError, match="split='valid': must be one of val"):
        KineticsDataset(split="valid")
    with pytest.raises(ConfigError, match="dataset folder not found: ''"):
        KineticsDataset().list_videos()
    with pytest.raises(ConfigError, match="list of videos not found: ''"):
        KineticsDataset(root=str(root)).list_videos()
    (tmp_path / "list.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"list\.bin is not text"):
        KineticsDataset(root=str(root), labels=str(tmp_path / "list.bin")).list_videos()


def test_a_folder_with_none_of_the_videos_says_what_was_expected_and_what_is_there(root):
    with pytest.raises(ConfigError, match=r"looked for 0wR5jVB-WPk_000417_000427 and .* It holds no files"):
        listed(root)
    write(root, "a.txt", "val/abseiling/0wR5jVB.mp4", "val/0wR5.mp4")
    with pytest.raises(ConfigError, match=re.escape("What is there is like 'val/0wR5.mp4'")):
        listed(root)


def test_the_list_of_all_validation_videos(root, real_data):
    real = real_data / "labels" / "kinetics400_val_list.txt"
    rows = [line.split() for line in real.read_text(encoding="utf-8").splitlines()]
    there = {row[0]: f"{KINETICS400[int(row[3])].replace(' ', '_')}/{row[0]}.mp4" for row in rows[::40]}
    write(root, *there.values())
    dataset = KineticsDataset(root=str(root), labels=str(real))
    videos = {video.video_id: video for video in dataset.list_videos()}
    assert len(videos) == len(rows) == 19_877
    assert len(videos) > dataset.paper_clips
    assert {video.label for video in videos.values()} == set(KINETICS400)
    assert {v.video_id: os.path.relpath(v.path, root) for v in videos.values() if v.token != ABSENT} == there
    labels = {video_id[:11]: video.label for video_id, video in videos.items()}
    known = {"SOX5yA1l24A": "using segway", "WUzgd7C1pWA": "using segway", "__NrybzYzUg": "abseiling"}
    assert {video_id: labels[video_id] for video_id in known} == known


def test_the_configuration_of_table_2(tmp_path, monkeypatch):
    config = load_config(ROOT / "config" / "kinetics400.yaml")
    monkeypatch.chdir(tmp_path)
    given = config["datasets"]["kinetics400"]
    write(tmp_path, *(model["weights"] for model in config["models"].values()), f"{given['root']}/val/{NAMES[0]}.mp4")
    Path(given["labels"]).write_text(f"{HEADER},is_cc\nabseiling,0wR5jVB-WPk,417,427,val,0\n")
    evaluation = Evaluation(config)
    dataset = evaluation.datasets["kinetics400"]
    assert len(dataset.shards) == 1
    assert dataset.source.paper_clips == 18_362
    assert dataset.spec["shards"] == round(dataset.source.paper_clips / 512)
    assert dataset.spec["clips"] == {**dataset.spec["clips"], "select": "centre", "clip_len": 16, "frame_step": 1}
    assert evaluation.metrics["insertion_deletion"].spec["settings"]["steps"] == 28
    assert len(evaluation.models) == 2
    assert len(evaluation.methods) == 11

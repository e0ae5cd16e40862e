import pickle
import re

import numpy as np
import pytest
from scipy.io import savemat

from swagv.datasets.tubes import read_tubes
from swagv.datasets.ucf101_24 import _tubes_in
from swagv.errors import ConfigError

NAME = "Biking/v_Biking_g01_c01"
BOXES = np.tile(np.array([200, 100, 90, 80], np.uint8), (20, 1))  # 200 + 90 does not fit 8 bits
BILLION: list = [1] * 10  # of ones, in few bytes of a pickle
for _ in range(8):
    BILLION = [BILLION] * 10


def entry(**changed):
    return {"sf": 3, "ef": 22, "class": 1, "boxes": BOXES} | changed


def write_mat(path, *videos, variable="annot"):
    rows = [{"name": name, "num_imgs": frames, "tubes": np.array(found, object)} for name, frames, found in videos]
    savemat(path, {variable: np.array(rows, object)})
    return path


def write_pickle(path, *videos, protocol=4):
    found = {name: {"numf": frames, "label": 1, "annotations": listed} for name, frames, listed in videos}
    path.write_bytes(pickle.dumps(found, protocol=protocol))
    return path


@pytest.mark.parametrize("variable", ["videos", "annot"])
def test_a_mat_file_counts_frames_from_one_and_a_pickle_from_zero(tmp_path, variable):
    mat = read_tubes(write_mat(tmp_path / "a.mat", (NAME, 60, [entry()]), variable=variable))
    for protocol in (0, 2, 4):
        pkl = write_pickle(tmp_path / "a.pkl", (NAME, 60, [entry(sf=2)]), protocol=protocol)
        for found in (mat, read_tubes(pkl)):
            assert found.keys() == {NAME}
            assert (found[NAME].num_frames, found[NAME].problem) == (60, "")
            (tube,) = found[NAME].tubes
            assert tube.first == 2
            assert tube.boxes.tolist() == BOXES.tolist()


def test_a_tube_ends_where_the_video_and_its_boxes_end(tmp_path):
    found = read_tubes(write_mat(tmp_path / "a.mat", (NAME, 10, [entry(), entry(ef=400), entry(sf=10), entry(sf=30)])))
    assert "from frame 29 to before frame 22" in found[NAME].problem  # the last one ends before it begins
    found = read_tubes(write_mat(tmp_path / "a.mat", (NAME, 10, [entry(), entry(ef=400), entry(sf=10)])))
    assert [(tube.first, len(tube.boxes)) for tube in found[NAME].tubes] == [(2, 8), (2, 8), (9, 1)]
    few = read_tubes(write_mat(tmp_path / "a.mat", (NAME, 60, [entry(boxes=BOXES[:5])])))
    assert len(few[NAME].tubes[0].boxes) == 5
    one = read_tubes(write_mat(tmp_path / "a.mat", (NAME, 60, [entry(ef=3, boxes=BOXES[:1])])))
    assert one[NAME].tubes[0].boxes.tolist() == BOXES[:1].tolist()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"boxes": BOXES.astype(np.int16) * [1, 1, -1, 1]}, "without area|negative"),
        ({"boxes": BOXES * np.uint8([1, 1, 1, 0])}, "without area"),
        ({"boxes": BOXES.astype(np.int16) - [300, 0, 0, 0]}, "negative corner"),
        ({"boxes": BOXES * np.array([1, np.nan, 1, 1])}, "not finite"),
        ({"boxes": BOXES * np.array([1, 1, np.inf, 1])}, "not finite"),
        ({"boxes": BOXES[:, :3]}, r"\(20, 3\); \(n, 4\) numbers are needed"),
        ({"boxes": "many"}, "numbers are needed"),
        ({"boxes": BOXES + 1j}, "numbers are needed"),
        ({"boxes": BOXES > 0}, "bool"),
        ({"boxes": [[1, 2, 3, 4], [1, 2]]}, "inhomogeneous"),
        ({"boxes": [[[1, 2, 3, 4]]]}, "lists in lists"),
        ({"boxes": BILLION}, "lists in lists"),
        ({"sf": BILLION}, "sf is a list; one whole number"),
        ({"sf": -1}, "from frame -1"),
        ({"sf": 2.5}, "sf is 2.5; one whole number"),
        ({"sf": np.array([1, 2])}, "one whole number"),
        ({"ef": "end"}, "ef is 'end'"),
        ({"ef": np.nan}, "ef is nan"),
        ({"ef": -3}, "to before frame -3"),
    ],
)
def test_a_tube_that_makes_no_sense_is_a_problem_of_its_video_alone(tmp_path, changed, problem):
    good = NAME.replace("c01", "c02")
    found = read_tubes(write_pickle(tmp_path / "a.pkl", (NAME, 60, [entry(**changed)]), (good, 60, [entry(sf=2)])))
    assert found[NAME].tubes == ()
    assert re.search(problem, found[NAME].problem), found[NAME].problem
    assert found[good].problem == ""
    assert len(found[good].tubes[0].boxes) == 20


@pytest.mark.parametrize("frames", [0, -5, 10**12, "x", np.array([1, 2])])
def test_a_number_of_frames_that_makes_no_sense(tmp_path, frames):
    assert read_tubes(write_pickle(tmp_path / "a.pkl", (NAME, frames, [entry()])))[NAME].problem


class Hostile:
    def __reduce__(self):
        return (open, ("hacked.txt", "w"))


class Pointer:
    """An array of which numpy's own unpickling would take the bytes for pointers to objects."""

    class Type:
        def __reduce__(self):
            return (np.dtype, ("V8", False, True), (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0))

    def __reduce__(self):
        build, _, _ = np.empty(0).__reduce__()
        return (build, (np.ndarray, (0,), b"b"), (1, (1,), self.Type(), False, b"A" * 8))


def test_files_that_are_no_annotations_are_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = write_mat(tmp_path / "a.mat", (NAME, 60, [entry()])).read_bytes()
    cases = {
        "empty.mat": (b"", "not a readable MATLAB file"),
        "cut.mat": (whole[: len(whole) // 2], "not a readable MATLAB file"),
        "text.mat": (b"hello\n" * 100, "not a readable MATLAB file"),
        "cut.pkl": (pickle.dumps({NAME: {"numf": 3, "annotations": []}})[:-9], "not a pickle of numpy arrays"),
        "evil.pkl": (pickle.dumps({NAME: Hostile()}), r"names (_?io)\.open"),
        "pointer.pkl": (pickle.dumps({NAME: {"numf": Pointer(), "annotations": []}}), "an array of 'V8'"),
        "patch.pkl": (b"cnumpy\ndtype\nN}X\x08\x00\x00\x00__call__K\x01s\x86b.", "changes one of numpy's functions"),
        "short.pkl": (pickle.dumps({NAME: BOXES}).replace(b"K\x14K\x04", b"K\x15K\x04"), "do not go together"),
        "codec.pkl": (b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR.", "encodes text as 'hex'"),
        "list.pkl": (pickle.dumps([1]), "holds a list"),
        "other.pkl": (pickle.dumps({NAME: {"boxes": 1}}), "needs numf and annotations"),
        "none.pkl": (pickle.dumps({}), "annotates no video"),
        "path.pkl": (pickle.dumps({"../../x": {"numf": 3, "annotations": []}}), "is no video of UCF101"),
        "key.pkl": (pickle.dumps({3: {"numf": 3, "annotations": []}}), "3 is no video of UCF101"),
        "a.txt": (b"", "ends in '.txt'"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=message) as error:
            read_tubes(tmp_path / name)
        assert name in str(error.value)
    assert not (tmp_path / "hacked.txt").exists()
    with pytest.raises(ConfigError, match="annotations not found"):
        read_tubes(tmp_path / "absent.mat")
    savemat(tmp_path / "b.mat", {"annot": np.eye(3)})
    with pytest.raises(ConfigError, match="every video needs name, num_imgs and tubes"):
        read_tubes(tmp_path / "b.mat")
    savemat(tmp_path / "c.mat", {"other": np.eye(3)})
    with pytest.raises(ConfigError, match="no variable videos or annot"):
        read_tubes(tmp_path / "c.mat")
    with pytest.raises(ConfigError, match="twice"):
        read_tubes(write_mat(tmp_path / "d.mat", (NAME, 60, [entry()]), (NAME, 60, [entry()])))


def test_a_matlab_reader_that_crashes_or_hangs_costs_its_file_only(tmp_path, monkeypatch):
    from swagv.datasets import matlab

    path = write_mat(tmp_path / "a.mat", (NAME, 60, [entry()]))
    with monkeypatch.context() as patch:
        patch.setattr(matlab, "_TIME_LIMIT", 0.01)
        with pytest.raises(ConfigError, match=r"took longer than 0\.01 s"):
            read_tubes(path)
    # SciPy's reader ends with a segmentation fault on some of these: never more than an error here.
    outcomes = set()
    rng = np.random.default_rng(0)
    whole = bytearray(path.read_bytes())
    for _ in range(12):
        damaged = whole.copy()
        for place in rng.integers(128, len(whole), 1):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            found = read_tubes(path)
        except ConfigError:
            outcomes.add("error")
        else:
            outcomes.add("read")
            assert_sound(found)
    assert outcomes == {"error", "read"}


def assert_sound(found):
    for video in found.values():
        assert not (video.problem and video.tubes)
        for tube in video.tubes:
            assert tube.boxes.shape[1] == 4
            assert ((tube.boxes >= 0) & (tube.boxes < 10_000)).all()
            assert tube.first >= 0
            assert tube.first + len(tube.boxes) <= max(tube.first, video.num_frames)


def test_damaged_pickles_give_an_error_a_problem_or_sound_boxes(tmp_path):
    whole = write_pickle(tmp_path / "a.pkl", (NAME, 60, [entry(sf=2)])).read_bytes()
    rng, outcomes = np.random.default_rng(0), set()
    for _ in range(1500):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 5)):
            damaged[place] = rng.integers(256)
        (tmp_path / "a.pkl").write_bytes(damaged[: rng.integers(1, 2 * len(whole))])
        try:
            found = read_tubes(tmp_path / "a.pkl")
        except ConfigError:
            outcomes.add("error")
            continue
        outcomes |= {"problem" if video.problem else "read" for video in found.values()}
        assert_sound(found)
    assert outcomes == {"error", "problem", "read"}


def test_the_real_files(real_data):
    corrected, bmvc = (  # read once for all tests
        _tubes_in(path, path.stat().st_mtime_ns)
        for path in (real_data / "annotations" / name for name in ("finalAnnots.mat", "annot_bmvc.mat"))
    )
    pickled = read_tubes(real_data / "annotations" / "pyannot.pkl")
    assert len(corrected) == len(pickled) == 3194
    assert corrected.keys() == pickled.keys()
    for name, video in corrected.items():
        other = pickled[name]
        assert not video.problem
        assert (video.num_frames, len(video.tubes)) == (other.num_frames, len(other.tubes))
        for one, two in zip(video.tubes, other.tubes, strict=True):
            assert one.first == two.first
            assert np.array_equal(one.boxes, two.boxes)
    assert max(tube.boxes[:, [0, 2]].sum(1).max() for video in corrected.values() for tube in video.tubes) == 320
    assert len(bmvc) == 3204

import subprocess
import sys

import numpy as np
import pytest

from swagv.datasets.motions import MOTIONS
from swagv.datasets.rendered import RenderedDataset
from swagv.datasets.rendering import render_video
from swagv.geometry import Geometry
from tests.conftest import ROOT


def test_same_seed_same_bytes_whatever_was_encoded_before(tmp_path):
    code = (
        "import sys; from swagv.datasets.rendering import render_video, write_video\n"
        "for seed in sys.argv[2:]: write_video(sys.argv[1], render_video(3, int(seed)).frames)"
    )
    found = set()
    for seeds in (["5"], ["6", "5"], ["7", "6", "5"]):
        path = tmp_path / "v.mp4"
        subprocess.run([sys.executable, "-c", code, str(path), *seeds], cwd=ROOT, check=True)
        found.add(path.read_bytes())
    assert len(found) == 1


@pytest.mark.parametrize("label", range(len(MOTIONS)))
def test_the_actor_moves_as_its_class_says(label):
    boxes = render_video(label, 11, num_frames=24).boxes
    assert np.isfinite(boxes).all()
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    width = boxes[:, 2] - boxes[:, 0]
    spread = np.ptp(centre, axis=0)
    moves = {"horizontal": (1, 0), "vertical": (0, 1), "diagonal": (1, 1), "circle": (1, 1)}.get(MOTIONS[label], (0, 0))
    assert tuple((spread > 12).astype(int)) == moves
    assert (np.ptp(width) > 15) == (MOTIONS[label] == "pulse") or MOTIONS[label] == "spin"


def test_actors_are_off_centre_inside_the_crop_and_a_central_box_does_not_win():
    from swagv.metrics.localisation import iou

    hits, inside = 0, 0
    for index in range(30):
        boxes = Geometry().boxes(render_video(index % 6, 500 + index, num_frames=16).boxes, 240, 320)
        side = 30
        central = np.array([56 - side, 56 - side, 55 + side, 55 + side])
        hits += iou(central, boxes).mean() > 0.5
        inside += bool((boxes >= -2).all() and (boxes <= 113).all())
    assert hits <= 2
    assert inside >= 27


def test_adding_videos_changes_no_other():
    assert RenderedDataset(videos=10).list_videos()[:6] == RenderedDataset(videos=6).list_videos()


def test_a_long_video_has_its_background_to_the_end():
    video = render_video(3, 0, 250)
    assert video.frames.shape == (250, 240, 320, 3)
    assert np.isfinite(video.boxes).all()
    assert min(frame.std() for frame in video.frames) > 5

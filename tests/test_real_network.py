"""The library on DeepMind's network and a real video, from the file to the scores."""

import pytest
import torch

import swagv
from swagv.decode import probe, read_frames
from swagv.metrics.insertion_deletion import InsertionDeletion
from swagv.models.cards import load_card
from swagv.models.weights import cache_folder

VIDEOS = {
    "ucf101/v_Basketball_g01_c01.avi": "shooting basketball",
    "ucf101/v_SoccerJuggling_g23_c01.avi": "juggling soccer ball",
    "kinetics/abseiling_k400.mp4": "abseiling",
}

EXPLAINED = "ucf101/v_SoccerJuggling_g23_c01.avi"


@pytest.fixture(scope="module")
def i3d():
    if not (cache_folder() / load_card("i3d").fetched).is_file():
        pytest.skip("no weights of i3d in the cache folder; run: swagv fetch-weights i3d")
    torch.set_num_threads(2)
    return swagv.load_model("i3d", clip_len=16)


def middle_of(path, i3d):
    start = (probe(path).num_frames - 16) // 2
    return i3d.preprocess(read_frames(path, range(start, start + 16)).frames[None])


@pytest.mark.parametrize("video", [video for video in VIDEOS if video != EXPLAINED])
def test_the_network_knows_the_middle_of_a_real_video(video, i3d, real_data):
    clips = middle_of(real_data / "videos" / video, i3d)
    with torch.inference_mode():
        assert i3d.categories[int(i3d(clips).argmax())] == VIDEOS[video]


def test_methods_on_the_middle_of_a_real_video(i3d, real_data):
    clips = middle_of(real_data / "videos" / EXPLAINED, i3d)
    with torch.inference_mode():
        scores = i3d(clips).softmax(1)[0]
    assert i3d.categories[int(scores.argmax())] == VIDEOS[EXPLAINED]
    for method in ("swagv_ig", "guided_backprop", "grad_cam"):
        found = swagv.explain(i3d, clips, method)
        assert found.shape == (1, 16, 224, 224)
        result = swagv.evaluate(i3d, clips, found, metrics=InsertionDeletion(steps=3))
        deletion, insertion = result["deletion_curve"][0], result["insertion_curve"][0]
        assert deletion[0].item() == insertion[-1].item() == pytest.approx(float(scores.max()), abs=1e-5)
        # What each method finds in a third of the voxels, the network cannot do without.
        assert deletion[1] < 0.5 * deletion[0], method

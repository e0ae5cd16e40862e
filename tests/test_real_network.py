"""The library on DeepMind's network and a real video, from the file to the scores."""

import pytest
import torch

import swagv
from swagv.decode import probe, read_frames
from swagv.metrics.insertion_deletion import InsertionDeletion
from swagv.models.cards import load_card
from swagv.models.weights import cache_folder


@pytest.fixture(scope="module")
def juggling(real_data):
    """Network, clip N,3,T,H,W and its scores."""
    if not (cache_folder() / load_card("i3d").fetched).is_file():
        pytest.skip("no weights of i3d in the cache folder; run: swagv fetch-weights i3d")
    torch.set_num_threads(2)
    model = swagv.load_model("i3d", clip_len=16)
    path = real_data / "videos" / "ucf101" / "v_SoccerJuggling_g23_c01.avi"
    frames = read_frames(path, (probe(path).num_frames - 16) // 2, 16, 1).frames
    clips = model.preprocess(frames[None])
    with torch.inference_mode():
        return model, clips, model(clips).softmax(1)[0]


@pytest.mark.parametrize("method", ["swagv_ig", "guided_backprop", "grad_cam", "saliency_tubes"])
def test_methods_on_a_real_network(method, juggling):
    model, clips, _ = juggling
    found = swagv.explain(model, clips, method, target="juggling soccer ball")
    assert found.shape == (1, 16, 224, 224)
    assert torch.isfinite(found).all()
    assert found.std() > 0


def test_curves_begin_and_end_at_the_intact_score_and_beat_chance(juggling):
    model, clips, scores = juggling
    assert model.categories[int(scores.argmax())] == "juggling soccer ball"
    games = [InsertionDeletion(steps=4)]
    ours = swagv.evaluate(model, clips, swagv.explain(model, clips, "swagv_ig"), metrics=games)
    for curve, end in (("deletion_curve", 0), ("insertion_curve", -1)):
        assert ours[curve][0, end].item() == pytest.approx(float(scores.max()), abs=1e-5)
    chance = swagv.evaluate(model, clips, swagv.explain(model, clips, "random"), metrics=games)
    assert ours["insertion_auc"] > chance["insertion_auc"]

import copy
import subprocess
import sys

import pytest

from swagv.config import Evaluation, load_config
from swagv.errors import ConfigError
from tests.conftest import ROOT

DEMO = load_config(ROOT / "config" / "config.yaml")


def test_demo_is_valid_and_names_what_it_will_build():
    evaluation = Evaluation(DEMO)
    assert list(evaluation.gradients) == ["guided_backprop"]
    assert len(evaluation.recipes) == 3
    assert {method.kind for method in evaluation.methods.values()} == {"pixels", "supervoxels", "network", "control"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["metods"], {}, "unknown key 'metods' at the top level. Did you mean 'methods'"),
        (["methods", "grad_cm"], {}, "unknown method 'grad_cm'. Did you mean 'grad_cam'"),
        (["models", "c3d_demoo"], {}, "unknown model 'c3d_demoo'. Did you mean 'c3d_demo'"),
        (["models", "c3d"], {}, "weights of model 'c3d' not found"),
        (["methods", "swagv_ig"], {"w_gradd": 5}, "no setting 'w_gradd'. Did you mean 'w_grad'"),
        (["methods", "swagv_ig"], {"w_grad": 0}, "w_grad=0: must be greater than 0"),
        (["methods", "swagv_ig"], {"attribution": "centre"}, "'centre' is not a pixel attribution"),
        (["datasets", "demo", "clips"], {"clip_len": 32}, "takes 16 frames of 112 pixels"),
        (["datasets", "mine"], {"type": "folder", "root": "nowhere", "shards": 1}, "dataset folder not found"),
        (["metrics", "insertion_deletion"], {"steps": 0}, "steps=0: must be at least 1"),
    ],
)
def test_mistakes_are_one_clear_error(path, value, message):
    config = copy.deepcopy(DEMO)
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError) as error:
        Evaluation(config)
    assert message in str(error.value)


def test_checking_imports_no_torch():
    code = (
        "import sys; from swagv.config import Evaluation, load_config; "
        "Evaluation(load_config('config/config.yaml')); print('torch' in sys.modules)"
    )
    call = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert call.stdout.strip() == "False"

import pytest
import torch

from swagv.methods.target_score import check_score, target_score


def test_probability_and_logit_of_the_target():
    logits = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    assert torch.equal(target_score(lambda x: logits, None, torch.tensor(1), "logit"), logits[:, 1])
    assert torch.equal(target_score(lambda x: logits, None, torch.tensor(1), "probability"), logits.softmax(1)[:, 1])
    with pytest.raises(ValueError, match="'log'"):
        check_score("log")

import logging

import pytest
import torch

from swagv.forward_passes import check_score, in_batches, scores_by_batch, target_scores

LOGITS = torch.tensor([[0.0, 2.0], [1.0, 1.0], [3.0, -1.0]])


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_scores_of_the_targets_whatever_the_batch(batch_size):
    target = torch.tensor([1, 1, 0])
    asked = []

    def make(batch):
        asked.append(batch)
        return LOGITS[batch]

    assert torch.equal(target_scores(lambda x: x, make, target, batch_size, "logit"), torch.tensor([2.0, 1.0, 3.0]))
    assert [batch.stop - batch.start for batch in asked] == {1: [1, 1, 1], 2: [2, 1], 7: [3]}[batch_size]
    found = target_scores(lambda x: x, make, target, batch_size)
    assert torch.allclose(found, LOGITS.softmax(1)[torch.arange(3), target])
    with pytest.raises(ValueError, match="'log'"):
        check_score("log")


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_asked_for_twice(caplog):
    done = []

    def call(batch):
        size = batch.stop - batch.start
        if size > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.extend(range(batch.start, batch.stop))
        return size

    with caplog.at_level(logging.WARNING):
        sizes = [size for _, size in in_batches(call, 10, 16)]
    assert sizes == [2, 2, 2, 2, 2]
    assert done == list(range(10))
    assert "a batch of 5 does not fit" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_what_no_smaller_batch_mends_is_raised(error):
    calls = []

    def call(batch):
        calls.append(batch)
        raise error

    with pytest.raises(RuntimeError) as raised:
        list(in_batches(call, 4, 4))
    assert raised.value is error
    assert len(calls) == (1 if "mat1" in str(error) else 3)


def test_scores_arrive_right_after_their_clips_were_made():
    last = None

    def make(batch):
        nonlocal last
        last = batch
        return LOGITS[batch]

    for batch, scores in scores_by_batch(lambda x: x, make, torch.tensor([0, 0, 0]), 2, "logit"):
        assert batch == last
        assert torch.equal(scores, LOGITS[batch, 0])

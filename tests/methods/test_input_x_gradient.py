import torch

from swagv.methods.input_x_gradient import InputXGradient


def test_of_a_linear_model_is_the_share_of_each_voxel_in_the_score():
    weight = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    clips = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(1))

    def linear(x):
        return torch.stack([(x * weight).flatten(1).sum(1), x.flatten(1).sum(1)], 1)

    found = InputXGradient(reduce="signed_sum")(linear, clips, torch.tensor([0, 1]))
    assert torch.allclose(found, torch.stack([(clips[0] * weight).sum(0), clips[1].sum(0)]), atol=1e-6)
    assert torch.equal(InputXGradient()(linear, clips, torch.tensor([1, 1])), clips.abs().amax(1))

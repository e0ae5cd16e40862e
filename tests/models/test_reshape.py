"""Transformers: their layers' outputs as maps, against torchvision's own order of tokens and pytorch-grad-cam."""

import pytest
import torch
from torch import nn

import swagv
from swagv.errors import ConfigError, NotApplicable
from swagv.methods.layer_maps import layer_gradient
from swagv.methods.saliency_tubes import SaliencyTubes
from swagv.models.cards import load_card
from swagv.models.reshape import channels_last, mvit_tokens
from swagv.models.torchvision_import import import_torchvision


@pytest.fixture(scope="module")
def mvit():
    """torchvision's MViT in little: two blocks of eight channels on 16 frames of 32x32 pixels."""
    video = import_torchvision().models.video.mvit
    block = {"num_heads": 1, "kernel_q": [3, 3, 3], "kernel_kv": [3, 3, 3], "stride_kv": [1, 2, 2]}
    blocks = [
        video.MSBlockConfig(**block, input_channels=8, output_channels=8, stride_q=stride)
        for stride in ([1, 1, 1], [1, 2, 2])
    ]
    torch.manual_seed(0)
    return video.MViT((32, 32), 16, blocks, False, False, False, False, num_classes=4).eval()


@pytest.fixture(scope="module")
def swin():
    """torchvision's Video Swin Transformer in little."""
    video = import_torchvision().models.video.swin_transformer
    torch.manual_seed(0)
    network = video.SwinTransformer3d([2, 4, 4], 8, [1, 1], [1, 2], [2, 2, 2], num_classes=4).eval()
    for norm in network.modules():  # as after training: a fresh LayerNorm is the identity on what is normalised
        if isinstance(norm, nn.LayerNorm):
            nn.init.normal_(norm.weight)
    return network


@pytest.fixture
def clips():
    return torch.randn(2, 3, 16, 32, 32, generator=torch.Generator().manual_seed(0))


def test_tokens_are_in_the_order_of_the_patches(mvit, clips):
    """The patches' convolution gives N,K,t,h,w; what follows sees its tokens, after the class's."""
    seen = {}
    hooks = [mvit.conv_proj.register_forward_hook(lambda module, args, output: seen.update(patches=output))]
    hooks += [mvit.pos_encoding.register_forward_hook(lambda module, args, output: seen.update(tokens=args[0]))]
    try:
        mvit(clips)
    finally:
        for hook in hooks:
            hook.remove()
    with_class = torch.cat([torch.zeros(2, 1, 8), seen["tokens"]], 1)
    assert torch.equal(mvit_tokens(with_class), seen["patches"])
    assert seen["patches"].shape == (2, 8, 8, 8, 8)


def test_a_grid_that_is_none():
    with pytest.raises(ValueError, match="100 tokens are not 1 \\+ 8 \\* h \\* h"):
        mvit_tokens(torch.zeros(1, 100, 3))


@pytest.mark.parametrize(
    ("name", "layer", "reshape"), [("mvit", "blocks.1.norm1", mvit_tokens), ("swin", "norm", channels_last)]
)
def test_grad_cam_equals_pytorch_grad_cam(name, layer, reshape, clips, request):
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    network = request.getfixturevalue(name)
    model = swagv.load_model(network, cam_layer=layer, reshape=reshape, geometry={"resize": 32, "crop": 32})
    activation, gradient = layer_gradient(model, clips, torch.tensor([1, 1]), "")
    with GradCAM(network, [network.get_submodule(layer)], reshape_transform=reshape) as oracle:
        theirs = oracle(clips, [ClassifierOutputTarget(1)] * 2)
        assert torch.equal(oracle.activations_and_grads.activations[0], activation)
        assert torch.allclose(oracle.activations_and_grads.gradients[0], gradient, rtol=1e-5, atol=1e-9)
    assert gradient.abs().max() > 0
    # Theirs is scaled to [0, 1] and upsampled by splines: the same place is hot.
    ours = swagv.explain(model, clips, "grad_cam", target=1, upsampling="scipy_cubic")
    assert ours.shape == theirs.shape == (2, 16, 32, 32)
    for mine, other in zip(ours.flatten(1), torch.from_numpy(theirs).flatten(1), strict=True):
        assert torch.corrcoef(torch.stack([mine, other]))[0, 1] > 0.99


def test_saliency_tubes_are_the_class_activation_map_of_the_pooled_head(swin, clips):
    """Its mean over time and space is the logit less the bias: that is what CAM says of a pooled linear head."""
    model = swagv.load_model(swin, cam_layer="norm", head="head", reshape=channels_last)
    low = SaliencyTubes().layer_map(model, clips, torch.tensor([2, 0]))
    logits = model(clips)[[0, 1], [2, 0]] - swin.head.bias[[2, 0]]
    assert torch.allclose(low.flatten(1).mean(1), logits, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["input_x_gradient", "occlusion3d", "swagv_ig"])
def test_methods_that_need_no_layer(method, mvit, clips):
    model = swagv.load_model(mvit, geometry={"resize": 32, "crop": 32})
    if method == "swagv_ig":
        with pytest.raises(NotApplicable, match=r"needs a network with ReLU.*attribution=vanilla_backprop"):
            swagv.explain(model, clips, method)
        found = swagv.explain(model, clips, method, attribution="vanilla_backprop", n_segments=20)
    else:
        found = swagv.explain(
            model, clips, method, **({"window": (8, 16, 16), "stride": (8, 16, 16)} if "occ" in method else {})
        )
    assert found.shape == (2, 16, 32, 32)
    assert found.isfinite().all()
    assert found.std() > 0


def test_layers_that_give_no_map(mvit, swin, clips):
    with pytest.raises(NotApplicable, match=r"layer 'blocks.1.norm1' gives \(1, 513, 8\); .* a `reshape`"):
        swagv.explain(mvit, clips, "grad_cam", layer="blocks.1.norm1")
    with pytest.raises(NotApplicable, match=r"layer 'blocks.1' gives a tuple, not a tensor"):
        swagv.explain(mvit, clips, "grad_cam", layer="blocks.1")
    wrong = swagv.load_model(swin, cam_layer="norm", reshape=mvit_tokens)
    with pytest.raises(NotApplicable, match="which the network's `reshape` does not take"):
        swagv.explain(wrong, clips, "grad_cam")
    for hook in (lambda output: output.transpose(0, 2), lambda output: None):
        with pytest.raises(NotApplicable, match=r"`reshape` makes .*: not one map a clip"):
            swagv.explain(swagv.load_model(swin, cam_layer="norm", reshape=hook), clips, "grad_cam")
    flat = swagv.load_model(swin, cam_layer="norm", reshape=lambda output: output.flatten(1))
    with pytest.raises(NotApplicable, match=r"is reshaped to \(2, "):
        swagv.explain(flat, clips, "grad_cam")
    with pytest.raises(NotApplicable, match=r"gives N,t,h,w,K: set `layer` .* and its `reshape`"):
        swagv.explain(swin, clips, "grad_cam")
    unread = nn.ModuleDict({"conv": nn.Conv3d(3, 4, 1)})
    unread.forward = lambda clips: unread["conv"](clips).mean((2, 3, 4)).detach() + clips.mean((2, 3, 4)).sum(1, True)
    with pytest.raises(NotApplicable, match="layer 'conv' does not lead to the logits"):
        swagv.explain(unread, clips, "grad_cam", layer="conv")


@pytest.mark.parametrize(
    ("name", "map_shape"),
    [
        ("mvit_v1_b", (768, 8, 7, 7)),
        ("mvit_v2_s", (768, 8, 7, 7)),
        ("swin3d_t", (768, 16, 7, 7)),
        ("swin3d_b", (1024, 16, 7, 7)),
    ],
)
def test_the_cards_layers_at_full_size(name, map_shape):
    card = load_card(name)
    with torch.device("meta"):
        model = swagv.load_model(name, weights=None)
        activation, gradient = layer_gradient(
            model, torch.zeros(1, 3, card.clip_len, 224, 224), torch.zeros(1, dtype=torch.long), ""
        )
    assert activation.shape == gradient.shape == (1, *map_shape)


def test_a_reshape_of_ones_own_by_name():
    network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    assert swagv.load_model(network, reshape="swagv.models.reshape:channels_last").reshape is channels_last
    with pytest.raises(ConfigError, match=r"reshape is 'tokens'; it must be package.module:function"):
        swagv.load_model(network, reshape="tokens")
    with pytest.raises(ConfigError, match="reshape 'os:sep' is a str; a function is needed"):
        swagv.load_model(network, reshape="os:sep")

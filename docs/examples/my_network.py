"""Two networks of one's own: one whose answer is known by hand, and a transformer, whose layers give tokens."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from swagv.models.cards import ModelCard

if TYPE_CHECKING:
    from torch import Tensor, nn

KNOWN = {
    "categories": ("still", "moves"),
    "clip_len": 16,
    "geometry": {"resize": (128, 171), "crop": 112},
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "cam_layer": "relu",
    "head": "head",
}


def change_detector() -> nn.Module:
    """Clips N,3,T,H,W to logits N,2: by how much 8x8 pixels get brighter (or darker) from a frame to the next."""
    import torch
    from torch import nn

    network = nn.Sequential(
        OrderedDict(
            change=nn.Conv3d(3, 2, (2, 8, 8), stride=(1, 4, 4), bias=False),
            relu=nn.ReLU(),
            pool=nn.AdaptiveAvgPool3d(1),
            flat=nn.Flatten(),
            head=nn.Linear(2, 2),
        )
    )
    later_less_earlier = torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1) / (3 * 8 * 8)
    with torch.no_grad():
        network.change.weight.copy_(torch.stack([later_less_earlier, -later_less_earlier]).expand(2, 3, 2, 8, 8))
        network.head.weight.copy_(torch.tensor([[-200.0, -200.0], [200.0, 200.0]]))
        network.head.bias.copy_(torch.tensor([2.0, -2.0]))
    return network


def transformer() -> nn.Module:
    """Tubelets of 4x16x16 voxels as tokens, one block of attention, the mean token; fresh weights."""
    import torch
    from torch import nn

    class Tubelets(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv3d(3, 32, (4, 16, 16), stride=(4, 16, 16))
            self.places = nn.Parameter(torch.randn(1, 4 * 7 * 7, 32))
            self.block = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True)
            self.norm = nn.LayerNorm(32)
            self.head = nn.Linear(32, 2)

        def forward(self, clips: Tensor) -> Tensor:
            tokens = self.patches(clips).flatten(2).transpose(1, 2) + self.places
            return self.head(self.norm(self.block(tokens)).mean(1))

    torch.manual_seed(0)
    return Tubelets()


def tokens_to_map(tokens: Tensor) -> Tensor:
    """What the layer `norm` of `transformer` gives, N,4*7*7,K, as a map N,K,t,h,w."""
    return tokens.unflatten(1, (4, 7, 7)).movedim(-1, 1)


TRANSFORMER = ModelCard(
    "my_network:transformer",
    categories=("still", "moves"),
    cam_layer="norm",
    head="head",
    reshape="my_network:tokens_to_map",
    self_contained=True,
)


if __name__ == "__main__":
    import swagv
    from swagv.datasets.rendering import render_video
    from swagv.errors import NotApplicable

    video = render_video(label=1, seed=1, num_frames=16)
    model = swagv.load_model(change_detector(), **KNOWN)
    clips = model.preprocess(video.frames[None])
    for what, shown in (("the video", clips), ("its first frame, 16 times", clips[:, :, :1].expand_as(clips))):
        print(f"{what}: moves with p = {model(shown).softmax(1)[0, 1]:.2f}")

    boxes = model.geometry.boxes(video.boxes, *video.frames.shape[1:3])[None]
    for method in ("full_frame", "grad_cam", "saliency_tubes", "swagv_ig"):
        attribution = swagv.explain(model, clips, method, target="moves")
        found = swagv.evaluate(model, clips, attribution, metrics="pointing", boxes=boxes)
        print(f"{method}: {100 * found['energy_inside'][0]:.0f} % of the attribution is on the actor")

    model = swagv.load_model("my_network:TRANSFORMER")
    print("grad_cam of the transformer:", tuple(swagv.explain(model, clips, "grad_cam").shape))
    try:
        swagv.explain(model, clips, "swagv_ig")
    except NotApplicable as reason:
        print(reason)
    print("swagv_ig of it:", tuple(swagv.explain(model, clips, "swagv_ig", attribution="smoothgrad").shape))

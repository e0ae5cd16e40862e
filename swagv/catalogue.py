"""Everything that has a name. A line here and a file there is all that a new method or model takes."""

from __future__ import annotations

from swagv.registry import Registry

MODELS = Registry(
    "model",
    {
        "r2plus1d_18": "swagv.models.cards:R2PLUS1D_18",
        "r2plus1d_18_vmz": "swagv.models.cards:R2PLUS1D_18_VMZ",
        "r3d_18": "swagv.models.cards:R3D_18",
        "mc3_18": "swagv.models.cards:MC3_18",
        "s3d": "swagv.models.cards:S3D",
        "i3d": "swagv.models.cards:I3D",
        "c3d": "swagv.models.cards:C3D",
        "c3d_sports1m": "swagv.models.cards:C3D_SPORTS1M",
        "r2plus1d_demo": "swagv.models.cards:R2PLUS1D_DEMO",
        "c3d_demo": "swagv.models.cards:C3D_DEMO",
    },
)

METHODS = Registry(
    "method",
    {
        "guided_backprop": "swagv.methods.guided_backprop:GuidedBackprop",
        "swagv_i": "swagv.methods.swagv:swagv_i",
        "swagv_ig": "swagv.methods.swagv:swagv_ig",
        "swagv_g": "swagv.methods.swagv:swagv_g",
        "grad_cam": "swagv.methods.grad_cam:GradCam",
        "centre": "swagv.methods.controls:Centre",
        "random": "swagv.methods.controls:RandomPoint",
        "full_frame": "swagv.methods.controls:FullFrame",
    },
)

METRICS = Registry(
    "metric",
    {
        "insertion_deletion": "swagv.metrics.insertion_deletion:InsertionDeletion",
        "localisation": "swagv.metrics.localisation:Localisation",
    },
)

DATASETS = Registry(
    "dataset",
    {
        "rendered": "swagv.datasets.rendered:RenderedDataset",
        "folder": "swagv.datasets.folder:FolderDataset",
    },
)

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
        "mvit_v1_b": "swagv.models.cards:MVIT_V1_B",
        "mvit_v2_s": "swagv.models.cards:MVIT_V2_S",
        "swin3d_t": "swagv.models.cards:SWIN3D_T",
        "swin3d_s": "swagv.models.cards:SWIN3D_S",
        "swin3d_b": "swagv.models.cards:SWIN3D_B",
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
        # pixel attributions
        "vanilla_backprop": "swagv.methods.vanilla_backprop:VanillaBackprop",
        "guided_backprop": "swagv.methods.guided_backprop:GuidedBackprop",
        "input_x_gradient": "swagv.methods.input_x_gradient:InputXGradient",
        "integrated_gradients": "swagv.methods.integrated_gradients:IntegratedGradients",
        "smoothgrad": "swagv.methods.smoothgrad:SmoothGrad",
        "random_noise": "swagv.methods.random_noise:RandomNoise",
        "sobel": "swagv.methods.sobel:Sobel",
        # supervoxels
        "swag_i": "swagv.methods.swagv:swag_i",
        "swagv_i": "swagv.methods.swagv:swagv_i",
        "swagv_ig": "swagv.methods.swagv:swagv_ig",
        "swagv_g": "swagv.methods.swagv:swagv_g",
        # layers
        "grad_cam": "swagv.methods.grad_cam:GradCam",
        "grad_cam_pp": "swagv.methods.grad_cam:GradCamPP",
        "saliency_tubes": "swagv.methods.saliency_tubes:SaliencyTubes",
        # perturbations
        "ep3d": "swagv.methods.ep3d:EP3D",
        "ep3d_area": "swagv.methods.ep3d:ep3d_area",
        "occlusion3d": "swagv.methods.occlusion3d:Occlusion3D",
        "rise3d": "swagv.methods.rise3d:Rise3D",
        "lime3d": "swagv.methods.lime3d:Lime3D",
        "xrai3d": "swagv.methods.xrai3d:Xrai3D",
        # controls
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
        # beyond the paper
        "pointing": "swagv.metrics.pointing:Pointing",
        "frame_profile": "swagv.metrics.frame_profile:FrameProfile",
        "frame_deletion": "swagv.metrics.frame_deletion:FrameDeletion",
    },
)

DATASETS = Registry(
    "dataset",
    {
        "rendered": "swagv.datasets.rendered:RenderedDataset",
        "ucf101_24": "swagv.datasets.ucf101_24:Ucf101_24Dataset",
        "kinetics": "swagv.datasets.kinetics:KineticsDataset",
        "folder": "swagv.datasets.folder:FolderDataset",
    },
)

"""Sources of pretrained weights: file names, SHA-256, URLs and licenses."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Source:
    """Files that hold the same weights, the preferred one first; the URL is that of the first."""

    files: Mapping[str, str]  # name -> SHA-256, or as many of its first digits as have been published
    url: str
    license: str


SOURCES = {
    "torchvision": Source(
        files={"vgg19-dcbb9e9d.pth": "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"},
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        license="BSD-3-Clause, torchvision; trained on ImageNet",
    ),
    "caffe": Source(
        files={
            "vgg19-d01eb7cb.pth": "d01eb7cb",
            "vgg_conv.pth": "",  # the same network as Gatys published it
            "vgg19_caffe_to_conv4_1.safetensors": "685fed9f4fe55f8a8dbe6c741442ba16db6c769f1b68306ad62528ff9f20207b",
        },
        url="https://web.eecs.umich.edu/~justincj/models/vgg19-d01eb7cb.pth",
        license="CC BY 4.0, Simonyan and Zisserman; converted by J. Johnson; trained on ImageNet",
    ),
    "normalised": Source(
        files={
            "vgg_normalised.pth": "804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
            "vgg19_normalised_to_conv4_1.safetensors": (
                "ec7fa4402ad4ee1b26dd261ac2e323dc681c2cb49c7d86457bf46d3a9e21c973"
            ),
        },
        url="https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0/vgg_normalised.pth",
        license="CC BY 4.0, Simonyan and Zisserman; rescaled by Gatys, Ecker and Bethge; converted by N. Inoue",
    ),
    "adain_decoder": Source(
        files={
            "decoder.pth": "379ca41d59f3a37eed3599bbbc2560c19da5c458870a5ffd3a9dd41aa88f9472",
            "adain_decoder.safetensors": "91afe05915c8e6ca0f1c32da8eb4ab992cba909ec5125131fe4a6b46bdf0cb7f",
        },
        url="https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0/decoder.pth",
        license="MIT, Huang and Belongie; converted by N. Inoue",
    ),
    "squeezenet": Source(
        files={
            "squeezenet1_1-b8a52dc0.pth": "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            "squeezenet1_1_torchvision.safetensors": "96a4b662bedd50905054b1e43e048305ea292e69541106a7dcd14a2c129d4e08",
        },
        url="https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        license="BSD-3-Clause, torchvision; trained on ImageNet",
    ),
    "lpips_squeeze": Source(
        files={
            "squeeze.pth": "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
            "lpips_squeeze_linear_v0.1.safetensors": "7b35c219aaf55e4be5486ee08f40bb7b92b7bba3130e7d90425b3d5a87de2097",
        },
        url="https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/squeeze.pth",
        license="BSD-2-Clause, R. Zhang",
    ),
    "vgg16": Source(
        files={"vgg16-397923af.pth": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"},
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        license="BSD-3-Clause, torchvision; trained on ImageNet",
    ),
    "vgg16_caffe": Source(
        files={"vgg16-00b39a1b.pth": "00b39a1b"},
        url="https://web.eecs.umich.edu/~justincj/models/vgg16-00b39a1b.pth",
        license="CC BY 4.0, Simonyan and Zisserman; converted by J. Johnson; trained on ImageNet",
    ),
    "lpips_vgg": Source(
        files={"vgg.pth": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"},
        url="https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/vgg.pth",
        license="BSD-2-Clause, R. Zhang",
    ),
    "inception": Source(
        files={
            "weights-inception-2015-12-05-6726825d.pth": (
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
            )
        },
        url=(
            "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth"
        ),
        license="Apache-2.0, Google; converted by A. Obukhov; trained on ImageNet",
    ),
    "dinov2": Source(
        files={"dinov2_vitl14_pretrain.pth": "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"},
        url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        license="Apache-2.0, Meta; trained on LVD-142M",
    ),
}

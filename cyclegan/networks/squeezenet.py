"""SqueezeNet 1.1 as a source of features: an ImageNet classifier of 5 MB, small enough for tests and for LPIPS.

Paper      Iandola et al., SqueezeNet, 2016; weights of torchvision, trained on ImageNet.
Images     RGB in [-1, 1], at least 32 pixels a side; `normalize` scales them as the weights or LPIPS expect.
Taps       the activations that LPIPS compares: after the first convolution, and after the fire modules 2, 4, 5, 6, 7, 8
           in torchvision's count from 1; 64, 128, 256, 384, 384, 512, 512 channels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import squeezenet1_1

from cyclegan.networks.weights import WrongWeightsError, load_weights
from cyclegan.protocols import Images

ENDS = (2, 5, 8, 10, 11, 12, 13)  # of the parts of the network, each of which ends in a tap
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of images in [0, 1]


class SqueezeNet(nn.Module):
    """Frozen, in float32, with the SHA-256 of its weights."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        weights = load_weights("squeezenet")
        network = squeezenet1_1(weights=None)
        try:
            network.load_state_dict({name: tensor.float() for name, tensor in weights.tensors.items()}, strict=False)
        except RuntimeError as error:
            raise WrongWeightsError(f"{weights.file}: is no SqueezeNet 1.1; fetch it anew") from error
        self.sha256 = weights.sha256
        self.features = network.features.eval().requires_grad_(False)
        for name, numbers in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(numbers)[:, None, None], persistent=False)

    def normalize(self, images: Images) -> Images:
        """As ImageNet classifiers expect."""
        return (images.add(1).div(2) - self.mean) / self.deviation

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Normalized images → the seven taps."""
        taps, begin = [], 0
        for end in ENDS:
            images = self.features[begin:end](images)
            taps.append(images)
            begin = end
        return taps

"""VGG-19 and VGG-16 as sources of features for Gatys' method, AdaIN and loss networks.

Paper      Simonyan, Zisserman, Very deep convolutional networks for large-scale image recognition, 2015.
Taps       relu1_1 relu1_2 | relu2_1 relu2_2 | relu3_1 … relu3_4 | relu4_1 … relu4_4 | relu5_1 … relu5_4,
           after the ReLU, with 64, 128, 256, 512, 512 channels; each block has half the height and width of
           the one before. VGG-16 has no fourth convolution in blocks 3 to 5.
Images     RGB in [-1, 1], as in the whole library; the preprocessing that the weights were trained with is
           applied inside. `torchvision`: subtract ImageNet's mean, divide by its deviation. `caffe`: BGR in
           0…255 minus (103.939, 116.779, 123.68); the channels of the first convolution are reversed once
           instead of those of every image.
Differs    from the trained network, by options. `average` pooling (Gatys et al. 2016, Sec. 2) is scaled by
           1.35, so that the mean activations of photographs and of paintings stay within 15 % of those with
           `max`, down to relu4_1 of Caffe's and of the normalised weights; unscaled they would be less than
           half as large there, and with the factor 2 of style-transfer-pytorch three times as large.
           `average_unscaled` is the plain mean.
           `reflect` (AdaIN) and `replicate` padding avoid the dark border that zero padding leaves in the
           features. `ceil` keeps the last row and column of an odd size, as Caffe and AdaIN do.
Weights    torchvision · caffe, the original · normalised, the original rescaled to mean activations of 1:
           AdaIN's encoder · normalised_torchvision, torchvision's rescaled by us · random, orthogonal, which
           need no download and still work for Gatys' method (He, Wang, Hopcroft, A powerful generative model
           using random weights for the deep image representation, 2016).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from importlib.resources import as_file, files
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, pad

from cyclegan.errors import UserError
from cyclegan.images.tensors import read
from cyclegan.networks.layers import contiguous_gradient
from cyclegan.networks.weights import Weights, WrongWeightsError, download_hint, load_weights
from cyclegan.protocols import Images

WIDTHS = (64, 128, 256, 512, 512)  # channels of the blocks
TAPS_OF = {  # architecture -> its taps, by depth
    name: tuple(f"relu{block}_{i}" for block, count in enumerate(counts, 1) for i in range(1, count + 1))
    for name, counts in {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}.items()
}
TAPS = TAPS_OF["vgg19"]
HALF_RANGE = 127.5  # levels of 0…255 in 1 of −1…1
CAFFE_MEAN = (103.939, 116.779, 123.68)  # of blue, green and red
PREPROCESSING = {  # of red, green and blue in [-1, 1]: factor, summand
    "torchvision": ((0.5 / 0.229, 0.5 / 0.224, 0.5 / 0.225), (0.015 / 0.229, 0.044 / 0.224, 0.094 / 0.225)),
    "caffe": ((HALF_RANGE,) * 3, tuple(HALF_RANGE - mean for mean in reversed(CAFFE_MEAN))),
}
PREPROCESSING_OF = {
    "torchvision": "torchvision",
    "caffe": "caffe",
    "normalised": "caffe",
    "normalised_torchvision": "torchvision",
    "random": "torchvision",
}
SOURCE_OF = {  # architecture -> its weights -> their name among SOURCES
    "vgg19": {name: name for name in ("torchvision", "caffe", "normalised")},
    "vgg16": {"torchvision": "vgg16", "caffe": "vgg16_caffe"},
}
PHOTOGRAPHS = (  # of the scikit-image wheel, the most colorful ones: without color.png some filters are never active
    *("astronaut.png", "chelsea.png", "coffee.png", "color.png", "hubble_deep_field.jpg", "ihc.png"),
    *("motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)
AVERAGE = 1.35  # scales the mean of four activations to the average size of their maximum
RARE = 0.01  # share of its layer's mean activation below which a filter counts as rarely active


class VGGFeatures(nn.Module):
    """VGG that returns features at named taps; built and run only as deep as the deepest of them.

    `description` identifies its weights by strings: name, sha256 and preprocessing at least.
    """

    factor: Tensor
    summand: Tensor

    def __init__(
        self,
        taps: Sequence[str],
        *,
        architecture: str = "vgg19",
        pooling: str = "max",
        padding: str = "zero",
        ceil: bool = False,
        preprocessing: str = "torchvision",
    ) -> None:
        super().__init__()
        self.taps = _by_depth(taps, TAPS_OF[architecture])
        self.architecture = architecture
        self.pooling, self.padding, self.ceil = pooling, padding, ceil
        self.description = {"name": "untrained", "sha256": "", "preprocessing": preprocessing}
        factor, summand = (torch.tensor(numbers)[:, None, None] for numbers in PREPROCESSING[preprocessing])
        self.register_buffer("factor", factor, persistent=False)
        self.register_buffer("summand", summand, persistent=False)
        layers = TAPS_OF[architecture][: TAPS_OF[architecture].index(self.taps[-1]) + 1]
        widths = [3, *(channels_at(tap) for tap in layers)]
        self.convolutions = nn.ModuleDict(
            {
                tap.replace("relu", "conv"): nn.Conv2d(*shape, 3, padding=1 if padding == "zero" else 0)
                for tap, shape in zip(layers, pairwise(widths), strict=True)
            }
        )

    def forward(self, images: Images) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Compute the features at the taps.

        (n, 3, h, w) in [-1, 1], any h and w ≥ 1 → tap -> (n, c, h', w'), in the order of depth.
        """
        return {tap: features for tap, features in self.activations(images) if tap in self.taps}

    def to_inference(self, dtype: torch.dtype, device: torch.device) -> "VGGFeatures":
        """Return a copy on a device whose convolutions compute in `dtype`, channels last.

        The preprocessing stays in float32. Autocast is not used: it pads in float32, which takes a fifth of
        the time on a CPU.
        """
        copied = deepcopy(self).to(device)
        copied.convolutions.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return copied

    def activations(self, images: Images) -> Iterator[tuple[str, Float[Tensor, "n _ _ _"]]]:
        """Yield the activations of one layer after the other, tapped or not."""
        features = torch.addcmul(self.summand, contiguous_gradient(images), self.factor)
        for name, convolution in self.layers():
            if name == "conv1_1":
                features = features.to(convolution.weight.dtype, memory_format=torch.channels_last)
            elif name.endswith("_1"):
                features = self._pool(features)
            features = convolution(self._pad(features)).relu_()
            yield name.replace("conv", "relu"), features

    def layers(self) -> Iterator[tuple[str, nn.Conv2d]]:
        """Yield the convolutions by name: conv1_1, conv1_2, …"""
        for name, convolution in self.convolutions.items():
            assert isinstance(convolution, nn.Conv2d)
            yield name, convolution

    def _pad(self, features: Tensor) -> Tensor:
        """Pad by 1; a side of a single pixel is replicated, as it cannot be reflected."""
        if self.padding == "zero":
            return features  # the convolution pads by itself, which saves a copy
        lone = min(features.shape[2:]) == 1
        return pad(features, (1, 1, 1, 1), "replicate" if lone else self.padding)

    def _pool(self, features: Tensor) -> Tensor:
        """Pool to half the size; a side of a single pixel stays."""
        window = [min(2, side) for side in features.shape[2:]]
        if self.pooling == "max":
            return max_pool2d(features, window, ceil_mode=self.ceil)
        scale = AVERAGE if self.pooling == "average" else 1.0
        factor = scale ** (sum(window) / 2 - 1)  # 1 where nothing is pooled
        return avg_pool2d(features, window, ceil_mode=self.ceil) * factor


def channels_at(tap: str) -> int:
    """Return the number of channels at a tap."""
    return WIDTHS[int(tap[4]) - 1]


def load_vgg(
    weights: str,
    taps: Sequence[str],
    *,
    architecture: str = "vgg19",
    pooling: str = "max",
    padding: str = "zero",
    ceil: bool = False,
    seed: int = 0,
) -> VGGFeatures:
    """Load VGG-19 or VGG-16 with the named weights, frozen; `seed` is that of random weights."""
    if weights not in PREPROCESSING_OF:
        raise UserError(f"weights: '{weights}' is not one of {', '.join(PREPROCESSING_OF)}")
    if weights == "normalised" and architecture == "vgg16":
        raise UserError("weights: 'normalised' are of VGG-19 alone; take caffe or torchvision, or architecture vgg19")
    options = {"architecture": architecture, "pooling": pooling, "padding": padding, "ceil": ceil}
    with torch.device("cpu"):  # even where a method is built on the meta device, to be filled from a checkpoint
        vgg = VGGFeatures(taps, **options, preprocessing=PREPROCESSING_OF[weights])  # type: ignore[arg-type]
        if weights == "random":
            _fill_at_random(vgg, seed)
        elif weights == "normalised_torchvision":
            plain = load_vgg("torchvision", taps, architecture=architecture)  # with the pooling of its training
            vgg.load_state_dict(normalize_activations(plain, _photographs()).state_dict())
            vgg.description = plain.description | {"normalised": f"on {len(PHOTOGRAPHS)} photographs of scikit-image"}
        else:
            source = SOURCE_OF[architecture][weights]
            _fill(vgg, source, load_weights(source))
    vgg.description["name"] = weights
    return vgg.eval().requires_grad_(False)


@torch.no_grad()
def normalize_activations(vgg: VGGFeatures, batches: Iterable[Float[Tensor, "_ 3 _ _"]]) -> VGGFeatures:
    """Return a copy with a mean activation of 1 in every filter (Gatys et al. 2016, Sec. 2).

    The mean is over all images and positions. W' = W · s_in / s_out and b' = b / s_out, where s are the mean
    activations. ReLU and pooling commute with positive factors, so only the scale of the features changes. A
    filter whose mean activation on these images is below a hundredth of its layer's mean is treated as having
    that hundredth; otherwise it would dominate all others on an image where it is active.
    """
    scaled = deepcopy(vgg)
    means = _mean_activations(vgg, batches)
    incoming = torch.ones_like(vgg.factor.flatten())
    for (_, convolution), mean in zip(scaled.layers(), means, strict=True):
        outgoing = mean.clamp(min=RARE * mean.mean())
        convolution.weight.mul_(incoming[:, None, None]).div_(outgoing[:, None, None, None])
        convolution.get_parameter("bias").div_(outgoing)
        incoming = outgoing
    return scaled


def _mean_activations(vgg: VGGFeatures, batches: Iterable[Float[Tensor, "_ 3 _ _"]]) -> list[Float[Tensor, " _"]]:
    """Compute the mean activation of every filter, layer by layer."""
    totals = [torch.zeros_like(convolution.weight[:, 0, 0, 0], dtype=torch.float64) for _, convolution in vgg.layers()]
    counts = [0] * len(totals)
    for images in batches:
        for i, (_, features) in enumerate(vgg.activations(images)):
            totals[i] += features.sum(dim=(0, 2, 3), dtype=torch.float64)
            counts[i] += features[:, 0].numel()
    return [(total / count).float() for total, count in zip(totals, counts, strict=True)]


def _by_depth(taps: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    unknown = sorted(set(taps) - set(known))
    if unknown or not taps:
        raise UserError(f"taps: '{', '.join(unknown)}' is not among {' '.join(known)}")
    return tuple(tap for tap in known if tap in taps)


def _photographs() -> Iterator[Images]:
    """Yield the photographs with a shorter side of 256 pixels."""
    for name in PHOTOGRAPHS:
        with as_file(files("skimage") / "data" / name) as path:
            image = read(path)
        scale = 256 / min(image.shape[2:])
        yield interpolate(image, scale_factor=scale, mode="bicubic", antialias=True).clamp(-1, 1)


def _fill_at_random(vgg: VGGFeatures, seed: int) -> None:
    """Fill with orthogonal weights that keep the size of the activations through a ReLU.

    The weights of a layer do not depend on how many layers follow.
    """
    generator = torch.Generator().manual_seed(seed)
    for _, convolution in vgg.layers():
        nn.init.orthogonal_(convolution.weight, gain=2**0.5, generator=generator)
        nn.init.zeros_(convolution.get_parameter("bias"))
    vgg.description["seed"] = str(seed)


def _fill(vgg: VGGFeatures, name: str, weights: Weights) -> None:
    """Copy the weights of a file, as deep as they are needed."""
    found = _in_order(weights)
    if len(found) < len(vgg.convolutions):
        deepest = (
            f"its deepest tap is {TAPS_OF[vgg.architecture][len(found) - 1]}" if found else "it holds no convolution"
        )
        raise UserError(
            f"{weights.file}: {deepest}, and {vgg.taps[-1]} is asked for; ask for less depth, or {download_hint(name)}"
        )
    for (key, weight, bias), (_, convolution) in zip(found, vgg.layers(), strict=False):
        if weight.shape != convolution.weight.shape or len(bias) != len(weight):
            title = vgg.architecture.upper().replace("VGG", "VGG-")
            shapes = f"{tuple(weight.shape)} and not {tuple(convolution.weight.shape)}"
            raise WrongWeightsError(f"{weights.file}: {key} has the shape {shapes}; take weights of {title}")
        if vgg.description["preprocessing"] == "caffe" and key == found[0][0]:
            weight = weight.flip(1)  # the weights expect blue first, the images have red first
        convolution.load_state_dict({"weight": weight, "bias": bias})
    vgg.description |= {
        "file": weights.file,
        "sha256": weights.sha256,
        "known": f"{weights.known} of 64 digits",
        "license": weights.license,
    }


def _in_order(weights: Weights) -> list[tuple[str, Tensor, Tensor]]:
    """Return key, weight and bias of every 3×3 convolution, in the order of the numbers in their keys.

    The keys are conv1_1 conv1_2 …, or positions in a sequence: features.0 features.2 … or 0 2 …. A file of
    the last kind begins with a 1×1 convolution for the preprocessing, which is compared with ours and left
    out.
    """
    tensors = weights.tensors
    keys = [key for key, tensor in tensors.items() if tensor.ndim == 4]
    keys.sort(key=lambda key: [int(number) for number in re.findall(r"\d+", key)])
    layers = [(key, tensors[key], tensors.get(key.replace("weight", "bias"), torch.empty(0))) for key in keys]
    if layers and layers[0][1].shape == (3, 3, 1, 1):
        _, weight, bias = layers.pop(0)
        wanted = torch.cat([255 * torch.eye(3).flip(0), -torch.tensor([CAFFE_MEAN]).mT], dim=1)
        if bias.shape != (3,) or not torch.allclose(torch.cat([weight[:, :, 0, 0], bias[:, None]], dim=1), wanted):
            raise WrongWeightsError(
                f"{weights.file}: its first convolution is not Caffe's preprocessing; fetch it anew"
            )
    return layers

"""VGG-19 and VGG-16 as a source of features, its weights under the public names, and their normalization."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad
from torchvision.models.vgg import make_layers
from torchvision.transforms.functional import normalize

from cyclegan.errors import UserError
from cyclegan.networks.vgg import TAPS, VGGFeatures, load_vgg, normalize_activations
from cyclegan.networks.vgg import _photographs as photographs_of_scikit_image
from cyclegan.networks.weights import WrongWeightsError

TWO_BLOCKS = [64, 64, "M", 128, 128]  # torchvision's way to say it


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 13, 18, generator=torch.Generator().manual_seed(0)) * 2 - 1


def randomized(network: nn.Module) -> nn.Module:
    """With biases that matter, and let every filter fire now and then."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            layer.weight.data -= layer.weight.data.mean(dim=(1, 2, 3), keepdim=True)
            nn.init.uniform_(layer.bias, 0, 1, generator=generator)
    return network.eval()


def public_encoder() -> nn.Sequential:
    """The first two blocks of AdaIN's encoder as it was released: the preprocessing is its first convolution."""
    first = nn.Conv2d(3, 3, 1)
    first.weight.data = torch.tensor([[0.0, 0.0, 255.0], [0.0, 255.0, 0.0], [255.0, 0.0, 0.0]])[:, :, None, None]
    first.bias.data = torch.tensor([-103.939, -116.779, -123.68])
    layers: list[nn.Module] = [first]
    for channels, width in pairwise([3, 64, 64, 128, 128]):
        if (channels, width) == (64, 128):
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, width, 3), nn.ReLU()]
    return randomized(nn.Sequential(*layers))


def test_to_relu4_1_it_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = VGGFeatures(["relu4_1"])
    assert sum(p.numel() for p in network.parameters()) == 3_505_740 - 12  # the preprocessing is no convolution here


def test_every_tap_has_its_width_and_its_size():
    features = load_vgg("random", TAPS)(torch.zeros(1, 3, 32, 48))
    assert tuple(features) == TAPS
    for tap, activation in features.items():
        block = int(tap[4])
        width = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}[block]
        assert activation.shape == (1, width, 32 >> block - 1, 48 >> block - 1)
        assert activation.min() >= 0


def test_it_is_built_as_deep_as_the_deepest_tap_and_answers_in_the_order_of_depth(images):
    network = load_vgg("random", ["relu2_1", "relu1_2", "relu2_1"])
    assert list(network.convolutions) == ["conv1_1", "conv1_2", "conv2_1"]
    assert list(network(images)) == ["relu1_2", "relu2_1"]


@pytest.mark.parametrize("taps", [["relu3_5"], ["relu1_1", "conv4_2"], []])
def test_a_tap_that_vgg_does_not_have_is_refused(taps):
    with pytest.raises(UserError, match=r"is not among relu1_1 .* relu5_4"):
        VGGFeatures(taps)


def test_an_unknown_name_of_weights_is_refused():
    with pytest.raises(UserError, match="'vgg19' is not one of torchvision, caffe, normalised"):
        load_vgg("vgg19", ["relu1_1"])


def test_torchvisions_file_gives_torchvisions_features(provide, images):
    reference = randomized(make_layers(TWO_BLOCKS))
    tensors = {f"features.{key}": tensor for key, tensor in reference.state_dict().items()}
    sha256 = provide("torchvision", tensors | {"classifier.0.weight": torch.zeros(3, 3)})
    network = load_vgg("torchvision", ["relu1_1", "relu2_2"])
    wanted = normalize((images + 1) / 2, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    features = network(images)
    assert torch.allclose(features["relu1_1"], reference[:2](wanted), atol=1e-5)
    assert torch.allclose(features["relu2_2"], reference(wanted), atol=1e-4)
    assert network.description == {
        "name": "torchvision",
        "file": "torchvision.pth",
        "sha256": sha256,
        "known": "64 of 64 digits",
        "license": "ours",
        "preprocessing": "torchvision",
    }


def test_vgg_16_has_three_convolutions_where_vgg_19_has_four(provide, images):
    reference = randomized(make_layers([*TWO_BLOCKS, "M", 256, 256, 256, "M", 512]))
    provide("vgg16", {f"features.{key}": tensor for key, tensor in reference.state_dict().items()})
    network = load_vgg("torchvision", ["relu3_3", "relu4_1"], architecture="vgg16")
    wanted = normalize((images + 1) / 2, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert torch.allclose(network(images)["relu4_1"], reference(wanted), rtol=1e-4, atol=1e-4)
    assert network.description["name"] == "torchvision"


def test_all_convolutions_of_vgg_16_have_the_published_number_of_parameters():
    with torch.device("meta"):
        network = VGGFeatures(["relu5_3"], architecture="vgg16")
    assert sum(p.numel() for p in network.parameters()) == 14_714_688


def test_weights_of_vgg_19_are_not_taken_for_vgg_16(provide):
    provide("vgg16_caffe", make_layers([*TWO_BLOCKS, "M", 256, 256, 256, 256, "M", 512]).state_dict())
    with pytest.raises(WrongWeightsError, match="take weights of VGG-16"):
        load_vgg("caffe", ["relu4_1"], architecture="vgg16")
    with pytest.raises(UserError, match="weights: 'normalised' are of VGG-19 alone"):
        load_vgg("normalised", ["relu1_1"], architecture="vgg16")


def test_adains_released_encoder_gives_its_features(provide, images):
    reference = public_encoder()
    provide("normalised", reference.state_dict())
    features = load_vgg("normalised", ["relu2_2"], padding="reflect", ceil=True)(images)["relu2_2"]
    wanted = reference((images + 1) / 2)
    assert features.shape == (2, 128, 7, 9)
    assert torch.allclose(features, wanted, atol=1e-5 * wanted.max().item())


def test_an_encoder_with_another_preprocessing_is_refused(provide):
    encoder = public_encoder()
    encoder[0].weight.data = encoder[0].weight.data.flip(0)
    provide("normalised", encoder.state_dict())
    with pytest.raises(WrongWeightsError, match="its first convolution is not Caffe's preprocessing"):
        load_vgg("normalised", ["relu1_1"])


def test_caffes_weights_see_blue_green_red_in_0_to_255_less_the_mean(provide, images):
    first = nn.Conv2d(3, 64, 3, padding=1)
    provide("caffe", {"conv1_1.weight": first.weight, "conv1_1.bias": first.bias})
    blue_first = ((images + 1) * 127.5).flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    found = load_vgg("caffe", ["relu1_1"])(images)["relu1_1"]
    assert torch.allclose(found, first(blue_first).relu(), atol=1e-3)


def test_keys_are_ordered_by_number_and_not_by_spelling(provide):
    layers = make_layers([64, 64, "M", 128, 128, "M", 256, 256])
    provide("torchvision", {f"features.{key}": t for key, t in reversed(layers.state_dict().items())})
    network = load_vgg("torchvision", ["relu3_2"])
    assert torch.equal(network.convolutions["conv3_1"].weight, layers[10].weight)


def test_a_tap_below_what_a_file_holds_is_refused_with_the_deepest_it_has(provide):
    provide("caffe", {f"conv1_1.{k}": t for k, t in nn.Conv2d(3, 64, 3).state_dict().items()})
    with pytest.raises(UserError) as caught:
        load_vgg("caffe", ["relu1_1", "relu2_1"])
    message = str(caught.value)
    assert "caffe.pth: its deepest tap is relu1_1, and relu2_1 is asked for" in message
    assert "https://example.org/caffe.pth" in message
    assert "\n" not in message


@pytest.mark.parametrize("tensors", [{}, {"fc.weight": torch.zeros(2, 2)}])
def test_a_file_without_convolutions_is_refused(provide, tensors):
    provide("caffe", tensors)
    with pytest.raises(UserError, match=r"caffe\.pth: it holds no convolution"):
        load_vgg("caffe", ["relu1_1"])


def test_weights_of_another_network_are_refused(provide):
    provide("caffe", nn.Conv2d(3, 96, 3).state_dict())
    with pytest.raises(WrongWeightsError, match=r"weight has the shape \(96, 3, 3, 3\) and not \(64, 3, 3, 3\)"):
        load_vgg("caffe", ["relu1_1"])


def copying(pooling: str, padding: str = "zero", ceil: bool = False) -> VGGFeatures:
    """Block 2 begins with a copy of what pooling makes of relu1_2."""
    network = VGGFeatures(["relu1_2", "relu2_1"], pooling=pooling, padding=padding, ceil=ceil)
    nn.init.dirac_(network.convolutions["conv2_1"].weight)
    nn.init.zeros_(network.convolutions["conv2_1"].bias)
    return network


def test_average_pooling_is_the_mean_of_four_scaled(images):
    features = copying("average")(images)
    fours = features["relu1_2"][:, :, :12].unflatten(2, (6, 2)).unflatten(4, (9, 2))
    assert torch.allclose(features["relu2_1"][:, :64], 1.35 * fours.mean(dim=(3, 5)), atol=1e-6)


def test_max_pooling_is_the_largest_of_four(images):
    features = copying("max")(images)
    assert torch.equal(features["relu2_1"][:, :64], max_pool2d(features["relu1_2"], 2))


def test_average_pooling_may_be_left_unscaled(images):
    features = copying("average_unscaled")(images)
    assert torch.allclose(features["relu2_1"][:, :64], avg_pool2d(features["relu1_2"], 2), atol=1e-6)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_ceil_keeps_the_last_row_of_an_odd_height(images, pooling):
    features = copying(pooling, ceil=True)(images)
    last = features["relu1_2"][:, :, 12:].unflatten(3, (9, 2))
    wanted = last.amax(dim=4) if pooling == "max" else 1.35 * last.mean(dim=4)
    assert features["relu2_1"].shape[2:] == (7, 9)
    assert torch.allclose(features["relu2_1"][:, :64, 6:], wanted, atol=1e-6)


@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
def test_only_zero_padding_draws_a_frame_into_a_constant_image(padding):
    features = load_vgg("random", ["relu3_1"], padding=padding)(torch.full((1, 3, 24, 24), 0.7))["relu3_1"]
    flat = features.amax(dim=(2, 3)) - features.amin(dim=(2, 3)) < 1e-5
    assert flat.all() == (padding != "zero")


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
def test_padding_is_that_of_torch(images, padding):
    network = load_vgg("random", ["relu1_1", "relu1_2"], padding=padding)
    features = network(images)
    conv = network.convolutions["conv1_2"]
    wanted = conv2d(pad(features["relu1_1"], (1, 1, 1, 1), padding), conv.weight, conv.bias).relu()
    assert torch.equal(features["relu1_2"], wanted)


@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
def test_images_of_any_size_have_features(padding):
    network = load_vgg("random", ["relu5_1"], padding=padding)
    for size in [(1, 1), (1, 40), (17, 2), (16, 31)]:
        features = network(torch.zeros(1, 3, *size))["relu5_1"]
        assert features.shape == (1, 512, max(1, size[0] // 16), max(1, size[1] // 16))


def test_it_is_frozen_and_lets_gradients_through_to_the_images(images):
    network = load_vgg("random", ["relu2_1"])
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    network(images.requires_grad_())["relu2_1"].sum().backward()
    assert images.grad.abs().min() > 0


def test_random_weights_are_those_of_their_seed_at_any_depth():
    one, deeper, other = (
        load_vgg("random", [tap], seed=seed) for tap, seed in (("relu1_2", 3), ("relu2_1", 3), ("relu1_2", 4))
    )
    for key, weight in one.state_dict().items():
        assert torch.equal(weight, deeper.state_dict()[key])
    assert not torch.equal(one.convolutions["conv1_1"].weight, other.convolutions["conv1_1"].weight)


def test_random_weights_are_orthogonal_and_say_that_they_are_random():
    network = load_vgg("random", ["relu1_2"], seed=5)
    rows = network.convolutions["conv1_2"].weight.flatten(1)
    assert torch.allclose(rows @ rows.mT, 2 * torch.eye(64), atol=1e-5)
    assert network.description == {"name": "random", "sha256": "", "preprocessing": "torchvision", "seed": "5"}


def means(network: VGGFeatures, batches: list[Tensor]) -> list[Tensor]:
    """Of every filter, layer by layer, over all positions of all batches."""
    with torch.no_grad():
        by_layer = zip(*(network.activations(batch) for batch in batches), strict=True)
        return [torch.cat([a.movedim(1, -1).flatten(0, -2) for _, a in found]).mean(dim=0) for found in by_layer]


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_normalised_filters_have_a_mean_activation_of_one_and_see_the_same(images, pooling):
    network = randomized(VGGFeatures(["relu1_1", "relu2_2", "relu3_1"], pooling=pooling))
    batches = [images, images[:1, :, :9, :11].flip(2)]
    scaled = normalize_activations(network, batches)
    for before, after in zip(means(network, batches), means(scaled, batches), strict=True):
        assert torch.allclose(after, torch.ones_like(after), atol=1e-4)
        assert before.max() > 2 * before.min()  # that was different
    for before, after in zip(network(images).values(), scaled(images).values(), strict=True):
        factor = before.mean(dim=(0, 2, 3)) / after.mean(dim=(0, 2, 3))
        assert torch.allclose(after * factor[:, None, None], before, rtol=1e-3, atol=1e-4)


def test_normalising_leaves_the_network_as_it_was(images):
    network = randomized(VGGFeatures(["relu1_2"]))
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    normalize_activations(network, [images])
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


def test_a_filter_that_never_fires_stays_finite_and_does_not_drown_the_others(images):
    network = randomized(VGGFeatures(["relu1_2"]))
    network.convolutions["conv1_1"].bias.data[7] = -1e6
    scaled = normalize_activations(network, [images])
    first, second = scaled.convolutions["conv1_1"], scaled.convolutions["conv1_2"]
    assert first.weight.isfinite().all()
    assert second.weight.isfinite().all()
    mean = means(network, [images])[0].mean()
    assert torch.allclose(first.weight[7], network.convolutions["conv1_1"].weight[7] / (0.01 * mean))


def test_torchvisions_weights_are_normalised_on_the_photographs_of_scikit_image(provide):
    provide("torchvision", randomized(make_layers([64])).state_dict())
    options = {"pooling": "average", "padding": "replicate"}
    plain, scaled = (load_vgg(name, ["relu1_1"], **options) for name in ("torchvision", "normalised_torchvision"))
    pictures = list(photographs_of_scikit_image())
    assert [min(picture.shape[2:]) for picture in pictures] == [256] * 9
    plain.padding, plain.convolutions["conv1_1"].padding = "zero", (1, 1)  # as trained
    wanted = normalize_activations(plain, pictures)
    for key, weight in scaled.state_dict().items():
        assert torch.equal(weight, wanted.state_dict()[key])
    assert scaled.padding == "replicate"
    assert scaled.description["name"] == "normalised_torchvision"
    assert scaled.description["normalised"] == "on 9 photographs of scikit-image"
    assert scaled.description["sha256"] == plain.description["sha256"]


def test_it_is_real_also_where_a_method_is_built_without_memory():
    with torch.device("meta"):
        network = load_vgg("random", ["relu1_1"])
    assert {tensor.device.type for tensor in (*network.parameters(), *network.buffers())} == {"cpu"}


def test_in_bfloat16_it_sees_nearly_the_same(images):
    network = load_vgg("random", ["relu2_1"])
    exact, rounded = network(images)["relu2_1"], network.bfloat16()(images)["relu2_1"]
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).norm() < 0.03 * exact.norm()


def test_instance_norms_before_it_get_the_gradient_of_a_single_image_right():
    """PyTorch gets it wrong where the gradient is channels last: see test_frozen.py."""
    vgg = load_vgg("random", ["relu2_1"]).double()
    generator = torch.Generator().manual_seed(0)

    def gradient(images: Tensor) -> Tensor:
        leaf = images.clone().requires_grad_()
        vgg(nn.functional.instance_norm(leaf))["relu2_1"].square().sum().backward()
        return leaf.grad

    both = torch.rand(2, 3, 12, 12, generator=generator, dtype=torch.float64)
    assert torch.allclose(torch.cat([gradient(image) for image in both.split(1)]), gradient(both), atol=1e-12)

"""AdaINDecoder: the encoder in reverse, and released decoders in its place."""

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cyclegan.errors import UserError
from cyclegan.networks.adain_decoder import AdaINDecoder, load_decoder

WIDTHS = [(512, 256), (256, 256), (256, 256), (256, 256), (256, 128), (128, 128), (128, 64), (64, 64), (64, 3)]
UPSAMPLED = {0, 4, 6}  # the layers that an up-sampling follows


@pytest.fixture(scope="module")
def public() -> nn.Sequential:
    """The decoder as the public code writes it, with images in [0, 1]."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for i, ends in enumerate(WIDTHS):
        layers += [nn.ReflectionPad2d((1, 1, 1, 1)), nn.Conv2d(*ends, (3, 3)), nn.ReLU()]
        layers += [nn.Upsample(scale_factor=2, mode="nearest")] if i in UPSAMPLED else []
    return nn.Sequential(*layers[:-1])


@pytest.fixture(scope="module")
def features() -> Tensor:
    return torch.rand(2, 512, 2, 3, generator=torch.Generator().manual_seed(0))


def numbered(public: nn.Sequential) -> dict[str, Tensor]:
    """The same weights as dec0 … dec8."""
    convolutions = [layer for layer in public if isinstance(layer, nn.Conv2d)]
    return {f"dec{i}.{name}": value for i, conv in enumerate(convolutions) for name, value in conv.state_dict().items()}


def test_has_the_published_number_of_parameters():
    assert sum(p.numel() for p in AdaINDecoder().parameters()) == 3_505_219


def test_every_position_of_the_features_becomes_8_by_8_pixels(features):
    assert AdaINDecoder()(features).shape == (2, 3, 16, 24)


def test_nothing_normalizes_and_nothing_bounds_the_output(features):
    decoder = AdaINDecoder()
    kinds = {type(layer) for layer in decoder}
    assert kinds == {nn.Conv2d, nn.ReLU, nn.Upsample}
    assert isinstance(decoder[-1], nn.Conv2d)
    nn.init.constant_(decoder[-1].bias, 7.0)
    assert decoder(features).min() > 3


def test_a_pixel_depends_on_features_up_to_4_positions_away():
    decoder = AdaINDecoder().double()
    features = torch.rand(1, 512, 1, 13).double().expand(-1, -1, 13, -1).clone().requires_grad_()
    decoder(features)[0, :, 6 * 8 : 7 * 8, 6 * 8 : 7 * 8].sum().backward()
    touched = features.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    assert (touched.min(), touched.max()) == (6 - 4, 6 + 4)


@pytest.mark.parametrize("naming", ["decoder.pth", "decoder.safetensors"])
def test_a_released_decoder_draws_the_same_images_on_our_scale(public, features, tmp_path, naming):
    path = tmp_path / naming
    torch.save(public.state_dict(), path) if path.suffix == ".pth" else save_file(numbered(public), path)
    ours = load_decoder(path)
    assert torch.allclose(ours(features), 2 * public(features) - 1, atol=1e-6)


def test_the_numbers_of_public_layers_are_read_as_numbers(public, features, tmp_path):
    state = dict(sorted(public.state_dict().items(), reverse=True))  # 8 before 28 before 25 …
    torch.save(state, tmp_path / "decoder.pth")
    assert torch.allclose(load_decoder(tmp_path / "decoder.pth")(features), 2 * public(features) - 1, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("dec8.bias"), r"conv1_1\.bias"),
        (lambda state: [state.pop(f"dec0.{part}") for part in ("weight", "bias")], "8 layers, not 9"),
        (lambda state: state.update({"enc.weight": torch.zeros(1)}), "'enc.weight' is unknown"),
        (lambda state: state.update({"dec3.bias": torch.zeros(7)}), r"conv3_2\.bias"),
    ],
    ids=["bias missing", "layer missing", "strange name", "wrong shape"],
)
def test_a_file_that_holds_no_decoder_is_named_with_the_reason(public, tmp_path, change, said):
    state = numbered(public)
    change(state)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=rf"other\.safetensors: holds no AdaIN decoder \(.*{said}.*decoder\.pth"):
        load_decoder(tmp_path / "other.safetensors")

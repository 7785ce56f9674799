"""DINOv2: the released size and names, and the numbers of the paper's formulas; with random weights, and small."""

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import Tensor, nn

from cyclegan.networks.dinov2 import DINOv2, load_dinov2
from cyclegan.networks.weights import WrongWeightsError

SMALL = {"width": 48, "depth": 2, "heads": 3, "grid": 5}
SHAPES = {  # of the released ViT-L/14
    "cls_token": (1, 1, 1024),
    "pos_embed": (1, 1370, 1024),
    "mask_token": (1, 1024),
    "patch_embed.proj.weight": (1024, 3, 14, 14),
    "patch_embed.proj.bias": (1024,),
    "norm.weight": (1024,),
    "norm.bias": (1024,),
}
SHAPES_OF_A_BLOCK = {
    "norm1.weight": (1024,),
    "norm1.bias": (1024,),
    "attn.qkv.weight": (3072, 1024),
    "attn.qkv.bias": (3072,),
    "attn.proj.weight": (1024, 1024),
    "attn.proj.bias": (1024,),
    "ls1.gamma": (1024,),
    "norm2.weight": (1024,),
    "norm2.bias": (1024,),
    "mlp.fc1.weight": (4096, 1024),
    "mlp.fc1.bias": (4096,),
    "mlp.fc2.weight": (1024, 4096),
    "mlp.fc2.bias": (1024,),
    "ls2.gamma": (1024,),
}


@pytest.fixture
def dinov2() -> DINOv2:
    """With weights under which everything matters."""
    torch.manual_seed(0)
    network = DINOv2(**SMALL).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        nn.init.normal_(parameter, mean=float("norm" in name and "weight" in name), std=0.3)
    return network


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def by_hand(w: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """The feature of an image of 5 × 5 squares in [-1, 1], in NumPy and one head after the other."""
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    image = ((image + 1) / 2 - mean) / deviation
    squares = [image[:, r : r + 14, c : c + 14].ravel() for r in range(0, 70, 14) for c in range(0, 70, 14)]
    patches = np.stack(squares) @ w["patch_embed.proj.weight"].reshape(48, -1).T + w["patch_embed.proj.bias"]
    x = np.concatenate([w["cls_token"][0], patches]) + w["pos_embed"][0]
    for i in (0, 1):
        b = {name.removeprefix(f"blocks.{i}."): value for name, value in w.items()}
        x = x + b["ls1.gamma"] * attention_by_hand(b, norm_by_hand(x, b["norm1.weight"], b["norm1.bias"]))
        hidden = norm_by_hand(x, b["norm2.weight"], b["norm2.bias"]) @ b["mlp.fc1.weight"].T + b["mlp.fc1.bias"]
        hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
        x = x + b["ls2.gamma"] * (hidden @ b["mlp.fc2.weight"].T + b["mlp.fc2.bias"])
    return norm_by_hand(x, w["norm.weight"], w["norm.bias"])[0]


def attention_by_hand(b: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Rows 0…47 of qkv are the queries, 16 for each head; then the keys, then the values."""
    heads = []
    for head in range(3):
        rows = [slice(48 * part + 16 * head, 48 * part + 16 * (head + 1)) for part in range(3)]
        q, k, v = (x @ b["attn.qkv.weight"][row].T + b["attn.qkv.bias"][row] for row in rows)
        weights = np.exp(q @ k.T / 4)
        heads.append(weights / weights.sum(axis=1, keepdims=True) @ v)
    return np.concatenate(heads, axis=1) @ b["attn.proj.weight"].T + b["attn.proj.bias"]


def norm_by_hand(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centered = x - x.mean(axis=1, keepdims=True)
    return centered / np.sqrt(np.square(centered).mean(axis=1, keepdims=True) + 1e-6) * weight + bias


def cubic_by_hand(values: np.ndarray, count: int) -> np.ndarray:
    """Along the first axis, to `count` values a step of n / (count + 0.1) apart; Keys 1981 with a = -3/4."""
    n, found = len(values), []
    for i in range(count):
        at = (i + 0.5) * n / (count + 0.1) - 0.5
        near = np.arange(np.floor(at) - 1, np.floor(at) + 3)
        t = np.abs(at - near)
        inner, outer = 1.25 * t**3 - 2.25 * t**2 + 1, -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
        found.append(np.tensordot(np.where(t <= 1, inner, outer), values[np.clip(near, 0, n - 1).astype(int)], 1))
    return np.stack(found)


def test_vit_l_has_the_names_the_shapes_and_the_304_368_640_parameters_of_the_released_file():
    with torch.device("meta"):
        found = {name: tuple(tensor.shape) for name, tensor in DINOv2().state_dict().items()}
    blocks = {f"blocks.{i}.{name}": shape for i in range(24) for name, shape in SHAPES_OF_A_BLOCK.items()}
    assert found == SHAPES | blocks
    d = 1024
    block = 12 * d**2 + 13 * d + 2 * d  # qkv, proj and MLP; their biases and two norms; two LayerScales
    rest = (3 * 14**2 + 1) * d + (37**2 + 1) * d + 2 * d + 2 * d  # squares, positions, two tokens, the last norm
    assert sum(map(np.prod, found.values())) == 24 * block + rest == 304_368_640


@pytest.mark.parametrize(("height", "width", "tokens"), [(224, 224, 257), (518, 518, 1370), (56, 84, 25), (69, 14, 5)])
def test_there_is_a_token_for_each_square_and_one_for_the_class(dinov2, height, width, tokens):
    assert dinov2.tokens(torch.zeros(2, 3, height, width)).shape == (2, tokens, 48)


def test_a_square_changes_its_own_token_and_every_token_changes_the_class(dinov2):
    image = noise(1, 3, 42, 70)
    other = image.clone()
    other[:, :, 14:28, 42:56] += 0.1
    changed = (dinov2.tokens(other) != dinov2.tokens(image)).any(dim=2)[0]
    assert changed.nonzero().flatten().tolist() == [1 + 5 + 3]
    assert not torch.allclose(dinov2(other), dinov2(image), atol=1e-4)


def test_positions_are_the_learned_ones_where_there_are_as_many_squares(dinov2):
    assert torch.equal(dinov2.positions(5, 5), dinov2.pos_embed)


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (5, 4), (2, 8)])
def test_other_positions_are_interpolated_as_in_the_released_code_and_the_class_stays(dinov2, rows, columns):
    found = dinov2.positions(rows, columns)[0]
    learned = dinov2.pos_embed[0, 1:].reshape(5, 5, 48).double().numpy()
    expected = cubic_by_hand(cubic_by_hand(learned, rows).swapaxes(0, 1), columns).swapaxes(0, 1)
    assert np.allclose(found[1:], expected.reshape(rows * columns, 48), atol=1e-5)
    assert torch.equal(found[0], dinov2.pos_embed[0, 0])


def test_features_agree_with_the_formulas_by_hand(dinov2):
    images = noise(2, 3, 70, 70)
    weights = {name: tensor.double().numpy() for name, tensor in dinov2.state_dict().items()}
    expected = [by_hand(weights, image) for image in images.double().numpy()]
    assert np.allclose(dinov2(images), expected, rtol=1e-4, atol=1e-5)


def test_a_file_with_the_released_names_gives_its_features_frozen(dinov2, provide):
    sha256 = provide("dinov2", dinov2.state_dict())
    loaded = load_dinov2(**SMALL)
    assert loaded.sha256 == sha256
    assert torch.equal(loaded(noise(1, 3, 28, 42)), dinov2(noise(1, 3, 28, 42)))
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in loaded.parameters())
    assert not loaded.training


@pytest.mark.parametrize("spoil", ["missing", "another size", "half a block more"])
def test_a_file_of_another_network_is_refused_by_name(dinov2, provide, spoil):
    tensors = dinov2.state_dict()
    changes = {
        "missing": lambda: tensors.pop("blocks.1.ls2.gamma"),
        "another size": lambda: tensors.update(pos_embed=tensors["pos_embed"][:, 1:]),
        "half a block more": lambda: tensors.update({"blocks.2.norm1.weight": torch.ones(48)}),
    }
    changes[spoil]()
    provide("dinov2", tensors)
    with pytest.raises(WrongWeightsError, match=r"^dinov2\.pth: is no DINOv2 ViT-L/14; fetch it anew$"):
        load_dinov2(**SMALL)

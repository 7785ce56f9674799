"""Every network is one graph to the compiler, whatever its options, and computes the same as one."""

import subprocess
import sys

import pytest

SCRIPT = """
import torch
from cyclegan.networks.patchgan import MultiscaleDiscriminator, PatchDiscriminator
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.networks.unet import UnetGenerator

for build in {builds}:
    torch.manual_seed(0)
    network, images = build().eval(), torch.randn(2, 3, 32, 32)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    drawn = compiled(images)
    drawn.square().mean().backward()
    assert torch.allclose(drawn, network(images), atol=1e-5)
"""
GENERATOR = "lambda: ResnetGenerator(base_channels=4, blocks=1, {})"
UNET = "lambda: UnetGenerator(base_channels=4, downsamplings=3, {})"
BUILDS = {
    "norms": [GENERATOR.format(f"norm={norm!r}") for norm in ("instance", "batch", "layer", "group", "none")],
    "resampling": [
        GENERATOR.format("downsampling='blur', upsampling='blur'"),
        GENERATOR.format("upsampling='shuffle'"),
        GENERATOR.format("upsampling='resize'"),
    ],
    "unet": [UNET.format("dropout=0.5"), UNET.format("norm='batch', downsampling='blur', upsampling='shuffle'")],
    "discriminators": [
        "lambda: PatchDiscriminator(base_channels=4, layers=0)",
        "lambda: MultiscaleDiscriminator(scales=2, base_channels=4, layers=1)",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("builds", BUILDS.values(), ids=BUILDS)
def test_a_network_is_one_graph(builds):
    """In a process of its own: the checks of shapes under pytest are no part of a graph."""
    script = SCRIPT.format(builds=f"[{', '.join(builds)}]")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr

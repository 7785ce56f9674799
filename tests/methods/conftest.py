"""What the tests of methods share: weights of LPIPS that are ours."""

import pytest
import torch
from torchvision.models import squeezenet1_1

CHANNELS = (64, 128, 256, 384, 384, 512, 512)  # of the features of SqueezeNet that LPIPS compares


@pytest.fixture
def random_lpips(provide) -> None:
    """Under the released names; of the heads none is negative."""
    torch.manual_seed(0)
    provide("squeezenet", squeezenet1_1().state_dict())
    heads = {f"lin{i}.model.1.weight": torch.rand(1, channels, 1, 1) for i, channels in enumerate(CHANNELS)}
    provide("lpips_squeeze", heads)

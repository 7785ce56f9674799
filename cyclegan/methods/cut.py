"""CUT: one-sided unpaired translation, which keeps the content by contrasting patches instead of closing a cycle.

Paper      Park, Efros, Zhang, Zhu, Contrastive learning for unpaired image-to-image translation, ECCV 2020.
Idea       A patch of G(x) should be more like the patch of x at its place than like the other patches of x, in what
           the first half of G itself sees.
Objective  L(G, D, H) = L_GAN(G, D, X, Y) + λ_X L_PatchNCE(G, H, X) + λ_Y L_PatchNCE(G, H, Y)            (Eq. 5)
           L_GAN is Eq. 1 in its least-squares form, L_PatchNCE Eq. 3; the last term, on G(y) and y, is the identity
           loss of CycleGAN in other words. CUT: λ_X = λ_Y = 1. FastCUT: λ_X = 10, λ_Y = 0, and `flip`.
Images     float32 (n, c, h, w) in [−1, 1], c = 3 unless data say otherwise; h and w multiples of the stride (4).
Patches    256 places of each of: the image, every down-sampling of G, its first residual block and the middle one,
           which is the fifth of nine. Negatives are the other places of the same image.
Differs    from the paper: L_PatchNCE is the mean over layers and places, as in the authors' code, not their sum.
           From the authors' code: there with λ_Y the sum of both NCE terms is halved, here it is Eq. 5; features of a
           down-sampling are looked at after its norm and ReLU, not before; the average of the weights is kept.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.losses.adversarial import GAMES
from cyclegan.losses.contrastive import patch_nce
from cyclegan.methods.bind import NetworkTranslator, evaluating
from cyclegan.methods.players import build_discriminator, build_resnet
from cyclegan.methods.settings import CUTConfig
from cyclegan.networks.patch_head import PatchHead
from cyclegan.protocols import AnyImages, Losses, Minimize, Preview


class CUT(nn.Module):
    """G: X → Y, judged by D; H projects what the encoder of G sees."""

    Batch = UnpairedBatch
    charts: ClassVar = {"generator": ["gan", "nce_."], "discriminator": ["D"]}  # as of CycleGAN

    def __init__(self, config: CUTConfig, channels: tuple[int, int] = (3, 3)) -> None:
        super().__init__()
        self.config = config
        self.gan = GAMES[config.gan]
        self.G = build_resnet(config.generator, *channels)
        self.D = build_discriminator(config.discriminator, channels[1])
        self.H = nn.ModuleList(PatchHead(channels, config.head_width) for channels in self.G.channels_seen)

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """The two sides of the game; the heads are on the generator's."""
        return {"generator": chain(self.G.parameters(), self.H.parameters()), "discriminator": self.D.parameters()}

    def networks(self) -> Mapping[str, nn.Module]:
        """The generator: what a user keeps."""
        return {"G": self.G}

    @property
    def translators(self) -> Mapping[str, NetworkTranslator]:
        """To Y alone."""
        return {"y": NetworkTranslator(self.G, self.G.stride, self.G.smallest)}

    def training_step(self, batch: UnpairedBatch, minimize: Minimize) -> Losses:
        """One round of Eq. (5): the discriminator moves, then generator and heads."""
        x, y = batch
        lambda_x, lambda_y = self.config.lambda_nce, self.config.lambda_identity
        mirrored = self.config.flip and bool(torch.rand(()) < 0.5)

        fake = self.G(x.flip(3) if mirrored else x)
        discriminator = {"D": 0.5 * self.gan.discriminator(self.D(y), self.D(fake.detach()))}
        minimize("discriminator", discriminator)

        generator = {
            "gan": self.gan.generator(self.D(fake)),
            "nce_x": lambda_x * self.patch_nce(fake, x, mirrored),
        }
        if lambda_y:
            generator["nce_y"] = lambda_y * self.patch_nce(self.G(y), y)
        minimize("generator", generator)
        return generator | discriminator

    def patch_nce(self, translated: AnyImages, source: AnyImages, mirrored: bool = False) -> Tensor:
        """L_PatchNCE, the mean over layers; a mirrored translation is compared with what lies at the mirrored place."""
        queries = [features.flip(3) if mirrored else features for features in self.G.encode(translated)]
        with torch.no_grad():
            keys = self.G.encode(source)
        losses = []
        for head, query, key in zip(self.H, queries, keys, strict=True):
            places = torch.randperm(query[0, 0].numel())[: self.config.patches].to(query.device)
            losses.append(patch_nce(head(query, places), head(key, places), self.config.temperature))
        return torch.stack(losses).mean()

    @torch.no_grad()
    def preview(self, batch: UnpairedBatch) -> Preview:
        """The translation, what becomes of targets, and how the game stands."""
        x, y = batch
        translate = self.translators["y"].translate
        fake = translate(x)
        pictures = {"x_to_y": {"x": x, "G(x)": fake}, "identity": {"y": y, "G(y)": translate(y)}}
        with evaluating(self):  # in training mode a spectral norm would refine its vectors, which are state
            scores = {"D real": self.D(y), "D fake": self.D(fake)}
        assert self.gan.realness is not None  # of every game but wgan-gp
        health = {name: float(self.gan.realness(score).mean()) for name, score in scores.items()}
        return Preview(pictures, health, translations={"G(x)": (x, fake)})

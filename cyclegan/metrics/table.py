"""Table of all metrics, by name: their inputs, computation and formatting.

A new metric is a function and a line.

Tables     truth          Correctness: each translation compared with the truth, at full size, without
                          borders.
           realism        Similarity to the target: distances of all translations, as a set, from real
                          images.
           content        Kept content: each translation compared with its source. The unchanged source is
                          perfect here, so these numbers are meaningful only together with realism.
           failure modes  Failures: cyclegan.metrics.failure_modes defines the thresholds.
           optimized      Losses of Gatys and AdaIN: printed, never used to rank.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, TypeAlias, get_args

from cyclegan.errors import UserError
from cyclegan.metrics import distribution, fidelity, measures, patches, structure
from cyclegan.metrics.evaluation_data import STYLE_LAYERS, EvaluationData, Picture, Pictures
from cyclegan.metrics.measures import Raw

Table: TypeAlias = Literal["truth", "realism", "content", "failure modes", "optimized"]

Better: TypeAlias = Literal["lower", "higher", ""]
Needs: TypeAlias = Literal["truth", "source", "references", ""]
Score: TypeAlias = Callable[[Picture, Picture], float]

TABLES = get_args(Table)
FAILURE_MODE = "see cyclegan.metrics.failure_modes"


class Metric(NamedTuple):
    """Metric, with either `score` or `measure`, and its formatting."""

    needs: Needs  # images that the translations are compared with
    table: Table
    title: str
    better: Better
    digits: int
    how: str | Callable[[EvaluationData], str]  # how it is measured, in words
    score: Score | None = None  # function of (translation, truth or source); mean over images
    measure: Callable[[Pictures, EvaluationData], Raw] | None = None  # function of all translations
    weights: str | None = None  # key of NETWORKS: the pretrained network that it uses
    network: str = "none"  # name and SHA-256 of that network, once it is loaded
    resize: str = "none"

    def resolved(self, data: EvaluationData) -> "Metric":
        """Fill in the description of the measurement on these data.

        Raises WeightsMissingError if the network is not on this machine.
        """
        network = data.network(self.weights) if self.weights else None
        found = self._replace(network=network.described, resize=network.resize) if network else self
        return found if isinstance(found.how, str) else found._replace(how=found.how(data))


def _of_truth(title: str, better: Better, digits: int, how: str, score: Score) -> Metric:
    return Metric("truth", "truth", title, better, digits, how, score)


def _of_source(title: str, better: Better, digits: int, how: str, score: Score) -> Metric:
    return Metric("source", "content", title, better, digits, how, score)


def _of_features(network: str, title: str) -> dict[str, Metric]:
    """Build KID, FID, precision and recall in the features of an extractor."""
    described: dict[str, tuple[str, Better, int, str, Callable[..., Raw]]] = {
        "kid": ("KID", "lower", 4, distribution.KID_PROTOCOL, measures.measure_kid),
        "fid": ("FID", "lower", 1, distribution.FID_PROTOCOL, measures.measure_fid),
        "precision": ("precision", "higher", 2, distribution.PRECISION_PROTOCOL, measures.measure_precision),
        "recall": ("recall", "higher", 2, distribution.RECALL_PROTOCOL, measures.measure_recall),
    }
    return {
        f"{name}-{network}": Metric(
            "references",
            "realism",
            f"{metric}, {title}",
            better,
            digits,
            how,
            measure=partial(measure, network=network),
            weights=network,
        )
        for name, (metric, better, digits, how, measure) in described.items()
    }


def _of_lpips(name: str, title: str) -> Metric:
    return Metric(
        "source",
        "content",
        title,
        "lower",
        3,
        lambda data: data.network(name).protocol,
        measure=partial(measures.measure_lpips, network=name),
        weights=name,
    )


def _of_failure(name: str, title: str, better: Better, digits: int, needs: Needs = "source") -> Metric:
    measure = partial(measures.measure_failure_mode, name=name)
    return Metric(needs, "failure modes", title, better, digits, FAILURE_MODE, measure=measure)


METRICS: dict[str, Metric] = {
    "psnr": _of_truth("PSNR (dB)", "higher", 2, fidelity.PSNR_PROTOCOL, fidelity.psnr),
    "ssim": _of_truth("SSIM", "higher", 3, fidelity.SSIM_PROTOCOL, fidelity.ssim),
    "l1": _of_truth("L1", "lower", 4, fidelity.L1_PROTOCOL, fidelity.l1),
    "rmse": _of_truth("RMSE", "lower", 4, fidelity.RMSE_PROTOCOL, fidelity.rmse),
    "patch-swd": Metric(
        "references",
        "realism",
        "patch-SWD",
        "lower",
        4,
        patches.SWD_PROTOCOL,
        measure=measures.measure_patch_swd,
    ),
    **_of_features("inception", "inception"),
    **_of_features("vgg", "vgg relu4_1"),
    **_of_features("squeezenet", "squeezenet"),
    **_of_features("dinov2", "dinov2 ViT-L/14"),
    "ssim-source": _of_source("SSIM to source", "higher", 3, fidelity.SSIM_PROTOCOL, fidelity.ssim),
    "ms-ssim": Metric(
        "source",
        "content",
        "MS-SSIM to source",
        "higher",
        3,
        lambda data: structure.ms_ssim_protocol(measures.scales_of(data)),
        measure=measures.measure_ms_ssim,
    ),
    "edge-f1": _of_source("edge-F1", "higher", 3, structure.EDGE_PROTOCOL, structure.edge_f1),
    "lpips": _of_lpips("lpips", "LPIPS to source"),
    "lpips-vgg": _of_lpips("lpips-vgg", "LPIPS to source, VGG-16"),
    "structure": Metric(
        "source",
        "content",
        "structure distance",
        "lower",
        4,
        structure.STRUCTURE_PROTOCOL,
        measure=measures.measure_structure,
        weights="structure",
    ),
    "change": _of_failure("change", "change, levels of 255", "", 1),
    "luma": _of_failure("luma", "luma correlation", "", 2),
    "inversion": _of_failure("inversion", "inverted, share", "lower", 2),
    "diversity": _of_failure("diversity", "diversity", "", 2),
    "distinct": _of_failure("distinct", "distinct, share", "higher", 2),
    "checkerboard": _of_failure("checkerboard", "checkerboard", "lower", 1),
    "copying": _of_failure("copying", "copied, share", "lower", 2, "references"),
    "gram": Metric(
        "references",
        "optimized",
        "Gram distance",
        "",
        4,
        "mean squared difference of Gram matrices from the mean ones of the targets, "
        f"{', '.join(STYLE_LAYERS)}, summed",
        measure=measures.measure_gram,
        weights="style",
    ),
    "perceptual": Metric(
        "references",
        "optimized",
        "content distance",
        "",
        3,
        "mean squared difference of relu4_1 from the source's",
        measure=measures.measure_perceptual,
        weights="style",
    ),
}
WITHOUT_WEIGHTS = [name for name, metric in METRICS.items() if metric.weights is None]


def select(names: Sequence[str] | None) -> dict[str, Metric]:
    """Select metrics by name, in the order of the table; None selects all.

    Raises UserError for an unknown name.
    """
    unknown = set(names or ()) - set(METRICS)
    if unknown:
        raise UserError(f"metrics: '{min(unknown)}' is not one of {', '.join(METRICS)}")
    return {name: metric for name, metric in METRICS.items() if names is None or name in names}

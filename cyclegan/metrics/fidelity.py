"""PSNR, SSIM, L1 and RMSE: measures of an image against the true translation, if that is known.

Images     uint8 (h, w, 3): translation and truth are rounded to 8 bits, as they would be stored, before the
           scoring.
PSNR       10 log₁₀(255² / MSE), the MSE over pixels and channels. An MSE below that of rounding, 1/12, counts
           as 1/12: an exact match is 58.9 dB, and the mean over images stays finite.
SSIM       Wang, Bovik, Sheikh, Simoncelli 2004: Gaussian window σ = 1.5 of 11×11, K₁ = .01, K₂ = .03, data
           range 255, covariance over n and not n − 1; for each channel, then the mean of the three. At least
           11×11 pixels.
L1         Mean |difference| over pixels and channels, of values scaled to [0, 1].
RMSE       Root of the mean squared difference over pixels and channels, of values scaled to [0, 1]; for each
           image.
"""

import numpy as np
from jaxtyping import UInt8
from skimage.metrics import structural_similarity

PSNR_PROTOCOL = "8-bit RGB, MSE over pixels and channels, mean of dB over images"
SSIM_PROTOCOL = (
    "8-bit RGB, Gaussian window of sigma 1.5, data range 255, covariance over n, mean over channels and images"
)
L1_PROTOCOL = "8-bit RGB scaled to [0, 1], mean absolute difference over pixels and channels, mean over images"
RMSE_PROTOCOL = "8-bit RGB scaled to [0, 1], root mean squared difference of each image, mean over images"
ROUNDING = 1 / 12  # MSE of rounding to whole levels


def psnr(picture: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float:
    """Compute the peak signal-to-noise ratio in dB; larger is better."""
    error = np.square(picture.astype(np.float64) - truth).mean()
    return float(10 * np.log10(255**2 / max(error, ROUNDING)))


def ssim(picture: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float:
    """Compute the structural similarity, at most 1 for equal images."""
    return float(
        structural_similarity(
            picture,
            truth,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=-1,
        )
    )


def l1(picture: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float:
    """Compute the mean absolute difference, in 0 … 1; smaller is better."""
    return float(np.abs(picture.astype(np.float64) - truth).mean() / 255)


def rmse(picture: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float:
    """Compute the root mean squared difference, in 0 … 1; smaller is better."""
    return float(np.sqrt(np.square(picture.astype(np.float64) - truth).mean()) / 255)

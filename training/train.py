"""The stage that trains a family's denoiser, on latents shards or on pixel shards, with a trained autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from shards.canonical import sha256_of
from shards.stage import Context, Contract, Kind, Output, Result
from training.inputs import one, placed, text_of
from training.recipes import DiffusionChoice, overridden, recipe_named
from training.settings import Decay, LoopSettings, Precision

if TYPE_CHECKING:
    from training.world import World


@dataclass(frozen=True, kw_only=True)
class Train:
    """Latents or pictures and an autoencoder in, a text-to-image model out. Options that are None are the recipe's."""

    recipe: str = "msdm"
    seed: int = 0
    samples: int | None = None
    batch: int | None = None  # of all processes together
    lr: float | None = None
    warmup_samples: int | None = None
    decay: Decay | None = None
    weight_decay: float | None = None
    betas: tuple[float, float] | None = None
    clip_norm: float | None = None  # of the gradient of all weights together
    ema_halflife_samples: float | None = None
    precision: Precision | None = None

    prediction: Literal["epsilon", "v", "x0"] | None = None
    zero_terminal_snr: bool | None = None
    min_snr_gamma: float | None = None
    loss: Literal["l1", "l2"] | None = None
    pixel_weight: float | None = None  # of the decoded L1
    pixel_every_samples: int | None = None
    caption_dropout: float | None = None
    dropout: float | None = None  # inside the network
    guidance: float | None = None  # what `medloom sample` and previews use
    sampling_steps: int | None = None

    text_encoder: str | None = None  # with pixel shards only: latents shards know theirs
    text_encoder_sha256: str | None = None
    text_encoder_revision: str | None = None
    max_tokens: int | None = None

    validate_every_samples: int | None = field(default=None, metadata={"fingerprint": False})
    log_every_samples: int | None = field(default=None, metadata={"fingerprint": False})
    held_out_samples: int | None = field(default=None, metadata={"fingerprint": False})
    checkpoint_every_samples: int | None = field(default=None, metadata={"fingerprint": False})
    keep_checkpoints: int | None = field(default=None, metadata={"fingerprint": False})
    processes: int = field(default=1, metadata={"fingerprint": False})  # one a GPU
    accumulate: int = field(default=1, metadata={"fingerprint": False})  # micro-batches a step
    workers: int = field(default=1, metadata={"fingerprint": False})  # threads that decode

    contract: ClassVar[Contract] = Contract(
        gives=Kind.CHECKPOINT, takes=(Kind.CHECKPOINT,), may_take=(Kind.LATENTS, Kind.SHARDS), version=2
    )

    def __post_init__(self) -> None:
        self.settings()
        self.choice()
        text_of(recipe_named(self.recipe), self)

    def settings(self) -> LoopSettings:
        """How long and how fast."""
        return overridden(recipe_named(self.recipe).loop, self)

    def choice(self) -> DiffusionChoice:
        """Process, loss and sampling."""
        return overridden(recipe_named(self.recipe).diffusion, self)

    def identity(self, ctx: Context) -> dict[str, str]:
        """The values behind the recipe's name."""
        recipe = recipe_named(self.recipe)
        text = placed(text_of(recipe, self), ctx).token()
        return {
            "recipe": sha256_of([asdict(recipe.shape), asdict(recipe.diffusion), recipe.loop.result()]),
            "text_encoder": text,
        }

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        """Train here or, with `processes`, in as many; goes on where an earlier run stopped."""
        from training.launch import run_job

        return run_job(self, inputs, ctx)

    def work(self, inputs: Sequence[Output], ctx: Context, world: World, stopping: Callable[[], bool]) -> None:
        """What each process does."""
        from training.denoising import Denoising
        from training.loop import train
        from training.model_folder import read_model, write_model
        from training.processes.ddpm import Ddpm
        from training.sources import open_source
        from training.trained_on import samples_hash

        recipe, settings, choice = recipe_named(self.recipe), self.settings(), self.choice()
        unet = overridden(recipe.shape.unet, self)
        source = one(inputs, Kind.LATENTS, Kind.SHARDS)
        if source.kind is Kind.LATENTS and text_of(recipe, self) != recipe.shape.text:
            raise ValueError(f"text_encoder and max_tokens are those of {source.stage}: set them in its encode stage")
        vae = read_model(one(inputs, Kind.CHECKPOINT).path)
        text = placed(text_of(recipe, self), ctx)
        opened = open_source(source, recipe.family, replace(recipe.shape, unet=unet, text=text), vae, world.device)
        data = opened.data(settings, world, accumulate=self.accumulate, workers=self.workers)
        process = overridden(Ddpm(), choice)
        task = Denoising(opened.family, process, choice, null=opened.null, seed=self.seed, device=world.device)
        config: dict[str, Any] = {
            "shape": asdict(opened.shape),
            "diffusion": asdict(choice),
            "loop": settings.result(),
            "data": source.content,
            "vae": vae.content,
        }
        net = train(task, data, settings, ctx.out, world, config=config, stopping=stopping, on_progress=ctx.on_progress)
        if world.first:
            record = {
                "family": recipe.family,
                "kind": "denoiser",
                "recipe": self.recipe,
                "shape": asdict(opened.shape),
                "latents": vae.record["latents"],
                "sampling": {"steps": choice.sampling_steps, "guidance": choice.guidance},
                "training": {**config, "samples": settings.samples},
                "trained_on": {**vae.record.get("trained_on", {}), "denoiser": samples_hash(opened.shards)},
            }
            write_model(ctx.out, record, lambda folder: task.export(net, folder))
        world.from_first(None)

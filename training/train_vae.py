"""The stage that trains a family's autoencoder on a shard set, from nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from shards.canonical import sha256_of
from shards.stage import Context, Contract, Kind, Output, Result
from training.inputs import one, picture_set
from training.recipes import overridden, recipe_named
from training.settings import Decay, LoopSettings, Precision

if TYPE_CHECKING:
    from training.world import World

STATISTICS_SAMPLES = 4096  # pictures on which mean and scale of the latents are measured


@dataclass(frozen=True, kw_only=True)
class TrainVae:
    """Shards in, an autoencoder out: `model/vae`. Every option that is None is the recipe's."""

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
    l1: float | None = None  # weights of the loss terms, see training/autoencoding.py
    gradient: float | None = None
    mse: float | None = None
    ssim: float | None = None
    kl: float | None = None

    validate_every_samples: int | None = field(default=None, metadata={"fingerprint": False})
    log_every_samples: int | None = field(default=None, metadata={"fingerprint": False})
    held_out_samples: int | None = field(default=None, metadata={"fingerprint": False})
    checkpoint_every_samples: int | None = field(default=None, metadata={"fingerprint": False})
    keep_checkpoints: int | None = field(default=None, metadata={"fingerprint": False})
    processes: int = field(default=1, metadata={"fingerprint": False})  # one a GPU
    accumulate: int = field(default=1, metadata={"fingerprint": False})  # micro-batches a step
    workers: int = field(default=1, metadata={"fingerprint": False})  # threads that decode

    contract: ClassVar[Contract] = Contract(gives=Kind.CHECKPOINT, takes=(Kind.SHARDS,), version=2)

    def __post_init__(self) -> None:
        self.settings()

    def settings(self) -> LoopSettings:
        """How long and how fast."""
        return overridden(recipe_named(self.recipe).vae_loop, self)

    def identity(self, ctx: Context) -> dict[str, str]:
        """The values behind the recipe's name."""
        recipe = recipe_named(self.recipe)
        return {"recipe": sha256_of([asdict(recipe.shape), asdict(recipe.vae_loss), recipe.vae_loop.result()])}

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        """Train here or, with `processes`, in as many; goes on where an earlier run stopped."""
        from training.launch import run_job

        return run_job(self, inputs, ctx)

    def work(self, inputs: Sequence[Output], ctx: Context, world: World, stopping: Callable[[], bool]) -> None:
        """What each process does."""
        from training.autoencoding import Autoencoding
        from training.batches import PictureReader
        from training.dataset import ShardData
        from training.loop import train
        from training.model_folder import write_model
        from training.trained_on import samples_hash

        recipe, settings = recipe_named(self.recipe), self.settings()
        source = one(inputs, Kind.SHARDS)
        data = ShardData(
            picture_set(source),
            PictureReader(recipe.shape.image_px),
            settings,
            world,
            accumulate=self.accumulate,
            workers=self.workers,
        )
        loss = overridden(recipe.vae_loss, self)
        task = Autoencoding(
            recipe.shape,
            loss,
            seed=self.seed,
            device=world.device,
            pictures=lambda: data.first(min(STATISTICS_SAMPLES, data.samples)),
        )
        config: dict[str, Any] = {
            "shape": asdict(recipe.shape.vae),
            "loss": asdict(loss),
            "loop": settings.result(),
            "shards": source.content,
        }
        net = train(task, data, settings, ctx.out, world, config=config, stopping=stopping, on_progress=ctx.on_progress)
        if world.first:
            record = {
                "family": recipe.family,
                "kind": "autoencoder",
                "recipe": self.recipe,
                "shape": asdict(recipe.shape),
                "training": {**config, "samples": settings.samples},
                "trained_on": {"autoencoder": samples_hash(data.shards)},
            }
            write_model(ctx.out, record, lambda folder: task.export(net, folder))
        world.from_first(None)

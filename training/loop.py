"""The training loop: one function that reads top to bottom, for every model, on one rank or many.

State = samples seen + weights, average, optimiser. Everything else is a function of samples seen, so a run that was
killed continues to the bit when the same command is given again (after EDM2's loop, Karras et al. 2024). What is
trained and on what is the business of a `Task` and of `Data`; the loop knows neither.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shards.draws import draw
from shards.stage import Cancelled
from training.checkpoint import Checkpoints, Snapshot
from training.ema import Ema
from training.log import Meter, RunLog
from training.settings import LoopSettings, Precision, ema_decay, learning_rate
from training.task import B, Batch, Data, Task
from training.world import World

LOG = logging.getLogger(__name__)


class Diverged(ValueError):
    """The loss or its gradient is no longer a number."""


def train(  # noqa: PLR0915  # one function that reads top to bottom, on purpose
    task: Task[B],
    data: Data[B],
    settings: LoopSettings,
    folder: Path,
    world: World,
    *,
    config: Mapping[str, Any],
    stopping: Callable[[], bool],
    on_progress: Callable[[int, int, str], None],
) -> nn.Module:
    """Train `task` in `folder` until `settings.samples` have been seen; returns the averaged network.

    Goes on from the newest whole checkpoint of the same `config`. When `stopping` says so on any rank, all ranks save
    and raise Cancelled. Raises Diverged, naming the positions, when the loss is not finite.
    """
    net = task.net.to(world.device).train()
    ema = Ema(net)
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, betas=settings.betas, weight_decay=settings.weight_decay, fused=True)
    meter = Meter()
    snapshot = Snapshot(net=net, average=ema.net, optimiser=optimiser, meter=meter.state)
    checkpoints = Checkpoints(
        folder / "checkpoints", config=config, samples=settings.samples, keep=settings.keep_checkpoints
    )

    # Go on where the newest whole checkpoint stands.
    seen = checkpoints.restore(snapshot)
    if len(set(world.gather(seen))) > 1:
        raise ValueError(f"the ranks do not see the same checkpoints: {folder} must be one folder for all of them")
    model = InPrecision(net, settings.precision)
    held_out = data.held_out()

    with ExitStack() as stack:
        stack.enter_context(deterministic())
        log = stack.enter_context(RunLog(folder, seen)) if world.first else None
        steps = stack.enter_context(closing(data.batches(seen)))
        while seen < settings.samples:
            started = time.perf_counter()

            # Rates are functions of samples seen.
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(settings, seen)

            # Forward and backward, one micro-batch at a time; then the gradients of all ranks meet.
            micro_batches = next(steps)
            sums: dict[str, Tensor] = {}
            losses = []
            for batch in micro_batches:
                torch.manual_seed(int(draw(settings.seed, batch.positions[0], "dropout mask").integers(2**62)))
                terms = task.losses(model, batch, range(seen, seen + settings.batch))
                loss = torch.stack(list(terms.values())).sum(dim=0)  # [B]
                (loss.mean() / len(micro_batches)).backward()  # type: ignore[no-untyped-call]
                losses.append(loss.detach())
                for name, values in {"loss": loss, **terms}.items():
                    sums[name] = sums.get(name, 0) + values.detach().double().sum()
            world.average_gradients(weights)
            norm = nn.utils.clip_grad_norm_(weights, settings.clip_norm)

            # One message a step: does any rank want to stop, is everything finite, and what is there to log.
            flags = norm.new_tensor([float(stopping()), 0], dtype=torch.float64)
            flags[1] = ~(torch.isfinite(norm) & torch.isfinite(sums["loss"]))
            stop, broken, *totals = world.sum(torch.cat([flags, torch.stack(list(sums.values()))])).tolist()
            if broken:
                raise Diverged(describe_divergence(world.gather(unfinite(micro_batches, losses)), seen, settings))

            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            before, seen = seen, seen + settings.batch
            ema.update(net, ema_decay(settings, seen))
            meter.add(dict(zip(sums, totals, strict=True)), settings.batch, time.perf_counter() - started)

            # Log, look, save, stop. A run that is done is looked at and saved once more.
            last = seen >= settings.samples
            if log and (last or passed(settings.log_every_samples or settings.batch, before, seen)):
                line = meter.take()
                log.line(seen, {**line, "lr": learning_rate(settings, before), "grad_norm": norm.item()})
                on_progress(seen, settings.samples, f"loss {line['loss']:.4f}, {line['samples_per_s']:.0f} samples/s")
            if last or passed(settings.validate_every_samples, before, seen):
                look(task, ema.net, held_out, world, log, seen)
            if last or stop or passed(settings.checkpoint_every_samples, before, seen):
                if len(set(world.gather(checksum(weights)))) > 1:
                    raise ValueError(
                        "the weights of the ranks have drifted apart: nothing was saved, look at the machines"
                    )
                if world.first:
                    checkpoints.save(seen, snapshot)
                world.from_first(None)
            if stop and not last:
                LOG.info("stopped at %d of %d samples; the same command goes on from there", seen, settings.samples)
                raise Cancelled
    return ema.net


class InPrecision(nn.Module):
    """A network in the precision of the settings. What is computed from its answer, losses above all, is in float32."""

    def __init__(self, net: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.net = net
        self.in_bfloat16 = precision == "bf16"

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """The network's own answer."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.in_bfloat16):
            return self.net(x, *args, **kwargs)


@torch.no_grad()
def checksum(weights: Sequence[Tensor]) -> float:
    """A number that equal weights share."""
    return float(torch.stack([weight.double().sum() for weight in weights]).sum())


def passed(every_samples: int, before: int, after: int) -> bool:
    """Was a multiple of `every_samples` reached in (before, after]? Never where it is 0."""
    return every_samples > 0 and before // every_samples < after // every_samples


@torch.no_grad()
def look(task: Task[B], average: nn.Module, held_out: Sequence[B], world: World, log: RunLog | None, seen: int) -> None:
    """Validation loss over the held-out samples of all ranks, and a preview."""
    if held_out:
        losses = torch.cat([task.held_out(average, batch) for batch in held_out]).double()
        total, count = world.sum(torch.stack([losses.sum(), losses.new_tensor(len(losses))])).tolist()
        if log:
            log.line(seen, {"val_loss": total / count})
            log.picture(seen, task.preview(average, held_out[0]))


@contextmanager
def deterministic() -> Iterator[None]:
    """Use operations whose result is the same in every run; RuntimeError names one that has no such form.

    To warn alone is not enough: the backward pass of attention then keeps its faster form, which is not the same twice.
    """
    memory: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fill, benchmark = memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # costs time, and only helps to find bugs
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark


def unfinite(micro_batches: Sequence[Batch], losses: Sequence[Tensor]) -> list[tuple[int, str]]:
    """(position, key) of the samples whose own loss is not finite; all of them where only the gradient is not."""
    every = [
        (position, key, value)
        for batch, loss in zip(micro_batches, losses, strict=True)
        for position, key, value in zip(batch.positions, batch.keys, torch.isfinite(loss).tolist(), strict=True)
    ]
    bad = [(position, key) for position, key, finite in every if not finite]
    return bad or [(position, key) for position, key, _ in every]


def describe_divergence(found: Sequence[Sequence[tuple[int, str]]], seen: int, settings: LoopSettings) -> str:
    """What the user is told when the loss is not a number."""
    samples = sorted(sample for rank in found for sample in rank)
    named = ", ".join(f"{position} ({key})" for position, key in samples[:8])
    more = f" and {len(samples) - 8} more" if len(samples) > 8 else ""
    return (
        f"the loss or its gradient is not a number in the step after {seen} samples, at the positions {named}{more}. "
        f"Nothing of this step was kept. Look at these samples with `medloom show`; if they are sound, "
        f"lower lr (now {learning_rate(settings, seen):g}) or raise warmup_samples (now {settings.warmup_samples})"
    )

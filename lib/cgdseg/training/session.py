"""A learner where it learns: model, optimizer and schedule, on one process or many, CPU or CUDA."""

import os
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from cgdseg.config import Training
from cgdseg.data.batches import EpochSampler
from cgdseg.training.objectives import Objective
from cgdseg.training.resume import Learner


def optimizer_for(model: nn.Module, settings: Training) -> torch.optim.AdamW:
    """AdamW with the slides' two groups: adapters at lora_lr, everything else trainable at lr."""
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    groups = [
        {"params": [p for name, p in trainable.items() if "lora_" not in name], "lr": settings.lr},
        {"params": [p for name, p in trainable.items() if "lora_" in name], "lr": settings.lora_lr},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=settings.weight_decay, fused=True)


def averaged_model(model: nn.Module, settings: Training) -> AveragedModel | None:
    """Exponential moving average of weights and buffers, or None where `settings.ema` is 0."""
    if not settings.ema:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema), use_buffers=True)


@dataclass(frozen=True)
class Session:
    """A learner on its devices: what Accelerate wraps around its model and its optimizer."""

    objective: Objective
    settings: Training
    accelerator: Accelerator
    learner: Learner
    model: nn.Module
    optimizer: torch.optim.Optimizer

    def over_processes(self, sums: Tensor) -> Tensor:
        """Sums over all processes; their gradient is scaled so that DDP's mean is the gradient of the global loss."""
        n = self.accelerator.num_processes
        if n == 1:
            return sums
        return n * (sums - sums.detach()) + self.accelerator.reduce(sums.detach(), "sum")


def start_accelerator(settings: Training) -> Accelerator:
    """Join the processes that torchrun started, if it did; `batch_size` is that of all of them together."""
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    accelerator = Accelerator(
        cpu=several and not torch.cuda.is_available(),  # else each process would train by itself
        mixed_precision=settings.precision,
        gradient_accumulation_steps=settings.accumulate,
        dynamo_backend="inductor" if settings.compile else "no",
        dataloader_config=DataLoaderConfiguration(split_batches=True),
    )
    if settings.precision == "fp16" and accelerator.device.type == "cpu":  # where Accelerate takes float32 unasked
        raise ValueError("training.precision: fp16 needs CUDA; on a CPU use bf16 or no")
    return accelerator


def new_learner(accelerator: Accelerator, objective: Objective, settings: Training, seed: int) -> Learner:
    """The untrained model of an objective, the same in every process, with its optimizer and schedule."""
    torch.manual_seed(seed)
    with accelerator.main_process_first():  # which makes or downloads what others then find
        model = objective.build().to(memory_format=torch.channels_last)  # faster, most of all in half precision
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        # batch statistics of the global batch; torch has this for CUDA only, so that on CPUs (gloo) each process
        # normalises its own share of the batch, and trains a little differently from a single process
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    optimizer = optimizer_for(model, settings)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs, settings.min_lr)
    return Learner(model, averaged_model(model, settings), optimizer, scheduler)


def open_session(accelerator: Accelerator, learner: Learner, objective: Objective, settings: Training) -> Session:
    """Put a learner, resumed or new, where it learns."""
    model, optimizer = accelerator.prepare(learner.model, learner.optimizer)
    learner.kept.to(accelerator.device)
    return Session(objective, settings, accelerator, learner, model, optimizer)


def make_loader(accelerator, dataset: Dataset, settings: Training, seed: int | None = None) -> DataLoader:
    """Batches shared out to the processes; to train on, where a seed is given, and then only whole ones."""
    training, n_processes = seed is not None, accelerator.num_processes
    batch_size = min(settings.batch_size, settings.drawn or len(dataset)) if training else settings.batch_size
    if batch_size % n_processes:
        raise ValueError(
            f"{n_processes} processes cannot share a batch of {batch_size} images equally: choose a "
            f"training.batch_size that is a multiple of {n_processes}"
            + (f" and at most the {len(dataset)} training images" if training else "")
        )
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=EpochSampler(len(dataset), seed, settings.drawn) if training else None,
        num_workers=settings.n_workers,
        persistent_workers=settings.n_workers > 0,
        drop_last=training,  # 10,000 / 32 -> the slides' 312 batches
        pin_memory=torch.cuda.is_available(),
    )
    return accelerator.prepare(loader)


def train_step(session: Session, batch: dict[str, Tensor], title: str) -> Tensor:
    """Learn from one batch; its loss is that of the global batch, in every process.

    Raises FloatingPointError when the loss is not finite. Gradients that overflow in fp16 only skip a step."""
    accelerator, settings, learner = session.accelerator, session.settings, session.learner
    with accelerator.accumulate(session.model):
        with accelerator.autocast():
            outputs = session.objective.forward(session.model, batch)
        loss = session.objective.loss(outputs, batch, session.over_processes)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} in {title}: lower training.lr or use precision: no; "
                "the last good checkpoint is kept"
            )
        accelerator.backward(loss)
        if accelerator.sync_gradients:
            accelerator.clip_grad_norm_((p for p in learner.model.parameters() if p.requires_grad), settings.clip_norm)
        session.optimizer.step()
        session.optimizer.zero_grad()
    if learner.averaged and accelerator.sync_gradients:
        learner.averaged.update_parameters(learner.model)
    return loss.detach()


@torch.no_grad()
def validate(session: Session, model: nn.Module, loader: DataLoader) -> dict[str, float]:
    """The objective's scores of a model over all entries, each counted once whichever process saw it."""
    model.eval()
    measured = []
    for batch in loader:
        with session.accelerator.autocast():
            outputs = session.objective.forward(model, batch)
        found = session.objective.measure(outputs, batch)
        measured.append(session.accelerator.gather_for_metrics(found))  # without what filled the last batch
    return session.objective.scores(*map(torch.cat, zip(*measured, strict=True)))

"""Optimisers with their schedules, as Lightning's ``configure_optimizers`` returns them."""

import math
from collections.abc import Iterable
from typing import NotRequired, TypedDict

import torch


class Rates(TypedDict):
    """How fast a network learns: ``learning_rate`` is the peak, ``warm_up`` the steps until there."""

    learning_rate: float
    weight_decay: float
    warm_up: NotRequired[int]


def make_adamw(parameters: Iterable[torch.nn.Parameter], rates: Rates, steps: int) -> dict:
    """AdamW with a linear warm-up and then a cosine to 0, by step.

    Args:
        parameters: what is trained.
        rates: its rates; what else they hold is not read.
        steps: steps in all.
    """
    warm_up = rates.get("warm_up", 0)
    optimizer = torch.optim.AdamW(
        parameters, lr=rates["learning_rate"], weight_decay=rates["weight_decay"], fused=True
    )

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

"""Optimisers with their schedules, as Lightning's ``configure_optimizers`` returns them."""

import math
from collections.abc import Iterable

import torch


def adamw(
    parameters: Iterable[torch.nn.Parameter],
    *,
    learning_rate: float,
    weight_decay: float,
    steps: int,
    warm_up: int = 0,
) -> dict:
    """AdamW with a linear warm-up and then a cosine to 0, by step.

    Args:
        parameters: what is trained.
        learning_rate: the peak.
        weight_decay: AdamW's.
        steps: steps in all.
        warm_up: steps until the peak.
    """
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

import csv
import pickle
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch

from boomlib.files import ContractError
from boomlib.harness import training
from boomlib.harness.training import adamw, fit_module, read_state

RMSES = [5.0, 3.0, 4.0, 3.5, 3.25, 2.0, 1.0]  # on valid, after each epoch


class Scripted(lightning.LightningModule):
    """Counts its epochs in a weight and has the RMSE of a list."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch):
        self.log("loss", self.weight.detach(), on_step=False, on_epoch=True, batch_size=1)
        return -self.weight

    def validation_step(self, batch):
        self.log("valid_rmse", RMSES[self.trainer.current_epoch], batch_size=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def train(folder, **arguments):
    module, seen = Scripted(), []

    def batches(epoch):
        seen.append(epoch)
        return [torch.zeros(1)]

    def follow():
        return np.array([float(module.weight.detach())])

    settings = {"epochs": len(RMSES), "seed": 0, "clip": 10.0, "follow": follow} | arguments
    followed = fit_module(module, batches, lambda: [torch.zeros(1)], folder, **settings)
    with (folder / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return float(module.weight.detach()), seen, followed, rows


@pytest.mark.parametrize(
    ("patience", "epochs", "best"), [(None, 7, 7), (4, 7, 7), (3, 5, 2), (1, 3, 2)], ids=["never", "4", "3", "1"]
)
def test_training_ends_when_valid_no_longer_improves_and_keeps_the_best_epoch(tmp_path, patience, epochs, best):
    weight, seen, followed, rows = train(tmp_path, patience=patience)
    assert seen == list(range(epochs))
    assert weight == best
    assert np.concatenate(followed).tolist() == [*range(1, epochs + 1)]
    assert [float(row["valid_rmse"]) for row in rows] == RMSES[:epochs]


def test_a_training_killed_after_it_had_stopped_does_not_go_on(tmp_path, monkeypatch):
    def killed(*_):
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(training, "write_history", killed)
        with pytest.raises(InterruptedError):
            train(tmp_path, patience=3)
    weight, seen, followed, rows = train(tmp_path, patience=3)
    assert len(seen) <= 1  # batches may be made, but no step is taken with them: see the weight and the rows
    assert weight == 2
    assert len(followed) == len(rows) == 5


def test_the_rate_rises_linearly_and_falls_to_nothing_by_a_cosine():
    weight = torch.nn.Parameter(torch.zeros(()))
    setting = adamw([weight], learning_rate=2.0, weight_decay=0.0, steps=104, warm_up=4)
    optimizer, schedule = setting["optimizer"], setting["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(105):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert rates[54] == pytest.approx(1.0)
    assert rates[104] == pytest.approx(0.0)
    assert (np.diff(rates[4:]) < 0).all()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04half a file", pickle.dumps(Path("a"))], ids=["empty", "half", "pickle"]
)
def test_a_state_that_is_none_is_named_with_the_remedy(tmp_path, content):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ContractError, match=r"last\.ckpt: not read, .* delete the file and run again"):
        read_state(tmp_path / "last.ckpt")

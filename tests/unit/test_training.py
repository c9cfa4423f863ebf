import csv
import pickle
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from boomlib.files import ContractError
from boomlib.harness import training
from boomlib.harness.optimisers import make_adamw
from boomlib.harness.training import Trainee, count_epochs, fit_module, read_state

RATES = {"learning_rate": 0.01, "weight_decay": 0.0}
RMSES = [5.0, 3.0, 4.0, 3.5, 3.25, 2.0, 1.0]  # on valid, after each epoch


class Counter(torch.nn.Module):
    """A weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))


class Scripted(Trainee):
    """Counts its epochs in a weight and has the RMSE of a list."""

    def __init__(self, rmses=RMSES, average=None):
        super().__init__(Counter(), lambda network: torch.optim.SGD(network.parameters(), lr=1.0))
        self.rmses, self.average = rmses, average and average(self.network)

    @property
    def weight(self):
        return self.network.weight

    def training_step(self, batch):
        self.log("loss", self.weight.detach(), on_step=False, on_epoch=True, batch_size=1)
        return -self.weight

    def validation_step(self, batch):
        self.log("valid_rmse", self.rmses[self.trainer.current_epoch], batch_size=1)


class Squares(Trainee):
    """Makes a weight small."""

    def __init__(self):
        super().__init__(torch.nn.Linear(1, 1), lambda network: make_adamw(network.parameters(), RATES, steps=2))

    def training_step(self, batch):
        return 1e6 * self.network(batch).square().mean()

    def on_after_backward(self):
        self.before = self.network.weight.grad.norm()

    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure):
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.after = torch.nn.utils.get_total_norm([each.grad for each in self.network.parameters()])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_in_any_precision(tmp_path, precision):
    module = Squares()
    trainer = lightning.Trainer(
        accelerator="cpu",
        precision=precision,
        max_epochs=1,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, torch.utils.data.DataLoader(torch.ones(1, 1)))
    assert module.before > 1
    assert module.after == pytest.approx(1, rel=1e-3)


def train(folder, module=None, **arguments):
    module, seen = module or Scripted(), []

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


@pytest.mark.parametrize("patience", [None, 3])
def test_an_epoch_without_a_number_is_one_without_improvement_also_when_resumed(tmp_path, monkeypatch, patience):
    rmses = [5.0, np.nan, 4.0, 3.0, 3.5, 3.5, 3.5]
    whole, again = tmp_path / "whole", tmp_path / "again"
    whole.mkdir()
    again.mkdir()
    expected = train(whole, Scripted(rmses), patience=patience)
    assert expected[0] == 4
    for epoch in (2, 3, 4):  # killed after each of these
        with monkeypatch.context() as patch, pytest.raises(InterruptedError):
            patch.setattr(training.History, "on_train_epoch_start", stop_at(epoch), raising=False)
            train(again, Scripted(rmses), patience=patience)
    weight, _, _, rows = train(again, Scripted(rmses), patience=patience)
    assert (weight, rows) == (expected[0], expected[3])


def stop_at(epoch):
    """A callback's method that is killed when this epoch begins."""

    def killed(self, trainer, module):
        if trainer.current_epoch == epoch:
            raise InterruptedError

    return killed


def test_a_training_that_was_complete_ends_with_the_same_weights_and_trains_no_more(tmp_path):
    expected = train(tmp_path)
    weight, seen, _, rows = train(tmp_path)
    assert (weight, rows) == (expected[0], expected[3])
    assert len(seen) <= 1  # batches may be made, but no step is taken with them: see weight and rows


def test_a_training_in_a_folder_given_relatively_as_jobs_have_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(training.History, "on_train_epoch_start", stop_at(3), raising=False)
        train(Path("run"))
    assert train(Path("run"))[0] == 7


def test_where_training_ran_is_what_lightning_says(tmp_path):
    module = Scripted()
    module.trained_on = "nowhere"
    train(tmp_path, module)
    assert module.trained_on == "cpu"


def test_a_training_whose_folder_was_moved_ends_with_the_weights_that_it_would_have_had(tmp_path, monkeypatch):
    """Found with Lightning's ModelCheckpoint: the best epoch, before the kill, was forgotten."""
    rmses = [5.0, 1.0, 4.0, 3.5, 3.25, 2.0, 2.5]  # the best epoch comes before the kill
    on_train_epoch_end = training.History.on_train_epoch_end

    def killed(self, trainer, module):
        if trainer.current_epoch == 3:
            raise InterruptedError
        on_train_epoch_end(self, trainer, module)

    (tmp_path / "before").mkdir()
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(training.History, "on_train_epoch_end", killed)
        train(tmp_path / "before", Scripted(rmses))
    moved = (tmp_path / "before").rename(tmp_path / "after")
    weight, seen, _, rows = train(moved, Scripted(rmses))
    assert seen[-4:] == [3, 4, 5, 6]
    assert weight == 2
    assert [float(row["valid_rmse"]) for row in rows] == rmses


def test_what_is_judged_and_kept_is_the_average_of_the_weights_where_there_is_one(tmp_path):
    module = Scripted(average=AveragedModel)
    weight, *_ = train(tmp_path, module)
    assert weight == np.mean(range(1, 8))


def test_a_training_that_diverges_says_so(tmp_path):
    with pytest.raises(FloatingPointError, match="training has diverged: valid_rmse was never a number"):
        train(tmp_path, Scripted([np.nan] * 7))


def test_a_network_is_frozen_on_the_device_that_trained_in_double_precision(monkeypatch):
    """Without a GPU here: `meta` stands for one."""
    monkeypatch.setattr(training, "choose_device", lambda: torch.device("meta"))
    network = training.freeze(Counter().train())
    assert (network.weight.device.type, network.weight.dtype) == ("meta", torch.float64)
    assert not network.training
    assert not network.weight.requires_grad


def test_the_rate_rises_linearly_and_falls_to_nothing_by_a_cosine():
    weight = torch.nn.Parameter(torch.zeros(()))
    setting = make_adamw([weight], {"learning_rate": 2.0, "weight_decay": 0.0, "warm_up": 4}, steps=104)
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


@pytest.mark.parametrize(
    ("settings", "molecules", "epochs"),
    [
        ({}, 100, 7),
        ({"molecules_seen": None}, 100, 7),
        ({"molecules_seen": 1000}, 100, 10),
        ({"molecules_seen": 600_000}, 104_000, 6),  # the nearest: 5.77 passes
        ({"molecules_seen": 600_000}, 109_500, 5),  # 5.48
        ({"molecules_seen": 10}, 100, 1),
    ],
)
def test_a_budget_in_molecules_seen_is_as_many_passes_as_come_next_to_it(settings, molecules, epochs):
    assert count_epochs({"epochs": 7} | settings, molecules) == epochs

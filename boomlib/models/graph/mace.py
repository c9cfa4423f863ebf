"""MACE through its own trainer: equivariant messages of more than two bodies, on the conformer.

Batatia et al., NeurIPS 2022, arXiv 2206.07697; mace-torch, mace/cli/run_train.py (the command ``mace_run_train``). A
molecule's property is what MACE calls its energy: a sum over atoms.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import ase
import ase.io
import e3nn
import joblib
import mace.tools
import numpy as np
import torch
from mace.cli import run_train
from mace.data import AtomicData, config_from_atoms
from mace.modules.loss import mean_squared_error_energy, weighted_mean_squared_error_energy
from mace.tools import AtomicNumberTable, CheckpointHandler, CheckpointState
from mace.tools.model_script_utils import configure_model
from mace.tools.torch_geometric.dataloader import DataLoader
from mace.tools.train import evaluate, train_one_epoch
from torch import nn

from boomlib.contracts import listed
from boomlib.files import ContractError, atomic_path, commit
from boomlib.harness.interface import CHECKPOINTS, Model, Molecules, Prediction, write_history
from boomlib.harness.references import References
from boomlib.harness.training import choose_accelerator, read_state
from boomlib.models.graph.graphs import ragged

# mace sets it for the whole process, where every torch.load would then unpickle whatever it finds
os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)

NAME = "mace"
ENERGY = "REF_energy"
# all of MACE's losses with an energy ask for forces as well; these are the energy's parts of them
LOSSES = {"extensive": mean_squared_error_energy, "intensive": weighted_mean_squared_error_energy}
ERRORS = {"extensive": "rmse_e", "intensive": "rmse_e_per_atom"}


@contextmanager
def contained() -> Iterator[None]:
    """Give back torch's default dtype and the root logger as they were, both of which MACE's trainer changes.

    Without a GPU e3nn does not compile its products meanwhile: that takes seconds and makes nothing faster there.
    """
    root, dtype, compiling = logging.getLogger(), torch.get_default_dtype(), e3nn.get_optimization_defaults()
    level, handlers, filters = root.level, root.handlers[:], root.filters[:]
    e3nn.set_optimization_defaults(jit_script_fx=torch.cuda.is_available())
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"The TorchScript type system|`torch\.jit\.")
            yield
    finally:
        e3nn.set_optimization_defaults(**compiling)
        torch.set_default_dtype(dtype)
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.setLevel(level)
        root.handlers[:], root.filters[:] = handlers, filters


def train_epochs(
    file: Path,
    seed: int,
    valid_rmse: Callable[[dict], float],
    *,
    model: nn.Module,
    loss_fn: Callable,
    train_loader: DataLoader,
    valid_loaders: dict[str, DataLoader],
    optimizer: torch.optim.Optimizer,
    lr_scheduler: object,
    ema: object,
    checkpoint_handler: CheckpointHandler,
    output_args: dict[str, bool],
    device: torch.device,
    max_num_epochs: int,
    patience: int,
    max_grad_norm: float | None,
    **_: object,
) -> None:
    """Stands in for MACE's loop over epochs, ``mace.tools.train``: one that can be resumed.

    MACE's ends with other weights after a kill: its checkpoint holds averaged weights in place of the trained ones,
    the average, the lowest loss and the place in the shuffled order start anew, and the epoch is run a second time.
    Here ``file`` holds all of it, written once an epoch, and an epoch's order depends on seed and epoch alone. Epochs
    are chosen by RMSE on valid rather than by MACE's loss on valid, which is a mean over batches.

    Args:
        file: the state to resume from, if it exists.
        seed: seed of the order of molecules.
        valid_rmse: of MACE's metrics on valid, native units.
        model: to be trained, left as it was in its best epoch.
        checkpoint_handler: told that epoch, for the trainer to go on with.

    The others are as in MACE's.

    Raises:
        FloatingPointError: training has diverged.
    """
    (valid,) = valid_loaders.values()
    parts = {"model": model, "optimizer": optimizer, "lr_scheduler": lr_scheduler, "ema": ema}
    rows, best = [], {"rmse": np.inf, "epoch": 0}
    if file.exists():
        state = read_state(file)
        rows, best = state["rows"], state["best"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
        logging.info("Going on after epoch %d", len(rows))
    while len(rows) < max_num_epochs and len(rows) - best["epoch"] < patience:
        epoch, steps = len(rows) + 1, []
        order = np.random.SeedSequence([seed, epoch]).generate_state(1)[0]
        train_loader.generator.manual_seed(int(order))
        train_one_epoch(
            model=model,
            loss_fn=loss_fn,
            data_loader=train_loader,
            optimizer=optimizer,
            epoch=epoch,
            output_args=output_args,
            max_grad_norm=max_grad_norm,
            ema=ema,
            logger=SimpleNamespace(log=steps.append),
            device=device,
            distributed=False,
        )
        with ema.average_parameters():
            _, metrics = evaluate(model, loss_fn, valid, output_args, device)
            rmse = valid_rmse(metrics)
            if not np.isfinite(rmse):
                raise FloatingPointError(f"RMSE on valid is {rmse} after epoch {epoch}: training has diverged")
            if rmse < best["rmse"]:
                weights = {name: value.clone() for name, value in model.state_dict().items()}
                best = {"rmse": rmse, "epoch": epoch, "weights": weights}
        loss = float(np.mean([step["loss"] for step in steps]))
        logging.info("Epoch %d: loss %.4g, RMSE on valid %.4g", epoch, loss, rmse)
        rows.append([epoch, rmse, loss])
        lr_scheduler.step(metrics=rmse)
        state = {name: part.state_dict() for name, part in parts.items()}
        torch.save(state | {"rows": rows, "best": best}, atomic_path(file))
        commit(file)
    model.load_state_dict(best["weights"])
    checkpoint_handler.save(CheckpointState(model, optimizer, lr_scheduler), epochs=best["epoch"])
    write_history(file.parent.parent, ["epoch", "valid_rmse", "loss"], rows)


class MACE(Model):
    """MACE on standardised residuals of the composition.

    An extensive property is MACE's energy, and the loss is the squared error of the molecule. For an intensive one the
    energy is the property times the number of atoms, so that the prediction is a mean over atoms; the loss is MACE's
    own, whose error per atom is then the error of the property. Atoms of elements that train does not have are left
    out of the structure. A molecule of one atom gets what its element contributes and no more: that is MACE's design.

    Args:
        reference: see :class:`boomlib.harness.references.References`; for an extensive property ``elements`` is MACE's
            ``--E0s average``.
        options: of ``mace_run_train``, by their names there.
    """

    def __init__(self, *, reference: str, options: dict, **common) -> None:
        super().__init__(**common)
        self.references, self.options = References(reference), options

    def arguments(self, work: Path) -> object:
        """What ``mace_run_train`` would be called with, parsed by its own parser.

        Args:
            work: the folder for all its files.

        Raises:
            ValueError: the trainer does not know an option, or not such a value of it.
        """
        folders = ("work_dir", "log_dir", "model_dir", "checkpoints_dir", "results_dir", "downloads_dir")
        options = {
            "name": NAME,
            "seed": self.seed,
            "device": "cuda" if torch.cuda.is_available() else "cpu",
            "train_file": work / "train.xyz",
            "valid_file": work / "valid.xyz",
            "energy_key": ENERGY,
            "atomic_numbers": self.elements.tolist(),
            "E0s": dict.fromkeys(self.elements.tolist(), 0.0),
            "scaling": "no_scaling",
            "loss": "weighted",
            "forces_weight": 0,
            "compute_forces": False,
            "error_table": "TotalRMSE",
            "pin_memory": torch.cuda.is_available(),
            "plot": False,
            "skip_evaluate_heads": "Default",
        }
        options |= dict.fromkeys(folders, work) | self.options
        parser = mace.tools.build_default_arg_parser()
        try:
            args = parser.parse_args(
                ["--ema", "--save_cpu", *(f"--{name}={value}" for name, value in options.items())]
            )
        except SystemExit:
            raise ValueError(f"mace_run_train does not take these options: {self.options}") from None
        return args

    def structures(self, molecules: Molecules) -> list[ase.Atoms]:
        """The conformers, as far as train has their elements.

        Raises:
            ContractError: nothing is left of some molecules.
        """
        table = molecules.features["conformers"]
        found = []
        for numbers, positions in zip(ragged(table, "atomic_numbers"), ragged(table, "positions"), strict=True):
            known = np.isin(numbers, self.elements)
            found.append(ase.Atoms(numbers[known], positions.reshape(-1, 3)[known]))
        empty = np.array([len(atoms) == 0 for atoms in found])
        if empty.any():
            raise ContractError(
                f"{empty.sum()} molecules have no atom of an element that occurs in train (molecule_id "
                f"{listed(molecules.molecule_id[empty])}); every model predicts every molecule, so remove them in the "
                "source"
            )
        return found

    def composition(self, molecules: Molecules) -> np.ndarray:
        """Atoms of each element of train, or for an intensive property their fraction, float64 [n, elements]."""
        found = ragged(molecules.features["conformers"], "atomic_numbers")
        reduce = np.sum if self.kind == "extensive" else np.mean
        return np.array([reduce(numbers[:, None] == self.elements, axis=0, dtype=np.float64) for numbers in found])

    def sizes(self, structures: Sequence[ase.Atoms]) -> np.ndarray:
        """By what an energy is divided to be the property: the number of atoms of an intensive one."""
        return np.array([1 if self.kind == "extensive" else len(atoms) for atoms in structures])

    def write(self, molecules: Molecules, file: Path) -> None:
        """Write structures and their energies as extended XYZ."""
        structures = self.structures(molecules)
        z = self.references.transform(self.composition(molecules), molecules.y) * self.sizes(structures)
        for atoms, energy in zip(structures, z, strict=True):
            atoms.info[ENERGY] = energy
        ase.io.write(file, structures, format="extxyz")

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Train by ``mace_run_train``, all of whose files go to the run's checkpoints."""
        torch.set_num_threads(self.threads)
        self.elements = np.unique(np.concatenate(ragged(train.features["conformers"], "atomic_numbers")))
        self.references.fit(self.composition(train), train.y)
        work = folder / CHECKPOINTS
        work.mkdir(exist_ok=True)
        self.write(train, work / "train.xyz")
        self.write(valid, work / "valid.xyz")
        args = self.arguments(work)
        args.batch_size = min(args.batch_size, len(train))  # it drops the last batch if that is not full
        choose_accelerator()
        loop = partial(
            train_epochs,
            work / "last.pt",
            self.seed,
            lambda metrics: self.references.spread * metrics[ERRORS[self.kind]],
        )
        with (
            contained(),
            patch.object(run_train, "get_loss_fn", lambda *_: LOSSES[self.kind]),
            patch.object(mace.tools, "train", loop),
            patch.object(run_train, "jit", None),  # without it no compiled copy is made, which nothing would read
        ):
            run_train.run(args)
        self.network = torch.load(work / f"{NAME}.model", weights_only=False)
        self.freeze()

    def freeze(self) -> None:
        """Ready the network for prediction, in double precision: what else is in a batch then changes nothing."""
        self.network.double().eval().to("cuda" if torch.cuda.is_available() else "cpu")

    @torch.no_grad()
    def predict(self, molecules: Molecules) -> Prediction:
        """Composition's part plus the network's."""
        structures, cutoff = self.structures(molecules), self.network.r_max.item()
        table, device = AtomicNumberTable(self.elements.tolist()), self.network.r_max.device
        with contained():
            torch.set_default_dtype(torch.float64)
            graphs = [AtomicData.from_config(config_from_atoms(each), table, cutoff) for each in structures]
            batches = DataLoader(graphs, self.options["batch_size"])
            energies = [self.network(each.to(device).to_dict(), compute_force=False)["energy"] for each in batches]
        z = torch.cat(energies).cpu().numpy() / self.sizes(structures)
        return Prediction(self.references.inverse(self.composition(molecules), z))

    def save(self, folder: Path) -> None:
        """Write weights, and with joblib what else the model is (a pickle: load only files of your own)."""
        torch.save(self.network.state_dict(), folder / "weights.pt")
        neighbours = self.network.interactions[0].avg_num_neighbors
        joblib.dump((self.elements, self.references, neighbours), folder / "references.joblib")

    def load(self, folder: Path) -> None:
        """Read both."""
        self.elements, self.references, neighbours = joblib.load(folder / "references.joblib")
        with contained():
            args, _ = mace.tools.check_args(self.arguments(folder))
            vars(args).update(avg_num_neighbors=neighbours, compute_energy=True, compute_dipole=False)
            mace.tools.set_default_dtype(args.default_dtype)
            zeros = np.zeros((1, len(self.elements)))
            head = SimpleNamespace(std=1.0)
            table = AtomicNumberTable(self.elements.tolist())
            self.network, _ = configure_model(args, None, zeros, heads=["Default"], z_table=table, head_configs=[head])
        self.network.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
        self.freeze()

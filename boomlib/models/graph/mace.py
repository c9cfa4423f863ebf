"""MACE: equivariant messages of more than two bodies, on the conformer.

Batatia et al., NeurIPS 2022, arXiv 2206.07697; the network and its input are mace-torch's. Names of settings, and what
no setting says, are those of its command ``mace_run_train`` (mace/tools/arg_parser.py). A molecule's property is what
MACE calls its energy: a sum over atoms.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, NotRequired, TypedDict

import e3nn
import numpy as np
import torch
from mace.modules import ScaleShiftMACE, compute_avg_num_neighbors, gate_dict, interaction_classes
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel

from boomlib.files import MoleculeError, read_json, write_json
from boomlib.harness.batches import cut_into_batches
from boomlib.harness.interface import Molecules
from boomlib.harness.network import NetworkModel
from boomlib.harness.ragged import Ragged, count_up

# mace sets it for the whole process, where every torch.load would then unpickle whatever it finds
os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)

PAIRS = 2**20  # of atoms whose distances are looked at together, about
AT_ONCE = 256  # molecules whose neighbours are counted together


class MaceNetwork(TypedDict):
    """Sizes of the network, as ``mace_run_train`` names them.

    ``num_channels`` and ``max_L``: channels of the hidden features and their highest degree. ``max_ell``: highest
    degree of the spherical harmonics. ``correlation``: bodies of a message, less one. ``r_max``: cut-off, Å.
    ``radial_MLP``: widths of the radial networks.
    """

    num_interactions: int
    num_channels: int
    max_L: int
    max_ell: int
    correlation: int
    r_max: float
    radial_MLP: list[int]


class MaceTraining(TypedDict):
    """How it is trained, as ``mace_run_train`` names it: Adam with amsgrad, and the weights' average is what counts.

    ``default_dtype``: the precision. ``clip_grad``: largest norm of the gradient; None: any. ``ema_decay``: of the
    average. ``scheduler``: what changes the learning rate after an epoch, ``ReduceLROnPlateau`` by ``lr_factor`` after
    ``scheduler_patience`` epochs without a better RMSE on valid, ``ExponentialLR`` by ``lr_scheduler_gamma``.
    ``patience``: such epochs after which training ends. Ours: ``molecules_seen``, which counts instead of
    ``max_num_epochs`` (:func:`boomlib.harness.training.count_epochs`), and ``final_lr``, to which ``ExponentialLR``
    falls by the last epoch, whatever their number.
    """

    batch_size: int
    valid_batch_size: int
    max_num_epochs: int
    molecules_seen: NotRequired[int]
    patience: int
    default_dtype: Literal["float32", "float64"]
    lr: float
    weight_decay: float
    clip_grad: float | None
    ema_decay: float
    scheduler: Literal["ReduceLROnPlateau", "ExponentialLR"]
    lr_factor: NotRequired[float]
    scheduler_patience: NotRequired[int]
    lr_scheduler_gamma: NotRequired[float]
    final_lr: NotRequired[float]


@contextmanager
def building(precision: str) -> Iterator[None]:
    """Make MACE's objects in a precision (``float32`` or ``float64``), which they take from torch's default.

    Without a GPU e3nn does not compile the products of a new network: that takes seconds and makes nothing faster
    there. It does compile those of a copy, as the average of the weights is.
    """
    dtype, compiling = torch.get_default_dtype(), e3nn.get_optimization_defaults()
    torch.set_default_dtype(getattr(torch, precision))
    e3nn.set_optimization_defaults(jit_script_fx=torch.cuda.is_available())
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"The TorchScript type system|`torch\.jit\.")
            yield
    finally:
        e3nn.set_optimization_defaults(**compiling)
        torch.set_default_dtype(dtype)


def detach_inputs(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The same without gradients, as a hook before a module's forward."""
    return tuple(each.detach() for each in inputs)


@dataclass(frozen=True)
class Structures:
    """Conformers with the pairs of atoms within MACE's cut-off.

    Attributes:
        elements: which of the network's elements each atom is, int64.
        positions: float64 [atoms, 3], Å.
        neighbours: of the pairs, both ways, int16 [pairs, 2]: source and target in the molecule; by source.
        known: how many elements the network knows.
    """

    elements: Ragged
    positions: Tensor
    neighbours: Ragged
    known: int

    @classmethod
    def read(cls, molecules: Molecules, elements: Sequence[int], cutoff: float) -> "Structures":
        """The feature ``conformers``, without atoms of other elements.

        Raises:
            MoleculeError: some molecules have no atom of these elements.
        """
        numbers = Ragged.from_column(molecules.features["conformers"], "atomic_numbers")
        positions = Ragged.from_column(molecules.features["conformers"], "positions", width=3).values.double()
        known = torch.isin(numbers.values, torch.tensor(elements, dtype=numbers.values.dtype))
        molecule = np.repeat(np.arange(len(numbers)), numbers.length)
        size = np.bincount(molecule[known.numpy()], minlength=len(numbers))
        if not size.all():
            empty = molecules.smiles[size == 0]
            raise MoleculeError(
                f"{len(empty)} molecules have no atom of an element that occurs in train; every model predicts every "
                "molecule, so remove them in the source",
                empty,
            )
        index = torch.searchsorted(torch.tensor(elements), numbers.values[known].long())
        structures = Ragged.of(index, size)
        return cls(structures, positions[known], find_neighbours(structures, positions[known], cutoff), len(elements))

    def __len__(self) -> int:
        return len(self.elements)

    def take(self, rows: np.ndarray) -> dict[str, Tensor]:
        """A batch of the molecules at these positions: what of MACE's data its network reads without a lattice."""
        atoms, size = self.elements.find(rows)
        pairs, count = self.neighbours.find(rows)
        device, first = size.device, size.cumsum(0) - size
        shift = torch.repeat_interleave(first, count, output_size=len(pairs))
        return {
            "positions": self.positions[atoms],
            "node_attrs": nn.functional.one_hot(self.elements.values[atoms], self.known).double(),
            "edge_index": (self.neighbours.values[pairs].long() + shift[:, None]).T.contiguous(),
            "shifts": torch.zeros(len(pairs), 3, dtype=torch.float64, device=device),
            "cell": torch.zeros(3 * len(rows), 3, dtype=torch.float64, device=device),
            "batch": torch.repeat_interleave(torch.arange(len(rows), device=device), size, output_size=len(atoms)),
            "ptr": torch.cat([first, size.sum(0, keepdim=True)]),
        }

    def to(self, device: torch.device) -> "Structures":
        """The same on another device."""
        return Structures(self.elements.to(device), self.positions.to(device), self.neighbours.to(device), self.known)


def find_neighbours(structures: Ragged, positions: Tensor, cutoff: float) -> Ragged:
    """Pairs of atoms of a molecule that are nearer than a cut-off.

    Args:
        structures: whatever belongs to atoms.
        positions: of all atoms, [atoms, 3].
        cutoff: in the unit of positions.

    Returns:
        Both ways, int16 [pairs, 2]: source and target in the molecule, by source.
    """
    found, counts = [], []
    part = np.cumsum(structures.length**2) // PAIRS
    for rows in np.split(np.arange(len(structures)), np.flatnonzero(np.diff(part)) + 1):
        atoms, size = structures.find(rows)
        first, length = size.cumsum(0) - size, structures.length[rows]
        start, others = (torch.repeat_interleave(each, size) for each in (first, size))
        pairs = int((length**2).sum())
        source = torch.repeat_interleave(torch.arange(len(atoms)), others, output_size=pairs)
        target = count_up(start, others, pairs)
        distance = torch.linalg.vector_norm(positions[atoms[target]] - positions[atoms[source]], dim=-1)
        near = (distance < cutoff) & (source != target)
        source, target = source[near], target[near]
        found.append((torch.stack([source, target], dim=1) - start[source, None]).short())
        molecule = torch.repeat_interleave(torch.arange(len(rows)), size)
        counts.append(torch.bincount(molecule[source], minlength=len(rows)).numpy())
    return Ragged.of(torch.cat(found), np.concatenate(counts))


class Energy(nn.Module):
    """What MACE says of each molecule of a batch, [molecules].

    Args:
        mace: the network.
        mean: whether it is the mean over a molecule's atoms, instead of the sum.
    """

    def __init__(self, mace: ScaleShiftMACE, mean: bool) -> None:
        super().__init__()
        self.mace, self.mean = mace, mean
        # mace follows the gradient by positions, for forces, which nobody reads here
        for module in (mace.spherical_harmonics, mace.radial_embedding):
            module.register_forward_pre_hook(detach_inputs)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Read a batch of :class:`Structures` in the network's precision."""
        dtype = self.mace.r_max.dtype
        data = {name: x.to(dtype) if x.is_floating_point() else x for name, x in batch.items()}
        energy = self.mace(data, compute_force=False)["energy"]
        return energy / batch["ptr"].diff() if self.mean else energy


class MACE(NetworkModel):
    """MACE on standardised residuals of the composition: a sum over atoms, or for an intensive property their mean.

    Atoms of elements that train does not have are left out of the structure. A molecule of one atom gets what its
    element contributes and no more: that is MACE's design. With ``reference: elements`` what the elements contribute
    to an extensive property are MACE's ``--E0s average``; its own are therefore 0.

    Args:
        network: see :class:`MaceNetwork`.
        training: see :class:`MaceTraining`.
    """

    def __init__(self, *, network: MaceNetwork, training: MaceTraining, **common) -> None:
        names = {"batch": "batch_size", "epochs": "max_num_epochs", "clip": "clip_grad"}
        super().__init__(training=training | {ours: training[theirs] for ours, theirs in names.items()}, **common)
        self.sizes = network

    # -- structures --------------------------------------------------------------------------------------

    def start(self, train: Molecules) -> nn.Module:
        """Learn which elements occur, and how many neighbours an atom has on average."""
        self.elements = Ragged.from_column(train.features["conformers"], "atomic_numbers").values.unique().tolist()
        store = self.encode(train)
        batches = (store.take(rows) for rows in cut_into_batches(np.arange(len(store)), AT_ONCE))
        with building(self.training["default_dtype"]):
            self.neighbours = compute_avg_num_neighbors(SimpleNamespace(**batch) for batch in batches)
        torch.manual_seed(self.seed)
        return self.make_network()

    def encode(self, molecules: Molecules) -> Structures:
        """Conformers with the pairs of atoms within the cut-off, in double precision."""
        return Structures.read(molecules, self.elements, self.sizes["r_max"])

    def collate(self, store: Structures, rows: np.ndarray) -> dict[str, Tensor]:
        """Structures side by side."""
        return store.take(rows)

    @property
    def read_at_once(self) -> int:
        """As ``mace_run_train`` does."""
        return self.training["valid_batch_size"]

    # -- network -----------------------------------------------------------------------------------------

    def make_network(self) -> Energy:
        """An untrained network for the elements of train."""
        sizes = self.sizes
        hidden = [(sizes["num_channels"], (degree, (-1) ** degree)) for degree in range(sizes["max_L"] + 1)]
        with building(self.training["default_dtype"]):
            mace = ScaleShiftMACE(
                r_max=sizes["r_max"],
                num_bessel=8,
                num_polynomial_cutoff=5,
                max_ell=sizes["max_ell"],
                interaction_cls=interaction_classes["RealAgnosticResidualInteractionBlock"],
                interaction_cls_first=interaction_classes["RealAgnosticInteractionBlock"],
                num_interactions=sizes["num_interactions"],
                num_elements=len(self.elements),
                hidden_irreps=e3nn.o3.Irreps(hidden),
                MLP_irreps=e3nn.o3.Irreps("16x0e"),
                atomic_energies=np.zeros(len(self.elements)),
                avg_num_neighbors=self.neighbours,
                atomic_numbers=self.elements,
                correlation=sizes["correlation"],
                gate=gate_dict["silu"],
                use_reduced_cg=False,
                radial_MLP=sizes["radial_MLP"],
                atomic_inter_scale=1.0,
                atomic_inter_shift=0.0,
            )
        for buffer in mace.buffers():
            buffer.data = buffer.clone()  # some are views of larger ones, which safetensors does not write
        return Energy(mace, mean=self.kind == "intensive")

    def save_start(self, folder: Path) -> None:
        """Write elements and neighbours."""
        write_json(folder / "start.json", {"elements": self.elements, "neighbours": self.neighbours})

    def load_start(self, folder: Path) -> nn.Module:
        """Read them."""
        self.elements, self.neighbours = (read_json(folder / "start.json")[key] for key in ("elements", "neighbours"))
        return self.make_network()

    # -- training ----------------------------------------------------------------------------------------

    def optimise(self, network: nn.Module, steps: int) -> dict:
        """Adam; weights decay where ``mace_run_train`` has them decay, in products and in linear maps of messages."""
        settings, decayed, others = self.training, [], []
        for name, parameter in network.named_parameters():
            linear = "interactions." in name and name.endswith(("linear.weight", "skip_tp_full.weight"))
            (decayed if linear or "products." in name else others).append(parameter)
        optimizer = torch.optim.Adam(
            [{"params": decayed, "weight_decay": settings["weight_decay"]}, {"params": others}],
            lr=settings["lr"],
            amsgrad=True,
            fused=True,
        )
        if settings["scheduler"] == "ExponentialLR":
            gamma = settings.get("lr_scheduler_gamma", 0.9993)
            if "final_lr" in settings:
                gamma = (settings["final_lr"] / settings["lr"]) ** (1 / settings["epochs"])
            schedule = ExponentialLR(optimizer, gamma)
        else:
            factor, patience = settings.get("lr_factor", 0.8), settings.get("scheduler_patience", 50)
            schedule = ReduceLROnPlateau(optimizer, factor=factor, patience=patience)
        # after an epoch's last step: by Lightning's `epoch` a plateau is seen after the state to go on from is written
        when = {"interval": "step", "frequency": steps, "monitor": "valid_rmse"}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule} | when}

    def average(self, network: nn.Module) -> AveragedModel:
        """The exponential average of torch_ema, which follows faster at first."""

        def follow(average: Sequence[Tensor], weights: Sequence[Tensor], updates: Tensor) -> None:
            count = int(updates)
            share = 1 - min(self.training["ema_decay"], (1 + count) / (10 + count))
            for each, weight in zip(average, weights, strict=True):
                each.lerp_(weight, share)

        with building(self.training["default_dtype"]):
            average = AveragedModel(network, multi_avg_fn=follow)
        average.n_averaged += 1  # it holds the first weights, which an average of none would not count
        return average

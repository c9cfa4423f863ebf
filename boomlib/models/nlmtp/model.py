"""NL-MTP in the benchmark: fit, predict, and evaluate the policy do: mass += δ."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from boomlib.causal.density import log_ratio_from_density, support
from boomlib.contracts import POLICY
from boomlib.harness.batches import epoch_batches
from boomlib.harness.interface import Model, Molecules, Prediction, write_epochs
from boomlib.harness.training import fit_module
from boomlib.matched_pairs import find_pairs
from boomlib.models.nlmtp.encoder import Encoder, Tensors
from boomlib.models.nlmtp.module import Module, Pairs
from boomlib.models.nlmtp.network import Network, Reading

READ_AT_ONCE = 128  # molecules a batch without gradients
SWEEP = np.linspace(-2, 2, 9)  # shifts, in units of the policy's, for the check of linearity


class NLMTP(Model):
    """A transformer that predicts molecules and evaluates the modified treatment policy do: mass += δ.

    Args:
        shift: δ, Da; one CH₂ is 14.01565.
        encoder: covariates, environments, outcome scale and linear paths, see :class:`encoder.Encoder`.
        network: layers and heads, see :class:`network.Network` and :class:`backbone.Backbone`; ``read_out`` may be
            ``kind``: a sum over tokens for an extensive property, a mean for an intensive one.
        losses: weight of each term, see :mod:`losses`.
        training: ``batch``, ``epochs`` and further arguments of :class:`module.Module`.
        largest_pair: matched pairs differ by at most so much, Da.
    """

    def __init__(
        self,
        *,
        shift: float,
        encoder: dict,
        network: dict,
        losses: dict,
        training: dict,
        largest_pair: float,
        **common,
    ) -> None:
        super().__init__(**common)
        read_outs = {"extensive": "sum", "intensive": "mean"}
        if network["read_out"] == "kind":
            network = network | {"read_out": read_outs[self.kind]}
        self.shift, self.largest_pair = shift, largest_pair
        self.encoder = Encoder(kind=self.kind, **encoder)
        self.network_arguments, self.losses = network, losses
        self.training = dict(training)
        self.batch, self.epochs = self.training.pop("batch"), self.training.pop("epochs")

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Train; ``epochs.parquet`` gets each epoch's predictions of the molecules in :attr:`unlabelled`."""
        torch.set_num_threads(self.threads)
        self.encoder.fit(train, valid)
        tensors, valid_tensors = self.encoder.transform(train), self.encoder.transform(valid)
        length = tensors.length.numpy()
        pairs = self.find_pairs(train)
        self.network_arguments = self.network_arguments | {
            "tokens": len(self.encoder.vocabulary),
            "covariates": tensors.context.shape[1],
            "environments": self.encoder.environments,
            "length": float(length.mean()),
            "spread": self.encoder.spread,
        }
        self.make_network()
        module = Module(
            self.network,
            self.encoder.outcome,
            weights=self.losses,
            shift=self.shift / self.encoder.mass_scale,
            steps=self.epochs * -(-len(train) // self.batch),
            **self.training,
        )

        def batches(epoch: int) -> "Batches":
            rng = np.random.default_rng([self.seed, epoch])
            drawn = [(rows, *pairs.draw(rows, rng)) for rows in epoch_batches(length, self.batch, rng)]
            return Batches(tensors, drawn)

        unlabelled = self.unlabelled or valid
        followed = self.encoder.transform(unlabelled)
        history = fit_module(
            module,
            batches,
            lambda: DataLoader(in_batches(valid_tensors), batch_size=None),
            folder,
            epochs=self.epochs,
            seed=self.seed,
            clip=1.0,
            follow=lambda: self.own_outcome(followed),
        )
        write_epochs(folder, unlabelled.molecule_id, history)
        self.network.eval()

    def make_network(self) -> None:
        """A network with the run's initial weights."""
        torch.manual_seed(self.seed)
        self.network = Network(**self.network_arguments)

    def find_pairs(self, train: Molecules) -> Pairs:
        """Matched pairs within train, by position."""
        table = train.features["fragmentations"]
        table = table.append_column("molecule_id", pa.array(np.arange(len(train))))
        found = find_pairs(table, max_delta=self.largest_pair).sort_by("left")
        left, right, shift = (found[name].to_numpy() for name in ("left", "right", "delta_mass"))
        return Pairs(left, right, shift / self.encoder.mass_scale, len(train))

    @torch.no_grad()
    def own_outcome(self, tensors: Tensors) -> np.ndarray:
        """The molecules' own outcome in the observed world, native units, [n]."""
        z, rows = torch.empty(len(tensors), dtype=torch.float64), by_length(tensors)
        for each in rows:
            z[each] = self.read(tensors.take(each), torch.zeros(len(each), 1), hidden=False)[0][:, 0]
        return self.encoder.outcome.inverse(z.numpy())

    def read(self, tensors: Tensors, shift: Tensor, hidden: bool) -> tuple[Tensor, Reading, Tensors]:
        """Outcome z, float64 on the CPU, the whole reading, and the molecules on the network's device."""
        device = next(self.network.parameters()).device
        molecules = tensors.to(device)
        reading = self.network(molecules, shift.to(device), hidden=hidden)
        return reading.outcome.double().cpu(), reading, molecules

    def predict(self, molecules: Molecules) -> Prediction:
        """Each molecule's own outcome."""
        return Prediction(self.own_outcome(self.encoder.transform(molecules)))

    @torch.no_grad()
    def policy(self, molecules: Molecules) -> pa.Table:
        """What the model says of the policy, a row a molecule (:data:`boomlib.contracts.POLICY`), in native units.

        ``m_observed`` is m(a, x), ``m_moved`` m(a + δ, x) and ``m_policy`` the policy head's answer, all without
        SMILES; ``sweep`` is the policy head at the shifts of the metadata.
        """
        tensors = self.encoder.transform(molecules)
        parts = [self.policy_columns(tensors.take(rows)) for rows in torch.arange(len(tensors)).split(READ_AT_ONCE)]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        columns["sweep"] = pa.array(list(columns["sweep"]), POLICY.columns["sweep"])
        table = pa.table(
            {
                "molecule_id": pa.array(molecules.molecule_id),
                "environment": pa.array(tensors.environment.numpy()),
                **columns,
            }
        )
        facts = {
            "shift": self.shift,
            "sweep": (self.shift * SWEEP).tolist(),
            "offset": self.encoder.outcome.offset,
            "threshold": self.training["threshold"],
            "clip": self.training["clip"],
            "context": self.encoder.context,
        }
        return table.replace_schema_metadata({"policy": json.dumps(facts)})

    def policy_columns(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """The columns of :meth:`policy` for one batch, float64 [n] each, ``sweep`` [n, shifts]."""
        shift = self.shift / self.encoder.mass_scale
        shifts = torch.as_tensor(shift * np.concatenate([[0, 1], SWEEP]), dtype=torch.float32)
        worlds = shifts.expand(len(tensors), -1)
        hidden, reading, given = self.read(tensors, worlds, hidden=True)
        moved, *_ = self.read(tensors.shifted(shift), worlds[:, :1], hidden=True)
        here = self.network.classifier(reading.cls, given.treatment)
        ahead = self.network.classifier(reading.cls, given.treatment + shift)
        native = self.encoder.outcome.inverse
        return {
            "m_observed": native(hidden[:, 0]),
            "m_moved": native(moved[:, 0]),
            "m_policy": native(hidden[:, 1]),
            "log_ratio_density": as_column(log_ratio_from_density(reading.density, given.treatment, shift)),
            "log_ratio_classifier": as_column(here),
            "support": as_column(support(ahead)),
            "support_before": as_column(support(here)),
            "alpha": as_column(reading.alpha[:, 1].sum(-1) / max(1, reading.alpha.shape[-1])),
            "sweep": native(hidden[:, 2:]),
        }

    def save(self, folder: Path) -> None:
        """Write weights, and with joblib the encoder (a pickle: load only files of your own)."""
        torch.save(self.network.state_dict(), folder / "weights.pt")
        joblib.dump((self.encoder, self.network_arguments), folder / "encoder.joblib")

    def load(self, folder: Path) -> None:
        """Read both."""
        self.encoder, self.network_arguments = joblib.load(folder / "encoder.joblib")
        self.make_network()
        self.network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
        self.network.eval()


def as_column(values: Tensor) -> np.ndarray:
    """A column of a table, float64 on the CPU."""
    return values.double().cpu().numpy()


def by_length(tensors: Tensors) -> Sequence[Tensor]:
    """Rows of batches without gradients: molecules of similar length together, which saves padding."""
    return tensors.length.argsort(stable=True).split(READ_AT_ONCE)


def in_batches(tensors: Tensors) -> list[Tensors]:
    """The molecules in such batches."""
    return [tensors.take(rows) for rows in by_length(tensors)]


class Batches:
    """Train's batches of one epoch, for :meth:`Module.training_step`.

    Args:
        tensors: molecules of train.
        drawn: rows of each batch, their pairs' right sides (-1: none) and δ.
    """

    def __init__(self, tensors: Tensors, drawn: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
        self.tensors, self.drawn = tensors, drawn

    def __len__(self) -> int:
        return len(self.drawn)

    def __iter__(self) -> Iterator[tuple[Tensors, Tensor, Tensor, Tensor]]:
        descriptors = self.tensors.descriptors
        for rows, right, shift in self.drawn:
            target = descriptors[right] - descriptors[rows]
            paired = torch.as_tensor(right >= 0)
            yield self.tensors.take(torch.as_tensor(rows)), torch.as_tensor(shift, dtype=torch.float32), target, paired

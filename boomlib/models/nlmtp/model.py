"""NL-MTP in the benchmark: fit, predict, and evaluate the policy do: mass += δ."""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor

from boomlib.causal.density import log_ratio_from_density, support
from boomlib.contracts import PLACES, POLICY
from boomlib.files import ContractError
from boomlib.harness.batches import Batches, cut_into_batches, draw_batches
from boomlib.harness.interface import STATE, Molecules, PolicyModel, Prediction, write_epochs
from boomlib.harness.optimisers import make_adamw
from boomlib.harness.saving import read_objects, write_objects
from boomlib.harness.training import count_epochs, fit_module, freeze, join_histories
from boomlib.matched_pairs import find_pairs
from boomlib.models.nlmtp.encoder import Encoder, Tensors
from boomlib.models.nlmtp.module import Module, Pairs, make_batch
from boomlib.models.nlmtp.network import Network, Question, Reading, is_of_policy
from boomlib.models.nlmtp.options import (
    EncoderSettings,
    LossWeights,
    NetworkSettings,
    PolicyTraining,
    check_options,
)
from boomlib.models.nlmtp.places import Insertions
from boomlib.text.spellings import epoch_seed
from boomlib.text.tokens import Tokenizer, find_unwritable

READ_AT_ONCE = 128  # molecules a batch without gradients
LARGEST_GRADIENT = 1.0  # norm
UNSEEN = 50.0  # log ratio of what train does not have: e^-50 of support
SWEEP = np.linspace(-2, 2, 9)  # shifts, in units of the policy's, for the check of linearity


class NLMTP(PolicyModel):
    """A transformer that predicts molecules and evaluates the modified treatment policy do: mass += δ.

    Args:
        shift: δ, Da; one CH₂ is 14.01565.
        encoder: covariates, environments, outcome scale and linear paths.
        network: layers and heads; ``read_out`` may be ``kind``: a sum over tokens for an extensive property, a mean
            for an intensive one.
        losses: weight of each term.
        training: how it is trained.
        largest_pair: matched pairs differ by at most so much, Da.

    Raises:
        ContractError: options exclude each other or are out of range (:func:`check_options`).
    """

    network: Network

    def __init__(
        self,
        *,
        shift: float,
        encoder: EncoderSettings,
        network: NetworkSettings,
        losses: LossWeights,
        training: PolicyTraining,
        largest_pair: float,
        **common,
    ) -> None:
        super().__init__(**common)
        check_options(shift, encoder, network, losses, training)
        read_outs = {"extensive": "sum", "intensive": "mean"}
        if network["read_out"] == "kind":
            network = network | {"read_out": read_outs[self.kind]}
        self.shift, self.largest_pair = shift, largest_pair
        self.encoder = Encoder(kind=self.kind, **encoder)
        self.network_arguments, self.losses, self.training = network, {"site": 1.0} | losses, training

    @property
    def device(self) -> str:
        """Where the network is."""
        return str(next(self.network.parameters()).device)

    def find_unreadable(self, molecules: Molecules) -> dict[int, str]:
        """Those whose SMILES has what is no token; a token that train lacks is an unknown one."""
        return find_unwritable(molecules.smiles, "smiles")

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Train; ``epochs.parquet`` gets each epoch's predictions of the molecules in :attr:`unlabelled`."""
        torch.set_num_threads(self.threads)
        given, encoder = self.training | {"epochs": count_epochs(self.training, len(train))}, self.encoder
        missing = [name for name in dict.fromkeys(encoder.features) if name not in train.features]
        if missing:
            raise ContractError(f"these options read {', '.join(missing)}; add to the descriptor's `features:`")
        tensors, valid_tensors = encoder.fit_transform(train, valid), encoder.transform(valid)
        length = tensors.length.numpy()
        pairs = self.find_pairs(train)
        self.network_arguments = self.network_arguments | {
            "tokens": encoder.tokenizer.size,
            "covariates": tensors.context.shape[1],
            "environments": encoder.environments,
            "length": float(length.mean()),
            "spread": encoder.spread,
            "groups": encoder.places.size if encoder.places else 0,
            "within": encoder.with_line == "within",
        }
        self.make_network()
        places = encoder.find_insertions(train, self.shift) if encoder.places else None

        def batches(epoch: int) -> Batches:
            rng = np.random.default_rng([self.seed, epoch])
            drawn = [(rows, *pairs.draw(rows, rng)) for rows in draw_batches(length, given["batch"], rng)]
            if places is not None:
                drawn = [(*each, places.draw(each[0], rng)) for each in drawn]
            read = tensors
            if encoder.enumeration:
                read = replace(tensors, tokens=encoder.respell(train, 1, epoch_seed(self.seed, epoch))[0])
            return Batches(drawn, lambda each: make_batch(read, places, *each))

        unlabelled = self.unlabelled or valid
        followed = self.spell(unlabelled)
        later = given.get("policy_epochs", 0)
        phases = {"observed": given["epochs"], "policy": later} if later else {"both": given["epochs"]}
        history: list[np.ndarray] = []
        for phase, epochs in phases.items():
            learning = self.choose_parameters(phase)
            module = self.make_module(phase, learning, epochs * len(cut_into_batches(length, given["batch"])))
            history += fit_module(
                module,
                batches,
                lambda: Batches(group_by_length(valid_tensors), valid_tensors.take),
                # a phase that is over is not trained again by a job that starts again
                folder / STATE / phase if phase == "observed" else folder,
                epochs=epochs,
                seed=self.seed,
                clip=LARGEST_GRADIENT,
                follow=lambda: self.own_outcome(followed),
                monitor="valid_gap" if phase == "policy" else "valid_rmse",
                bfloat16=True,
            )
        if later:
            join_histories(folder / STATE / "observed", folder)
        self.trained_on = module.trained_on
        write_epochs(folder, unlabelled.molecule_id, history)
        freeze(self.network)

    def choose_parameters(self, phase: str) -> list[torch.nn.Parameter]:
        """What learns in a phase; the rest needs no gradient in it."""
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(phase != "policy" or is_of_policy(name))
        return [each for each in self.network.parameters() if each.requires_grad]

    def make_module(self, phase: str, learning: list[torch.nn.Parameter], steps: int) -> Module:
        """What trains the network in a phase of so many steps."""
        given = self.training
        rates = given
        if phase == "policy":  # may be short, and would end before the rate is up
            rates = given | {"warm_up": min(given.get("warm_up", 0), steps // 2)}
        return Module(
            self.network,
            lambda network: make_adamw(learning, rates, steps),
            self.encoder.outcome,
            weights=self.losses,
            shift=self.shift / self.encoder.mass_scale,
            phase=phase,
            **{name: given[name] for name in ("threshold", "clip", "pseudo_outcome", "pair_epochs")},
        )

    def make_network(self) -> None:
        """A network with the run's initial weights."""
        torch.manual_seed(self.seed)
        self.network = Network(**self.network_arguments)

    def find_pairs(self, train: Molecules) -> Pairs:
        """Matched pairs within train, by position."""
        table = train.features["fragmentations"]
        table = table.append_column("molecule_id", pa.array(np.arange(len(train))))
        found = find_pairs(table, max_delta=self.largest_pair, described=False)
        left, right, shift = (found[name].to_numpy() for name in ("left", "right", "delta_mass"))
        return Pairs(left, right, shift / self.encoder.mass_scale, len(train))

    @torch.no_grad()
    def own_outcome(self, spelled: Sequence[Tensors]) -> np.ndarray:
        """The molecules' own outcome in the observed world, the mean over spellings, native units, [n]."""
        z = torch.zeros(len(spelled), len(spelled[0]), dtype=torch.float64)
        for row, tensors in zip(z, spelled, strict=True):
            for each in group_by_length(tensors):
                (own,), _ = self.read(tensors.take(each), [Question(torch.zeros(len(each), 1), hidden=False)])
                row[each] = own.outcome[:, 0].double().cpu()
        return self.encoder.outcome.inverse(z.mean(0).numpy())

    def spell(self, molecules: Molecules) -> list[Tensors]:
        """What is read for the molecules' own outcome: them, or them in each of several random spellings."""
        tensors, several = self.encoder.transform(molecules), self.encoder.enumeration
        if not several:
            return [tensors]
        return [replace(tensors, tokens=tokens) for tokens in self.encoder.respell(molecules, several, self.seed)]

    def read(self, tensors: Tensors, asked: Sequence[Question]) -> tuple[list[Reading], Tensors]:
        """Answers to all questions, and the molecules as the network has read them, on its device."""
        weights = next(self.network.parameters())
        molecules = tensors.to(weights.device, weights.dtype)
        questions = [replace(each, shift=each.shift.to(weights)) for each in asked]
        return self.network.answer(molecules, questions), molecules

    def predict(self, molecules: Molecules) -> Prediction:
        """Each molecule's own outcome."""
        return Prediction(self.own_outcome(self.spell(molecules)))

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
        if self.encoder.places is not None:
            columns |= self.place_columns(molecules, tensors)
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
        shifts = torch.as_tensor(shift * np.concatenate([[0, 1], SWEEP]))
        worlds = shifts.expand(len(tensors), -1)
        asked = [Question(worlds, hidden=True), Question(worlds[:, :1], hidden=True, moved=shift)]
        (reading, there), given = self.read(tensors, asked)
        hidden, moved = reading.outcome.double().cpu(), there.outcome.double().cpu()
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

    def place_columns(self, molecules: Molecules, tensors: Tensors) -> dict[str, pa.Array | np.ndarray]:
        """The columns of a policy with a place (:data:`boomlib.contracts.PLACES`), in native units."""
        places, products = (
            self.encoder.find_insertions(molecules, self.shift),
            molecules.features["insertions"]["product"],
        )
        n, m = len(tensors), len(places)
        natural, inserted = np.empty((2, n)), np.empty((3, m))
        for rows in torch.arange(n).split(READ_AT_ONCE):
            zero = torch.zeros(len(rows), 1)
            (reading,), given = self.read(tensors.take(rows), [Question(zero, hidden=True, grouped=True)])
            ratio = self.network.ratio_of_groups(given, reading.cls)
            natural[:, rows] = np.stack([as_column(reading.outcome[:, 0]), as_column(ratio)])
        for rows in torch.arange(m).split(READ_AT_ONCE):
            inserted[:, rows] = self.ask_places(tensors.take(places.molecule[rows]), places.take(rows))
        native = self.encoder.outcome.inverse
        lists = {
            "place_outcome": native(inserted[0]),
            "place_moved": native(inserted[1]),
            # a place that makes a group which train hardly has is as good as never seen
            "place_log_ratio": np.where(places.known.numpy(), inserted[2], UNSEEN),
        }
        ends = np.concatenate([[0], np.cumsum(np.bincount(places.molecule.numpy(), minlength=n))]).astype(np.int32)
        named = {name: pa.ListArray.from_arrays(ends, values).cast(PLACES[name]) for name, values in lists.items()}
        named["place_product"] = products.combine_chunks().cast(PLACES["place_product"])
        return {"m_grouped": native(natural[0]), "log_ratio_grouped": natural[1]} | named

    def ask_places(self, tensors: Tensors, places: Insertions) -> np.ndarray:
        """Of an insertion into each molecule, [3, n].

        What the policy head says, what the observed world says of the product, and the product's log ratio.
        """
        shift, weights = self.shift / self.encoder.mass_scale, next(self.network.parameters())
        zero, place = torch.zeros(len(tensors), 1), places.to(weights.device, weights.dtype)
        asked = Question(zero + shift, hidden=True, grouped=True, place=place)
        (policy,), given = self.read(tensors, [asked])
        made = given.insert(place, shift)
        (there,) = self.network.answer(made, [Question(zero.to(weights), hidden=True, grouped=True)])
        ratio = self.network.ratio_of_groups(made, there.cls)
        return np.stack([as_column(each) for each in (policy.outcome[:, 0], there.outcome[:, 0], ratio)])

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), the tokenizer and all else that the encoder has learnt."""
        save_model(self.network, folder / "weights.safetensors")
        self.encoder.tokenizer.save(folder)
        encoder = copy(self.encoder)
        del encoder.tokenizer  # in files of its own
        write_objects((encoder, self.network_arguments), folder / "encoder.skops")

    def load(self, folder: Path) -> None:
        """Read them."""
        self.encoder, self.network_arguments = read_objects(folder / "encoder.skops")
        if not hasattr(self.encoder, "tokenizer"):  # files of earlier versions hold it
            self.encoder.tokenizer = Tokenizer.load(folder)
        self.make_network()
        load_model(freeze(self.network), folder / "weights.safetensors")


def as_column(values: Tensor) -> np.ndarray:
    """A column of a table, float64 on the CPU."""
    return values.double().cpu().numpy()


def group_by_length(tensors: Tensors) -> Sequence[Tensor]:
    """Rows of batches without gradients: molecules of similar length together, which saves padding."""
    return tensors.length.argsort(stable=True).split(READ_AT_ONCE)

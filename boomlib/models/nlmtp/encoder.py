"""Molecules -> what NL-MTP reads: environment, pre-treatment context, treatment (mass) and SMILES tokens.

Everything fitted here is fitted on train: vocabulary, scales, the outcome's transform and the linear paths.
"""

from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from boomlib.features.context import CONTEXT_SETS
from boomlib.files import ContractError
from boomlib.harness.batches import pad
from boomlib.harness.columns import stack_columns
from boomlib.harness.design import Blocks, Environments, LinearDesign, add_rows, find_moments, read_descriptors
from boomlib.harness.interface import Molecules
from boomlib.harness.physics import Physics
from boomlib.harness.ragged import send
from boomlib.harness.references import PHYSICS
from boomlib.harness.ridge import HalfSparseRows, Rows, fit_ridge
from boomlib.models.nlmtp.environments import environment_of
from boomlib.models.nlmtp.places import GroupPath, Insertions
from boomlib.models.nlmtp.within import Side, WithinLine
from boomlib.text.spellings import draw_spellings
from boomlib.text.tokens import Tokenizer

MASSES = ("MolWt", "ExactMolWt", "HeavyAtomMolWt")
PENALTIES = tuple(10.0 ** (k / 2) for k in range(-6, 11))
# what the loss on matched pairs predicts: descriptors that a small edit changes, none of them the mass or the outcome
PAIR_DESCRIPTORS = (
    "MolLogP",
    "MolMR",
    "TPSA",
    "LabuteASA",
    "FractionCSP3",
    "HeavyAtomCount",
    "NumRotatableBonds",
    "NumHAcceptors",
    "NumHDonors",
    "BertzCT",
)
MARGIN = 1.0
PATHS = {
    "counts": (False, None),
    "counts and descriptors": (True, None),
    "physics": (True, PHYSICS["physics"]),
    "physics_embedded": (True, PHYSICS["physics_embedded"]),
}
"""Linear paths of a molecule's own outcome: whether they read descriptors, and their feature of single points."""
FOLDED_BITS = 2048
FIRST = 0  # seed of the spellings whose tokens the vocabulary has
LARGEST = 10.0  # standardised covariate that a token tells
SAME_MASS = 1e-6  # Da


@dataclass(frozen=True)
class Tensors:
    """NL-MTP's view of n molecules; treatment and outcome are standardised on train.

    Attributes:
        environment: int64 [n].
        context: float32 [n, columns].
        treatment: float32 [n].
        tokens: int64 [n, longest], 0 behind a molecule's end.
        additive: float32 [n], what the linear path from counts says of the outcome.
        line: float32 [n, 3], intercept, slope in the treatment and curvature of the linear path from context and
            treatment.
        descriptors: float32 [n, len(PAIR_DESCRIPTORS)], standardised.
        outcome: float32 [n], NaN where unknown.
        group: int64 [n, most], groups of the policy with a place, 0 behind a molecule's end; [n, 0] without places.
        group_count: float32 [n, most], how often each occurs.
        group_line: float32 [n], what the linear path from context, treatment and groups says of the outcome.
    """

    environment: Tensor
    context: Tensor
    treatment: Tensor
    tokens: Tensor
    additive: Tensor
    line: Tensor
    descriptors: Tensor
    outcome: Tensor
    group: Tensor
    group_count: Tensor
    group_line: Tensor

    def __len__(self) -> int:
        return len(self.treatment)

    @property
    def length(self) -> Tensor:
        """SMILES tokens of each molecule, [n]."""
        return (self.tokens > 0).sum(1)

    def take(self, rows: Tensor) -> "Tensors":
        """The molecules ``rows``, their tokens cut to the longest of them."""
        taken = Tensors(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})
        most = int((taken.group > 0).sum(1).max()) if len(taken) else 0
        return replace(
            taken,
            tokens=taken.tokens[:, : int(taken.length.max()) if len(taken) else 0],
            group=taken.group[:, :most],
            group_count=taken.group_count[:, :most],
        )

    def insert(self, place: Insertions, shift: float) -> "Tensors":
        """What an insertion into each molecule makes, n of them, as far as its context, mass and groups say."""
        return replace(
            self,
            context=(self.context + place.context).clamp(-LARGEST, LARGEST),
            treatment=self.treatment + shift,
            group=torch.cat([self.group, place.group], dim=1),
            group_count=torch.cat([self.group_count, place.change], dim=1),
            group_line=self.group_line + place.line,
        )

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> "Tensors":
        """The same on another device, whole numbers apart in another precision."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Tensors(
            **{
                name: send(each, device).to(dtype if dtype and each.is_floating_point() else each.dtype)
                for name, each in values.items()
            }
        )


class LogMargin:
    """The outcome's scale: z = (log(y - c) - mean) / deviation, with c = min - margin · range of train.

    A wide margin keeps the logarithm nearly linear far outside of train's range; truths below c cannot be expressed.
    """

    def __init__(self, margin: float) -> None:
        self.margin = margin

    def fit(self, y: np.ndarray) -> "LogMargin":
        """Learn c, mean and deviation from train's labels; raises :class:`ContractError` if all are the same."""
        if y.min() == y.max():
            raise ContractError(f"all {len(y)} labels of train are {y.min():.6g}: there is nothing to learn")
        self.offset = float(y.min() - self.margin * (y.max() - y.min()))
        logarithm = np.log(y - self.offset)
        self.mean, self.deviation = float(logarithm.mean()), float(logarithm.std())
        return self

    def transform(self, y: np.ndarray) -> np.ndarray:
        """Native units -> z; NaN stays NaN."""
        if (y <= self.offset).any():
            raise ContractError(f"a label lies below the offset {self.offset:.6g}; choose a larger `margin`")
        return (np.log(y - self.offset) - self.mean) / self.deviation

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Z -> native units."""
        return np.exp(np.asarray(z, np.float64) * self.deviation + self.mean) + self.offset


class Encoder:
    """Fits to train what turns molecules into :class:`Tensors`.

    Args:
        kind: ``extensive`` or ``intensive``, for the linear path from counts.
        context: ``homologous``, ``intensive`` or ``full``: which covariates stand before the treatment.
        environments: groups that scaffolds are hashed into.
        margin: of :class:`LogMargin`.
        additive: the linear path of the molecule's own outcome: ``none``, ``counts``, ``counts and descriptors``, or
            these and single points, ``physics`` or ``physics_embedded`` (:data:`PATHS`).
        line: whether the answer to (treatment, context) has a linear path; ``within``: one whose effect of the
            treatment is that between molecules of the same context (:mod:`boomlib.models.nlmtp.within`).
        site: whether the policy also says where, see :mod:`boomlib.models.nlmtp.places`.
        enumeration: 0: each molecule is read as its SMILES stands. k > 0: training reads another random spelling in
            each epoch, a molecule's own outcome is the mean over k.

    Raises:
        ContractError: a place or a line within contexts is asked for and the context is not ``homologous``: an
            insertion leaves that alone, and molecules share it.
    """

    places: GroupPath | None = None  # an encoder of version 0.3.0 has neither
    enumeration = 0

    def __init__(
        self,
        *,
        kind: str,
        context: str,
        environments: int,
        margin: float,
        additive: str,
        line: bool | Literal["within"],
        site: bool = False,
        enumeration: int = 0,
    ) -> None:
        for option, asked in (("site", site), ("line: within", line == "within")):
            if asked and context != "homologous":
                raise ContractError(f"`{option}` needs `context: homologous`, which a CH2 leaves alone, not {context}")
        self.context, self.environments, self.with_line = context, environments, line
        self.enumeration, self.outcome = enumeration, LogMargin(margin)
        self.places = GroupPath() if site else None
        self.design = None
        self.features = ["descriptors", "scaffolds", "fragmentations"]
        self.features += ["maccs", "morgan_counts"] if context == "full" else ["context"]
        self.features += ["insertions", "morgan_counts"] if site else []
        if additive != "none":
            descriptors, feature = PATHS[additive]
            self.features += ["elements", "morgan_counts"]
            self.features += [] if feature is None else [feature]
            more = None if feature is None else Physics(feature, kind, MARGIN)
            self.design = LinearDesign(kind, 1, 3, MARGIN if descriptors else None, more)

    def covariates(self, molecules: Molecules) -> np.ndarray:
        """Unscaled covariates, float64 [n, columns]."""
        if self.context != "full":
            table = molecules.features["context"]
            return stack_columns(table.select(CONTEXT_SETS[self.context]))
        names = molecules.features["descriptors"].column_names
        kept = [index for index, name in enumerate(names) if name not in MASSES]
        descriptors = np.nan_to_num(read_descriptors(molecules)[:, kept])
        return np.hstack([descriptors, stack_columns(molecules.features["maccs"]), folded(molecules)])

    def mass(self, molecules: Molecules) -> np.ndarray:
        """Exact mass, Da, [n]."""
        return molecules.features["descriptors"]["ExactMolWt"].to_numpy()

    def pair_descriptors(self, molecules: Molecules) -> np.ndarray:
        """Descriptors of :data:`PAIR_DESCRIPTORS`, [n, columns]."""
        return np.nan_to_num(stack_columns(molecules.features["descriptors"].select(PAIR_DESCRIPTORS)))

    def fit_transform(self, train: Molecules, valid: Molecules) -> Tensors:
        """Learn scales, vocabulary and linear paths from train; the paths' penalties are chosen on valid.

        Returns:
            Train, with what the additive path says of each molecule when it is left out of its fit: the network shall
            learn what the path leaves on molecules that the path has not seen.
        """
        # a random spelling has tokens of its own
        drawn = draw_spellings(train.smiles, self.enumeration, FIRST) if self.enumeration else []
        self.tokenizer = Tokenizer.fit(chain(train.smiles, *drawn), "smiles", bare=True)
        mass, descriptors = self.mass(train), self.pair_descriptors(train)
        mean, deviation = find_moments(Blocks(train, self.covariates))
        self.columns = np.flatnonzero(deviation > 1e-9)
        self.center, self.scale = mean[self.columns], deviation[self.columns]
        self.mass_center, self.mass_scale = float(mass.mean()), float(mass.std())
        if not mass.max() - mass.min() > SAME_MASS:
            raise ContractError(f"all of train weigh {mass[0]:.5f} Da: NL-MTP asks about the mass; take another model")
        self.pair_center, self.pair_scale = descriptors.mean(0), np.maximum(descriptors.std(0), 1e-9)
        self.outcome.fit(train.y)
        z, z_valid = self.outcome.transform(train.y), self.outcome.transform(valid.y)
        self.additive, self.line = None, None
        if self.design is not None:
            columns = self.design.fit(train).halves
            x, x_valid = (HalfSparseRows(Blocks(each, columns)) for each in (train, valid))
            self.additive = fit_ridge(x, z, x_valid, z_valid, PENALTIES)
        if self.with_line == "within":
            sides = (
                Side(np.vstack(list(Blocks(each, self.covariates))), *self.standardised(each), said)
                for each, said in ((train, z), (valid, z_valid))
            )
            self.line = WithinLine().fit(*sides, PENALTIES)
        elif self.with_line:
            self.line_center = add_rows(Blocks(train, self.line_columns)) / len(train)

            def centred(molecules: Molecules) -> np.ndarray:
                return self.line_columns(molecules) - self.line_center

            x, x_valid = (Rows(Blocks(each, centred)) for each in (train, valid))
            self.line = fit_ridge(x, z, x_valid, z_valid, PENALTIES)
        unseen = {}
        if self.places is not None:
            unseen["group_line"] = self.places.fit(train, valid, z, z_valid, self.standardised)
        if self.additive is not None:
            unseen["additive"] = z - self.additive.leave_one_out
        paths = {name: torch.as_tensor(values, dtype=torch.float32) for name, values in unseen.items()}
        return replace(self.transform(train), **paths)

    @property
    def spread(self) -> tuple[float, ...]:
        """Deviation, in z, of what the linear paths leave on new molecules.

        Of their own outcome, of m(a, x) and, with places, of m(a, x, G).
        """
        paths = (self.additive, self.line)
        own = tuple(max(1e-6, float(path.leave_one_out.std())) if path else 1.0 for path in paths)
        return own if self.places is None else (*own, self.places.spread)

    def standardised(self, molecules: Molecules) -> tuple[np.ndarray, np.ndarray]:
        """Scaled covariates [n, columns] and treatment [n]."""
        x = (self.covariates(molecules)[:, self.columns] - self.center) / self.scale
        return x, (self.mass(molecules) - self.mass_center) / self.mass_scale

    def line_columns(self, molecules: Molecules) -> np.ndarray:
        """Columns of the linear path from context x and treatment a: x, a, a·x."""
        x, a = self.standardised(molecules)
        return np.hstack([x, a[:, None], a[:, None] * x])

    def transform(self, molecules: Molecules) -> Tensors:
        """Tensors of molecules, labelled or not."""
        numbers = torch.as_tensor(np.vstack(list(Blocks(molecules, self.numbers))))
        sizes = (len(self.columns), 1, 1, 3, 1, len(PAIR_DESCRIPTORS))
        context, treatment, additive, line, group_line, descriptors = numbers.split(sizes, dim=1)
        n = len(molecules)
        group, count = self.places.bags(molecules) if self.places else (torch.zeros(n, 0).long(), torch.zeros(n, 0))
        return Tensors(
            environment=torch.as_tensor(
                environment_of(molecules.features["scaffolds"]["scaffold"].to_pylist(), self.environments)
            ).long(),
            context=context,
            treatment=treatment[:, 0],
            tokens=pad(self.tokenizer.encode(molecules.smiles)),
            additive=additive[:, 0],
            line=line,
            descriptors=descriptors,
            outcome=torch.as_tensor(self.outcome.transform(molecules.y), dtype=torch.float32),
            group=group,
            group_count=count,
            group_line=group_line[:, 0],
        )

    def respell(self, molecules: Molecules, spellings: int, seed: int) -> list[Tensor]:
        """Tokens of each of so many random spellings of the molecules, int64 [n, longest]."""
        drawn = draw_spellings(molecules.smiles, spellings, seed)
        return [pad(self.tokenizer.encode(texts)) for texts in zip(*drawn, strict=True)]

    def find_insertions(self, molecules: Molecules, shift: float) -> Insertions:
        """Where a CH₂ can go in molecules; ``shift`` is its mass, Da."""
        step = shift / self.mass_scale
        return self.places.find_insertions(molecules.features["insertions"], self.columns, self.scale, step)

    def numbers(self, molecules: Molecules) -> np.ndarray:
        """Context, treatment, the linear paths and descriptors beside each other, float32 [n, columns]."""
        x, a = self.standardised(molecules)
        n, p = x.shape
        additive, line = np.zeros(n), np.zeros((n, 3))
        if self.design is not None:
            additive = self.design.halves(molecules) @ self.additive.weights + self.additive.intercept
        if isinstance(self.line, WithinLine):
            line = self.line.coefficients(x)
        elif self.with_line:
            weights = self.line.weights
            level = self.line.intercept - self.line_center @ weights + x @ weights[:p]
            line[:, :2] = np.stack([level, weights[p] + x @ weights[p + 1 :]], axis=1)
        group_line = self.places.level(molecules, x, a) if self.places else np.zeros(n)
        descriptors = (self.pair_descriptors(molecules) - self.pair_center) / self.pair_scale
        # far outside of train a token says "far", the linear path says how far
        x = x.clip(-LARGEST, LARGEST)
        return np.column_stack([x, a, additive, line, group_line, descriptors]).astype(np.float32)


def folded(molecules: Molecules) -> np.ndarray:
    """Bits of the Morgan fingerprint of radius 2, folded, float64 [n, FOLDED_BITS]."""
    row, identifier, _ = Environments(2, 1).entries(molecules)
    bits = np.zeros((len(molecules), FOLDED_BITS))
    bits[row, identifier % FOLDED_BITS] = 1
    return bits

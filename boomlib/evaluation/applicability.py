"""Whether a model may be asked for a molecule: how far it is from what its training has seen.

Each flag is a score, the higher the stranger, and a limit beyond which a molecule is flagged; both come from train and
valid alone:

- ``value``: how far the prediction is outside the range of train's labels, in widths of that range; flagged above 0.
- ``element``: atoms of elements that no molecule of train has; flagged above 0.
- ``group``: Morgan environments of radius 0 and 1 that no molecule of train has; flagged above 0.
- ``similarity``: 1 less the largest Tanimoto similarity to a molecule of train, of Morgan fingerprints (radius 2, 2048
  bits; Rogers & Hahn, J. Chem. Inf. Model. 50, 742, 2010); flagged above what :data:`USUAL` of valid have.
- ``spread``: standard deviation over members or seeds; flagged above what :data:`USUAL` of valid have.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from boomlib.contracts import PREDICTED_FOLDS, TableContract, list_of, read_table, read_truth, write_table
from boomlib.evaluation.conformal import USUAL
from boomlib.files import StrPath

STRUCTURE = ("element", "group", "similarity")
"""Flags that depend on the molecule alone, and on no model."""
FLAGS = ("value", *STRUCTURE, "spread")
FEATURES = ("elements", "morgan_counts")
"""Feature tables that a domain reads."""
BITS = 2048
RADIUS = 1
"""Bonds around an atom that make a group."""
BLOCK = 64
"""Molecules that are compared with train at once; a block changes the speed and not the result."""
SCORES = TableContract(
    "applicability",
    {"molecule_id": pa.int64()}
    | {column: dtype for name in STRUCTURE for column, dtype in ((name, pa.float64()), (f"{name}_flag", pa.bool_()))},
)
DOMAIN = TableContract("domain", {"bits": list_of(pa.uint16())})
Features = Mapping[str, pa.Table]


def select_rows(features: Features, chosen: np.ndarray) -> dict[str, pa.Table]:
    """The ``chosen`` (bool [n]) molecules of feature tables."""
    return {name: table.filter(pa.array(chosen)) for name, table in features.items()}


def fold_fingerprints(counts: pa.Table) -> csr_array:
    """Morgan fingerprints of molecules, folded as RDKit folds them, float32 [n, BITS] of 0 and 1.

    Args:
        counts: the feature table ``morgan_counts``.
    """
    rows, environments, _ = list_environments(counts)
    return make_bits(rows, environments % BITS, counts.num_rows)


def list_environments(counts: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All atom environments of a table ``morgan_counts``: each one's row, identifier and radius, integers [m]."""
    lists = {name: counts[name].combine_chunks() for name in ("environment", "radius")}
    lengths = lists["environment"].value_lengths().to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(counts.num_rows), lengths)
    return rows, lists["environment"].flatten().to_numpy(), lists["radius"].flatten().to_numpy()


def make_bits(rows: np.ndarray, bits: np.ndarray, n: int) -> csr_array:
    """Fingerprints of n molecules from the rows and the numbers of bits that are set, however often."""
    made = csr_array((np.ones(len(bits), dtype=np.float32), (rows, bits)), shape=(n, BITS))
    made.data[:] = 1
    return made


def find_nearest(asked: csr_array, train: csr_array) -> np.ndarray:
    """The largest Tanimoto similarity of each molecule to one of train, float64 [n].

    One sparse product a block: three times as fast as RDKit's bulk function, which makes a list a molecule.

    Args:
        asked: fingerprints, [n, BITS].
        train: fingerprints of at least one molecule, [train, BITS].
    """
    sizes = np.asarray(train.sum(axis=1))
    nearest = np.zeros(asked.shape[0])
    for start in range(0, asked.shape[0], BLOCK):
        block = np.ascontiguousarray(asked[start : start + BLOCK].toarray().T)
        shared = train @ block
        nearest[start : start + BLOCK] = (shared / (sizes[:, None] + block.sum(axis=0) - shared)).max(axis=0)
    return nearest


@dataclass(frozen=True)
class Domain:
    """What the molecules of train have, against which any molecule is judged.

    Attributes:
        elements: symbols of their elements.
        groups: identifiers of their environments up to :data:`RADIUS`, uint32, sorted.
        fingerprints: theirs, [train, BITS].
        low, high: the range of their labels, in the property's unit.
        limits: by flag the score beyond which a molecule is flagged.
    """

    elements: tuple[str, ...]
    groups: np.ndarray
    fingerprints: csr_array
    low: float
    high: float
    limits: Mapping[str, float]

    @classmethod
    def fit(cls, features: Features, y: np.ndarray, fold: np.ndarray) -> "Domain":
        """The domain of the molecules of train, with limits by those of valid; other rows are not read.

        Args:
            features: the tables :data:`FEATURES` of all molecules, by name.
            y: labels, float64 [n].
            fold: str [n]; there are molecules in train and in valid.
        """
        train, valid = (select_rows(features, fold == name) for name in ("train", "valid"))
        labels = y[fold == "train"]
        counts = train["elements"].drop_columns("molecule_id")
        _, environments, radii = list_environments(train["morgan_counts"])
        domain = cls(
            tuple(name for name in counts.column_names if counts[name].to_numpy().any()),
            np.unique(environments[radii <= RADIUS]),
            fold_fingerprints(train["morgan_counts"]),
            float(labels.min()),
            float(labels.max()),
            {},
        )
        usual = float(np.quantile(domain.score(valid)["similarity"], USUAL))
        return replace(domain, limits={"value": 0.0, "element": 0.0, "group": 0.0, "similarity": usual})

    def score(self, features: Features) -> dict[str, np.ndarray]:
        """The scores :data:`STRUCTURE` of any molecules, float64 [n] each, from their tables :data:`FEATURES`."""
        elements, counts = features["elements"], features["morgan_counts"]
        known = {*self.elements, "molecule_id"}
        atoms = np.zeros(elements.num_rows)
        for name in elements.column_names:
            if name not in known:
                atoms += elements[name].to_numpy()
        rows, environments, radii = list_environments(counts)
        unseen = (radii <= RADIUS) & ~np.isin(environments, self.groups)
        return {
            "element": atoms,
            "group": np.bincount(rows[unseen], minlength=counts.num_rows).astype(np.float64),
            "similarity": 1 - find_nearest(fold_fingerprints(counts), self.fingerprints),
        }

    def score_values(self, y_pred: np.ndarray) -> np.ndarray:
        """The score ``value`` of predictions in the property's unit, float64 [n]."""
        outside = np.maximum(self.low - y_pred, 0) + np.maximum(y_pred - self.high, 0)
        return outside / (self.high - self.low if self.high > self.low else 1.0)

    def judge(
        self,
        features: Features,
        y_pred: np.ndarray | None = None,
        y_std: np.ndarray | None = None,
        usual_spread: float | None = None,
    ) -> pa.Table:
        """Scores and flags of any molecules: for each flag a column of its name, and ``{flag}_flag``, bool.

        Args:
            features: their tables :data:`FEATURES`, by name.
            y_pred: a model's predictions, float64 [n]; None: no ``value``.
            y_std: their spread, float64 [n]; None: no ``spread``.
            usual_spread: beyond which a spread is flagged: ``usual_spread`` of the model's calibration.
        """
        scores = self.score(features)
        if y_pred is not None:
            scores["value"] = self.score_values(y_pred)
        if y_std is not None and usual_spread is not None:
            scores["spread"] = y_std
        columns: dict[str, np.ndarray] = {}
        for name, flagged in self.raise_flags(scores, usual_spread).items():
            columns |= {name: scores[name], f"{name}_flag": flagged}
        return pa.table(columns)

    def raise_flags(
        self, scores: Mapping[str, np.ndarray], usual_spread: float | None = None
    ) -> dict[str, np.ndarray]:
        """Whether each of :data:`FLAGS` that has a score, float64 [n], is raised, bool [n], in their order.

        Args:
            scores: by flag.
            usual_spread: beyond which a spread is flagged; None where there is no score ``spread``.
        """
        limits = {**self.limits, "spread": usual_spread}
        return {name: scores[name] > limits[name] for name in FLAGS if name in scores}

    def save(self, path: StrPath) -> None:
        """Write the domain as one Parquet file: a row a molecule of train, all else as JSON in its metadata."""
        bits = self.fingerprints
        lists = pa.ListArray.from_arrays(bits.indptr.astype(np.int32), bits.indices.astype(np.uint16))
        described = {"elements": self.elements, "groups": self.groups.tolist(), "low": self.low, "high": self.high}
        content = json.dumps(described | {"limits": dict(self.limits)})
        table = pa.table({"bits": lists.cast(DOMAIN.columns["bits"])})
        write_table(table.replace_schema_metadata({"domain": content}), path, DOMAIN)

    @classmethod
    def load(cls, path: StrPath) -> "Domain":
        """Read what :meth:`save` has written."""
        table = read_table(path, DOMAIN)
        content: dict[str, Any] = json.loads(table.schema.metadata[b"domain"])
        lists = table["bits"].combine_chunks()
        rows = np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy(zero_copy_only=False))
        return cls(
            tuple(content["elements"]),
            np.array(content["groups"], dtype=np.uint32),
            make_bits(rows, lists.flatten().to_numpy(), len(lists)),
            content["low"],
            content["high"],
            content["limits"],
        )


def fit_domain(
    molecules_path: StrPath,
    split_path: StrPath,
    features: Mapping[str, StrPath],
    domain_path: StrPath,
    scores_path: StrPath,
    *,
    property_name: str,
) -> Domain:
    """Write the domain of one task, and the scores and flags of its molecules of valid, id and ood; return the domain.

    Args:
        molecules_path: the molecules table.
        split_path: the split.
        features: the tables :data:`FEATURES` by name.
        domain_path: the file of :meth:`Domain.save`.
        scores_path: the table :data:`SCORES`.
        property_name: the property.
    """
    y, fold, _ = read_truth(molecules_path, split_path, property_name)
    tables = {name: read_table(path) for name, path in features.items()}
    domain = Domain.fit(tables, y, fold)
    asked = np.isin(fold, PREDICTED_FOLDS)
    judged = domain.judge(select_rows(tables, asked))
    domain.save(domain_path)
    write_table(judged.add_column(0, "molecule_id", pa.array(np.flatnonzero(asked))), scores_path, SCORES)
    return domain

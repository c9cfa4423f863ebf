"""What can tell matched CH₂ pairs apart? r and RMSE of what a predictor may know, with and without seeing pairs.

    snakemake --cores 2 results/tasks/qm9_characterised/hof/kde.parquet \\
        results/features/qm9_characterised/{morgan_counts,context,ch2_pairs}.parquet --configfile config/nlmtp_qm9.yaml
    python benchmarks/ch2_pairs.py qm9_characterised/hof/kde

Prints two tables in Markdown. The first is of boosted trees that are fitted to pairs and asked about pairs of other
parents: what the context X, the groups of the parent and the place of the CH₂ (the change of groups) are worth. The
second is of models of single molecules of train, none of which is fitted to pairs: their difference between both
molecules of a pair, over the pairs of which neither is in train, or within one fold (``--folds valid``).
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from rdkit import Chem
from rdkit.Chem.Descriptors import ExactMolWt
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GroupKFold

from boomlib.contracts import FEATURE, TASK, read_molecules, read_table
from boomlib.evaluation.metrics import pearson, rmse
from boomlib.evaluation.policy import read_pairs
from boomlib.features.context import HOMOLOGOUS
from boomlib.harness.columns import stack_columns
from boomlib.harness.design import ROWS, Environments
from boomlib.harness.interface import Molecules
from boomlib.harness.ridge import HalfSparseRows, Halves, fit_ridge
from boomlib.matched_pairs import CH2_MASS
from boomlib.models.nlmtp.within import Side, WithinLine
from boomlib.report.numbers import format_decimals, format_number
from boomlib.report.tables.markdown import format_table

MOST_PAIRS = 40_000  # that trees are fitted to
WIDE = 2000  # one molecule of train in so many must have an environment, and three at least, for it to count
RARE = 20  # pairs that must have a group for trees to see it
PENALTIES = tuple(10.0 ** (k / 2) for k in range(-6, 11))
COLUMNS = ["Predictor", "Pearson r", "RMSE", "Mean"]


@dataclass(frozen=True)
class Data:
    """A task and its pairs.

    Attributes:
        y: labels, [n].
        fold: str [n].
        context: the homologous context X, [n, columns].
        mass: exact masses, Da, [n].
        groups: counts of atom environments up to radius 1 that train shows often enough, sparse [n, groups].
        wide: the same up to radius 2.
        left: position of each pair's parent, [pairs].
        right: position of the molecule with one CH₂ more, [pairs].
    """

    y: np.ndarray
    fold: np.ndarray
    context: np.ndarray
    mass: np.ndarray
    groups: sp.csr_array
    wide: sp.csr_array
    left: np.ndarray
    right: np.ndarray

    @property
    def change(self) -> np.ndarray:
        """True change of the property, [pairs]."""
        return self.y[self.right] - self.y[self.left]


def read_data(task: str, results: Path) -> Data:
    """Read ``dataset/property/scheme`` and the features that it takes."""
    dataset, name, _ = task.split("/")
    table = read_table(results / f"tasks/{task}.parquet", TASK)
    ids = table["molecule_id"].to_numpy()
    known = read_molecules(results / f"data/{dataset}/molecules.parquet")
    smiles, fold = known["smiles"].to_numpy()[ids], table["fold"].to_numpy()
    read = {
        feature: read_table(results / f"features/{dataset}/{feature}.parquet", FEATURE).take(ids)
        for feature in ("context", "morgan_counts")
    }
    molecules = Molecules(ids, smiles, known[name].to_numpy()[ids], read)
    train = molecules.take(fold == "train")
    pairs = read_pairs(results / f"features/{dataset}/ch2_pairs.parquet", ids)
    return Data(
        molecules.y,
        fold,
        stack_columns(read["context"].select(HOMOLOGOUS)),
        np.array([ExactMolWt(Chem.MolFromSmiles(text)) for text in smiles]),
        *(Environments(radius, max(3, len(train) // WIDE)).fit(train).count(molecules) for radius in (1, 2)),
        *(pairs[side].to_numpy() for side in ("left", "right")),
    )


def make_trees(seed: int) -> HistGradientBoostingRegressor:
    """Boosted trees, as all predictors here have them."""
    return HistGradientBoostingRegressor(max_iter=300, learning_rate=0.1, random_state=seed)


def score(name: str, predicted: np.ndarray, true: np.ndarray) -> list[str]:
    """A row of a table."""
    r = pearson(true, predicted)
    return [name, format_decimals(r), format_number(rmse(true, predicted)), format_number(float(predicted.mean()))]


def compare_seeing_pairs(data: Data, folds: int, seed: int) -> list[list[str]]:
    """Trees that are fitted to pairs, and asked about those of parents that they never saw.

    Args:
        data: the task.
        folds: how many of five folds of parents are asked about; the trees see at most :data:`MOST_PAIRS` of the rest.
        seed: of the choice of these and of the trees.
    """
    true, parents = data.change, data.groups[data.left]
    change = data.groups[data.right] - parents
    x, frequent = data.context[data.left], [common(each) for each in (parents, change)]
    known = {
        "X": x,
        "X and the parent's groups": np.hstack([x, frequent[0]]),
        "change of groups": frequent[1],
        "X and change of groups": np.hstack([x, frequent[1]]),
    }
    rng = np.random.default_rng(seed)
    cuts = list(GroupKFold(5).split(true, groups=data.left))[:folds]
    asked = np.concatenate([test for _, test in cuts])
    rows = []
    for name, columns in known.items():
        said = np.empty(len(true))
        for seen, test in cuts:
            drawn = rng.permutation(seen)[:MOST_PAIRS]
            said[test] = make_trees(seed).fit(columns[drawn], true[drawn]).predict(columns[test])
        rows.append(score(name, said[asked], true[asked]))
    _, parent = np.unique(data.left, return_inverse=True)
    mean = (np.bincount(parent, true) / np.bincount(parent))[parent]
    oracle = score("the true mean of each parent's pairs", mean[asked], true[asked])
    return [*rows[:2], oracle, *rows[2:]]


def common(counts: sp.csr_array) -> np.ndarray:
    """The columns that are not 0 for at least :data:`RARE` rows, dense."""
    kept = np.flatnonzero(np.bincount(counts.indices, counts.data != 0, minlength=counts.shape[1]) >= RARE)
    return counts[:, kept].toarray()


def compare_without_pairs(data: Data, folds: list[str], seed: int) -> list[list[str]]:
    """Models of single molecules of train and their difference between both molecules of a pair.

    Args:
        data: the task.
        folds: both molecules of a pair are in one of these.
        seed: of the trees.
    """
    rows = np.isin(data.fold[data.left], folds) & np.isin(data.fold[data.right], folds)
    left, right, true = data.left[rows], data.right[rows], data.change[rows]
    xa = np.column_stack([data.context, data.mass])
    moved = xa[left]
    moved[:, -1] += CH2_MASS
    train = data.fold == "train"
    trees = make_trees(seed).fit(xa[train], data.y[train])
    line, line_moved = (np.column_stack([each, each[:, -1:] * each[:, :-1]]) for each in (xa, moved))
    found = [
        ["the truth", "1", "0", format_number(float(true.mean()))],
        score("m(a, x): trees on mass and X", trees.predict(moved) - trees.predict(xa[left]), true),
        score("m(a, x): effect within contexts", effect_within_contexts(data)[left], true),
    ]
    nothing = sp.csr_array((len(data.y), 0))
    for name, dense, sparse, dense_after, sparse_after in (
        ("m(a, x): ridge on mass, X and mass · X", line, nothing, line_moved, nothing[left]),
        ("ridge on groups", xa[:, :0], data.groups, xa[right, :0], data.groups[right]),
        ("ridge on groups, X and mass", xa, data.groups, xa[right], data.groups[right]),
        ("ridge on environments up to radius 2, X and mass", xa, data.wide, xa[right], data.wide[right]),
    ):
        predict = fit_linear(data, dense, sparse)
        found.append(score(name, predict(dense_after, sparse_after) - predict(dense[left], sparse[left]), true))
    return found


def effect_within_contexts(data: Data) -> np.ndarray:
    """What one CH₂ more does to each molecule by the line of ``encoder: {line: within}`` of NL-MTP, [n]."""
    train, valid = data.fold == "train", data.fold == "valid"
    centre, scale = data.context[train].mean(0), data.context[train].std(0)
    x = (data.context - centre) / np.where(scale > 1e-9, scale, 1.0)
    unit = data.mass[train].std()
    a = (data.mass - data.mass[train].mean()) / unit
    line = WithinLine().fit(
        *(Side(data.context[rows], x[rows], a[rows], data.y[rows]) for rows in (train, valid)), PENALTIES
    )
    _, slope, curvature = line.coefficients(x).T
    shift = CH2_MASS / unit
    return shift * slope + curvature * ((a + shift) ** 2 - a**2)


def fit_linear(
    data: Data, dense: np.ndarray, sparse: sp.csr_array
) -> Callable[[np.ndarray, sp.csr_array], np.ndarray]:
    """A ridge regression on columns of molecules, fitted to train, its penalty chosen on valid.

    Returns:
        What it says of such columns, [n].
    """
    train, valid = (np.flatnonzero(data.fold == fold) for fold in ("train", "valid"))
    centre, scale, mean = dense[train].mean(0), dense[train].std(0), sparse[train].mean(0)
    scale = np.where(scale > 1e-9, scale, 1.0)

    def scaled(dense: np.ndarray, sparse: sp.csr_array) -> Halves:
        return Halves((dense - centre) / scale, sparse, mean)

    def blocks(rows: np.ndarray) -> HalfSparseRows:
        parts = np.split(rows, np.arange(ROWS, len(rows), ROWS))
        return HalfSparseRows([scaled(dense[part], sparse[part]) for part in parts])

    own, other = blocks(train), blocks(valid)
    fitted = fit_ridge(own, data.y[train], other, data.y[valid], PENALTIES)
    return lambda dense, sparse: scaled(dense, sparse) @ fitted.weights + fitted.intercept


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="dataset/property/scheme")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results")
    parser.add_argument("--parents", type=int, default=1, choices=range(6), help="fifths of them asked about")
    parser.add_argument("--folds", nargs="+", default=["valid", "id", "ood"], help="of the second table")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = read_data(arguments.task, arguments.results)
    true = data.change
    print(f"{len(true):,} pairs, {true.mean():.2f} ± {true.std():.2f}\n")
    if arguments.parents:
        print(format_table(COLUMNS, compare_seeing_pairs(data, arguments.parents, arguments.seed)), end="\n\n")
    print(format_table(COLUMNS, compare_without_pairs(data, arguments.folds, arguments.seed)))


if __name__ == "__main__":
    main()

"""What is a relaxed geometry worth to the feature `xtb`, and what does it cost?

    python benchmarks/relaxed_geometry.py /tmp/relaxed --dataset qm9_characterised --results results --workers 2
    python benchmarks/relaxed_geometry.py /tmp/relaxed --dataset csd10k --results results --workers 2

needs molecules and conformers of the dataset in the results, and of csd10k its splits. The single points of GFN2-xTB
are made at three geometries of each molecule: the source's, where it has one (QM9: DFT); one ETKDG conformer with
MMFF94, as in the feature `embedded`; and a relaxed one: five ETKDG conformers, each with MMFF94, of which the three
lowest go down to the nearest minimum of GFN2-xTB (ASE's BFGS), and the lowest of these is kept.

Then one linear model, a ridge regression on elements and these single points, is fitted to the same molecules with
each geometry. Printed are its RMSE on others (5,000 random molecules of QM9: in five folds, each by the four others;
csd10k: ID and OOD, fitted to 2,000 molecules that are in train of both tasks), and the processor time of a molecule.

Parts of 25 molecules are files in the folder, and those that are there are not made again: stop it and go on at any
time. `--molecules` does the first parts alone; `--workers 0` prints what is there.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ase import Atoms
from ase.calculators.calculator import CalculatorError
from ase.optimize import BFGS
from joblib import Parallel, delayed
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tblite.ase import TBLite
from threadpoolctl import threadpool_limits

from boomlib.contracts import FEATURE, read_molecules, read_split, read_table, write_table
from boomlib.features import conformers, elements, xtb
from boomlib.harness.composition import count_elements, count_shares
from boomlib.harness.interface import Molecules
from boomlib.harness.physics import Physics
from boomlib.registry import load_datasets
from boomlib.report.numbers import NONE, format_number
from boomlib.report.tables.markdown import format_table

PROPERTIES = {"qm9_characterised": ("mu", "r2", "gap", "homo", "alpha"), "csd10k": ("density", "hof")}
GEOMETRIES = ("source", "embedded", "relaxed")
PART = 25  # molecules of a file
QM9_MOLECULES, TRAIN_MOLECULES = 5000, 2000
SEED = 0

CONFORMERS, LOWEST = 5, 3
SAME = 1e-3  # kcal/mol: conformers of one energy by MMFF94 are one
FORCE = 0.05  # eV/Å: the largest force of an atom in a relaxed geometry
STEPS = 300
PENALTIES = np.logspace(-3, 4, 22)

SCHEMA = pa.schema(
    [
        ("molecule_id", pa.int64()),
        ("geometry", pa.string()),
        ("geometry_seconds", pa.float64()),
        ("xtb_seconds", pa.float64()),
        ("note", pa.string()),
        *((name, pa.float32()) for name in xtb.COLUMNS),
    ]
)
"""A row for each molecule and geometry; seconds are processor time."""


# -- geometries ------------------------------------------------------------------------------------------


def find_starts(smiles: str) -> list[np.ndarray]:
    """Positions, Å [n, 3], of the lowest different conformers by MMFF94, lowest first.

    Where MMFF94 has no parameters, ETKDG finds nothing or there are several fragments, the one conformer that the
    feature `embedded` has.
    """
    mol = conformers.read_smiles(smiles)
    if len(Chem.GetMolFrags(mol)) == 1 and rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        parameters = rdDistGeom.ETKDGv3()
        parameters.randomSeed = conformers.SEED
        parameters.maxIterations = conformers.ATTEMPTS
        found = list(rdDistGeom.EmbedMultipleConfs(mol, CONFORMERS, parameters))
        # RDKit refuses to optimise no conformer
        optimised = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=conformers.MAX_STEPS) if found else []
        starts, last = [], -np.inf
        for energy, conformer in sorted((energy, each) for each, (_, energy) in zip(found, optimised, strict=True)):
            if energy - last > SAME:
                starts.append(mol.GetConformer(conformer).GetPositions())
                last = energy
        if starts:
            return starts[:LOWEST]
    return [conformers.embed(smiles)[0]]


def relax(smiles: str, numbers: np.ndarray) -> tuple[np.ndarray | None, str | None]:
    """The lowest relaxed geometry, Å [n, 3], None if GFN2-xTB has no answer, and a note of what is odd about it."""
    mol = conformers.read_smiles(smiles)
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())
    ends, reason = [], None
    for positions in find_starts(smiles):
        atoms = Atoms(numbers, positions)
        atoms.calc = TBLite(
            method=xtb.METHOD, charge=Chem.GetFormalCharge(mol), multiplicity=unpaired + 1, verbosity=0
        )
        try:
            converged = BFGS(atoms, logfile=None).run(fmax=FORCE, steps=STEPS)
            ends.append((atoms.get_potential_energy(), atoms.positions, converged))
        except CalculatorError as error:
            reason = str(error)
    if not ends:
        return None, f"not relaxed: {reason}"
    _, positions, converged = min(ends, key=lambda each: each[0])
    notes = [] if converged else ["not converged"]
    try:
        bonded = conformers.closest_pairs(numbers, positions, mol.GetNumBonds())
        if not np.array_equal(bonded, Chem.GetAdjacencyMatrix(mol).astype(bool)):
            notes.append("other bonds")
    except conformers.ConformerError as error:
        notes.append(str(error))
    return positions, "; ".join(notes) or None


def compute_rows(molecule: int, smiles: str, source: np.ndarray | None) -> Iterator[dict]:
    """The rows of one molecule; ``source`` are the positions that its source gives, Å [n, 3], or None."""
    numbers = conformers.elements_of(conformers.read_smiles(smiles))
    makers = {
        "source": lambda: (source, None),
        "embedded": lambda: (conformers.embed(smiles)[0], None),
        "relaxed": lambda: relax(smiles, numbers),
    }
    for geometry in GEOMETRIES if source is not None else GEOMETRIES[1:]:
        begin = time.process_time()
        try:
            positions, odd = makers[geometry]()
        except conformers.ConformerError as error:
            positions, odd = None, str(error)
        made = time.process_time()
        values, note = xtb.solve(smiles, numbers, positions)
        row = {"molecule_id": molecule, "geometry": geometry, "geometry_seconds": made - begin}
        notes = "; ".join(each for each in (odd, note) if each) or None
        yield row | {"xtb_seconds": time.process_time() - made, "note": notes} | values


def write_part(part: list[tuple[int, str, np.ndarray | None]], path: Path) -> None:
    """Compute and write the rows of a part, on one thread."""
    with threadpool_limits(1):
        rows = [row for molecule in part for row in compute_rows(*molecule)]
    write_table(pa.Table.from_pylist(rows, SCHEMA), path)


# -- molecules -------------------------------------------------------------------------------------------


def read_folds(results: Path, dataset: str) -> dict[str, np.ndarray]:
    """The fold of every molecule for each property, str [n]; none for QM9, which is divided at random here."""
    if dataset != "csd10k":
        return {}
    return {name: read_split(results / f"splits/{dataset}/{name}/kde.parquet")[0] for name in PROPERTIES[dataset]}


def choose_molecules(n: int, folds: dict[str, np.ndarray]) -> np.ndarray:
    """The molecules of a trial, int, shuffled."""
    order = np.random.default_rng(SEED).permutation(n)
    if not folds:
        return order[:QM9_MOLECULES]
    assigned = np.stack(list(folds.values()))[:, order]
    train = order[(assigned == "train").all(axis=0)][:TRAIN_MOLECULES]
    tested = order[np.isin(assigned, ("id", "ood")).any(axis=0)]
    return np.random.default_rng(SEED).permutation(np.concatenate([train, tested]))


def compute_parts(folder: Path, dataset: str, results: Path, wanted: int | None, workers: int) -> None:
    """Write the parts that are not there yet."""
    smiles = read_molecules(results / f"data/{dataset}/molecules.parquet")["smiles"].to_pylist()
    table = read_table(results / f"features/{dataset}/conformers.parquet", FEATURE).sort_by("molecule_id")
    chosen = choose_molecules(len(smiles), read_folds(results, dataset))
    jobs = []
    for start in range(0, len(chosen) if wanted is None else min(wanted, len(chosen)), PART):
        path = folder / f"{start:05}.parquet"
        if not path.exists():
            rows = table.take(pa.array(chosen[start : start + PART])).to_pylist()
            source = [np.reshape(row["positions"], (-1, 3)) if row["source"] == "dft" else None for row in rows]
            ids = [row["molecule_id"] for row in rows]
            jobs.append(([(each, smiles[each], made) for each, made in zip(ids, source, strict=True)], path))
    began = time.monotonic()
    done = Parallel(workers, return_as="generator_unordered", batch_size=1)(delayed(write_part)(*job) for job in jobs)
    for count, _ in enumerate(done, 1):
        left = (time.monotonic() - began) / count * (len(jobs) - count)
        print(f"part {count} of {len(jobs)}, {left / 60:.0f} min to go", flush=True)


# -- what it is worth ------------------------------------------------------------------------------------


def read_geometries(folder: Path) -> dict[str, pa.Table]:
    """The rows of each geometry, of the molecules that have all that any of them has, in the order of molecule_id."""
    rows = pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("*.parquet"))).sort_by("molecule_id")
    whole = rows.filter(rows["gap"].is_valid())  # what xtb.solve gives where it has an answer
    split = {name: whole.filter(pc.equal(whole["geometry"], name)) for name in GEOMETRIES}
    split = {name: table for name, table in split.items() if len(table)}
    common = set.intersection(*(set(table["molecule_id"].to_pylist()) for table in split.values()))
    return {
        name: table.filter(pc.is_in(table["molecule_id"], pa.array(sorted(common)))) for name, table in split.items()
    }


def divide(ids: np.ndarray, fold: np.ndarray | None) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Rows to fit to and to predict, by what is reported: five folds, or train and ID, train and OOD."""
    if fold is None:
        return {"random": list(KFold(5, shuffle=True, random_state=SEED).split(ids))}
    train = np.flatnonzero(fold[ids] == "train")
    return {name.upper(): [(train, np.flatnonzero(fold[ids] == name))] for name in ("id", "ood")}


def find_error(molecules: Molecules, kind: str, parts: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """RMSE of the ridge regression on the held-out molecules; without the feature ``xtb``, on elements alone."""
    count = count_shares if kind == "intensive" else count_elements
    squares = []
    for fit, held in parts:
        train, test = molecules.take(fit), molecules.take(held)
        columns = [count(train)], [count(test)]
        if "xtb" in molecules.features:
            physics = Physics("xtb", kind, 1.0).fit(train)
            for each, some in zip(columns, (train, test), strict=True):
                each.append(physics.transform(some))
        model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(np.hstack(columns[0]), train.y)
        squares.append((model.predict(np.hstack(columns[1])) - test.y) ** 2)
    return float(np.sqrt(np.concatenate(squares).mean()))


def report(folder: Path, dataset: str, results: Path) -> None:
    """Print the tables of what has been computed."""
    tables, known = read_geometries(folder), read_molecules(results / f"data/{dataset}/molecules.parquet")
    datasets, _ = load_datasets()
    folds, described = read_folds(results, dataset), datasets[dataset]["properties"]
    ids = tables["relaxed"]["molecule_id"].to_numpy()
    smiles = np.array(known["smiles"].take(pa.array(ids)).to_pylist(), dtype=object)
    counts = {"elements": pa.table(elements.compute(smiles))}
    lines = []
    for name in PROPERTIES[dataset]:
        kind, y = described[name]["kind"], known[name].to_numpy()[ids]
        physics = {each: table.select(list(xtb.COLUMNS)) for each, table in tables.items()}
        features = {"elements alone": counts} | {each: counts | {"xtb": table} for each, table in physics.items()}
        for reported, parts in divide(ids, folds.get(name)).items():
            errors = [find_error(Molecules(ids, smiles, y, each), kind, parts) for each in features.values()]
            said = dict(zip(features, map(format_number, errors), strict=True))
            tested = str(sum(len(held) for _, held in parts))
            cells = [said.get(each, NONE) for each in ("elements alone", *GEOMETRIES)]
            lines.append([f"{name}, {described[name]['unit']}", reported, tested, *cells])
    print(f"RMSE, {dataset}; {len(ids)} molecules\n")
    print(format_table(["property", "held out", "molecules", "elements alone", *GEOMETRIES], lines, 2))
    costs = []
    for geometry, table in tables.items():
        made, solved = (table[f"{name}_seconds"].to_numpy() for name in ("geometry", "xtb"))
        odd = len(table) - table["note"].null_count
        costs.append([geometry, *map(format_number, (made.mean(), np.median(made), solved.mean())), str(odd)])
    print("\nProcessor time of a molecule, s\n")
    print(format_table(["geometry", "geometry, mean", "median", "single point, mean", "with a note"], costs))


def main() -> None:
    """Compute what is lacking, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the parts go, in a folder a dataset")
    parser.add_argument("--dataset", choices=PROPERTIES, required=True)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results")
    parser.add_argument("--molecules", type=int, help="about the first so many, in whole parts; all if not given")
    parser.add_argument("--workers", type=int, default=1, help="processes; 0 computes nothing more")
    arguments = parser.parse_args()
    folder = arguments.folder / arguments.dataset
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.workers:
        compute_parts(folder, arguments.dataset, arguments.results, arguments.molecules, arguments.workers)
    report(folder, arguments.dataset, arguments.results)


if __name__ == "__main__":
    main()

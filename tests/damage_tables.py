"""Damage a good table of a user's in every way that people have, and see what becomes of it.

    python tests/damage_tables.py [--seed 0] [--variants 20]

Of each kind of damage (tests/damages) so many variants are made by the seed, and each goes in this process the way
from its configuration to the predictions of ridge. What is to become of it is declared beforehand: the same as of the
good table, the same but for rows that ``rejects.csv`` names, or a ContractError with its place and remedy. Prints a
table in Markdown of what came out as declared, and every variant that did not; then the exit status is 1.
"""

import argparse
import contextlib
import csv
import functools
import io
import os
import re
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from conftest import write_feature
from damages import DAMAGES
from damages.tables import CONFIG_FILE, Refused, Same, Variant, make_table
from rdkit import Chem
from threadpoolctl import threadpool_limits

from boomlib import registry
from boomlib.contracts import read_table
from boomlib.datasets.prepare import prepare
from boomlib.files import ContractError
from boomlib.harness.job import Job, train_and_predict
from boomlib.split import make_split
from boomlib.strict_yaml import read_yaml
from boomlib.workflow import Plan

PREPARED = ("molecules.parquet", "rejects.csv", "geometry.parquet", "doubles.csv")


@dataclass(frozen=True)
class Result:
    """What comes out of a table.

    Attributes:
        molecules: by canonical SMILES, in the table's order: ``y``, ``fold`` and, but for train, ``y_pred``.
        rejects: the reasons why rows go, by line.
    """

    molecules: pd.DataFrame
    rejects: dict[int, str]


def identify(smiles: str) -> str:
    """RDKit's canonical SMILES of a molecule."""
    mol = Chem.MolFromSmiles(smiles)
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    return Chem.CanonSmiles(Chem.MolToSmiles(mol))


@contextlib.contextmanager
def fresh_folder() -> Iterator[None]:
    """Be in an empty folder while the context lasts, without what jobs print."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        with threadpool_limits(1):
            yield


class Pipeline:
    """The way from a table and its configuration to predictions. What features are of the same SMILES is kept."""

    def __init__(self) -> None:
        self.features: dict[tuple[str, ...], bytes] = {}

    def run(self, variant: Variant) -> Result:
        """Let a variant go the way in the present folder, as Snakemake's rules do.

        Raises:
            ContractError: it is refused.
        """
        for name, content in ((variant.file, variant.data), (CONFIG_FILE, variant.config)):
            Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if variant.date is not None:
            os.utime(variant.file, (variant.date, variant.date))
        plan = Plan(read_yaml(CONFIG_FILE), CONFIG_FILE)
        run = plan.runs[0]
        asked = {"dataset": run.dataset, "property": run.property, "model": run.model}
        prepare(plan.get_reader_settings(asked), list(plan.get_given_sources(asked)), *PREPARED)
        model = plan.models[run.model]
        for feature in model["features"]:
            self.write_feature(feature)
        make_split(
            PREPARED[0],
            {},
            "split.parquet",
            "task.parquet",
            properties=plan.get_property_names(asked),
            name=run.property,
            scheme=run.scheme,
            settings=plan.datasets[run.dataset]["split"],
        )
        job = Job(
            task="task.parquet",
            features={feature: f"{feature}.parquet" for feature in model["features"]},
            predictions="predictions.parquet",
            run="run/run.json",
            model={key: model[key] for key in ("class", "parameters")},
            kind=plan.get_property(asked)["kind"],
            property=run.property,
            seed=run.seed,
        )
        train_and_predict(job)
        return read_result(run.property)

    def write_feature(self, feature: str) -> None:
        """Write the table of a feature."""
        key = (feature, *read_table(PREPARED[0])["smiles"].to_pylist())
        path = Path(f"{feature}.parquet")
        if key not in self.features:
            write_feature(feature, PREPARED[0], path)
            self.features[key] = path.read_bytes()
        path.write_bytes(self.features[key])


def read_result(name: str) -> Result:
    """What lies in the present folder of a property."""
    columns = (("smiles", name), ("fold",), ("y_pred",))
    paths = (PREPARED[0], "split.parquet", "predictions.parquet")
    smiles, *others = (
        read_table(path).select(["molecule_id", *chosen]).to_pandas().set_index("molecule_id")
        for path, chosen in zip(paths, columns, strict=True)
    )
    molecules = smiles.join(others).rename(columns={name: "y"}).astype({"fold": str})
    molecules.index = pd.Index(map(identify, molecules.pop("smiles")), name="molecule")
    with Path(PREPARED[1]).open(newline="", encoding="utf-8") as stream:
        rejects = {int(line): reason for line, _, reason in list(csv.reader(stream))[1:]}
    return Result(molecules, rejects)


class Judge:
    """Compares what becomes of variants with what they declare."""

    def __init__(self) -> None:
        self.good, self.pipeline = make_table(), Pipeline()
        self.of_good = functools.cache(self.run_good)

    def run_good(self, gone: frozenset[int]) -> pd.DataFrame:
        """What comes out of the good table without some rows."""
        with fresh_folder():
            return self.pipeline.run(Variant(Same(), self.good.without(gone).write())).molecules

    def make(self, kind: str, seed: int, number: int) -> Variant:
        """A variant of a kind of damage."""
        return DAMAGES[kind](self.good, np.random.default_rng((seed, zlib.crc32(kind.encode()), number)))

    def find_difference(self, variant: Variant) -> str | None:
        """What becomes of a variant that is otherwise than it declares; None if nothing is."""
        try:
            with fresh_folder():
                result = self.pipeline.run(variant)
        except ContractError as error:
            refused, message = variant.outcome, str(error)
            if isinstance(refused, Refused) and refused.place in message and refused.remedy in message:
                return None
            return f"refused: {message}"
        except Exception:
            return traceback.format_exc()
        if isinstance(variant.outcome, Refused):
            return f"not refused; rejects: {result.rejects}"
        return self.compare(result, variant.outcome)

    def compare(self, result: Result, declared: Same) -> str | None:
        """How a result differs from what is declared; None if it does not."""
        expected = self.of_good(declared.gone).copy()
        expected[["y", "y_pred"]] *= declared.scale
        found = result.molecules
        if not declared.ordered:
            expected, found = (
                table.assign(fold=table["fold"] == "ood").drop(columns="y_pred").sort_index()
                for table in (expected, found)
            )
        if result.rejects.keys() != declared.rejects.keys():
            return f"lines {sorted(declared.rejects)} were to be rejected, and these are: {result.rejects}"
        for line, pattern in declared.rejects.items():
            if not re.search(pattern, result.rejects[line]):
                return f"line {line} was to be rejected by '{pattern}', and is by: {result.rejects[line]}"
        try:
            pd.testing.assert_frame_equal(found, expected, rtol=declared.tolerance, atol=0)
        except AssertionError as error:
            return f"another result: {error}"
        return None


def main() -> int:
    """Make and judge all variants, print what came out, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variants", type=int, default=20, help="of each kind of damage")
    parser.add_argument("--kinds", nargs="+", choices=DAMAGES, default=list(DAMAGES), metavar="KIND")
    options = parser.parse_args()
    registry.load_models = functools.cache(registry.load_models)  # the same for all variants
    start, judge, otherwise = time.monotonic(), Judge(), []
    print("| damage | variants | as declared | otherwise |\n|---|---:|---:|---:|")
    for kind in options.kinds:
        found = []
        for number in range(options.variants):
            variant = judge.make(kind, options.seed, number)
            if (difference := judge.find_difference(variant)) is not None:
                found.append(f"{kind}, variant {number}, declared {variant.outcome}:\n{difference}")
        title = DAMAGES[kind].__doc__
        print(f"| {title} | {options.variants} | {options.variants - len(found)} | {len(found)} |", flush=True)
        otherwise += found
    total = options.variants * len(options.kinds)
    print(f"| all {len(options.kinds)} kinds | {total} | {total - len(otherwise)} | {len(otherwise)} |\n")
    print(f"{time.monotonic() - start:.0f} s", *otherwise, sep="\n\n")
    return 1 if otherwise else 0


if __name__ == "__main__":
    sys.exit(main())

"""A results folder of made-up models on made-up molecules, for the site that shows it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rdkit import Chem

from boomlib.contracts import (
    PAIRS,
    PLACES,
    POLICY,
    SPLIT,
    fold_array,
    read_molecules,
    write_molecules,
    write_predictions,
    write_table,
)
from boomlib.evaluation.applicability import fit_domain
from boomlib.evaluation.hardest import find_hardest
from boomlib.evaluation.policy import score_policy_file
from boomlib.evaluation.score import score_run
from boomlib.evaluation.summary import write_summary
from boomlib.evaluation.uncertainty import judge_uncertainty
from boomlib.features import elements, morgan_counts
from boomlib.features.insertions import list_insertions
from boomlib.files import write_json, write_text
from boomlib.report.roles import assign_roles
from boomlib.runs import Run, list_runs

PARTS = (
    "C",
    "CC",
    "O",
    "N",
    "C(C)",
    "C(=O)",
    "C(F)",
    "C(O)",
    "C#CC",
    "C=C",
    "c1ccc(cc1)",
    "C1CC1",
    "c1ccoc1",
    "C(C#N)",
)
SCHEMES = ("kde", "scaffold")
CH2 = 14.01565


@dataclass
class MadeResults:
    """A results folder with its tables, and what made it.

    Attributes:
        folder: the results folder.
        models: descriptors by name.
        tasks: properties of the one dataset, ``made``.
        schemes: the schemes.
        seeds: the seeds.
        dataset: its registry entry.
        lost: runs without a result, by stem, with the message of the failure.
        placed: whether the policy of a model that answers one has a place.
    """

    folder: Path
    models: Mapping[str, Mapping[str, Any]]
    tasks: Sequence[str] = ("hof", "gap")
    schemes: Sequence[str] = SCHEMES
    seeds: Sequence[int] = (0,)
    dataset: dict[str, Any] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    placed: bool = False

    def __post_init__(self):
        entry = {"label": "Made up", "reader": "table", "licence": "CC0", "doi": "10.1/x", "properties": {}}
        units = {"gap": "Ha", "hof": "kcal/mol"}
        entry["properties"] = {
            name: {"label": f"property {name}", "unit": units.get(name, "eV"), "kind": "intensive"}
            for name in self.tasks
        }
        self.dataset = entry | self.dataset

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the runs."""
        tasks = [f"made/{name}" for name in self.tasks]
        return {"tasks": tasks, "schemes": [*self.schemes], "models": [*self.models], "seeds": [*self.seeds]}

    @property
    def runs(self) -> list[Run]:
        """All runs, done or not."""
        return list_runs(self.config)

    @property
    def described(self) -> dict[str, Mapping]:
        """What the report wants to know."""
        return {"config": self.config, "datasets": {"made": self.dataset}, "models": self.models}

    def make(self, smiles: Sequence[str], share: float = 0.2, resamples: int = 40) -> "MadeResults":
        """Write everything; ``share`` is the part of the molecules in ID, and in OOD."""
        rng, n = np.random.default_rng(0), len(smiles)
        size = np.array([len(text.split()[0]) for text in smiles], dtype=float)
        y = {name: -40 * size + rng.normal(0, 60, n) * (at + 1) for at, name in enumerate(self.tasks)}
        units = {name: each["unit"] for name, each in self.dataset["properties"].items()}
        data = self.folder / "data/made"
        write_molecules(data / "molecules.parquet", smiles, y, units)
        write_text(data / "rejects.csv", "row,reason\n")
        write_table(
            pa.table(
                {"molecule_id": np.arange(n), "scaffold": ["c1ccccc1" if "c1" in text else "" for text in smiles]}
            ),
            self.folder / "features/made/scaffolds.parquet",
        )
        for each in (elements, morgan_counts):
            table = pa.table({"molecule_id": np.arange(n), **each.compute(smiles)})
            write_table(table, self.folder / f"features/made/{each.__name__.rpartition('.')[2]}.parquet")
        left = np.arange(0, n - 1, 2)
        both = find_insertions(smiles) if self.placed else np.stack([left, left + 1], axis=1)
        pairs = pa.table({"left": both[:, 0], "right": both[:, 1], "delta_mass": np.full(len(both), CH2)})
        write_table(pairs, self.folder / "features/made/ch2_pairs.parquet", PAIRS)
        for name in self.tasks:
            for scheme in self.schemes:
                order = np.argsort(-np.abs(y[name] - y[name].mean())) if scheme == "kde" else rng.permutation(n)
                fold = np.full(n, "train", dtype="<U5")
                k = round(share * n)
                fold[order[:k]] = "ood"
                rest = rng.permutation(order[k:])
                fold[rest[:k]] = "id"
                fold[rest[k : k + k // 2]] = "valid"
                self.write_task(name, scheme, y[name], fold, resamples)
        write_summary(self.folder, self.runs, *self.tables, controls=assign_roles(self.models).controls)
        return self

    @property
    def tables(self) -> tuple[Path, Path]:
        """The tables of metrics and of runs."""
        return self.folder / "leaderboard.csv", self.folder / "runs.csv"

    def write_task(self, name: str, scheme: str, y: np.ndarray, fold: np.ndarray, resamples: int) -> None:
        """Write the split of one task, all its runs and its hardest molecules."""
        split = self.folder / f"splits/made/{name}/{scheme}.parquet"
        density = {"density": np.random.default_rng(1).random(len(y))}
        write_table(pa.table({"molecule_id": np.arange(len(y)), "fold": fold_array(fold)} | density), split, SPLIT)
        found: dict[str, list[Path]] = {}
        for run in self.runs:
            if (run.property, run.scheme) == (name, scheme):
                if run.stem in self.lost:
                    log = f"logs/train/{run.stem}.log"
                    write_text(self.folder.parent / log, f"a line\n{self.lost[run.stem]}\n")
                    failure = {"error": "RuntimeError", "message": self.lost[run.stem], "log": log}
                    write_json(self.folder / f"predictions/{run.stem}/failure.json", failure)
                    continue
                found.setdefault(run.model, []).append(self.write_run(run, split, y, fold, resamples))
        kept = {m: paths for m, paths in found.items() if self.models[m]["family"] != "control"}
        self.judge(name, scheme, split, kept)
        hardest = self.folder / f"hardest/made/{name}/{scheme}.json"
        find_hardest(self.folder / "data/made/molecules.parquet", split, kept, hardest, property_name=name)

    def judge(self, name: str, scheme: str, split: Path, kept: Mapping[str, Sequence[Path]]) -> None:
        """Write how far the intervals of each model of one task hold."""
        molecules, unit = self.folder / "data/made/molecules.parquet", self.dataset["properties"][name]["unit"]
        features = {each: self.folder / f"features/made/{each}.parquet" for each in ("elements", "morgan_counts")}
        domain = tuple(self.folder / f"domain/made/{name}/{scheme}{end}.parquet" for end in ("/domain", ""))
        fit_domain(molecules, split, features, *domain, property_name=name)
        key = {"dataset": "made", "property": name, "scheme": scheme}
        for model, paths in kept.items():
            by_seed = {int(path.stem.removeprefix("seed")): path for path in paths}
            out = self.folder / f"uncertainty/made/{name}/{scheme}/{model}.json"
            named = {"property_name": name, "model": key | {"model": model}, "unit": unit}
            judge_uncertainty(molecules, split, by_seed, *domain, out, **named)

    def write_run(self, run: Run, split: Path, y: np.ndarray, fold: np.ndarray, resamples: int) -> Path:
        """Write one run: its predictions, record, history and scores, and the policy of a model that answers one."""
        number = list(self.models).index(run.model)
        rng, control = np.random.default_rng([number, run.seed]), self.models[run.model]["family"] == "control"
        spread = 0 if control else 10 + 4 * number
        y_pred = y + rng.normal(0, 1, len(y)) * spread * np.where(fold == "ood", 3, 1)
        asked = np.flatnonzero(fold != "train")
        path, place = self.folder / f"predictions/{run.stem}.parquet", self.folder / f"predictions/{run.stem}"
        write_predictions(path, asked, fold[asked], y_pred[asked])
        facts = {
            "molecules": {"train": int((fold == "train").sum())},
            "versions": {"python": "3.11.2", "numpy": "2.4.6"},
            "seconds": 2.5 * (number + 1) ** 2,
            "peak_memory_mib": 300.0 + number,
            "device": "CPU",
            "threads": 1,
            "commit": "c0ffee",
            "code": "f00d",
        }
        write_json(place / "run.json", facts)
        if number % 2:
            errors = "".join(f"{epoch},{90 / epoch}\n" for epoch in range(1, 6))
            write_text(place / "history.csv", f"epoch,valid_rmse\n{errors}")
        molecules, unit = self.folder / "data/made/molecules.parquet", self.dataset["properties"][run.property]["unit"]
        score_run(
            molecules,
            split,
            path,
            self.folder / f"metrics/{run.stem}.json",
            self.folder / f"resamples/{run.stem}.parquet",
            property_name=run.property,
            run=vars(run),
            unit=unit,
            resamples=resamples,
        )
        if self.models[run.model].get("answers_policy"):
            self.write_policy(run, split, y, unit)
        return path

    def write_policy(self, run: Run, split: Path, y: np.ndarray, unit: str) -> None:
        """Write what a run says of its policy, and the scores of that."""
        rng, n, sweep = np.random.default_rng(2), len(y), CH2 * np.linspace(-2, 2, 9)
        slope, observed = rng.normal(-5, 1.5, n) / CH2, y + rng.normal(0, 25, n)
        values = {
            "environment": rng.integers(0, 8, n),
            "m_observed": observed,
            "m_moved": observed + slope * CH2,
            "m_policy": observed + slope * CH2,
            "log_ratio_density": rng.normal(-0.1, 0.5, n),
            "log_ratio_classifier": rng.normal(-0.1, 0.5, n),
            "support": np.exp(-np.maximum(rng.normal(0.1, 0.4, n), 0)),
            "support_before": np.ones(n),
            "alpha": rng.beta(6, 9, n),
            "sweep": pa.array(list(observed[:, None] + np.outer(slope, sweep)), POLICY.columns["sweep"]),
        }
        if self.placed:
            values |= self.make_places(y, rng)
        facts = {"shift": CH2, "sweep": sweep.tolist(), "offset": -1e5, "threshold": 0.6, "clip": 20.0}
        table = pa.table({"molecule_id": np.arange(n)} | values).replace_schema_metadata({"policy": json.dumps(facts)})
        policy = self.folder / f"predictions/{run.stem}/policy.parquet"
        write_table(table, policy, POLICY)
        files = (
            self.folder / "data/made/molecules.parquet",
            split,
            policy,
            self.folder / "features/made/ch2_pairs.parquet",
        )
        score_policy_file(*files, self.folder / f"policy/{run.stem}.json", name=run.property, unit=unit)

    def make_places(self, y: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        """Columns of a policy with a place: an insertion lowers the outcome by about 5, and most have support."""
        smiles = read_molecules(self.folder / "data/made/molecules.parquet")["smiles"].to_pylist()
        products = [list_products(text) for text in smiles]
        sizes = [len(each) for each in products]
        outcome = [list(value + rng.normal(-5, 1.5, k)) for value, k in zip(y, sizes, strict=True)]
        return {
            "m_grouped": y,
            "log_ratio_grouped": rng.normal(-0.1, 0.5, len(y)),
            "place_product": pa.array(products, PLACES["place_product"]),
            "place_outcome": pa.array(outcome, PLACES["place_outcome"]),
            "place_moved": pa.array(outcome, PLACES["place_moved"]),
            "place_log_ratio": pa.array([list(rng.normal(0.2, 0.5, k)) for k in sizes], PLACES["place_log_ratio"]),
        }


def list_products(smiles: str) -> list[str]:
    """What one more CH₂ makes of a molecule."""
    return [product for product, _, _ in list_insertions(Chem.MolFromSmiles(smiles))]


def find_insertions(smiles: Sequence[str]) -> np.ndarray:
    """Positions of the molecules of which one more CH₂ makes another one, and of the latter, int [pairs, 2]."""
    known = {text: at for at, text in enumerate(smiles)}
    return np.array(
        [(at, known[each]) for at, text in enumerate(smiles) for each in list_products(text) if each in known]
    )


def make_smiles(n: int) -> list[str]:
    """``n`` distinct molecules."""
    rng, found = np.random.default_rng(3), {}
    while len(found) < n:
        text = "".join(rng.choice(PARTS, size=rng.integers(2, 7)))
        if (mol := Chem.MolFromSmiles(text)) is not None:
            found.setdefault(Chem.MolToSmiles(mol))
    return list(found)


def describe_models(n: int) -> dict[str, dict[str, Any]]:
    """Descriptors of a control and ``n`` models; the last one answers a policy, the first is pretrained elsewhere."""
    common = {
        "class": "tabular.ridge.Ridge",
        "features": ["elements"],
        "parameters": {"alpha": 1.0},
        "source": "Ours.",
    }
    models = {"oracle": common | {"label": "Oracle", "family": "control"}}
    models |= {
        f"model{at}": common | {"label": f"Model {at}", "family": "tabular" if at % 2 else "gnn"} for at in range(n)
    }
    models[f"model{n - 1}"] |= {"answers_policy": True}
    return models

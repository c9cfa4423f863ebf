"""Kept models: read from the folder of a run, on this machine or another, and asked for molecules from outside."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from boomlib import registry
from boomlib.datasets.rows import why_no_molecule
from boomlib.declared import NEEDS, order_features
from boomlib.external import CLASS as EXTERNAL
from boomlib.files import MAKE_ANEW, ContractError, MoleculeError, StrPath, read_json, sha256
from boomlib.harness.interface import MEMBERS, Model, Molecules, Prediction, find_model_class
from boomlib.harness.keeping import RECORD, identify, import_features
from boomlib.harness.saving import ENDING, PICKLED
from boomlib.harness.unseen import NewMolecules, is_transient
from boomlib.provenance import hash_training, versions
from boomlib.version import VERSION

NEUTRAL = "asks a model that is fitted"

UNDECISIVE = ("python", "pyarrow", "lightning")  # packages whose releases change no prediction of a fitted model

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptPrediction(Prediction):
    """Predicted values as in :class:`Prediction`, NaN where there is none.

    Attributes:
        reasons: why there is none, by position.
        remarks: what a prediction lacks that is there, by position.
    """

    reasons: Mapping[int, str] = field(default_factory=dict)
    remarks: Mapping[int, str] = field(default_factory=dict)


class KeptError(ContractError):
    """A kept model cannot be read.

    Args:
        message: says why, and the remedy.
        folder: of its run, which may be that of a committee's member.
    """

    def __init__(self, message: str, folder: Path) -> None:
        super().__init__(message, folder)  # both, or it would not come back from a worker process
        self.folder = folder

    def __str__(self) -> str:
        return str(self.args[0])


class KeptModel:
    """A fitted model with what its run was.

    Args:
        facts: what ``kept.json`` says.
        model: the fitted model.
        identity: of :func:`boomlib.harness.keeping.identify`.
        members: the kept models whose predictions it reads, by name.
    """

    def __init__(
        self,
        facts: Mapping[str, Any],
        model: Model,
        identity: str,
        members: Mapping[str, "KeptModel"] = MappingProxyType({}),
    ) -> None:
        self.facts, self.model, self.identity, self.members = facts, model, identity, members

    @property
    def task(self) -> str:
        """``{dataset}/{property}``."""
        return f"{self.facts['dataset']}/{self.facts['property']}"

    def predict(self, smiles: Sequence[str | None] | NewMolecules) -> KeptPrediction:
        """Predict molecules from outside, in native units.

        Args:
            smiles: as people write them, so many as fit into memory; several models compute a feature once if they
                are given the same :class:`NewMolecules`, and each is asked once.

        Returns:
            A value or a reason for each; what one molecule breaks is broken for no other.

        Raises:
            TypeError: a single text, of which each character would be a molecule.
            MemoryError, OSError: not for a molecule's sake (:func:`boomlib.harness.unseen.is_transient`).
        """
        if isinstance(smiles, str):
            raise TypeError(f"predict takes a list of SMILES, and not one text; give [{smiles!r}]")
        asked = smiles if isinstance(smiles, NewMolecules) else NewMolecules(smiles)
        if self.identity not in asked.answered:
            asked.answered[self.identity] = self.ask(asked)
        found: KeptPrediction = asked.answered[self.identity]
        return found

    def ask(self, asked: NewMolecules) -> KeptPrediction:
        """What :meth:`predict` answers of molecules that the model has not been asked for."""
        reasons, tables = dict(asked.reasons) | self.find_too_large(asked), {}
        remarks: dict[int, str] = {}
        for name in self.facts["features"]:
            described = asked.describe(name, self.facts["settings"])
            tables[name] = described.table
            remarks |= {
                int(asked.rows[place]): f"train's median for what {name} lacks ({note})"
                for place, note in described.unknown.items()
            }
            reasons |= {int(asked.rows[place]): reason for place, reason in described.reasons.items()}
        if self.members:
            said = {name: member.predict(asked) for name, member in self.members.items()}
            tables[MEMBERS] = pa.table({name: each.mean[asked.rows] for name, each in said.items()})
            for name, each in said.items():
                reasons = {row: f"{name}: {reason}" for row, reason in each.reasons.items()} | reasons
                remarks |= each.remarks
        unlabelled = np.full(len(asked.rows), np.nan)
        molecules = Molecules(asked.rows.astype(np.int64), asked.smiles, unlabelled, tables)
        molecules = molecules.take(~np.isin(asked.rows, list(reasons)))
        if len(molecules):
            found = self.model.find_unreadable(molecules)
            reasons |= {int(molecules.molecule_id[place]): reason for place, reason in found.items()}
            molecules = molecules.take(~np.isin(np.arange(len(molecules)), list(found)))
        mean, std = np.full((2, len(asked)), np.nan)
        for some, answer in self.ask_apart(molecules):
            if isinstance(answer, str):
                reasons |= dict.fromkeys(some.tolist(), answer)
                continue
            mean[some] = answer.mean
            if answer.std is not None:
                std[some] = answer.std
            wrong = some[~np.isfinite(answer.mean)]
            mean[wrong] = np.nan
            reasons |= dict.fromkeys(wrong.tolist(), "the model's prediction is not a finite number")
        remarks = {row: remark for row, remark in remarks.items() if row not in reasons}
        told = dict(sorted(reasons.items())), dict(sorted(remarks.items()))
        return KeptPrediction(mean, std if self.facts["tells_std"] else None, *told)

    def find_too_large(self, asked: NewMolecules) -> dict[int, str]:
        """Why molecules are larger than the dataset's largest, by position."""
        most = self.facts["max_heavy_atoms"]
        if most is None:
            return {}
        found = {int(row): why_no_molecule(text, most) for row, text in zip(asked.rows, asked.smiles, strict=True)}
        return {row: reason for row, reason in found.items() if reason}

    def ask_apart(self, molecules: Molecules) -> Iterator[tuple[np.ndarray, Prediction | str]]:
        """Predictions of molecules, or the reason why some have none, each with their positions (``molecule_id``).

        All at once, as the run did; where that fails, without the molecules that the model names, or in halves.
        """
        left = [molecules] if len(molecules) else []
        while left:
            some = left.pop()
            try:
                answer = self.model.predict(some)
            except Exception as error:
                named = np.isin(some.smiles, error.smiles if isinstance(error, MoleculeError) else [])
                told = str(error).partition(";")[0] if isinstance(error, MoleculeError) else ""
                if named.any() and not named.all():
                    yield some.molecule_id[named], told
                    left.append(some.take(~named))
                elif len(some) > 1:
                    left += [some.take(half) for half in np.array_split(np.arange(len(some)), 2)[::-1]]
                elif is_transient(error):
                    raise
                else:
                    yield some.molecule_id, told or f"{type(error).__name__}: {error}"
            else:
                yield some.molecule_id, answer


def read_kept(
    folder: StrPath, other_code: bool | None = False, known: dict[Path, KeptModel] | None = None
) -> KeptModel:
    """Read the model that a run has kept (``keep_models: true``), once; it holds all that it needs in memory.

    Args:
        folder: the run's, ``results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}``, wherever it is
            now; those of a committee's members lie beside it as in the run.
        other_code: whether other code, or other releases of packages, are but told; None: nobody can be asked that.
        known: models by folder, which are read no second time; what is read is added.

    Raises:
        KeptError: nothing was kept, a file is missing or another one, the benchmark is too old, the code is
            another, or the model reads what a new molecule has not.
    """
    folder = Path(os.path.normpath(folder))
    known = {} if known is None else known
    if folder not in known:
        try:
            known[folder] = read_model(folder, other_code, known)
        except KeptError:
            raise
        except ContractError as error:
            raise KeptError(str(error), folder) from error
    return known[folder]


def read_model(folder: Path, other_code: bool | None, known: dict[Path, KeptModel]) -> KeptModel:
    """What :func:`read_kept` reads of a folder that is not known."""
    if not (folder / RECORD).is_file():
        raise ContractError(explain_lack(folder))
    facts = read_json(folder / RECORD)
    check_version(folder, facts.get("version", "unknown"))
    check_needs(folder, facts)
    check_files(folder, facts["files"])
    members = {}
    for name, kept in facts["members"].items():
        members[name] = read_kept(folder / kept["folder"], other_code, known)
        if kept["identity"] not in (None, members[name].identity):
            raise ContractError(
                f"{folder}: {facts['label']} was fitted with another '{name}' than {folder / kept['folder']} now has; "
                "bring that of its run here, or make this run anew"
            )
    module = facts["class"].rpartition(".")[0]
    try:
        import_features(facts["features"])
        code = hash_training(facts["class"], facts["parameters"], order_features(facts["features"]))
        common = {"kind": facts["kind"], "seed": facts["seed"], "observable": facts["observable"]}
        model = find_model_class(facts["class"])(**common, **facts["parameters"])
    except (FileNotFoundError, ImportError, AttributeError, KeyError, TypeError) as error:
        raise ContractError(
            f"{folder}: boomlib.models.{module}, a feature or a package of it is not here, or takes other parameters "
            f"({error}); {name_checkout(facts)}"
        ) from error
    differing = [] if code == facts["code"] else [f"code {facts['code']}, here {code}"]
    differing += list_differing(facts["versions"])
    check_alike(folder, facts, differing, other_code)
    model.checkpoint = folder if facts["parameters"].get("pretrained") else None
    model.load(folder)
    return KeptModel(facts, model, identify(folder), members)


def explain_lack(folder: Path) -> str:
    """Why a folder has no kept model, and how to get one."""
    if not (folder / "run.json").is_file():
        return (
            f"{folder}: no folder of a run; give one like results/predictions/csd10k/hof/kde/ridge/seed0, of a run "
            "made with `keep_models: true`"
        )
    if read_json(folder / "run.json")["model"]["class"] == EXTERNAL:
        return f"{folder}: of an external model its predictions alone are known, and it cannot be asked for others"
    target = Path("results/predictions", *folder.absolute().parts[-5:])
    return (
        f"{folder}: no {RECORD}: this run was made without keep_models, or by an earlier version; make it anew by the "
        f"run's configuration: snakemake --cores 4 {target}.parquet --configfile … --config keep_models=true"
    )


def check_version(folder: Path, version: str) -> None:
    """Raise :class:`ContractError` if a later version of the benchmark has kept a model, whose files may be others."""

    def order(text: str) -> list[int]:
        return [int(part) for part in text.split(".")[:2] if part.isdigit()]

    if order(version) > order(VERSION) or not order(version):
        raise ContractError(
            f"{folder}: kept by version {version} of the benchmark, and this is {VERSION}; take a checkout of that one"
        )


def check_needs(folder: Path, facts: Mapping[str, Any]) -> None:
    """Raise :class:`ContractError` if a model reads what nobody has of a new molecule."""
    if facts["sees_truth"]:
        raise ContractError(
            f"{folder}: {facts['label']} is shown the labels that it predicts, and a molecule has none"
        )
    if facts["needs"] == NEEDS[2]:
        embedded = f"{facts['model']}_embedded"
        known = embedded in registry.load_models()
        raise ContractError(
            f"{folder}: {facts['label']} reads the geometries of {facts['dataset']}'s source, and a new molecule has "
            + (
                f"none; keep and ask `{embedded}`, its variant with embedded ones"
                if known
                else "none; keep and ask a model that embeds molecules (a graph network: `conformers: embedded`)"
            )
        )


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise :class:`ContractError` unless the files of a model are there as they were written, and no pickle is.

    A pickle is read where the file that replaces it is missing (:func:`boomlib.harness.saving.read_objects`).
    """
    for name, digest in files.items():
        if not (folder / name).is_file():
            raise ContractError(f"{folder / name}: no such file, which the kept model has; {MAKE_ANEW}")
        if sha256(folder / name) != digest:
            raise ContractError(f"{folder / name}: not the file that the run has written; {MAKE_ANEW}")
    for path in folder.glob(f"*{PICKLED}"):
        if path.with_suffix(ENDING).name not in files:
            raise ContractError(f"{path}: a pickle, which may run code and no kept model needs; remove it")


def list_differing(made_with: Mapping[str, str]) -> list[str]:
    """Packages that decide predictions and have another release here, but for the last of its three numbers."""
    here = versions()
    return [
        f"{name} {version}, here {here[name]}"
        for name, version in made_with.items()
        if name not in UNDECISIVE and name in here and here[name].split(".")[:2] != version.split(".")[:2]
    ]


def check_alike(folder: Path, facts: Mapping[str, Any], differing: Sequence[str], other_code: bool | None) -> None:
    """Raise :class:`ContractError`, or warn, if something that decides predictions is another one than in the run."""
    if not differing:
        return
    found = f"{folder}: made with {'; '.join(differing)}"
    if not other_code:
        offered = "" if other_code is None else ", or accept that (--other-code, `other_code=True`)"
        raise ContractError(f"{found}; predictions may be others than the run's: {name_checkout(facts)}{offered}")
    logger.warning("%s; predictions may be others than the run's", found)


def name_checkout(facts: Mapping[str, Any]) -> str:
    """The checkout in which the model was made."""
    python = facts["versions"]["python"]
    return f"take a checkout of commit {facts['commit'].removesuffix('+')}, with `make setup` and Python {python}"

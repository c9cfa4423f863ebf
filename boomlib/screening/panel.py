"""All that molecules of a screen are shown: the kept models of its runs, and what is near their train."""

import functools
import importlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from boomlib.declared import order_features
from boomlib.evaluation.applicability import FEATURES, STRUCTURE, Domain
from boomlib.files import ContractError, read_json, sha256
from boomlib.harness.keeping import RECORD, identify
from boomlib.harness.kept import KeptError, KeptModel, explain_lack, read_kept
from boomlib.harness.unseen import NewMolecules
from boomlib.provenance import code_hash, content_hash
from boomlib.screening.answers import Answers

CHUNK = 1000
"""Molecules that are asked, and written, at once; memory holds as many of each worker."""
# of new molecules, whatever the model, whose own code and features are in its identity
ASKING = (
    "boomlib.screening.panel",
    "boomlib.harness.kept",
    "boomlib.harness.unseen",
    *(f"boomlib.features.{name}" for name in FEATURES),
)


class Panel:
    """Kept models and domains, each by a name that changes with whatever may change what it says.

    Models are read when molecules are first asked: the process of a job that has workers holds none.

    Attributes:
        facts: of each folder, what ``kept.json`` says.
        model_names: the name of the model of each folder; several folders of the same model have one.
        domain_names: that of the domain of each file.
    """

    def __init__(self, folders: Sequence[str], domains: Sequence[str]) -> None:
        """Read what models and domains are.

        Args:
            folders: of runs that have kept their models.
            domains: files of :meth:`boomlib.evaluation.applicability.Domain.save`.

        Raises:
            ContractError: a model was not kept.
        """
        code = code_hash(*ASKING)
        self.folders, self.files = list(map(Path, folders)), domains
        try:
            self.facts = [read_json(folder / RECORD) for folder in self.folders]
            self.model_names = [content_hash(["model", identify(folder), code]) for folder in self.folders]
        except FileNotFoundError as error:
            raise ContractError(explain_lack(Path(error.filename).parent)) from error
        self.domain_names = [content_hash(["domain", sha256(path), code]) for path in domains]

    @cached_property
    def models(self) -> dict[str, KeptModel]:
        """The models by name.

        Raises:
            ContractError: some are not what was kept; the message names them, and how to have them trained again.
        """
        known: dict[Path, KeptModel] = {}
        failed: dict[Path, KeptError] = {}
        found = {}
        for name, folder in zip(self.model_names, self.folders, strict=True):
            try:
                found[name] = read_kept(folder, None, known)
            except KeptError as error:
                failed.setdefault(error.folder, error)
        if failed:
            records = " ".join(str(folder / RECORD) for folder in failed)
            raise ContractError(
                f"{next(iter(failed.values()))}; or have trained again what is not as it was kept, by the same "
                f"command after: rm -f {records}"
            )
        return found

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The domains by name."""
        return {
            name: Domain.load(path) for name, path in dict(zip(self.domain_names, self.files, strict=True)).items()
        }

    @property
    def sources(self) -> list[str]:
        """All names."""
        return list(dict.fromkeys([*self.model_names, *self.domain_names]))

    @property
    def chunk(self) -> int:
        """How many molecules are asked at once: :data:`CHUNK`, or fewer of a feature that takes long."""
        folders, features = list(self.folders), {*FEATURES}
        for folder in folders:
            facts = read_json(folder / RECORD)
            features.update(order_features(facts["features"]))
            folders += [folder / member["folder"] for member in facts["members"].values()]
        modules = [importlib.import_module(f"boomlib.features.{name}") for name in features]
        return min(getattr(module, "CHUNK", CHUNK) for module in modules)

    def ask(self, smiles: Sequence[str], sources: Sequence[str]) -> dict[str, Answers]:
        """What some sources say of some molecules.

        Returns:
            Of a model a prediction and its standard deviation (NaN where it tells none), float64 [n, 2]; of a domain
            the scores :data:`boomlib.evaluation.applicability.STRUCTURE`, float64 [n, 3].
        """
        molecules, said = NewMolecules(smiles), {}
        for name in sources:
            if name in self.models:
                answer = self.models[name].predict(molecules)
                std = np.full(len(molecules), np.nan) if answer.std is None else answer.std
                said[name] = Answers(np.column_stack([answer.mean, std]), dict(answer.reasons))
            else:
                said[name] = score_structure(self.domains[name], molecules)
        return said


def score_structure(domain: Domain, molecules: NewMolecules) -> Answers:
    """The scores of molecules that depend on no model; NaN where there is no molecule, or a feature fails."""
    described = {name: molecules.describe(name, {each: {} for each in FEATURES}) for name in FEATURES}
    failed = {row: reason for each in described.values() for row, reason in each.reasons.items()}
    usable = np.array([row for row in range(len(molecules.rows)) if row not in failed], dtype=np.intp)
    numbers = np.full((len(molecules), len(STRUCTURE)), np.nan)
    if len(usable):
        scores = domain.score({name: each.table.take(usable) for name, each in described.items()})
        numbers[molecules.rows[usable]] = np.column_stack([scores[name] for name in STRUCTURE])
    return Answers(numbers, {int(molecules.rows[row]): reason for row, reason in failed.items()})


@functools.cache
def read_panel(folders: tuple[str, ...], domains: tuple[str, ...]) -> Panel:
    """A panel, read once in each process."""
    return Panel(folders, domains)

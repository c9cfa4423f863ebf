"""All that molecules of a screen are shown: the kept models of its runs, and what is near their train."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boomlib.evaluation.applicability import FEATURES, STRUCTURE, Domain
from boomlib.files import ContractError, sha256
from boomlib.harness.keeping import RECORD
from boomlib.harness.kept import KeptModel, read_kept
from boomlib.harness.unseen import NewMolecules
from boomlib.provenance import code_hash, content_hash
from boomlib.screening.answers import Answers

# of new molecules, whatever the model, whose own code and features are in its identity
ASKING = (
    "boomlib.screening.panel",
    "boomlib.harness.kept",
    "boomlib.harness.unseen",
    *(f"boomlib.features.{name}" for name in FEATURES),
)


class Panel:
    """Kept models and domains, each by a name that changes with whatever may change what it says.

    Attributes:
        models: by name; several folders of the same model are one.
        domains: by name.
        model_names: the name of the model of each folder.
        domain_names: that of the domain of each file.
    """

    def __init__(self, folders: Sequence[str], domains: Sequence[str]) -> None:
        """Read all.

        Args:
            folders: of runs that have kept their models.
            domains: files of :meth:`boomlib.evaluation.applicability.Domain.save`.

        Raises:
            ContractError: a model was not kept, or is not what was kept.
        """
        code = code_hash(*ASKING)
        kept = [read_again(folder) for folder in folders]
        self.model_names = [content_hash(["model", each.identity, code]) for each in kept]
        self.domain_names = [content_hash(["domain", sha256(path), code]) for path in domains]
        self.models: dict[str, KeptModel] = dict(zip(self.model_names, kept, strict=True))
        self.domains = {name: Domain.load(path) for name, path in zip(self.domain_names, domains, strict=True)}

    @property
    def sources(self) -> list[str]:
        """All names."""
        return [*self.models, *self.domains]

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


def read_again(folder: str) -> KeptModel:
    """:func:`boomlib.harness.kept.read_kept`, whose error also says how a screen gets another model."""
    try:
        return read_kept(folder)
    except ContractError as error:
        remedy = f"or delete {Path(folder, RECORD)}, and the same command trains the model again"
        raise ContractError(f"{error}; {remedy}") from error


def score_structure(domain: Domain, molecules: NewMolecules) -> Answers:
    """The scores of molecules that depend on no model; NaN where there is no molecule."""
    described = {name: molecules.describe(name, {each: {} for each in FEATURES}) for name in FEATURES}
    failed = {row for each in described.values() for row in each.reasons}
    usable = np.array([row for row in range(len(molecules.rows)) if row not in failed], dtype=np.intp)
    numbers = np.full((len(molecules), len(STRUCTURE)), np.nan)
    if len(usable):
        scores = domain.score({name: each.table.take(usable) for name, each in described.items()})
        numbers[molecules.rows[usable]] = np.column_stack([scores[name] for name in STRUCTURE])
    return Answers(numbers, {})


@functools.cache
def read_panel(folders: tuple[str, ...], domains: tuple[str, ...]) -> Panel:
    """A panel, read once in each process."""
    return Panel(folders, domains)

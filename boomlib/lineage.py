"""What each file of a run stands on, in the order in which it is made: what may be lacking before it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from boomlib.declared import order_features, read_scheme_features
from boomlib.external import is_external
from boomlib.registry import Entries
from boomlib.runs import Run


class Lineage(ABC):
    """The files that a plan's runs stand on; a plan says where the parts of these lie.

    Attributes:
        models: descriptors by name.
        corpus: properties by dataset of what pretraining reads.
        runs: all runs.
    """

    models: Entries
    runs: list[Run]
    corpus: Mapping[str, list[str]]

    @abstractmethod
    def get_sources(self, wildcards: Mapping[str, str]) -> list[str]:
        """Source files of a dataset."""

    @abstractmethod
    def get_feature_parts(self, wildcards: Mapping[str, str]) -> list[str]:
        """Parts of a feature table, in order."""

    @abstractmethod
    def get_checkpoint(self, wildcards: Mapping[str, str]) -> list[str]:
        """The files of the checkpoint that a model starts from."""

    @abstractmethod
    def list_member_runs(self, run: Run) -> list[Run]:
        """The runs whose predictions a run reads."""

    @abstractmethod
    def find_restored(self, run: Run) -> list[str]:
        """The files of a publication that a run is taken from; none if it is trained."""

    def list_needs(self, run: Run) -> list[str]:
        """What the score of a run stands on, in the order in which it is made."""
        scores = [f"results/metrics/{run.stem}.json", f"results/resamples/{run.stem}.parquet"]
        return self.list_training_needs(run) + scores

    def list_training_needs(self, run: Run) -> list[str]:
        """The predictions of a run and what they stand on, in the order in which it is made."""
        model = self.models[run.model]
        needs = [
            *self.list_split_needs(run.dataset, run.property, run.scheme),
            f"results/tasks/{run.task}/{run.scheme}.parquet",
            *([f"results/tasks/{run.task}/{run.scheme}.json"] if is_external(model) else []),
            *(self.find_restored(run) or self.list_read_needs(run)),
            f"results/predictions/{run.stem}.parquet",
            f"results/predictions/{run.stem}/run.json",
        ]
        return list(dict.fromkeys(needs))

    def list_read_needs(self, run: Run) -> list[str]:
        """What the training of a run reads beside its task, in the order in which it is made."""
        return [
            *self.list_feature_needs(run.dataset, self.models[run.model]["features"]),
            *(self.list_corpus_needs(run.scheme) if self.reads_corpus(run) else []),
            *self.get_checkpoint(asdict(run)),
            *(path for member in self.list_member_runs(run) for path in self.list_training_needs(member)),
        ]

    def reads_corpus(self, run: Run) -> bool:
        """Whether a run starts from a checkpoint that is pretrained on the corpus."""
        return bool(self.models[run.model]["parameters"].get("pretrained") == "mlm")

    def list_exposures(self) -> list[str]:
        """How many molecules that are tested the corpus holds, a file each task of runs that start from it."""
        tasks = dict.fromkeys(f"{run.task}/{run.scheme}" for run in self.runs if self.reads_corpus(run))
        return [f"results/exposure/{task}.json" for task in tasks]

    def list_split_needs(self, dataset: str, name: str, scheme: str) -> list[str]:
        """A split of a property and what it stands on, in the order in which it is made."""
        return [
            *self.get_sources({"dataset": dataset}),
            f"results/data/{dataset}/molecules.parquet",
            *self.list_feature_needs(dataset, read_scheme_features(scheme)),
            f"results/splits/{dataset}/{name}/{scheme}.parquet",
        ]

    def list_feature_needs(self, dataset: str, features: Iterable[str]) -> list[str]:
        """Feature tables, each behind its parts and behind the features that it reads."""
        return [
            path
            for name in order_features(features)
            for path in (
                *self.get_feature_parts({"dataset": dataset, "feature": name}),
                f"results/features/{dataset}/{name}.parquet",
            )
        ]

    def list_corpus_needs(self, scheme: str) -> list[str]:
        """The corpus of a scheme and what it stands on, in the order in which it is made."""
        splits = [
            path
            for dataset, properties in self.corpus.items()
            for name in properties
            for path in self.list_split_needs(dataset, name, scheme)
        ]
        return [*splits, f"results/corpora/{scheme}.parquet"]

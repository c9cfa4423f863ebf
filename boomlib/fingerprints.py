"""What decides the predictions of a run, as a hash that machines find alike, before anything is made.

A run that was published counts on another machine, with the same minor version of Python, if its fingerprint is the
one that the run would have there. Dates, paths and the bytes of what stages make, which differ from processor to
processor, do not enter.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

from boomlib import registry
from boomlib.declared import list_arguments, order_features, read_scheme_features
from boomlib.given import GivenFiles, is_given
from boomlib.lineage import Lineage
from boomlib.provenance import code_hash, content_hash
from boomlib.registry import Entries
from boomlib.runs import Run
from boomlib.schemas import Entry

NEUTRAL = "describes what makes a number"


class Fingerprints(Lineage):
    """Fingerprints of a plan's runs.

    Attributes:
        datasets, sources: entries by name.
        given: hashes of the files that people give.
    """

    datasets: Entries
    sources: Entries
    given: GivenFiles

    @abstractmethod
    def get_given_checkpoint(self, wildcards: Mapping[str, str]) -> dict[str, str]:
        """The files of the checkpoint that a model starts from, if people give it, each with its hash."""

    @abstractmethod
    def get_given_predictions(self, wildcards: Mapping[str, str]) -> dict[str, str]:
        """The file of an external model's predictions, with its hash; nothing of any other model."""

    @cached_property
    def fingerprints(self) -> dict[Run, str]:
        """Those that have been asked for."""
        return {}

    def fingerprint(self, run: Run) -> str:
        """The fingerprint of a run: of its data, split and labels, model, seed, and of what it starts from and reads.

        Of code counts what computes (:func:`boomlib.provenance.code_hash`) in each stage up to the predictions; of
        packages nothing, which ``run.json`` names.
        """
        if run not in self.fingerprints:
            self.fingerprints[run] = content_hash(self.describe(run))
        return self.fingerprints[run]

    def describe(self, run: Run) -> dict[str, Any]:
        """All that decides the predictions of a run."""
        model, entry = self.models[run.model], self.datasets[run.dataset]["properties"][run.property]
        wildcards = asdict(run)
        module = "boomlib.models." + model["class"].rpartition(".")[0]
        return {
            "data": self.describe_data(run.dataset, model["features"]),
            "property": [run.property, entry["kind"], entry.get("observable")],
            "split": self.describe_split(run.dataset, run.scheme),
            "model": [model["class"], drop_paths(model["parameters"]), model["sees_truth"]],
            "code": code_hash("workflow_scripts.train_predict", module),
            "seed": run.seed,
            "start": [*self.get_given_checkpoint(wildcards).values()],
            "corpus": [*self.describe_corpus(run.scheme), module] if self.reads_corpus(run) else None,
            "answers": [*self.get_given_predictions(wildcards).values()],
            "members": [self.fingerprint(each) for each in self.list_member_runs(run)],
        }

    def describe_data(self, name: str, features: list[str]) -> list[Any]:
        """What decides the molecules of a dataset, and what settings of it decide their features."""
        dataset = self.datasets[name]
        files: Mapping[str, str] = {
            path: self.given[path] for path in self.get_sources({"dataset": name}) if is_given(path)
        }
        fetched = [self.sources[each]["sha256"] for each in dataset["sources"]]
        return [
            # a file counts by what it holds, wherever it lies
            {key: value for key, value in registry.select_reader_settings(dataset).items() if key != "file"},
            [*files.values(), *fetched],
            code_hash("workflow_scripts.prepare_molecules", f"boomlib.datasets.{dataset['reader']}"),
            self.describe_features(dataset, features),
        ]

    def describe_features(self, dataset: Entry, features: Iterable[str]) -> dict[str, Any]:
        """What decides the features of a dataset, beside its molecules: settings of it, and their code."""
        return {
            each: [select_settings(dataset, each), code_hash("workflow_scripts.featurize", f"boomlib.features.{each}")]
            for each in order_features(features)
        }

    def describe_split(self, name: str, scheme: str) -> list[Any]:
        """What decides the folds of a dataset's properties, beside its molecules."""
        dataset = self.datasets[name]
        read = self.describe_features(dataset, read_scheme_features(scheme))
        code = code_hash("workflow_scripts.make_split", f"boomlib.splits.{scheme}")
        # the order of the properties decides which of them a generator draws for first
        return [scheme, dataset["split"], list(dataset["properties"]), read, code]

    def describe_corpus(self, scheme: str) -> list[Any]:
        """What decides the corpus of pretraining, and how it is read."""
        parts = [
            [*self.describe_data(name, []), *self.describe_split(name, scheme), list(properties)]
            for name, properties in self.corpus.items()
        ]
        return [*parts, code_hash("workflow_scripts.make_corpus"), code_hash("workflow_scripts.pretrain")]

    def get_fingerprint(self, wildcards: Mapping[str, str]) -> str:
        """The fingerprint of the run of a rule's wildcards."""
        return self.fingerprint(read_run(wildcards))


def select_settings(dataset: Entry, feature: str) -> Entry:
    """Keys of a dataset's entry that a feature's ``compute`` takes."""
    return {key: dataset[key] for key in list_arguments(feature) if key in dataset}


def drop_paths(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Hyper-parameters without the places of files that count by what they hold."""
    start = parameters.get("pretrained")
    moved: dict[str, Any] = {"pretrained": "given"} if isinstance(start, Mapping) and "directory" in start else {}
    return {**parameters, **moved}


def read_run(wildcards: Mapping[str, str]) -> Run:
    """The run of a rule's wildcards."""
    task = (wildcards["dataset"], wildcards["property"], wildcards["scheme"])
    return Run(*task, wildcards["model"], int(wildcards["seed"]))

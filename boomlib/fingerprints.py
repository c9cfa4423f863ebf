"""What decides the predictions of a run, as a hash that every machine finds alike, before anything is made.

A run that was published counts on another machine if its fingerprint is the one that the run would have there. Dates,
paths and the bytes of what stages make, which differ from processor to processor, do not enter.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from boomlib import registry
from boomlib.declared import list_arguments, order_features, read_scheme_features
from boomlib.given import GivenFiles, is_given
from boomlib.lineage import Lineage
from boomlib.provenance import code_hash, content_hash, hash_training
from boomlib.registry import Entries, Entry
from boomlib.runs import Run

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

    def fingerprint(self, run: Run) -> str:
        """The fingerprint of a run: of its data, split and labels, model, seed, and of what it starts from and reads.

        Of code counts what computes (:func:`boomlib.provenance.code_hash`): the dataset's reader, the scheme, the
        features and the model; of packages nothing, which ``run.json`` names.
        """
        model, dataset = self.models[run.model], self.datasets[run.dataset]
        entry = dataset["properties"][run.property]
        starts = {path: self.given[path] for path in self.get_checkpoint(asdict(run)) if is_given(path)}
        decides: dict[str, Any] = {
            "data": self.describe_data(run.dataset, model["features"]),
            "property": [run.property, entry["kind"], entry.get("observable")],
            "split": self.describe_split(run.dataset, run.scheme),
            "training": hash_training(model["class"], model["parameters"], order_features(model["features"])),
            "seed": run.seed,
            "start": [*starts.values()],
            "corpus": self.describe_corpus(run.scheme) if self.reads_corpus(run) else None,
            "members": [self.fingerprint(each) for each in self.list_member_runs(run)],
        }
        return content_hash(decides)

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
            code_hash(f"boomlib.datasets.{dataset['reader']}"),
            {each: select_settings(dataset, each) for each in order_features(features)},
        ]

    def describe_split(self, name: str, scheme: str) -> list[Any]:
        """What decides the folds of a dataset's properties, beside its molecules."""
        read = order_features(read_scheme_features(scheme))
        code = code_hash(f"boomlib.splits.{scheme}", *(f"boomlib.features.{each}" for each in read))
        # the order of the properties decides which of them a generator draws for first
        return [scheme, self.datasets[name]["split"], list(self.datasets[name]["properties"]), code]

    def describe_corpus(self, scheme: str) -> list[Any]:
        """What decides the corpus of pretraining."""
        return [
            [*self.describe_data(name, []), *self.describe_split(name, scheme), list(properties)]
            for name, properties in self.corpus.items()
        ]

    def get_fingerprint(self, wildcards: Mapping[str, str]) -> str:
        """The fingerprint of the run of a rule's wildcards."""
        return self.fingerprint(read_run(wildcards))


def select_settings(dataset: Entry, feature: str) -> Entry:
    """Keys of a dataset's entry that a feature's ``compute`` takes."""
    return {key: dataset[key] for key in list_arguments(feature) if key in dataset}


def read_run(wildcards: Mapping[str, str]) -> Run:
    """The run of a rule's wildcards."""
    task = (wildcards["dataset"], wildcards["property"], wildcards["scheme"])
    return Run(*task, wildcards["model"], int(wildcards["seed"]))

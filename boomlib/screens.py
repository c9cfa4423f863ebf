"""What the screens of a configuration ask for: files of molecules, and the runs whose kept models predict them.

Nothing heavy is imported, as in :mod:`boomlib.workflow`, whose plan hands this to the rules.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from boomlib import registry
from boomlib.declared import NEEDS, find_needs, list_features, suggest_embedded
from boomlib.external import is_external
from boomlib.files import ContractError, read_json
from boomlib.given import GivenFiles, is_given
from boomlib.registry import Entries, list_members
from boomlib.runs import Run, list_runs
from boomlib.schemas import Entry

NEUTRAL = "what it reads reaches a stage as an input or a parameter"

KEPT = "kept.json"  # boomlib.harness.keeping.RECORD, which is not light
CONTROL = "control"
Wildcards = Mapping[str, str]


@dataclass(frozen=True)
class Screen:
    """One file of molecules, and the runs whose models predict it; runs are ordered by task, model and seed."""

    file: str
    smiles_column: str | None
    runs: tuple[Run, ...]

    @property
    def models(self) -> list[Run]:
        """Each model on each task, as the run of its first seed."""
        return [run for run in self.runs if run.seed == self.runs[0].seed]

    @property
    def seeds(self) -> list[int]:
        """The seeds of each model."""
        return list(dict.fromkeys(run.seed for run in self.runs))


class Screens:
    """The screens of a configuration, as rules ask for them.

    Attributes:
        named: by name.
        kept: stems of the runs whose models have to be kept: theirs, and those of members of committees.
        runs: these runs.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        datasets: Entries,
        models: Entries,
        given: GivenFiles,
        corpus: Collection[str],
        where: str,
    ) -> None:
        """Check and read ``screens`` of a checked configuration.

        Args:
            config: the configuration, with the schema's defaults.
            datasets, models: entries by name, of the configuration as well.
            given: hashes of files that people give.
            corpus: the datasets that pretraining reads.
            where: the configuration's files, for messages.

        Raises:
            ContractError: an unknown task or model, one that predicts no new molecule, or a file of results.
        """
        self.datasets, self.models, self.given, self.corpus = datasets, models, given, corpus
        self.keeps_all: bool = config["keep_models"]
        self.told: dict[str, bool] = {}
        self.named = {
            name: self.read_screen(entry, config, f"{where}: screens.{name}")
            for name, entry in config["screens"].items()
        }
        asked = dict.fromkeys(run for screen in self.named.values() for run in screen.runs)
        members = (replace(run, model=name) for run in asked for name in list_members(models[run.model]))
        self.runs = list(dict.fromkeys([*members, *asked]))
        self.kept = {run.stem for run in self.runs}

    def read_screen(self, entry: Entry, config: Mapping[str, Any], at: str) -> Screen:
        """A screen from its entry; what that leaves out is the configuration's."""
        found = {name: self.models[name] for name in config["models"]}
        usual = [name for name, model in found.items() if model["family"] != CONTROL and not is_external(model)]
        chosen = {
            "tasks": entry.get("tasks", config["tasks"]),
            "schemes": [entry.get("scheme", config["schemes"][0])],
            "models": entry.get("models", usual),
            "seeds": entry.get("seeds", config["seeds"]),
        }
        if not chosen["models"]:
            raise ContractError(f"{at}: models: the configuration has none that predicts other molecules; name some")
        for task in chosen["tasks"]:
            registry.check_task(task, self.datasets, f"{at}: tasks")
        for name in chosen["models"]:
            self.check_model(name, [task.partition("/")[0] for task in chosen["tasks"]], f"{at}: models")
        file = entry["file"]
        if not is_given(file):
            raise ContractError(f"{at}.file: {file} is where results are made; copy it elsewhere, and name that")
        return Screen(file, entry.get("smiles_column"), tuple(list_runs(chosen)))

    def check_model(self, name: str, datasets: Iterable[str], at: str) -> None:
        """Raise :class:`ContractError` unless a model can predict a molecule of which there is but the SMILES."""
        registry.check_known("model", name, self.models, at)
        if self.models[name]["family"] == CONTROL:
            raise ContractError(f"{at}: '{name}' is a control, which bounds models and predicts nothing; leave it out")
        asked = {each: self.models[each] for each in (name, *list_members(self.models[name]))}
        if any(map(is_external, asked.values())):
            raise ContractError(
                f"{at}: '{name}' is external: of others' predictions of the benchmark's own molecules; leave it out"
            )
        starts = {each: model["parameters"].get("pretrained") for each, model in asked.items()}
        for dataset in datasets:
            if find_needs(list_features(name, self.models), self.datasets[dataset]["reader"]) == NEEDS[2]:
                raise ContractError(
                    f"{at}: '{name}' reads the geometries of {dataset}'s source, which a new molecule has not; "
                    f"{suggest_embedded(name, self.models)}"
                )
            if "mlm" in starts.values() and dataset not in self.corpus:
                raise ContractError(
                    f"{at}: '{name}' is pretrained on the datasets of `tasks` and `corpus`, without the held-out "
                    f"molecules of these alone; add '{dataset}' to `corpus`"
                )
        for each, start in starts.items():
            registry.check_directory(start, f"{at}: {each}")

    def list_datasets(self) -> list[str]:
        """The datasets of the screens' runs."""
        return list(dict.fromkeys(run.dataset for run in self.runs))

    def must_keep(self, wildcards: Wildcards) -> bool:
        """Whether a run keeps its model: all do, a screen asks it, or it has one, which taking a screen away leaves.

        The same for as long as this process runs: Snakemake asks again for its record, after a run.
        """
        stem = "{dataset}/{property}/{scheme}/{model}/seed{seed}".format(**wildcards)
        if stem not in self.told:
            there = Path(f"results/predictions/{stem}/{KEPT}").is_file()
            self.told[stem] = self.keeps_all or stem in self.kept or there
        return self.told[stem]

    def has_lost_model(self, job: Mapping[str, Sequence[str]]) -> bool:
        """Whether the model that a training is to keep for a screen is not there, or not all of its files."""
        predictions = Path(job["output"][0])
        folder = predictions.with_suffix("")
        if folder.relative_to("results/predictions").as_posix() not in self.kept:
            return False
        try:
            files = read_json(folder / KEPT)["files"]
        except (OSError, ContractError):
            return True
        return not all((folder / name).is_file() for name in files)

    def get_settings(self, wildcards: Wildcards) -> Entry:
        """The file of a screen and its column of SMILES."""
        screen = self.named[wildcards["screen"]]
        return {"file": screen.file, "smiles_column": screen.smiles_column}

    def get_given(self, wildcards: Wildcards) -> dict[str, str]:
        """The file of a screen with its hash; a file that is missing is told by the job that reads it, not before."""
        file = self.named[wildcards["screen"]].file
        return {file: self.given[file] if Path(file).is_file() else "missing"}

    def get_models(self, wildcards: Wildcards) -> list[dict[str, str]]:
        """Each model on each task: its key, and names for people."""
        return [
            {key: getattr(run, key) for key in ("dataset", "property", "scheme", "model")}
            | {
                "label": self.models[run.model]["label"],
                "unit": self.datasets[run.dataset]["properties"][run.property]["unit"],
            }
            for run in self.named[wildcards["screen"]].models
        ]

    def get_predictions(self, wildcards: Wildcards) -> list[str]:
        """Predictions of a screen's runs, behind which lie the kept models."""
        return [f"results/predictions/{run.stem}.parquet" for run in self.named[wildcards["screen"]].runs]

    def get_metrics(self, wildcards: Wildcards) -> list[str]:
        """Scores of a screen's runs."""
        return [f"results/metrics/{run.stem}.json" for run in self.named[wildcards["screen"]].runs]

    def get_domains(self, wildcards: Wildcards) -> list[str]:
        """What is near train, a file a model on a task."""
        models = self.named[wildcards["screen"]].models
        return [f"results/domain/{run.task}/{run.scheme}/domain.parquet" for run in models]

    def get_uncertainty(self, wildcards: Wildcards) -> list[str]:
        """How far intervals hold over a screen's seeds, a file a model on a task."""
        place = f"results/screens/{wildcards['screen']}/uncertainty"
        models = self.named[wildcards["screen"]].models
        return [f"{place}/{run.task}/{run.scheme}/{run.model}.json" for run in models]

    def get_figures(self, wildcards: Wildcards) -> list[str]:
        """The figures of a screen, of each model on each task two."""
        place = f"results/plots/screens/{wildcards['screen']}"
        models = self.named[wildcards["screen"]].models
        return [
            f"{place}/{run.task}/{run.scheme}/{run.model}/{kind}.png"
            for run in models
            for kind in ("distribution", "extremes")
        ]

    def get_seeds(self, wildcards: Wildcards) -> list[int]:
        """The seeds of a screen."""
        return self.named[wildcards["screen"]].seeds

    def get_seed_predictions(self, wildcards: Wildcards) -> list[str]:
        """Predictions of each of a screen's seeds of one model on one task."""
        place = "results/predictions/{dataset}/{property}/{scheme}/{model}".format(**wildcards)
        return [f"{place}/seed{seed}.parquet" for seed in self.get_seeds(wildcards)]

    def list_files(self) -> list[str]:
        """All files of all screens, and the trainings and scores that these stand on, in the order of their making."""
        made = [f"results/predictions/{run.stem}.parquet" for run in self.runs]
        for name in self.named:
            asked = {"screen": name}
            made += dict.fromkeys([*self.get_domains(asked), *self.get_uncertainty(asked), *self.get_metrics(asked)])
            made += [
                f"results/screens/{name}/file.json",
                f"results/screens/{name}.parquet",
                *self.get_figures(asked),
                f"results/screens/{name}.md",
            ]
        return made

"""What a configuration asks for: its runs, what they need, and where everything lies. The rules ask a :class:`Plan`.

Nothing heavy is imported, since Snakemake reads this at the beginning of every command and of every job on a cluster.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from boomlib import declared, registry, schemas
from boomlib.declared import list_tables, read_scheme_features
from boomlib.external import find_predictions, is_external, list_shipped
from boomlib.files import ContractError, read_json
from boomlib.fingerprints import Fingerprints, select_settings
from boomlib.given import GivenFiles, is_given
from boomlib.mirror import find_in_mirror
from boomlib.provenance import code_hash
from boomlib.registry import UNSHOWN, Entries, list_members
from boomlib.report.figures.catalogue import list_figures
from boomlib.report.roles import assign_roles
from boomlib.restored import RestoredRuns
from boomlib.runs import Run, list_runs
from boomlib.schemas import Entry
from boomlib.screens import Screens
from boomlib.text.checkpoint_files import RECORD, WEIGHTS, checkpoint_files, list_files
from boomlib.text.start import find_sharer, name_hub_folder, select_pretraining

# its pins, RDKit's among them, decide molecules and features, which the cache hands from one checkout to another
ENVIRONMENT = "envs/boomlib.yaml"
MADE = (WEIGHTS, RECORD)  # of a checkpoint that a rule makes: the record is of the files beside the weights
DOMAIN_FEATURES = ("elements", "morgan_counts")  # what boomlib.evaluation.applicability reads, which is not light
Wildcards = Mapping[str, str]


def one_of(names: Iterable[str]) -> str:
    """A regular expression that matches exactly the given names; nothing if there are none."""
    return "|".join(map(re.escape, sorted(names))) or "(?!x)x"


def locate_hub(start: Mapping[str, str]) -> list[str]:
    """The checkpoint of a repository of the hub, given by its name and a commit: its weights, its record."""
    return [f"results/pretrained/hub/{name_hub_folder(start)}/{file}" for file in MADE]


def code_of(*modules: str, files: tuple[str, ...] = ()) -> Callable[[Wildcards], str]:
    """A rule's parameter that changes when the code of the modules or a file does; names may hold wildcards."""

    def fill_in(names: Iterable[str], wildcards: Wildcards) -> tuple[str, ...]:
        return tuple(name.format(**wildcards) for name in names)

    return lambda wildcards: code_hash(*fill_in(modules, wildcards), files=fill_in(files, wildcards))


class Plan(Fingerprints):
    """The runs of a configuration and what they need, by the wildcards of a rule where it asks for one job.

    Attributes:
        config: the checked configuration, with the schema's defaults; ``shown_config`` is what pages say of it.
        datasets, sources: entries by name, of config/datasets.yaml and of the configuration.
        models: descriptors by name, the configuration's variants among them.
        features: all feature tables.
        schemes: all schemes.
        properties: the names of all properties of all datasets.
        runs: all runs.
        run_models: the descriptors of the run's models, in their order.
        trained_models: these, and those that they read predictions of, which are on the leaderboard if listed alone.
        run_datasets: the entries of the run's datasets.
        roles: labels of the run's models, and which are controls or answer a policy.
        policy_runs: the runs that evaluate a policy; ``policy_datasets`` are their datasets.
        tasks: (dataset, property, scheme) of the runs.
        judged: (dataset, property, scheme, model) of the runs whose intervals are judged, all but controls'.
        corpus: properties by dataset of what pretraining reads.
        given: hashes of the files that people give.
        screens: the configuration's screens, whose runs need not be among the leaderboard's.
        restored: the runs that a publication has.
    """

    def __init__(self, config: Mapping[str, Any], where: str = "config") -> None:
        """Check what is registered and the configuration.

        Snakemake takes what a function of a rule raises for an input that is missing, and would keep old results: so
        all that such functions read for the run is read here.

        Args:
            config: the configuration.
            where: its files, for messages.

        Raises:
            ContractError: something in it is wrong; the message names it and the remedy.
        """
        registry.check_required(config, where)
        self.datasets, self.sources = registry.with_own_datasets(*registry.load_datasets(), config, where)
        self.models = registry.with_variants(registry.load_models(), config, where)
        self.config = registry.check_config(config, self.datasets, self.models, where)
        declared.check_families(self.models)
        declared.check_features(self.models, self.config["variants"], where)
        self.shown_config = {key: value for key, value in self.config.items() if key not in UNSHOWN}
        self.features = schemas.list_modules("features", "compute")
        self.schemes = schemas.list_modules("splits", "assign")
        self.properties = sorted({name for dataset in self.datasets.values() for name in dataset["properties"]})
        self.runs = list_runs(self.config)
        self.run_models = {name: self.models[name] for name in self.config["models"]}
        members = {each: self.models[each] for model in self.run_models.values() for each in list_members(model)}
        self.trained_models = self.run_models | members
        self.run_datasets = {name: self.datasets[name] for name in sorted({run.dataset for run in self.runs})}
        self.roles = assign_roles(self.run_models)
        self.policy_runs = [run for run in self.runs if run.model in self.roles.evaluators]
        self.policy_datasets = list(dict.fromkeys(run.dataset for run in self.policy_runs))
        self.tasks = sorted({(run.dataset, run.property, run.scheme) for run in self.runs})
        self.judged = list(
            dict.fromkeys(
                (run.dataset, run.property, run.scheme, run.model)
                for run in self.runs
                if run.model not in self.roles.controls
            )
        )
        self.corpus = {
            name: list(self.datasets[name]["properties"])
            for name in sorted({*self.run_datasets, *self.config["corpus"]})
        }
        self.given = GivenFiles(".snakemake/given.json")
        self.screens = Screens(self.config, self.datasets, self.models, self.given, self.corpus, where)
        self.restored = RestoredRuns(self, self.screens.must_keep)
        read = dict.fromkeys([*self.corpus, *self.screens.list_datasets()])
        registry.check_files_of({name: self.datasets[name] for name in read}, where)
        for dataset in read:
            self.get_given_sources({"dataset": dataset})
        for screen in self.screens.named:
            self.screens.get_given({"screen": screen})
        for run in dict.fromkeys(replace(run, seed=0) for run in [*self.runs, *self.screens.runs]):
            declared.check_geometry(run.model, run.dataset, self.models, self.datasets, where)
            self.list_needs(run)
            for each in (run, *self.list_member_runs(run)):
                self.get_given_checkpoint(asdict(each))
        external = [name for name, model in self.trained_models.items() if is_external(model)]
        for run in dict.fromkeys(replace(run, model=name) for name in external for run in self.runs):
            self.get_given_predictions(asdict(run))

    def constrain(self, chosen: Callable[[Entry], bool]) -> str:
        """A regular expression for the models whose descriptor is ``chosen``."""
        return one_of(name for name, model in self.models.items() if chosen(model))

    def constrain_family(self, family: str) -> str:
        """A regular expression for the models of a family."""
        return self.constrain(lambda model: model["family"] == family)

    def constrain_pretrained(self) -> str:
        """A regular expression for the models that may start from a checkpoint."""
        return self.constrain(lambda model: "pretrained" in model["parameters"])

    def list_run_tuples(self) -> list[list[str | int]]:
        """All runs as plain lists, for the parameters of a rule."""
        return [[run.dataset, run.property, run.scheme, run.model, run.seed] for run in self.runs]

    def list_prepared(self) -> list[str]:
        """Molecules, features and splits that the runs read: what needs the network, and no training."""
        of_schemes = map(read_scheme_features, self.config["schemes"])
        of_models = (model["features"] for model in self.trained_models.values())
        read = {"elements"}.union(DOMAIN_FEATURES if self.judged else (), *of_models, *of_schemes)
        features = [f"results/features/{name}/{each}.parquet" for name in self.run_datasets for each in sorted(read)]
        features += [f"results/features/{name}/ch2_pairs.parquet" for name in self.policy_datasets]
        splits = [f"results/splits/{'/'.join(task)}.parquet" for task in self.tasks]
        starts = [model["parameters"].get("pretrained") for model in self.trained_models.values()]
        if "mlm" in starts:
            splits += [f"results/corpora/{scheme}.parquet" for scheme in self.config["schemes"]]
        return features + splits + [locate_hub(each)[0] for each in starts if isinstance(each, dict) and "hub" in each]

    def list_uncertainty(self) -> list[str]:
        """How far the intervals of each model hold, a file a task and model."""
        return [f"results/uncertainty/{'/'.join(each)}.json" for each in self.judged]

    def list_domains(self) -> list[str]:
        """What is near train, two files for each task on which intervals are judged."""
        tasks = dict.fromkeys("/".join(each[:3]) for each in self.judged)
        return [f"results/domain/{task}{end}.parquet" for task in tasks for end in ("/domain", "")]

    def list_figures(self, wildcards: Wildcards) -> list[str]:
        """All figures of the leaderboard."""
        return [f"results/{figure.path}" for figure in list_figures(self.runs, self.roles)]

    def get_sources(self, wildcards: Wildcards) -> list[str]:
        """Source files of a dataset: downloads, or the user's own file."""
        dataset = self.datasets[wildcards["dataset"]]
        own = [dataset["file"]] if "file" in dataset else []
        return own + [f"results/downloads/{name}" for name in dataset["sources"]]

    def get_made_sources(self, wildcards: Wildcards) -> list[str]:
        """Source files of a dataset that the workflow makes: downloads."""
        return [path for path in self.get_sources(wildcards) if not is_given(path)]

    def get_given_sources(self, wildcards: Wildcards) -> dict[str, str]:
        """Source files of a dataset that people give, each with the hash of what it holds."""
        return {path: self.given[path] for path in self.get_sources(wildcards) if is_given(path)}

    def get_reader_settings(self, wildcards: Wildcards) -> Entry:
        """What decides a dataset's molecules: its registry entry without labels, licence and split."""
        return registry.select_reader_settings(self.datasets[wildcards["dataset"]])

    def get_property_names(self, wildcards: Wildcards) -> list[str]:
        """All properties of a dataset, in the registry's order."""
        return list(self.datasets[wildcards["dataset"]]["properties"])

    def get_property(self, wildcards: Wildcards) -> Entry:
        """Registry entry of a property: label, unit and kind."""
        properties: Entries = self.datasets[wildcards["dataset"]]["properties"]
        return properties[wildcards["property"]]

    def get_features(self, wildcards: Wildcards) -> list[str]:
        """Feature tables that a model reads."""
        features = self.models[wildcards["model"]]["features"]
        return [f"results/features/{wildcards['dataset']}/{name}.parquet" for name in features]

    def get_scheme_feature_names(self, wildcards: Wildcards) -> list[str]:
        """Feature tables that a scheme reads, by name."""
        return read_scheme_features(wildcards["scheme"])

    def get_scheme_features(self, wildcards: Wildcards) -> list[str]:
        """Feature tables that a scheme reads."""
        names = self.get_scheme_feature_names(wildcards)
        return [f"results/features/{wildcards['dataset']}/{name}.parquet" for name in names]

    def get_table_names(self, wildcards: Wildcards) -> list[str]:
        """Tables that a feature reads, by name."""
        return list(list_tables(wildcards["feature"]))

    def get_tables(self, wildcards: Wildcards) -> list[str]:
        """Where these tables are."""
        folders = {"geometry": "data"}
        return [
            f"results/{folders.get(name, 'features')}/{wildcards['dataset']}/{name}.parquet"
            for name in self.get_table_names(wildcards)
        ]

    def get_feature_settings(self, wildcards: Wildcards) -> Entry:
        """Keys of the dataset's entry that a feature's ``compute`` takes."""
        return select_settings(self.datasets[wildcards["dataset"]], wildcards["feature"])

    def get_feature_parts(self, wildcards: Wildcards) -> list[str]:
        """Parts of a feature table, in order."""
        parts = self.config["feature_jobs"]
        return [
            f"results/features/{wildcards['dataset']}/{wildcards['feature']}/part{part}of{parts}.parquet"
            for part in range(1, parts + 1)
        ]

    def get_part(self, wildcards: Wildcards) -> list[int]:
        """Which part of how many a job computes, from 1; the cache of checkouts sees parameters, not wildcards."""
        return [int(wildcards.get(name, 1)) for name in ("part", "parts")]

    def get_corpus_molecules(self, wildcards: Wildcards) -> list[str]:
        """Molecules of the corpus' datasets, in order."""
        return [f"results/data/{name}/molecules.parquet" for name in self.corpus]

    def get_corpus_splits(self, wildcards: Wildcards) -> list[str]:
        """Splits of all properties of the corpus' datasets, in order."""
        return [
            f"results/splits/{name}/{each}/{wildcards['scheme']}.parquet"
            for name, properties in self.corpus.items()
            for each in properties
        ]

    def get_pretraining(self, wildcards: Wildcards) -> Entry:
        """What decides a pretraining: the class and some parameters of a model's descriptor."""
        return select_pretraining(self.models[wildcards["model"]])

    def get_checkpoint(self, wildcards: Wildcards) -> list[str]:
        """The files of the checkpoint that a model starts from; none from scratch or without that choice."""
        start = self.models[wildcards["model"]]["parameters"].get("pretrained")
        if start is None:
            return []
        if start == "mlm":
            name = find_sharer(wildcards["model"], self.models)
            return [f"results/pretrained/mlm/{wildcards['scheme']}/{name}/{file}" for file in MADE]
        return locate_hub(start) if "hub" in start else checkpoint_files(start["directory"])

    def get_made_checkpoint(self, wildcards: Wildcards) -> list[str]:
        """The files of the checkpoint that a model starts from, if the workflow makes it."""
        return [path for path in self.get_checkpoint(wildcards) if not is_given(path)]

    def get_given_checkpoint(self, wildcards: Wildcards) -> dict[str, str]:
        """The files of the checkpoint that a model starts from, if people give it, each with its hash."""
        return {path: self.given[path] for path in self.get_checkpoint(wildcards) if is_given(path)}

    def get_given_predictions(self, wildcards: Wildcards) -> dict[str, str]:
        """The file of an external model's predictions, with its hash; nothing of any other model."""
        model = self.models[wildcards["model"]]
        path = find_predictions(model, wildcards) if is_external(model) else None
        return {path: self.given[path]} if path else {}

    def list_shipped_scores(self, wildcards: Wildcards) -> list[str]:
        """The scores of all predictions of others that are under git."""
        place = "results/metrics/{dataset}/{property}/{scheme}/{model}/seed{seed}.json"
        return [place.format(**run) for run in list_shipped(self.models)]

    def get_members(self, wildcards: Wildcards) -> list[str]:
        """The predictions that a model reads, of its own task and seed."""
        place = "results/predictions/{dataset}/{property}/{scheme}/{{}}/seed{seed}.parquet".format(**wildcards)
        return [place.format(name) for name in list_members(self.models[wildcards["model"]])]

    def list_member_runs(self, run: Run) -> list[Run]:
        """The runs whose predictions a run reads."""
        return [replace(run, model=name) for name in list_members(self.models[run.model])]

    def find_restored(self, run: Run) -> list[str]:
        """The files of a publication that a run is taken from; none if it is trained."""
        return self.restored.find(asdict(run))

    def differs_from_mirror(self, job: Mapping[str, Sequence[str]]) -> bool:
        """Whether the mirror has other files than those of the checkpoint of the hub that a job has brought here."""
        folder = Path(job["output"][0]).parent
        record = folder / RECORD
        try:
            mirrored = find_in_mirror(folder.name, self.config["mirror"])
        except ContractError:  # no folder, of which the job says so if it is to run
            mirrored = None
        if mirrored is None or not record.is_file():
            return False
        brought: dict[str, str] = read_json(record)["files"]
        return brought != {name: self.given[f"{mirrored}/{name}"] for name in list_files(mirrored)}

    def get_truth(self, wildcards: Wildcards) -> str | list[str]:
        """All labels, for a model that is allowed to see them."""
        seen = self.models[wildcards["model"]]["sees_truth"]
        return f"results/data/{wildcards['dataset']}/molecules.parquet" if seen else []

    def get_predictions(self, wildcards: Wildcards) -> list[str]:
        """Predictions of every model and seed of one task."""
        task = (wildcards["dataset"], wildcards["property"], wildcards["scheme"])
        return [
            f"results/predictions/{run.stem}.parquet"
            for run in self.runs
            if task == (run.dataset, run.property, run.scheme)
        ]

    def get_seeds(self, wildcards: Wildcards) -> list[str]:
        """Predictions of every seed of a model on one task."""
        place = "results/predictions/{dataset}/{property}/{scheme}/{model}".format(**wildcards)
        return [f"{place}/seed{seed}.parquet" for seed in self.config["seeds"]]

    def code_of_dataset(self, wildcards: Wildcards) -> str:
        """A parameter that changes when the code that reads the wildcards' dataset does."""
        reader = self.datasets[wildcards["dataset"]]["reader"]
        return code_hash("workflow_scripts.prepare_molecules", f"boomlib.datasets.{reader}", files=(ENVIRONMENT,))

    def code_of_model(self, wildcards: Wildcards) -> str:
        """A parameter that changes when the code of the wildcards' model does."""
        return code_hash("workflow_scripts.train_predict", self.locate_model(wildcards))

    def code_of_pretraining(self, wildcards: Wildcards) -> str:
        """A parameter that changes when the code that pretrains the wildcards' model does."""
        return code_hash("workflow_scripts.pretrain", self.locate_model(wildcards))

    def locate_model(self, wildcards: Wildcards) -> str:
        """The module of the wildcards' model."""
        name: str = self.models[wildcards["model"]]["class"]
        return "boomlib.models." + name.rpartition(".")[0]

    def list_beside_runs(self) -> list[str]:
        """What the leaderboard is made of beside the scores of runs: policies and figures, and the tables of both."""
        tables = ("fragmentations", "ch2_pairs")
        pairs = [f"results/features/{dataset}/{name}.parquet" for dataset in self.policy_datasets for name in tables]
        made = [*self.list_exposures(), *(f"results/policy/{run.stem}.json" for run in self.policy_runs)]
        made += [f"results/hardest/{'/'.join(task)}.json" for task in self.tasks]
        near = [f"results/features/{name}/{each}.parquet" for name in self.run_datasets for each in DOMAIN_FEATURES]
        made += [*near, *self.list_domains(), *self.list_uncertainty(), "results/uncertainty.csv"]
        return [*pairs, *made, *self.list_figures({}), "results/leaderboard.csv", "results/leaderboard.md"]

    def report_success(self) -> None:
        """After a command that has not failed, remove the partial page of an earlier one."""
        from boomlib.report.build import remove_partial

        remove_partial("results")

    def report_failures(self, with_site: bool) -> None:
        """After a failed command, write the partial page: what there is, and the failures with their reasons.

        The command has failed for another reason than that of a page that cannot be written, which is but printed.
        ``with_site`` tells whether the command was to make the interactive leaderboard, which is then partial too.
        """
        from boomlib.report.build import remove_partial, write_partial

        remove_partial("results")
        needs = {run: self.list_needs(run) for run in self.runs}
        described = {"config": self.config, "datasets": self.datasets, "models": self.models}
        try:
            others = [*self.list_beside_runs(), *self.screens.list_files()]
            made = write_partial("results", needs, others, **described)
            if with_site:
                from boomlib.report.site.build import write_partial_site

                write_partial_site("results", made, **described)
        except Exception as error:
            print(f"No partial leaderboard: {type(error).__name__}: {error}", file=sys.stderr)
        else:
            print("What is done, and why the rest is not: results/leaderboard.partial.md", file=sys.stderr)

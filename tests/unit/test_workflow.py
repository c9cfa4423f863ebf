"""The plan of a configuration, as the rules ask for it."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from boomlib import registry, schemas
from boomlib.command import check_command, read_scalars
from boomlib.declared import list_families
from boomlib.files import ContractError
from boomlib.provenance import source_file
from boomlib.text.checkpoint_files import write_record
from boomlib.unmade import MakeAgain, has_lost_inputs, mark_unmade, unmark
from boomlib.workflow import Plan, one_of

EMPTY = hashlib.sha256(b"").hexdigest()
OWN = {
    "reader": "table",
    "label": "Own",
    "file": "own.csv",
    "properties": {"logS": {"unit": "1", "kind": "intensive"}},
}


def make_plan(**changes):
    return Plan({"tasks": ["csd10k/hof"], "models": ["ridge", "oracle"]} | changes)


def test_reading_the_full_benchmark_takes_nothing_heavy():
    code = (
        "import sys\n"
        "from boomlib.workflow import Plan\n"
        "from boomlib.registry import read_yaml\n"
        "plan = Plan(read_yaml('config/boom.yaml'))\n"
        "[plan.code_of_model({'model': name}) for name in plan.run_models]\n"
        "print(*(set(sys.modules) & {'numpy', 'pandas', 'pyarrow', 'rdkit', 'scipy', 'torch'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


def test_features_schemes_and_families_are_files():
    plan = make_plan()
    assert {"descriptors", "conformers", "graph"} <= set(plan.features)
    assert "elements" in plan.features and "__init__" not in plan.features
    assert plan.schemes == ["kde", "scaffold"]
    assert {model["family"] for model in plan.models.values()} | {"external"} == set(list_families())


def test_a_constraint_matches_its_names_alone():
    assert one_of(["b", "a.c"]) == r"a\.c|b"
    assert one_of([]) == "(?!x)x"
    plan = make_plan()
    assert "ridge" in plan.constrain_family("tabular").split("|")
    assert plan.constrain_family("nothing") == one_of([])
    starts = plan.constrain_pretrained().split("|")
    assert starts == sorted(name for name, model in plan.models.items() if "pretrained" in model["parameters"])
    assert "chemberta" in starts


def test_scalars_of_the_command_line_are_what_yaml_says():
    given = {"seeds": ["1", "2"], "variants": {"x": {"label": "a: [b", "rate": "0.5", "on": "true"}}, "mirror": "null"}
    assert read_scalars(given) == {
        "seeds": [1, 2],
        "variants": {"x": {"label": "a: [b", "rate": 0.5, "on": True}},
        "mirror": None,
    }
    assert read_scalars({"label": "a: b", "n": 3}) == {"label": "a: b", "n": 3}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "--config seeds=[7] --cores 2 --config models=[mlp]",
            "--config and --config: Snakemake takes the last of them",
        ),
        (
            "-C seeds=[7] --config models=[mlp]",
            "-C and --config: Snakemake takes the last of them alone; give all behind",
        ),
        ("--configfile a.yaml --configfiles=b.yaml", "alone; give all behind one --configfile"),
        ("--config seeds=[7] x=1 seeds=[8]", "--config seeds=[7] seeds=[8]: the key 'seeds' is given twice; keep one"),
    ],
)
def test_what_a_command_gives_twice_is_refused(command, said):
    words = command.split()
    with pytest.raises(ContractError) as error:
        check_command(words, [word for word in words if word[0] != "-" and "=" in word])
    assert said in str(error.value)


def test_what_a_command_gives_once_is_not_refused():
    check_command(["snakemake", "--configfile", "a.yaml", "b.yaml", "--config", "x=1", "y=1"], ["x=1", "y=1"])
    check_command(["snakemake"], [])


def test_a_family_without_a_rule_is_refused(tmp_path, monkeypatch):
    models = registry.load_models()
    models["ridge"]["family"] = "tabluar"
    monkeypatch.setattr(registry, "load_models", lambda: models)
    with pytest.raises(ContractError, match=r"ridge\.yaml: family: unknown family 'tabluar'; did you mean 'tabular'"):
        make_plan()


def test_a_scheme_brings_the_features_that_it_reads():
    plan = make_plan()
    assert plan.get_scheme_features({"dataset": "qm9", "scheme": "kde"}) == []
    assert plan.get_scheme_features({"dataset": "qm9", "scheme": "scaffold"}) == [
        "results/features/qm9/scaffolds.parquet"
    ]


def test_a_feature_is_given_the_tables_that_it_reads():
    plan = make_plan()
    asked = [{"dataset": "qm9", "feature": feature} for feature in ("elements", "conformers", "xtb")]
    assert [plan.get_table_names(each) for each in asked] == [[], ["geometry"], ["conformers"]]
    assert [plan.get_tables(each) for each in asked] == [
        [],
        ["results/data/qm9/geometry.parquet"],
        ["results/features/qm9/conformers.parquet"],
    ]


def test_a_feature_is_given_the_keys_of_the_dataset_that_it_takes():
    plan = make_plan()
    given = {name: plan.get_feature_settings({"dataset": "csd10k", "feature": name}) for name in plan.features}
    attempts = {"max_embedding_attempts": plan.datasets["csd10k"]["max_embedding_attempts"]}
    assert {name: settings for name, settings in given.items() if settings} == {
        "conformers": attempts,
        "embedded": attempts,
    }


def test_prepared_is_all_that_the_runs_read_before_training():
    asked = {"tasks": ["csd10k/hof", "qm9/gap"], "schemes": ["scaffold"]}
    prepared = make_plan(**asked, models=["nlmtp_small", "egnn_small", "ridge"]).list_prepared()
    assert "results/features/qm9/conformers.parquet" in prepared
    assert "results/features/qm9/scaffolds.parquet" in prepared
    assert "results/features/csd10k/ch2_pairs.parquet" in prepared
    assert "results/splits/qm9/gap/scaffold.parquet" in prepared
    assert not [path for path in prepared if "predictions" in path or "xtb" in path or "maccs" in path]
    prepared = make_plan(**asked, models=["physics_ridge"]).list_prepared()
    assert "results/features/csd10k/xtb.parquet" in prepared
    assert not [path for path in prepared if "ch2_pairs" in path]
    assert "results/features/csd10k/xtb.parquet" in make_plan(**asked, models=["committee"]).list_prepared()


def test_a_run_needs_the_features_that_its_features_read():
    plan = make_plan(tasks=["csd10k/hof"], models=["physics_ridge_embedded"])
    needs = plan.list_needs(plan.runs[0])
    embedded, xtb = (needs.index(f"results/features/csd10k/{name}.parquet") for name in ("embedded", "xtb_embedded"))
    assert embedded < xtb


def test_the_files_of_a_checkpoint_in_a_directory_are_inputs_and_no_others(tmp_path):
    for name in ("model.safetensors", "config.json", "tokenizer.json", "checkpoint.json", ".hidden", "README.md"):
        (tmp_path / name).touch()
    own = {"of": "chemberta", "label": "own", "parameters": {"pretrained": {"directory": str(tmp_path)}}}
    plan = make_plan(models=["own"], variants={"own": own})
    names = ("model.safetensors", "config.json", "tokenizer.json", "checkpoint.json")
    assert set(plan.get_checkpoint({"model": "own", "scheme": "kde"})) == {str(tmp_path / name) for name in names}
    assert plan.get_checkpoint({"model": "chemberta", "scheme": "kde"}) == []
    assert plan.get_checkpoint({"model": "ridge", "scheme": "kde"}) == []


@pytest.mark.parametrize("changed", ["model.safetensors", "config.json", "tokenizer.json"])
def test_what_a_checkpoint_in_a_directory_holds_is_a_parameter(tmp_path, monkeypatch, changed):
    monkeypatch.chdir(tmp_path)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        Path(name).touch()
    own = {"of": "chemberta", "label": "own", "parameters": {"pretrained": {"directory": str(tmp_path)}}}
    asked = {"model": "own", "scheme": "kde"}

    def read():
        plan = make_plan(models=["own"], variants={"own": own})
        assert plan.get_made_checkpoint(asked) == []
        return plan.get_given_checkpoint(asked)

    before = read()
    assert before == dict.fromkeys(before, EMPTY)
    Path(changed).write_text("{}")
    os.utime(changed, (1e9, 1e9))
    after = read()
    assert {path for path in before if before[path] != after[path]} == {str(tmp_path / changed)}
    Path(changed).write_text("")
    assert read() == before


def test_what_the_workflow_makes_stays_an_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.csv").touch()
    made = Path("results/pretrained/mlm/kde/chemberta")
    made.mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        (made / name).touch()
    variant = {"of": "chemberta", "label": "own", "parameters": {"pretrained": {"directory": str(made)}}}
    datasets = {"own": OWN, "made": OWN | {"file": "results/downloads/x.csv"}}
    plan = make_plan(tasks=["own/logS", "made/logS"], models=["own"], variants={"own": variant}, datasets=datasets)
    assert plan.get_given_sources({"dataset": "own"}) == {"own.csv": EMPTY}
    assert plan.get_made_sources({"dataset": "own"}) == []
    assert plan.get_given_sources({"dataset": "made"}) == {}
    assert plan.get_made_sources({"dataset": "made"}) == ["results/downloads/x.csv"]
    assert plan.get_given_checkpoint({"model": "own"}) == {}
    assert len(plan.get_made_checkpoint({"model": "own"})) == 3


def test_a_mirrored_checkpoint_differs_once_one_of_its_files_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    brought = Path(f"results/pretrained/hub/org--name@{'0' * 40}")
    mirrored = Path("mirror") / brought.name
    job = {"input": [], "output": [f"{brought}/model.safetensors"]}

    def differs(mirror="mirror"):
        return make_plan(mirror=mirror).differs_from_mirror(job)

    mirrored.mkdir(parents=True)
    (mirrored / "model.safetensors").write_text("weights")
    assert not differs(), "it has not been brought yet"
    shutil.copytree(mirrored, brought)
    write_record(brought, "org/name")
    assert not differs()
    (mirrored / "model.safetensors").write_text("changed")
    os.utime(mirrored / "model.safetensors", (1e9, 1e9))
    assert differs()
    assert not differs(None) and not differs("nowhere")
    (mirrored / "model.safetensors").write_text("weights")
    assert not differs()
    (mirrored / "vocab.json").touch()
    assert differs()


def test_a_run_waits_for_all_that_its_pretraining_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.csv").touch()
    variant = {"of": "chemberta", "label": "own", "parameters": {"pretrained": "mlm"}}
    changes = {"datasets": {"own": OWN}, "corpus": ["own"], "schemes": ["scaffold"], "variants": {"v": variant}}
    plan = make_plan(models=["ridge", "v"], **changes)
    ridge, pretrained = (plan.list_needs(run) for run in plan.runs)
    assert not [path for path in ridge if "/own" in path or "corpora" in path]
    order = [
        "results/splits/csd10k/hof/scaffold.parquet",
        "results/data/own/molecules.parquet",
        "results/features/own/scaffolds.parquet",
        "results/splits/own/logS/scaffold.parquet",
        "results/corpora/scaffold.parquet",
        *plan.get_checkpoint({"model": "v", "scheme": "scaffold"}),
        "results/predictions/csd10k/hof/scaffold/v/seed0.parquet",
    ]
    assert [path for path in pretrained if path in order] == order
    exposure = "results/exposure/csd10k/hof/scaffold.json"
    assert plan.list_exposures() == [exposure] and exposure in plan.list_beside_runs()
    assert make_plan().list_exposures() == []


def test_a_configuration_brings_its_own_datasets_and_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.csv").touch()
    source = {"own.csv": {"url": "http://127.0.0.1/own.csv", "sha256": "0" * 64}}
    entries = {
        "own": OWN,
        "fetched": {key: value for key, value in OWN.items() if key != "file"} | {"sources": ["own.csv"]},
        "small": registry.load_datasets()[0]["qm9_characterised"] | {"sample": {"size": 10}},
    }
    plan = make_plan(tasks=["own/logS", "csd10k/hof"], datasets=entries, sources=source)
    assert plan.get_sources({"dataset": "own"}) == ["own.csv"]
    assert plan.get_sources({"dataset": "fetched"}) == ["results/downloads/own.csv"]
    assert plan.datasets["own"]["split"]["ood_size"] == 0.1, "the schema's defaults are filled in"
    assert plan.datasets["own"]["split"]["bandwidth"] == "scaled"
    assert {plan.datasets[name]["split"]["bandwidth"] for name in registry.load_datasets()[0]} == {"unscaled"}, (
        "BOOM's"
    )
    assert plan.datasets["small"]["sample"] == {"size": 10, "seed": 0}
    assert set(plan.run_datasets) == {"csd10k", "own"}
    assert "qm9" in plan.datasets and "own.csv" in plan.sources


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": {"qm9": OWN}}, "config: datasets.qm9: config/datasets.yaml has this name; choose another"),
        (
            {"sources": {"10k_dft_hof_data.csv": {"url": "https://x", "sha256": "0" * 64}}},
            "config: sources.10k_dft_hof_data.csv: config/datasets.yaml has this name; choose another",
        ),
        (
            {"sources": {"own.csv": {"url": "ftp://127.0.0.1/own.csv", "sha256": "0" * 64}}},
            "config: sources.own.csv.url: 'ftp://127.0.0.1/own.csv' does not match '^https?://'. Where the file is "
            "fetched from, by http:// or https:// alone.",
        ),
        (
            {"datasets": {"own": OWN | {"fiel": "x"}}},
            "unknown key 'fiel' at datasets.own; did you mean 'file'?",
        ),
        ({"datasets": {"own": OWN | {1: "x", "fiel": "x"}}}, "config: unknown key '1' at datasets.own; known:"),
        ({"datasets": {"own": OWN | {"reader": "tabel"}}}, "datasets.own.reader: 'tabel' is not one of"),
        ({"datasets": {"own": 3}}, "config: datasets.own: 3 is not of type 'object'"),
        ({"datasets": {1: OWN}}, "config: datasets: 1 is not of type 'string'"),
        ({"datasets": [OWN]}, "config: datasets: "),
        ({"datasets": None}, "config: datasets: None is not of type 'object'"),
        ({"datasets": {"Own": OWN}}, "config: datasets: 'Own' does not match"),
        ({"datasets": {"own": OWN | {"properties": {"log S": OWN["properties"]["logS"]}}}}, "'log S' does not match"),
        ({"datasets": {"own": OWN | {"sources": ["x.csv"]}}}, "datasets.own.sources: unknown source 'x.csv'; known:"),
        ({"datasets": {"own": OWN | {"split": {"ood_size": 1.5}}}}, "config: datasets.own.split.ood_size: 1.5 is not"),
        (
            {"datasets": {"own": OWN | {"split": {"seed": "x"}}}},
            "own.split.seed: 'x' is not of type 'integer'",
        ),
    ],
)
def test_mistakes_in_own_datasets_are_named(changes, message):
    with pytest.raises(ContractError) as error:
        make_plan(**changes)
    assert message in str(error.value)


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """A feature and predictions, relative to the working folder."""
    monkeypatch.chdir(tmp_path)
    paths = [Path("results/features/f.parquet"), Path("results/predictions/p.parquet")]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.touch()
    return paths


def test_a_missing_input_matters_after_a_failure_and_predictions_always(inputs):
    paths = [str(path) for path in inputs]
    job = {"input": paths}
    feature, predictions = inputs
    assert not has_lost_inputs(job)
    feature.unlink()
    assert not has_lost_inputs(job), "as Snakemake has it: what was made from it exists"
    mark_unmade(paths[:1], "logs/featurize/f.log")
    assert has_lost_inputs(job)
    feature.touch()
    assert not has_lost_inputs(job)
    unmark(paths[:1])
    predictions.unlink()
    assert has_lost_inputs(job)


def test_the_parameter_changes_once_for_inputs_that_are_gone(inputs):
    recorded = []
    words = []
    for missing in (False, False, True, False, False, True, False):
        (inputs[1].unlink if missing else inputs[1].touch)()
        tell = MakeAgain(lambda path: recorded or None, has_lost_inputs)
        job = {"input": [str(path) for path in inputs], "output": ["score.json"], "threads": 1}
        word = tell({}, **job)
        inputs[1].touch()
        assert tell({}, **job) == word, "the same when the job starts, with its inputs made"
        words.append(word)
        recorded[:] = ["'other'", repr(word)]
    first, second = MakeAgain.WORDS
    assert words == [first, first, second, second, second, first, first]


def test_a_dataset_whose_file_is_not_there_is_refused():
    with pytest.raises(ContractError, match=r"datasets\.own\.file: no file own\.csv in .*; correct the path"):
        make_plan(tasks=["own/logS"], datasets={"own": OWN})


def test_a_policy_needs_a_family_whose_rule_makes_it(monkeypatch):
    models = registry.load_models()
    models["ridge"]["answers_policy"] = True
    monkeypatch.setattr(registry, "load_models", lambda: models)
    with pytest.raises(ContractError, match=r"ridge\.yaml: answers_policy: rules/train/tabular\.smk has no output"):
        make_plan()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('FEATURES = ("scaffolds",)', "FEATURES = tuple(NAMES)", "FEATURES: a tuple of the names"),
        (
            'FEATURES = ("scaffolds",)',
            'FEATURES = ("scafolds",)',
            "unknown feature 'scafolds'; did you mean 'scaffolds'",
        ),
        ("FEATURES", "OTHERS", "no constant FEATURES"),
        ("TITLE", "HEADING", "no constant TITLE"),
        ("QUANTITY", "AXIS", "no constant QUANTITY"),
    ],
)
def test_mistakes_in_a_scheme_are_named_before_anything_runs(tmp_path, monkeypatch, old, new, message):
    text = (ROOT / "boomlib/splits/scaffold.py").read_text()
    assert old in text
    file = tmp_path / "scaffold.py"
    file.write_text(text.replace(old, new))
    found = {"boomlib.splits.scaffold": file}
    monkeypatch.setattr("boomlib.declared.source_file", lambda module: found.get(module) or source_file(module))
    with pytest.raises(ContractError, match=f"scaffold.py.*{message}"):
        make_plan(schemes=["scaffold"])


def test_a_configuration_without_tasks_tells_how_several_files_are_given():
    with pytest.raises(
        ContractError, match=r"a\.yaml: 'tasks' is a required property; .*--configfile a\.yaml b\.yaml"
    ):
        Plan({"models": ["ridge"]}, where="a.yaml")


@pytest.mark.parametrize(("wrong", "right"), [("task", "tasks"), ("model", "models")])
def test_a_key_that_is_needed_and_spelt_wrongly_is_named(wrong, right):
    config = {"tasks": ["csd10k/hof"], "models": ["ridge"]}
    config[wrong] = config.pop(right)
    with pytest.raises(ContractError, match=f"a.yaml: unknown key '{wrong}' at top level; did you mean '{right}'"):
        Plan(config, where="a.yaml")


def test_schema_lists_are_of_the_folders(tmp_path):
    written = yaml.safe_load((ROOT / "config/schemas/config.schema.yaml").read_text())
    assert written["properties"]["schemes"]["items"] == {"modules": "splits.assign"}
    assert schemas.read_schema("config")["properties"]["schemes"]["items"] == {"enum": ["kde", "scaffold"]}

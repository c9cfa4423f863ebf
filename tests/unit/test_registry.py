import pytest
import yaml

from boomlib import registry
from boomlib.registry import RegistryError

DATASETS, SOURCES = registry.load_datasets()
MODELS = registry.load_models()


def check(**changes):
    config = {"tasks": ["csd10k/hof"], "models": ["ridge"]} | changes
    return registry.check_config(config, DATASETS, MODELS, "config/config.yaml")


def test_defaults_come_from_the_schema():
    assert check() == {
        "tasks": ["csd10k/hof"],
        "models": ["ridge"],
        "schemes": ["kde"],
        "seeds": [0],
        "mirror": None,
        "feature_jobs": 1,
        "keep_models": False,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sede": [1]}, "config/config.yaml: unknown key 'sede' at top level; did you mean 'seeds'?"),
        ({"models": ["rigde"]}, "config/config.yaml: models: unknown model 'rigde'; did you mean 'ridge'?"),
        ({"tasks": ["csd10/hof"]}, "tasks: unknown dataset 'csd10'; did you mean 'csd10k'?"),
        ({"tasks": ["csd10k/hop"]}, "tasks: dataset 'csd10k' has no property 'hop'; did you mean 'hof'?"),
        ({"tasks": ["csd10k/gap"]}, "tasks: dataset 'csd10k' has no property 'gap'; known: density, hof"),
        ({"schemes": ["random"]}, "schemes.0: 'random' is not one of ['kde', 'scaffold']"),
        ({"seeds": ["one"]}, "seeds.0: 'one' is not of type 'integer'"),
    ],
)
def test_mistakes_in_the_config_are_named_with_a_remedy(changes, message):
    with pytest.raises(RegistryError) as error:
        check(**changes)
    assert message in str(error.value)


def test_unknown_source_of_a_dataset(tmp_path):
    path = tmp_path / "datasets.yaml"
    entry = {
        "kind": "qm9",
        "label": "x",
        "sources": ["a.csv"],
        "properties": {"p": {"unit": "1", "kind": "intensive"}},
    }
    path.write_text(yaml.safe_dump({"datasets": {"d": entry}}))
    with pytest.raises(RegistryError, match=r"datasets\.d\.sources: unknown source 'a\.csv'"):
        registry.load_datasets(path)


@pytest.mark.parametrize(("kind", "needed"), [("table", "file"), ("qm9", "sources")])
def test_a_dataset_without_its_source(tmp_path, kind, needed):
    path = tmp_path / "datasets.yaml"
    entry = {"kind": kind, "label": "x", "properties": {"p": {"unit": "1", "kind": "intensive"}}}
    path.write_text(yaml.safe_dump({"datasets": {"d": entry}}))
    with pytest.raises(RegistryError, match=rf"datasets\.d: kind '{kind}' needs the key '{needed}'"):
        registry.load_datasets(path)


def test_broken_yaml_names_the_file(tmp_path):
    (tmp_path / "m.yaml").write_text("label: [unclosed")
    with pytest.raises(RegistryError, match=r"m\.yaml: not valid YAML"):
        registry.load_models(tmp_path)


def test_unknown_key_of_a_model_names_the_file(tmp_path):
    (tmp_path / "m.yaml").write_text("label: M\nfamily: tabular\nclass: m.M\nsource: us\nparamters: {a: 1}\n")
    with pytest.raises(
        RegistryError, match=r"m\.yaml: unknown key 'paramters' at top level; did you mean 'parameters'"
    ):
        registry.load_models(tmp_path)


@pytest.mark.parametrize("name", ["config", "csd10k", "boom"])
def test_shipped_configs_are_valid(name):
    path = registry.CONFIG / f"{name}.yaml"
    config = registry.check_config(registry.read_yaml(path), DATASETS, MODELS, str(path))
    assert set(config["models"]) == set(MODELS), "every registered model is in every shipped config"


def test_boom_config_covers_the_ten_tasks():
    assert len(registry.read_yaml(registry.CONFIG / "boom.yaml")["tasks"]) == 10


def test_only_the_oracle_sees_the_truth():
    assert [name for name, model in MODELS.items() if model["sees_truth"]] == ["oracle"]


def test_what_decides_the_molecules_leaves_out_labels_and_split():
    entry = DATASETS["qm9_sample"]
    changed = entry | {"label": "other", "split": {}, "doi": "x"}
    assert registry.reading(changed) == registry.reading(entry)
    assert registry.reading(entry | {"sample": {"size": 1, "seed": 0}}) != registry.reading(entry)

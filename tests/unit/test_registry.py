import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from conftest import ROOT

from boomlib import registry, schemas
from boomlib.contracts import MOLECULES, read_truth, write_molecules
from boomlib.files import ContractError
from boomlib.split import make_split

DATASETS, SOURCES = registry.load_datasets()
MODELS = registry.load_models()


CONFIG = {"tasks": ["csd10k/hof"], "models": ["ridge"]}


def check(registered=MODELS, **changes):
    return registry.check_config(CONFIG | changes, DATASETS, registered, "config/config.yaml")


def add_variants(models=MODELS, **variants):
    return registry.with_variants(models, CONFIG | {"variants": variants})


def test_defaults_come_from_the_schema():
    assert check() == {
        "tasks": ["csd10k/hof"],
        "models": ["ridge"],
        "schemes": ["kde"],
        "variants": {},
        "datasets": {},
        "sources": {},
        "corpus": [],
        "seeds": [0],
        "mirror": None,
        "feature_jobs": 1,
        "keep_models": False,
        "screens": {},
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sede": [1]}, "config/config.yaml: unknown key 'sede' at top level; did you mean 'seeds'?"),
        ({"models": ["rigde"]}, "config/config.yaml: models: unknown model 'rigde'; did you mean 'ridge'?"),
        ({"tasks": ["csd10/hof"]}, "tasks: unknown dataset 'csd10'; did you mean 'csd10k'?"),
        ({"tasks": ["csd10k/hop"]}, "tasks: dataset 'csd10k' has no property 'hop'; did you mean 'hof'?"),
        ({"tasks": ["csd10k"]}, "does not match '^[a-z0-9_]+/[A-Za-z0-9_]+$'. A task is written as dataset/property."),
        ({"tasks": ["csd10k/gap"]}, "tasks: dataset 'csd10k' has no property 'gap'; known: density, hof"),
        ({"corpus": ["qm8"]}, "config/config.yaml: corpus: unknown dataset 'qm8'; did you mean 'qm9'?"),
        ({"schemes": ["random"]}, "schemes.0: 'random' is not one of ['kde', 'scaffold']"),
        ({"seeds": ["one"]}, "seeds.0: 'one' is not of type 'integer'; write a whole number without quotes"),
        ({"seeds": [0.0]}, "seeds.0: 0.0 is not of type 'integer'"),
        ({"feature_jobs": 2.0}, "feature_jobs: 2.0 is not of type 'integer'"),
        ({"seeds": [True]}, "seeds.0: True is not of type 'integer'"),
        ({"seeds": 5}, "seeds: 5 is not of type 'array'; write a list: [first, second]"),
        ({"seeds": "0,1"}, "seeds: '0,1' is not of type 'array'; write a list: [first, second]"),
        ({"models": ["ridge", 2024]}, "models.1: 2024 is not of type 'string'; put a text that YAML takes for"),
        ({"mirror": 5}, "mirror: 5 is not of type 'string', 'null'; put a text that YAML takes for"),
        (
            {"variants": {"A b": {"of": "ridge", "label": "x"}}},
            "'A b' does not match '^[a-z0-9_]+$'. A variant's name",
        ),
        ({"variants": {2024: {"of": "ridge", "label": "x"}}}, "2024 is not of type 'string'"),
    ],
)
def test_mistakes_in_the_config_are_named_with_a_remedy(changes, message):
    with pytest.raises(ContractError) as error:
        check(**changes)
    assert message in str(error.value)


def test_unknown_source_of_a_dataset(tmp_path):
    path = tmp_path / "datasets.yaml"
    entry = {
        "reader": "qm9",
        "label": "x",
        "sources": ["a.csv"],
        "properties": {"p": {"unit": "1", "kind": "intensive"}},
    }
    path.write_text(yaml.safe_dump({"datasets": {"d": entry}}))
    with pytest.raises(ContractError, match=r"datasets\.d\.sources: unknown source 'a\.csv'"):
        registry.load_datasets(path)


def test_a_dataset_without_its_source(tmp_path):
    path = tmp_path / "datasets.yaml"
    entry = {"reader": "qm9", "label": "x", "properties": {"p": {"unit": "1", "kind": "intensive"}}}
    path.write_text(yaml.safe_dump({"datasets": {"d": entry}}))
    with pytest.raises(ContractError, match=r"datasets\.d: no data; it needs the key 'file', .* or 'sources'"):
        registry.load_datasets(path)


PROPERTY = {"unit": "1", "kind": "intensive"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"properties": {"smiles": PROPERTY}},
            "own.yaml: datasets.x.properties: 'smiles' is a name that is taken. A property's name becomes part of "
            "paths and a column beside `molecule_id` and `smiles`; choose one of letters, digits and _ alone",
        ),
        ({"properties": {"molecule_id": PROPERTY}}, "datasets.x.properties: 'molecule_id' is a name that is taken"),
        (
            {"properties": {"log S/L": PROPERTY}},
            "'log S/L' does not match '^[A-Za-z0-9_]+$'. A property's name becomes",
        ),
        ({"properties": {"{x}": PROPERTY}}, "datasets.x.properties: '{x}' does not match"),
        ({"properties": {False: PROPERTY}}, "datasets.x.properties: False is not of type 'string'; put a text"),
        (
            {"properties": {"gap": PROPERTY, "Gap": PROPERTY}},
            "datasets.x.properties: gap and Gap differ in capitals alone, which macOS and Windows take for one file",
        ),
        ({"properties": {"gap": PROPERTY | {"unit": 1}}}, "gap.unit: 1 is not of type 'string'; put a text that YAML"),
        ({"properties": {"gap": PROPERTY | {"column": 2024}}}, "gap.column: 2024 is not of type 'string'; put a text"),
        ({"sources": [False]}, "datasets.x.sources.0: False is not of type 'string'; put a text that YAML takes for"),
        ({"label": None}, "datasets.x.label: None is not of type 'string'; write its value behind the colon"),
        (
            {"properties": {"gap": None}},
            "datasets.x.properties.gap: None is not of type 'object'; write its keys below it",
        ),
        (
            {"split": {"shared_generator": "no"}},
            "shared_generator: 'no' is not of type 'boolean'; write true or false",
        ),
        ({"split": {"ood_size": "1e-1"}}, "ood_size: '1e-1' is not of type 'number'; write a number without quotes"),
    ],
)
def test_names_and_texts_that_will_not_do_are_named_with_a_remedy(entry, message):
    usual = {"reader": "table", "label": "X", "file": "x.csv", "properties": {"gap": PROPERTY}}
    with pytest.raises(ContractError) as error:
        registry.check_datasets({"datasets": {"x": usual | entry}}, {}, "own.yaml")
    assert message in str(error.value)


def test_the_names_that_are_taken_are_the_columns_of_the_molecules_table():
    schema = schemas.read_schema("datasets")["properties"]["datasets"]["additionalProperties"]
    assert set(schema["properties"]["properties"]["propertyNames"]["not"]["enum"]) == set(MOLECULES.columns)


def test_columns_of_other_tables_are_free_as_names_of_properties(tmp_path):
    names = ["fold", "y", "density", "y_pred"]
    values = {name: np.random.default_rng(i).normal(size=60) for i, name in enumerate(names)}
    molecules, split, task = (tmp_path / f"{name}.parquet" for name in ("molecules", "split", "task"))
    write_molecules(molecules, ["C" * (i + 1) for i in range(60)], values, dict.fromkeys(names, "1"))
    settings = {
        "ood_size": 6,
        "id_fraction": 0.1,
        "valid_fraction": 0.1,
        "seed": 1,
        "shared_generator": False,
        "bandwidth": "scaled",
    }
    for name in names:
        given = {"properties": names, "name": name, "scheme": "kde", "settings": settings}
        make_split(molecules, {}, split, task, **given)
        truth, fold, _ = read_truth(molecules, split, name)
        assert np.array_equal(truth, values[name]) and (fold == "ood").sum() == 6


def test_a_model_with_a_name_that_is_no_part_of_a_path_is_refused(tmp_path):
    (tmp_path / "._m.yaml").write_bytes(b"\x00\x05")  # what macOS leaves beside a file
    assert registry.load_models(tmp_path) == {}
    (tmp_path / "my model.yaml").write_text("of: ridge")
    with pytest.raises(
        ContractError, match=r"my model\.yaml: a model's name becomes part of paths: .*rename the file"
    ):
        registry.load_models(tmp_path)


def test_unknown_key_of_a_model_names_the_file(tmp_path):
    (tmp_path / "m.yaml").write_text("label: M\nfamily: tabular\nclass: m.M\nsource: us\nparamters: {a: 1}\n")
    with pytest.raises(
        ContractError, match=r"m\.yaml: unknown key 'paramters' at top level; did you mean 'parameters'"
    ):
        registry.load_models(tmp_path)


SMALL = {model for model in MODELS if model.endswith("_small")}
FULL = {model.removesuffix("_small") for model in SMALL}
GRAPHS = {model for model in MODELS if MODELS[model]["family"] in ("gnn", "torchmd", "mace", "chemprop")}
CHANGED = {model for model in MODELS if re.search("_small_(on|volume|embedded)", model)}
EXTRAPOLATING = {model for model in MODELS if model.startswith("physics_")} | {
    "volume_increments",
    "bilinear",
    "committee",
    "committee_embedded",
}
TEXTS = {model for model in MODELS if MODELS[model]["family"] == "language"}


def test_each_network_has_a_small_variant_of_its_own_as_the_docs_say():
    families = {MODELS[name]["family"] for name in MODELS} - {"committee", "control", "tabular"}
    networks = {name for name in MODELS if MODELS[name]["family"] in families} - SMALL - CHANGED
    assert {f"{name}_small" for name in networks} == SMALL
    assert {"tgnn_small", "ignn_small", "mace_small"} <= SMALL
    assert {name for name, model in MODELS.items() if model.get("size") == "small"} == SMALL | CHANGED
    for name in SMALL:
        assert MODELS[name]["class"] == MODELS[name.removesuffix("_small")]["class"]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_small_variants_that_a_page_names_are_registered(page):
    assert set(re.findall(r"\b[a-z0-9_]+_small\b", page.read_text())) <= set(MODELS)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("boom", SMALL | CHANGED),
        ("graphs", FULL | TEXTS | EXTRAPOLATING | CHANGED | {"gotennet_small"}),
        ("csd10k", FULL | GRAPHS | TEXTS | EXTRAPOLATING | {"nlmtp_small"}),
        ("config", FULL | TEXTS | GRAPHS | EXTRAPOLATING | {"nlmtp_small"}),
    ],
)
def test_shipped_configs_are_valid_and_leave_out_what_does_not_fit(name, missing):
    path = schemas.CONFIG / f"{name}.yaml"
    written = registry.read_yaml(path)
    config = registry.check_config(written, DATASETS, registry.with_variants(MODELS, written), str(path))
    assert set(MODELS) - set(config["models"]) == missing


@pytest.mark.parametrize("path", sorted(set(schemas.CONFIG.glob("*.yaml")) - {schemas.CONFIG / "datasets.yaml"}))
def test_every_shipped_config_with_its_variants_is_valid(path):
    written = registry.read_yaml(path)
    models = registry.with_variants(MODELS, written, str(path))
    config = registry.check_config(written, DATASETS, models, str(path))
    assert set(config["variants"]) <= set(config["models"])


def test_every_model_is_in_some_shipped_config():
    """Itself, or as a variant that the configuration lists."""
    paths = [schemas.CONFIG / f"{name}.yaml" for name in ("all", "boom", "graphs", "language")]
    shown = set()
    for path in (*paths, *schemas.CONFIG.glob("extrapolation*.yaml")):
        written = registry.read_yaml(path)
        variants = written.get("variants", {})
        shown |= {variants[name]["of"] if name in variants else name for name in written["models"]}
    assert set(MODELS) - shown == set()


@pytest.mark.parametrize("name", ["boom", "all"])
def test_configs_of_all_of_boom_cover_the_ten_tasks(name):
    assert len(registry.read_yaml(schemas.CONFIG / f"{name}.yaml")["tasks"]) == 10


@pytest.mark.parametrize("seen", [0, -5])
def test_a_budget_of_no_molecules_is_refused(seen):
    with pytest.raises(ContractError, match=r"variants\.x: .*parameters\.training\.molecules_seen: .*less than"):
        add_variants(x={"of": "egnn_small", "label": "X", "parameters": {"training": {"molecules_seen": seen}}})


def test_every_family_is_in_the_run_for_a_small_machine_and_its_networks_see_as_many_molecules():
    written = registry.read_yaml(schemas.CONFIG / "all.yaml")
    models = registry.with_variants(MODELS, written)
    used = [models[name] for name in written["models"]]
    assert {model["class"] for model in MODELS.values()} == {model["class"] for model in used}
    families = {model["family"] for model in MODELS.values()} - {"committee", "control", "tabular"}
    networks = [model for model in used if model["family"] in families]
    assert {model["size"] for model in networks} == {"small"}
    assert {model["parameters"]["training"].get("molecules_seen") for model in networks} == {600_000}


def test_what_a_model_can_stands_in_its_descriptor():
    assert [name for name, model in MODELS.items() if model["sees_truth"]] == ["oracle"]
    assert [name for name, model in MODELS.items() if model["answers_policy"]] == ["nlmtp", "nlmtp_small"]
    assert add_variants(v={"of": "nlmtp_small", "label": "V"})["v"]["answers_policy"]


def test_a_family_of_its_own_is_a_new_descriptor_alone(tmp_path):
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(MODELS["train_mean"] | {"family": "quantum"}))
    assert registry.load_models(tmp_path)["m"]["family"] == "quantum"


def test_modules_are_listed_by_the_function_that_they_define(tmp_path, monkeypatch):
    folder = tmp_path / "boomlib/splits"
    folder.mkdir(parents=True)
    (folder / "random.py").write_text("import nothing.there\n\n\ndef assign(table):\n    return table\n")
    (folder / "borrowed.py").write_text("from boomlib.splits.random import assign\n")
    (folder / "inner.py").write_text("class Scheme:\n    def assign(self):\n        pass\n\n\nassign = Scheme()\n")
    (folder / "__init__.py").touch()
    monkeypatch.setattr(schemas, "ROOT", tmp_path)
    assert schemas.list_modules("splits", "assign") == ["random"]


def test_features_of_the_schema_are_the_modules_that_compute():
    items = schemas.read_schema("model")["properties"]["features"]["items"]
    assert items == {"enum": schemas.list_modules("features", "compute")}
    assert {"elements", "graph", "descriptors"} <= set(items["enum"])


def test_all_models_are_checked_without_heavy_imports():
    code = (
        "import sys; from boomlib import registry; registry.load_models(); "
        "heavy = {'torch', 'numpy', 'pandas', 'pyarrow', 'rdkit', 'sklearn'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=schemas.ROOT)
    assert done.stdout == "[]\n"


def test_two_models_of_a_run_share_no_label():
    models = add_variants(x={"of": "mlp", "label": "Ridge"})
    check(registered=models, models=["mlp", "x"])
    with pytest.raises(ContractError, match=r"config\.yaml: models: ridge and x share the label 'Ridge'"):
        check(registered=models, models=["ridge", "mlp", "x"])


def test_what_decides_the_molecules_leaves_out_labels_and_split():
    entry = DATASETS["qm9_sample"]
    changed = entry | {"label": "other", "split": {}, "doi": "x"}
    assert registry.select_reader_settings(changed) == registry.select_reader_settings(entry)
    assert registry.select_reader_settings(
        entry | {"sample": {"size": 1, "seed": 0}}
    ) != registry.select_reader_settings(entry)


def test_how_large_a_molecule_may_be_decides_the_molecules():
    entry = DATASETS["csd10k"]
    assert registry.select_reader_settings(entry)["max_heavy_atoms"] == entry["max_heavy_atoms"] >= 100
    assert "max_embedding_attempts" not in registry.select_reader_settings(entry)


def test_a_variant_is_a_descriptor_with_some_keys_changed():
    models = add_variants(small_ridge={"of": "ridge", "label": "S", "parameters": {"radius": 0}})
    assert models["small_ridge"] == MODELS["ridge"] | {
        "label": "S",
        "parameters": MODELS["ridge"]["parameters"] | {"radius": 0},
        "source": MODELS["ridge"]["source"] + " Changed in this configuration: `{parameters: {radius: 0}}`.",
    }
    assert {name: model for name, model in models.items() if name != "small_ridge"} == MODELS


def test_a_variant_of_a_variant_keeps_its_changes():
    variants = {
        "near": {"of": "ridge", "label": "N", "parameters": {"radius": 0}},
        "nearer": {"of": "near", "label": "NN", "parameters": {"min_molecules": 7}},
    }
    models = add_variants(**variants)
    assert models["nearer"]["parameters"] == MODELS["ridge"]["parameters"] | {"radius": 0, "min_molecules": 7}
    with pytest.raises(ContractError, match=r"variants.nearer: of: unknown model 'near'"):
        add_variants(**dict(reversed(variants.items())))


def test_a_variant_may_give_what_its_model_leaves_to_the_default():
    models = add_variants(x={"of": "gradient_boosting", "label": "X", "parameters": {"max_depth": 3}})
    assert models["x"]["parameters"] == MODELS["gradient_boosting"]["parameters"] | {"max_depth": 3}


RIDGE = {"of": "ridge", "label": "X"}


def test_only_a_control_may_see_the_truth(tmp_path):
    assert [name for name, model in MODELS.items() if model["sees_truth"]] == ["oracle"]
    text = "label: X\nfamily: tabular\nclass: control.oracle.Oracle\nsees_truth: true\nsource: ours\n"
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ContractError, match=r"x\.yaml: sees_truth: only a model of `family: control`"):
        registry.load_models(tmp_path)


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (["x"], "config: variants: ['x'] is not of type 'object'"),
        ({"x": "ridge"}, "config: variants.x: 'ridge' is not of type 'object'"),
        ({"x": None}, "config: variants.x: None is not of type 'object'"),
        ({"x": RIDGE | {"parameters": ["radius"]}}, "variants.x.parameters: ['radius'] is not of type 'object'"),
        ({"x": RIDGE | {"features": "elements"}}, "variants.x.features: 'elements' is not of type 'array'"),
        ({"x": RIDGE | {"parameter": {}}}, "unknown key 'parameter' at variants.x; did you mean 'parameters'?"),
        ({"x": RIDGE | {"features": ["element"]}}, "config: variants.x: features.0: 'element' is not one of ["),
        ({"x": {"of": "rigde", "label": "X"}}, "variants.x: of: unknown model 'rigde'; did you mean 'ridge'?"),
        ({"ridge": RIDGE}, "variants.ridge: a registered model has this name"),
        (
            {"x": RIDGE | {"parameters": {"radios": 1}}},
            "config: variants.x: parameters: unknown parameter 'radios'; did you mean 'radius'?",
        ),
        (
            {"x": RIDGE | {"parameters": {"radius": "one"}}},
            'config: variants.x: parameters.radius: found "one", allowed: a whole number',
        ),
        (
            {"x": {"of": "nlmtp", "label": "X", "parameters": {"network": 3}}},
            "config: variants.x: parameters.network: found 3, allowed: a mapping of width, depth, heads",
        ),
        (
            {"x": {"of": "nlmtp", "label": "X", "parameters": {"network": {"rnk": 1}}}},
            "config: variants.x: parameters.network: unknown parameter 'rnk'; did you mean 'rank'?",
        ),
        (
            {"x": {"of": "egnn", "label": "X", "parameters": {"reference": "element"}}},
            'config: variants.x: parameters.reference: found "element", allowed: elements, mean, none',
        ),
        (
            {"x": {"of": "equivariant_transformer", "label": "X", "parameters": {"reference": "element"}}},
            'config: variants.x: parameters.reference: found "element", allowed: elements, mean, none',
        ),
        (
            {"x": {"of": "egnn", "label": "X", "parameters": {"geometry": "3d"}}},
            'config: variants.x: parameters.geometry: found "3d", allowed: none, distances, coordinates',
        ),
        (
            {"x": {"of": "ridge_boost", "label": "X", "parameters": {"trees": {"max_itr": 1}}}},
            "config: variants.x: parameters.trees: unknown parameter 'max_itr'; did you mean 'max_iter'?",
        ),
    ],
)
def test_mistakes_in_a_variant(variants, message):
    with pytest.raises(ContractError) as error:
        registry.with_variants(MODELS, CONFIG | {"variants": variants})
    assert message in str(error.value)


def write_descriptors(folder, **descriptors):
    for name, descriptor in descriptors.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(descriptor))
    return registry.load_models(folder)


SMALLER = {"of": "whole", "label": "S", "source": "us"}


def test_a_descriptor_may_be_of_another_with_the_keys_that_differ(tmp_path):
    made = write_descriptors(
        tmp_path,
        a_smallest=SMALLER | {"of": "smaller", "features": ["elements"], "parameters": {"ridge": {"margin": None}}},
        smaller=SMALLER | {"parameters": {"trees": {"max_iter": 3}, "ridge": {"radius": 0}}},
        whole=MODELS["ridge_boost"],
    )
    parameters = MODELS["ridge_boost"]["parameters"]
    assert list(made) == ["a_smallest", "smaller", "whole"]
    assert made["a_smallest"] == MODELS["ridge_boost"] | {
        "label": "S",
        "source": "us",
        "features": ["elements"],
        "parameters": {
            "ridge": parameters["ridge"] | {"radius": 0, "margin": None},
            "trees": parameters["trees"] | {"max_iter": 3},
        },
    }
    assert made["whole"] == MODELS["ridge_boost"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"of": "hole"}, "smaller.yaml: of: unknown model 'hole'; did you mean 'whole'?"),
        ({"of": "smaller"}, "smaller.yaml: of: smaller leads back to itself"),
        ({"of": ["whole"]}, "smaller.yaml: of: ['whole'] is not of type 'string'"),
        ({"parameters": 3}, "smaller.yaml: parameters: 3 is not of type 'object'"),
        (
            {"parameters": {"ridge": 3}},
            "parameters.ridge: found 3, allowed: a mapping of radius, min_molecules, margin",
        ),
        ({"parameters": {"ridge": {"radius": None}}}, "smaller.yaml: parameters.ridge.radius: found null, allowed: a"),
        ({"clas": "m.M"}, "smaller.yaml: unknown key 'clas' at top level; did you mean 'class'?"),
        (
            {"class": "tabular.rigde.Ridge"},
            "class: there is no boomlib/models/tabular/rigde.py; did you mean 'tabular.",
        ),
    ],
)
def test_mistakes_in_a_descriptor_of_another(tmp_path, changes, message):
    with pytest.raises(ContractError) as error:
        write_descriptors(tmp_path, smaller=SMALLER | changes, whole=MODELS["ridge_boost"])
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/smaller.yaml")


def test_what_a_variant_changes_is_told_behind_the_source_of_its_model():
    variants = {
        "brief": {"of": "egnn_small", "label": "B", "parameters": {"training": {"epochs": 2}}},
        "bare": {"of": "brief", "label": "C", "features": ["elements", "graph", "conformers"]},
        "same": {"of": "egnn_small", "label": "D"},
    }
    made = registry.with_variants(MODELS, CONFIG | {"variants": variants})
    source = MODELS["egnn_small"]["source"]
    brief = source + " Changed in this configuration: `{parameters: {training: {epochs: 2}}}`."
    assert made["brief"]["source"] == brief
    assert made["bare"]["source"].startswith(brief + " Changed in this configuration: `{features: [")
    assert made["same"]["source"] == MODELS["egnn_small"]["source"] == source


@pytest.mark.parametrize("missing", ["class", "family", "label", "source"])
def test_a_descriptor_that_is_of_no_other_says_everything(tmp_path, missing):
    descriptor = {key: value for key, value in MODELS["ridge"].items() if key != missing}
    with pytest.raises(ContractError, match=rf"m\.yaml: top level: '{missing}' is a required property"):
        write_descriptors(tmp_path, m=descriptor)


def test_a_broken_start_is_named_in_descriptors_and_variants(tmp_path):
    with pytest.raises(ContractError, match=r"config: variants\.v: parameters\.pretrained: 'MLM' is none of null"):
        add_variants(v={"of": "chemberta", "label": "V", "parameters": {"pretrained": "MLM"}})
    broken = SMALLER | {"parameters": {"pretrained": "MLM"}}
    with pytest.raises(ContractError, match=r"m\.yaml: parameters\.pretrained: 'MLM' is none of null"):
        write_descriptors(tmp_path, m=broken, whole=MODELS["chemberta"])


HUB = {"hub": "org/some.name-1", "revision": "0123456789abcdef0123456789abcdef01234567"}


@pytest.mark.parametrize("base", [None, HUB, {"directory": "weights"}, "mlm"])
@pytest.mark.parametrize("form", [None, HUB, {"directory": "weights"}, "mlm"])
def test_a_variant_may_start_from_anything_whatever_its_model_starts_from(base, form):
    language = MODELS["chemberta"]
    model = language | {"parameters": language["parameters"] | {"pretrained": base}}
    made = add_variants({"l": model}, v={"of": "l", "label": "V", "parameters": {"pretrained": form}})["v"]
    assert made["parameters"] == model["parameters"] | {"pretrained": form}


def test_a_directory_that_is_no_checkpoint_is_refused_where_a_run_needs_it(tmp_path):
    start = {"pretrained": {"directory": str(tmp_path)}}
    models = add_variants(v={"of": "chemberta", "label": "V", "parameters": start})
    check(registered=models)
    at = r"models: v: parameters\.pretrained\.directory: .*: "
    with pytest.raises(ContractError, match=at + r"no config\.json and no model\.safetensors"):
        check(registered=models, models=["v"])
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).touch()
    with pytest.raises(ContractError, match=at + "no tokenizer, .* add the files that belong to it"):
        check(registered=models, models=["v"])
    (tmp_path / "tokenizer.json").touch()
    check(registered=models, models=["v"])


def test_both_sizes_of_nlmtp_follow_the_recipe():
    full, small = (MODELS[name]["parameters"] for name in ("nlmtp", "nlmtp_small"))
    for each in (full, small):
        network, training = each["network"], each["training"]
        assert (network["depth"], network["fast_layers"], network["rank"], network["components"]) == (
            12,
            [3, 7, 11],
            8,
            8,
        )
        assert (training["batch"], training["pair_epochs"], training["threshold"], training["clip"]) == (
            64,
            5,
            0.6,
            20,
        )
    assert full["losses"] == small["losses"]
    named = {"dr_func": 1.0, "dr_mean": 0.2, "observed": 1.0, "mdn": 0.5, "rex": 0.2, "lor": 0.1, "mmp": 0.2}
    assert {name: full["losses"][name] for name in named} == named
    assert (full["network"]["width"], full["training"]["epochs"], full["training"]["warm_up"]) == (512, 30, 2000)


@pytest.mark.parametrize("name", ["regression_transformer", "chemprop", "mace", "nlmtp"])
def test_what_is_not_compiled_refuses_it_when_the_workflow_is_read(name):
    fused = {"of": name, "label": "fused", "parameters": {"training": {"compile": True}}}
    models = registry.with_variants(MODELS, CONFIG | {"variants": {"fused": fused | {"of": "egnn"}}})
    assert models["fused"]["parameters"]["training"]["compile"] is True
    with pytest.raises(ContractError, match="unknown parameter 'compile'"):
        registry.with_variants(MODELS, CONFIG | {"variants": {"fused": fused}})


@pytest.mark.parametrize(
    ("observable", "unit", "said"),
    [
        ("dipole_moment", "e bohr", "is in D, not in e bohr; convert the labels and write `unit: D`"),
        ("electronic_spatial_extent", "Å²", "is in bohr², not in Å²"),
    ],
)
def test_what_models_know_in_another_unit_is_refused(observable, unit, said):
    properties = {"y": {"unit": unit, "kind": "extensive", "observable": observable}}
    own = {"x": {"reader": "table", "label": "X", "file": "x.csv", "properties": properties}}
    config = {"tasks": ["x/y"], "models": ["ridge"], "datasets": own}
    with pytest.raises(ContractError, match=rf"datasets\.x\.properties\.y: .*{said}"):
        registry.with_own_datasets(*registry.load_datasets(), config)


def test_a_density_that_grows_with_the_molecule_is_refused():
    properties = {"rho": {"unit": "g/cm³", "kind": "extensive", "observable": "mass_density"}}
    own = {"x": {"reader": "table", "label": "X", "file": "x.csv", "properties": properties}}
    config = {"tasks": ["x/rho"], "models": ["ridge"], "datasets": own}
    with pytest.raises(
        ContractError, match=r"datasets\.x\.properties\.rho: a density does not grow with the molecule"
    ):
        registry.with_own_datasets(*registry.load_datasets(), config)

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
        "variants": {},
        "datasets": {},
        "sources": {},
        "corpus": [],
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
        ({"corpus": ["qm8"]}, "config/config.yaml: corpus: unknown dataset 'qm8'; did you mean 'qm9'?"),
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


def test_a_dataset_without_its_source(tmp_path):
    path = tmp_path / "datasets.yaml"
    entry = {"kind": "qm9", "label": "x", "properties": {"p": {"unit": "1", "kind": "intensive"}}}
    path.write_text(yaml.safe_dump({"datasets": {"d": entry}}))
    with pytest.raises(RegistryError, match=r"datasets\.d: no data; it needs the key 'file', .* or 'sources'"):
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


SMALL = {model for model in MODELS if model.endswith("_small")}
FULL = {model.removesuffix("_small") for model in SMALL} | {"tgnn", "ignn"}
GRAPHS = {model for model in MODELS if MODELS[model]["family"] in ("gnn", "torchmd", "mace", "chemprop")}
TEXTS = {model for model in MODELS if MODELS[model]["family"] == "language"}


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("boom", SMALL),
        ("graphs", FULL | TEXTS),
        ("csd10k", FULL | GRAPHS | TEXTS),
        ("config", FULL | TEXTS | GRAPHS - {"chemprop_small", "egnn_small"}),
    ],
)
def test_shipped_configs_are_valid_and_leave_out_what_does_not_fit(name, missing):
    path = registry.CONFIG / f"{name}.yaml"
    written = registry.read_yaml(path)
    config = registry.check_config(written, DATASETS, registry.with_variants(MODELS, written), str(path))
    assert set(MODELS) - set(config["models"]) == missing


def test_boom_config_covers_the_ten_tasks():
    assert len(registry.read_yaml(registry.CONFIG / "boom.yaml")["tasks"]) == 10


def test_only_the_oracle_sees_the_truth():
    assert [name for name, model in MODELS.items() if model["sees_truth"]] == ["oracle"]


def test_what_decides_the_molecules_leaves_out_labels_and_split():
    entry = DATASETS["qm9_sample"]
    changed = entry | {"label": "other", "split": {}, "doi": "x"}
    assert registry.reading(changed) == registry.reading(entry)
    assert registry.reading(entry | {"sample": {"size": 1, "seed": 0}}) != registry.reading(entry)


def test_a_variant_is_a_descriptor_with_some_keys_changed():
    config = {"variants": {"small_ridge": {"of": "ridge", "label": "S", "parameters": {"radius": 0}}}}
    models = registry.with_variants(MODELS, config)
    assert models["small_ridge"] == MODELS["ridge"] | {
        "label": "S",
        "parameters": MODELS["ridge"]["parameters"] | {"radius": 0},
    }
    assert {name: model for name, model in models.items() if name != "small_ridge"} == MODELS


def test_a_variant_of_a_variant_keeps_its_changes():
    variants = {
        "near": {"of": "ridge", "label": "N", "parameters": {"radius": 0}},
        "nearer": {"of": "near", "label": "NN", "parameters": {"min_molecules": 7}},
    }
    models = registry.with_variants(MODELS, {"variants": variants})
    assert models["nearer"]["parameters"] == MODELS["ridge"]["parameters"] | {"radius": 0, "min_molecules": 7}
    with pytest.raises(RegistryError, match=r"variants.nearer: unknown model 'near'"):
        registry.with_variants(MODELS, {"variants": dict(reversed(variants.items()))})


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"x": {"of": "rigde"}}, "variants.x: unknown model 'rigde'; did you mean 'ridge'?"),
        ({"ridge": {"of": "ridge"}}, "variants.ridge: a registered model has this name"),
        ({"x": {"of": "ridge", "parameters": {"radios": 1}}}, "variants.x: unknown parameter 'radios'; did you mean"),
        (
            {"x": {"of": "nlmtp", "parameters": {"network": {"rnk": 1}}}},
            "variants.x: unknown parameter 'rnk'; did you mean 'rank'?",
        ),
    ],
)
def test_mistakes_in_a_variant(variants, message):
    with pytest.raises(RegistryError) as error:
        registry.with_variants(MODELS, {"variants": variants})
    assert message in str(error.value)


LANGUAGE = {
    "label": "L",
    "family": "language",
    "class": "language.language_model.LanguageModel",
    "parameters": {
        "notation": "smiles",
        "isomeric": True,
        "network": {"width": 8},
        "pretraining": {"epochs": 1},
        "pretrained": None,
        "read_out": "mean",
        "training": {"epochs": 2},
    },
}
HUB = {"hub": "org/some.name-1", "revision": "0123456789abcdef0123456789abcdef01234567"}


def variants_of(models, **parameters):
    variants = {name: {"of": "l", "label": name, "parameters": each} for name, each in parameters.items()}
    return registry.with_variants(models, {"variants": variants})


@pytest.mark.parametrize("base", [None, HUB, {"directory": "weights"}, "mlm"])
@pytest.mark.parametrize("form", [None, HUB, {"directory": "weights"}, "mlm"])
def test_a_variant_may_start_from_anything_whatever_its_model_starts_from(base, form):
    model = LANGUAGE | {"parameters": LANGUAGE["parameters"] | {"pretrained": base}}
    made = variants_of({"l": model}, v={"pretrained": form})["v"]
    assert made["parameters"] == model["parameters"] | {"pretrained": form}


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("MLM", ".pretrained: 'MLM' is none of null (from scratch), mlm"),
        (False, ".pretrained: False is none of null"),
        ({}, ".pretrained: {} is none of null"),
        ({"directory": None}, ".pretrained: {'directory': None} is none of null"),
        ({"hub": "a/b"}, "and {hub: org/name, revision: commit}"),
        (HUB | {"directory": "d"}, "is none of null"),
        (HUB | {"hub": "name"}, ".pretrained.hub: 'name' is no repository of the hub, org/name"),
        (HUB | {"hub": "https://huggingface.co/a/b"}, "is no repository of the hub"),
        (HUB | {"revision": "main"}, ".pretrained.revision: 'main' is not a commit's 40 hexadecimal digits"),
        (HUB | {"revision": 10**39 - 1}, "hexadecimal digits, in quotes"),
    ],
)
def test_forms_of_pretrained_are_checked_in_descriptors_and_variants(tmp_path, form, message):
    with pytest.raises(RegistryError) as error:
        variants_of({"l": LANGUAGE}, v={"pretrained": form})
    assert message in str(error.value)
    assert str(error.value).startswith("config: variants.v.parameters.pretrained")
    text = yaml.safe_dump(LANGUAGE | {"source": "us", "parameters": {"pretrained": form}})
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(RegistryError) as error:
        registry.load_models(tmp_path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/m.yaml: parameters.pretrained")


def test_a_directory_without_weights_is_refused_where_a_run_needs_it(tmp_path):
    models = variants_of({"l": LANGUAGE}, v={"pretrained": {"directory": str(tmp_path)}})
    config = {"tasks": ["csd10k/hof"], "models": ["l"]}
    registry.check_config(config, DATASETS, models)
    with pytest.raises(RegistryError, match=r"models: v starts from .*model\.safetensors, which does not exist"):
        registry.check_config(config | {"models": ["v"]}, DATASETS, models)
    (tmp_path / "model.safetensors").touch()
    registry.check_config(config | {"models": ["v"]}, DATASETS, models)


def test_models_that_differ_in_what_pretraining_does_not_see_share_one():
    models = variants_of(
        MODELS | {"l": LANGUAGE},
        other_head={"pretrained": "mlm", "read_out": "first", "training": {"epochs": 9}},
        wider={"pretrained": "mlm", "network": {"width": 16}},
        longer={"pretrained": "mlm", "pretraining": {"epochs": 2}},
        flat={"pretrained": "mlm", "isomeric": False},
        selfies={"pretrained": "mlm", "notation": "selfies"},
        wider_still={"pretrained": HUB, "network": {"width": 16}, "training": {"epochs": 7}},
    )
    shared = {name: registry.pretrained_as(name, models) for name in models if name not in MODELS}
    assert shared == {name: name for name in shared} | {"other_head": "l", "wider_still": "wider"}
    other_class = models["l"] | {"class": "language.language_model.Other"}
    assert registry.pretrained_as("x", models | {"x": other_class}) == "x"


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

import pytest

from boomlib import registry
from boomlib.files import ContractError
from boomlib.text.start import check_start, find_sharer, name_hub_folder, select_pretraining

HUB = {"hub": "org/some.name-1", "revision": "0123456789abcdef0123456789abcdef01234567"}
MODELS = registry.load_models()


@pytest.mark.parametrize("start", [None, "mlm", HUB, {"directory": "weights"}])
def test_forms_of_a_start(start):
    assert check_start(start, "x.yaml: parameters.pretrained") is None


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("MLM", ": 'MLM' is none of null (from scratch), mlm"),
        (False, ": False is none of null"),
        ({}, ": {} is none of null"),
        ({"directory": None}, ": {'directory': None} is none of null"),
        ({"hub": "a/b"}, "and {hub: org/name, revision: commit}"),
        ({"directory": 3}, "is none of null (from scratch)"),
        (HUB | {"directory": "d"}, "is none of null"),
        (HUB | {"hub": "name"}, ".hub: 'name' is no repository of the hub, org/name"),
        (HUB | {"hub": "https://huggingface.co/a/b"}, "is no repository of the hub"),
        (HUB | {"revision": "main"}, ".revision: 'main' is not a commit's 40 hexadecimal digits"),
        (HUB | {"revision": 10**39 - 1}, "hexadecimal digits, in quotes"),
    ],
)
def test_a_start_of_no_known_form(start, message):
    with pytest.raises(ContractError) as error:
        check_start(start, "x.yaml: parameters.pretrained")
    assert message in str(error.value)
    assert str(error.value).startswith("x.yaml: parameters.pretrained")


def test_a_checkpoint_of_the_hub_has_a_folder_of_its_own():
    assert name_hub_folder(HUB) == "org--some.name-1@0123456789abcdef0123456789abcdef01234567"


def test_models_that_differ_in_what_pretraining_does_not_see_share_one():
    changes = {
        "l": {"pretraining": {"epochs": 3}},
        "other_head": {"pretrained": "mlm", "read_out": "mean", "training": {"epochs": 9}},
        "wider": {"pretrained": "mlm", "network": {"hidden_size": 16}},
        "longer": {"pretrained": "mlm", "pretraining": {"epochs": 2}},
        "flat": {"pretrained": "mlm", "isomeric": False},
        "selfies": {"pretrained": "mlm", "notation": "selfies"},
        "wider_still": {"pretrained": HUB, "network": {"hidden_size": 16}, "training": {"epochs": 7}},
    }
    variants = {
        name: {"of": "chemberta" if name == "l" else "l", "label": name, "parameters": parameters}
        for name, parameters in changes.items()
    }
    config = {"tasks": ["csd10k/hof"], "models": ["l"], "variants": variants}
    models = registry.with_variants(MODELS, config)
    shared = {name: find_sharer(name, models) for name in changes}
    assert shared == {name: name for name in changes} | {"other_head": "l", "wider_still": "wider"}
    other_class = models["l"] | {"class": "language.modernbert.ModernBERT"}
    assert find_sharer("x", models | {"x": other_class}) == "x"
    assert select_pretraining(models["l"]) == select_pretraining(models["other_head"])

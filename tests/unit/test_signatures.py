import shutil

import pytest

from boomlib import provenance, registry, signatures
from boomlib.files import ContractError

MODULES = {
    "boomlib/harness/settings.py": """
from typing import Literal, NotRequired, TypedDict

Reference = Literal["elements", "none"]


class Schedule(TypedDict):
    epochs: int
    patience: NotRequired[int | None]


class Slow(Schedule, total=False):
    warm_up: int
""",
    "boomlib/models/base.py": """
import torch

from boomlib.harness.interface import Model
from boomlib.harness.settings import Reference, Schedule


class Base(Model):
    def __init__(self, *, reference: Reference, training: Schedule, positions: bool, **common):
        super().__init__(**common)
        self.network = torch.nn.Linear(1, 1)
""",
    "boomlib/models/network.py": """
from typing import Literal, TypedDict, Unpack

from boomlib.harness.interface import Model
from boomlib.harness.settings import Slow
from boomlib.models.base import Base as Root

Sizes = list[int]


class Layers(TypedDict):
    inner: "Inner"


class Inner(TypedDict, total=False):
    rate: float | None
    names: dict[str, int]


class Network(Root):
    def __init__(
        self, *, width: int, rate: float = 0.1, sizes: Sizes, layers: Layers, mode: Literal["fast", 2] = 2,
        name: str | bool | None = None, free: object = None, bare=None, training: Slow,
        observable: str | None, **common,
    ):
        super().__init__(positions=True, training=training, observable=observable, **common)


class Plain(Root):
    pass


class Unpacked(Model):
    def __init__(self, *, kind: str, seed: int, **settings: Unpack[Inner]):
        super().__init__(kind=kind, seed=seed)


class Elsewhere(Model):
    def __init__(self, *, width: int = 1, **options):
        super().__init__(kind="extensive", seed=0)
        self.options = dict(**options)


class Strange(Model):
    def __init__(self, *, odd: Model, **common):
        super().__init__(**common)


class UnpackedOption(Model):
    def __init__(self, **settings: Unpack[int | str]):
        super().__init__(kind="extensive", seed=0)


class UnpackedMapping(Model):
    def __init__(self, **settings: Unpack[dict]):
        super().__init__(kind="extensive", seed=0)


class Helper:
    def __init__(self, *, width: int):
        self.width = width
""",
}
RIGHT = {
    "reference": "elements",
    "training": {"epochs": 3},
    "width": 8,
    "sizes": [1, 2],
    "layers": {"inner": {}},
}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Checks parameters of a class of a made-up package."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    shutil.copy(signatures.ROOT / "boomlib/harness/interface.py", tmp_path / "boomlib/harness")
    for module in (provenance, signatures):
        monkeypatch.setattr(module, "ROOT", tmp_path)

    def run(model, parameters):
        return signatures.check_parameters(model, parameters, "m.yaml")

    return run


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rate": 1},
        {"rate": 1e-3},
        {"sizes": []},
        {"mode": "fast", "name": None},
        {"mode": 2, "name": True},
        {"free": {"a": [1]}, "bare": "b"},
        {"training": {"epochs": 1, "patience": None, "warm_up": 3}},
        {"training": {"epochs": 1, "patience": 4}},
        {"layers": {"inner": {"rate": None, "names": {"a": 1}}}},
    ],
)
def test_right_parameters(check, changes):
    check("network.Network", RIGHT | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widht": 8}, "m.yaml: parameters: unknown parameter 'widht'; did you mean 'width'?"),
        ({"width": 8.0}, "m.yaml: parameters.width: found 8.0, allowed: a whole number"),
        ({"width": True}, "parameters.width: found true, allowed: a whole number"),
        ({"width": None}, "parameters.width: found null, allowed: a whole number"),
        ({"rate": False}, "parameters.rate: found false, allowed: a number"),
        ({"rate": "1e-3"}, 'parameters.rate: found "1e-3", allowed: a number; YAML reads it as a text, write 0.001'),
        ({"sizes": 3}, "parameters.sizes: found 3, allowed: a list, each a whole number"),
        ({"sizes": [1, "two"]}, 'parameters.sizes.1: found "two", allowed: a whole number'),
        ({"mode": "slow"}, 'parameters.mode: found "slow", allowed: fast, 2'),
        ({"name": 3}, "parameters.name: found 3, allowed: a text or true or false or null"),
        ({"reference": "element"}, 'parameters.reference: found "element", allowed: elements, none'),
        ({"training": 3}, "parameters.training: found 3, allowed: a mapping of epochs, patience, warm_up"),
        ({"training": {}}, "parameters.training: the parameter 'epochs' is missing; allowed: a whole number"),
        (
            {"training": {"epochs": 1, "epoch": 1}},
            "parameters.training: unknown parameter 'epoch'; did you mean 'epochs'",
        ),
        (
            {"training": {"epochs": 1, "patience": "x"}},
            'training.patience: found "x", allowed: a whole number or null',
        ),
        ({"layers": {"inner": {"rate": "x"}}}, 'parameters.layers.inner.rate: found "x", allowed: a number or null'),
        ({"layers": {"inner": {"names": {"a": "x"}}}}, 'parameters.layers.inner.names.a: found "x", allowed: a whole'),
        # what the harness or a subclass decides is no hyper-parameter
        ({"seed": 1}, "parameters: unknown parameter 'seed'"),
        ({"observable": None}, "parameters: unknown parameter 'observable'"),
        ({"positions": True}, "parameters: unknown parameter 'positions'"),
    ],
)
def test_wrong_parameters_are_named_with_what_is_allowed(check, changes, message):
    with pytest.raises(ContractError) as error:
        check("network.Network", RIGHT | changes)
    assert message in str(error.value)


@pytest.mark.parametrize("missing", RIGHT)
def test_a_missing_parameter_is_named(check, missing):
    with pytest.raises(ContractError, match=rf"m\.yaml: parameters: the parameter '{missing}' is missing; allowed: "):
        check("network.Network", {key: value for key, value in RIGHT.items() if key != missing})


def test_parameters_come_from_the_base_class_where_there_is_no_constructor(check):
    check("network.Plain", {"reference": "none", "training": {"epochs": 1}, "positions": False})
    with pytest.raises(ContractError, match="unknown parameter 'width'; known: positions, reference, training"):
        check("network.Plain", {"width": 1})


def test_unpacked_settings_are_checked(check):
    check("network.Unpacked", {"rate": 0.1})
    with pytest.raises(ContractError, match="unknown parameter 'rte'; did you mean 'rate'"):
        check("network.Unpacked", {"rte": 0.1})


def test_keywords_that_go_elsewhere_may_be_anything(check):
    check("network.Elsewhere", {"anything": 1})
    with pytest.raises(ContractError, match=r"parameters\.width: found null"):
        check("network.Elsewhere", {"width": None})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("netwrk.Network", "m.yaml: class: there is no boomlib/models/netwrk.py; did you mean 'network'?"),
        ("network.Netwrk", "m.yaml: class: boomlib/models/network.py has no class 'Netwrk'; did you mean 'Network'?"),
        (
            "network.Helper",
            "m.yaml: class: boomlib/models/network.py: Helper is not derived from boomlib.harness.inter",
        ),
        ("network.Strange", "boomlib/models/network.py: Model is no type of a hyper-parameter"),
        ("network.UnpackedOption", "boomlib/models/network.py: Unpack[int | str] is of no TypedDict"),
        ("network.UnpackedMapping", "boomlib/models/network.py: Unpack[dict] is of no TypedDict"),
    ],
)
def test_classes_that_are_no_models(check, model, message):
    with pytest.raises(ContractError) as error:
        check(model, {"odd": 1})
    assert message in str(error.value)


def find_unchecked(signature, at=""):
    """Settings of a signature that may be anything: keywords that go elsewhere, mappings without declared keys."""
    found = [] if signature.closed else [f"{at}**"]
    for key, setting in signature.settings.items():
        for option, source in signatures.find_options(setting.annotation, setting.source):
            if signatures.is_typed_dict(option, source):
                fields = signatures.Signature(signatures.read_fields(option, source))
                found += find_unchecked(fields, f"{at}{key}.")
            elif signatures.name_of(option) in ("dict", "object"):
                found.append(f"{at}{key}")
    return found


# by file of the model and name; `pretrained` is checked by boomlib.text.start
UNCHECKED = {("graph", "options"), ("language", "pretrained")}


def test_which_settings_of_our_models_may_be_anything():
    models = {model["class"] for model in registry.load_models().values()}
    found = {(name.split(".")[0], key) for name in models for key in find_unchecked(signatures.read_signature(name))}
    assert found <= UNCHECKED


def test_a_file_that_is_no_python_is_named_with_its_line(tmp_path):
    (tmp_path / "x.py").write_text("x = 1\ndef fit((self):\n    pass\n")
    with pytest.raises(ContractError, match=r"x\.py, line 2: "):
        signatures.read_source(tmp_path / "x.py")

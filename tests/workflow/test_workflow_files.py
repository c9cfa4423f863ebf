"""The workflow's own files: style, profiles, environments, adapters, and the DAG of the full benchmark."""

import ast
import functools
import re
import subprocess
import sys
from importlib import metadata

import pytest
import yaml
from conftest import ROOT

from boomlib import provenance, registry, schemas

RULES = {
    match[1]: match[0]
    for path in sorted(ROOT.glob("rules/**/*.smk"))
    for match in re.finditer(
        r"^ *(?:use rule \w+ as|rule) (\w+)(?s:.*?)(?=^ *(?:use )?rule |\Z)", path.read_text(), re.M
    )
}
MODELS = registry.load_models().values()
SPARED = {"train_nlmtp": {"selfies"}}  # imported for that notation alone; NL-MTP reads SMILES
CONDA_NAMES = {"pytorch": "torch", "pytorch_geometric": "torch-geometric"}
PINS = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_snakefile_is_a_table_of_contents():
    lines = (ROOT / "Snakefile").read_text().splitlines()
    assert len(lines) <= 60
    assert [line.split('"')[1] for line in lines if line.startswith("include")] == [
        f"rules/{stage}.smk"
        for stage in (
            "common",
            "download",
            "featurize",
            "split",
            "pretrain",
            "train",
            "evaluate",
            "leaderboard",
            "screen",
        )
    ]


def test_only_common_defines_functions():
    for path in ROOT.glob("rules/**/*.smk"):
        assert path.name == "common.smk" or not re.search(r"^\s*def |lambda", path.read_text(), re.M), path


@pytest.mark.parametrize("profile", ["default", "workstation", "slurm"])
def test_profiles_name_rules_that_exist(profile):
    content = yaml.safe_load((ROOT / f"profiles/{profile}/config.yaml").read_text())
    assert set(content.get("set-resources", {})) <= set(RULES)


def test_the_slurm_profile_gives_every_rule_what_grows_with_the_attempt_and_gpu_rules_their_partition():
    content = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    given, default = content["set-resources"], content["default-resources"]
    assert set(given) == {name for name, text in RULES.items() if "localrule: True" not in text}
    for entry in given.values():
        assert all(re.fullmatch(r"\d+ \* attempt", entry[key]) for key in ("mem_mb", "runtime"))
    # of their own, or of the rule of graph networks that they are derived from
    on_gpu = {name for name, text in RULES.items() if re.search(r"^ +gpu=|^use rule train_gnn as", text, re.M)}
    assert {name for name in given if "slurm_partition" in given[name]} == on_gpu
    partitions = {given[name]["slurm_partition"] for name in on_gpu}
    assert len(partitions) == 1 and default["slurm_partition"] not in partitions


def test_only_local_rules_have_retries_of_their_own():
    # a job of a cluster would try again inside its allocation, with the memory that it has
    assert [name for name, text in RULES.items() if "retries:" in text and "localrule: True" not in text] == []


def read_environment(path):
    """What an environment pins: versions by the name that pip has for a package."""
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    pinned = [each for each in dependencies if isinstance(each, str) and "=" in each]
    pinned += [each.replace("==", "=") for part in dependencies if isinstance(part, dict) for each in part["pip"]]
    versions = dict(each.split("=", 1) for each in pinned)
    return {CONDA_NAMES.get(name, name): version for name, version in versions.items()}


def test_environment_pins_equal_the_lock():
    for path in ROOT.glob("envs/*.yaml"):
        assert yaml.safe_load(path.read_text())["channels"][-1] == "nodefaults"
        for name, version in read_environment(path).items():
            assert name == "python" or PINS[name] == version, f"{path.name}: {name}={version}"


def read_directive(rule, pattern):
    """What a rule says where the pattern's group is, or else the rule that it is made of."""
    if found := re.search(pattern, RULES[rule]):
        return found[1]
    return read_directive(re.search(r"use rule (\w+) as", RULES[rule])[1], pattern)


def list_imports(node):
    """The modules and names that code imports, at its top or later, but for what type checkers alone read."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        for each in ast.iter_child_nodes(node):
            yield from list_imports(each)


@functools.cache
def read_imports(module):
    return set(list_imports(ast.parse(provenance.source_file(module).read_text(encoding="utf-8"))))


def list_modules(rule):
    """The modules that a job of a rule begins with: its adapter's, and those that it imports by name."""
    own = {
        "feature": schemas.list_modules("features", "compute"),
        "scheme": schemas.list_modules("splits", "assign"),
    }
    named = set(re.findall(r'"(boomlib\.[\w.{}]+)"', RULES[rule]))
    named |= {each.replace("/", ".") for each in re.findall(r'"(boomlib/[\w/{}]+)\.py"', RULES[rule])}
    modules = {"workflow_scripts." + read_directive(rule, r"workflow_scripts/(\w+)\.py")}
    for module in named:
        wildcard = re.search(r"\{(\w+)\}", module)
        modules |= {module.replace(wildcard[0], each) for each in own[wildcard[1]]} if wildcard else {module}
    if rule == "prepare_molecules":
        modules |= {f"boomlib.datasets.{each}" for each in schemas.list_modules("datasets", "read")}
    for model in MODELS:
        pretrained = rule == "pretrain" and "pretrained" in model["parameters"]
        if rule == f"train_{model['family']}" or pretrained:
            modules.add("boomlib.models." + model["class"].rpartition(".")[0])
    return modules


@pytest.mark.parametrize("rule", sorted(RULES))
def test_what_a_rules_code_imports_is_in_its_environment(rule):
    todo, seen, packages = list_modules(rule), set(), {}
    while todo:
        module = todo.pop()
        seen.add(module)
        for name in read_imports(module):
            found = {each for each in provenance.with_packages(name) if each.split(".")[0] in provenance.PACKAGES}
            todo |= set(filter(provenance.source_file, found)) - seen
            packages.setdefault(name.split(".")[0], module)
    path = ROOT / "envs" / read_directive(rule, r"envs/(\w+\.yaml)")
    there, distributions = read_environment(path), metadata.packages_distributions()
    lacking = {
        name: module
        for name, module in packages.items()
        if name not in {*sys.stdlib_module_names, *provenance.PACKAGES, *SPARED.get(rule, ())}
        and not {each.lower().replace("_", "-") for each in distributions[name]} & set(there)
    }
    assert lacking == {}, f"{path.name} lacks packages (by the module that imports them)"


def test_every_direct_dependency_is_in_the_lock():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in sum(project["optional-dependencies"].values(), project["dependencies"]):
        assert re.match(r"[\w-]+", requirement)[0] in PINS


def test_every_rule_has_log_and_env():
    for name, text in RULES.items():
        if text.lstrip().startswith("rule "):
            for directive in ("log:", "conda:", "threads:", "resources:", "message:"):
                assert f"    {directive}" in text, f"{name} has no {directive}"


def test_adapters_are_thin():
    for path in ROOT.glob("workflow_scripts/*.py"):
        if path.name == "job.py":
            continue
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)], path
        assert len(path.read_text().splitlines()) <= 30, path


@pytest.mark.slow
def test_the_full_benchmark_has_a_dag():
    done = run(sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2", "--configfile", "config/boom.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    # 10 tasks x 26 models x 3 seeds, but for what has been computed in this checkout before
    assert re.search(r"^evaluate +\d+$", done.stdout, re.M) or "Nothing to be done" in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sede": [0]}, "unknown key 'sede' at top level; did you mean 'seeds'?"),
        ({"models": ["rigde"]}, "models: unknown model 'rigde'; did you mean 'ridge'?"),
        ({"tasks": ["tiny/sise"]}, "dataset 'tiny' has no property 'sise'; did you mean 'size'?"),
    ],
)
def test_a_wrong_config_ends_with_one_clear_message(project, change, message):
    project.write_config(**change)
    done = project.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout

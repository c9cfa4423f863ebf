"""The workflow's own files: style, profiles, environments, adapters, and the DAG of the full benchmark."""

import ast
import re
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

RULES = {
    match[1]: match[0]
    for path in sorted(ROOT.glob("rules/**/*.smk"))
    for match in re.finditer(
        r"^ *(?:use rule \w+ as|rule) (\w+)(?s:.*?)(?=^ *(?:use )?rule |\Z)", path.read_text(), re.M
    )
}
CONDA_NAMES = {"pytorch": "torch", "pytorch_geometric": "torch-geometric"}
PINS = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("snakefmt", "--check", "Snakefile", "rules"),
        ("snakemake", "--lint"),
    ],
    ids=" ".join,
)
def test_style(command):
    done = run(sys.executable, "-m", *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_snakefile_is_a_table_of_contents():
    lines = (ROOT / "Snakefile").read_text().splitlines()
    assert len(lines) <= 60
    assert [line.split('"')[1] for line in lines if line.startswith("include")] == [
        f"rules/{stage}.smk"
        for stage in ("common", "download", "featurize", "split", "pretrain", "train", "evaluate", "leaderboard")
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
    on_gpu = {name for name, text in RULES.items() if re.search(r"^ +gpu=", text, re.M)}
    assert {name for name in given if "slurm_partition" in given[name]} == on_gpu
    partitions = {given[name]["slurm_partition"] for name in on_gpu}
    assert len(partitions) == 1 and default["slurm_partition"] not in partitions


def test_only_local_rules_have_retries_of_their_own():
    # a job of a cluster would try again inside its allocation, with the memory that it has
    assert [name for name, text in RULES.items() if "retries:" in text and "localrule: True" not in text] == []


def test_environment_pins_equal_the_lock():
    for path in ROOT.glob("envs/*.yaml"):
        content = yaml.safe_load(path.read_text())
        assert content["channels"][-1] == "nodefaults"
        pinned = [each for each in content["dependencies"] if isinstance(each, str) and "=" in each]
        pinned += [
            each.replace("==", "=")
            for part in content["dependencies"]
            if isinstance(part, dict)
            for each in part["pip"]
        ]
        for name, version in (each.split("=", 1) for each in pinned):
            assert name == "python" or PINS[CONDA_NAMES.get(name, name)] == version, f"{path.name}: {name}={version}"


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


def test_the_full_benchmark_has_a_dag():
    done = run(sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2", "--configfile", "config/boom.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    # 10 tasks x 9 models x 3 seeds, whatever has been computed in this checkout before
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

"""A configuration that the user gives stands alone; without one it is config/config.yaml."""

import itertools
import re

import pytest
import yaml

DEFAULT = {"schemes": ["kde", "scaffold"], "seeds": [0, 1], "models": ["train_mean", "ridge"]}


@pytest.fixture
def give(project):
    """Write configurations, give them to a dry run; returns (scheme, model, seed) of its trainings, or its output."""
    project.write_config(**DEFAULT)

    def give(*arguments, **files):
        for name, content in files.items():
            (project.folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
        done = project.snakemake("--dry-run", *arguments, check=False)
        if done.returncode:
            assert "Traceback" not in done.stdout
            return done.stdout
        found = re.findall(r"Job \d+: Train (\w+) \(seed (\d+)\) on tiny/\w+, (\w+) split", done.stdout)
        return {(scheme, model, int(seed)) for model, seed, scheme in found}

    return give


TASK = {"tasks": ["tiny/size"]}


def test_what_a_given_configuration_leaves_out_is_the_schemas_default(give):
    assert give("--configfile", "own.yaml", own=TASK | {"models": ["mlp"]}) == {("kde", "mlp", 0)}


def test_a_given_configuration_without_models_is_refused(give):
    assert "'models' is a required property" in give("--configfile", "own.yaml", own=TASK)


def test_several_files_and_single_keys_are_merged_in_their_order(give):
    files = {"first": TASK | {"models": ["mlp"], "seeds": [3]}, "second": {"models": ["oracle"]}}
    assert give("--configfile", "first.yaml", "second.yaml", **files) == {("kde", "oracle", 3)}
    arguments = ("--configfile", "first.yaml", "--config", "seeds=[7]")
    assert give(*arguments, **files) == {("kde", "mlp", 7)}


def test_single_keys_alone_change_the_default_run(give):
    trained = {(scheme, model, 5) for scheme in ("kde", "scaffold") for model in ("train_mean", "ridge")}
    assert give("--config", "seeds=[5]") == trained


@pytest.mark.slow
def test_a_job_that_snakemake_starts_elsewhere_reads_the_same_configuration(project):
    """With the arguments that an executor for a cluster hands to a job (``SpawnedJobArgsFactory``)."""
    project.write_config(**DEFAULT)
    own = TASK | {"models": ["mean"], "variants": {"mean": {"of": "train_mean", "label": "Mean"}}}
    (project.folder / "own.yaml").write_text(yaml.safe_dump(own))
    given = ("--configfiles", str(project.folder / "own.yaml"), "--config", "seeds=[4]")
    project.snakemake("results/tasks/tiny/size/kde.parquet", *given)
    spec = "train_control:dataset=tiny,property=size,scheme=kde,model=mean,seed=4"
    arguments = ("--mode", "remote", "--target-jobs", spec, "--allowed-rules", "train_control", "--nolock", "--force")
    project.snakemake("--snakefile", "Snakefile", *arguments, *given)
    assert (project.folder / "results/predictions/tiny/size/kde/mean/seed4.parquet").exists()


def test_reading_it_fails_with_one_message(give, project):
    broken = {"tasks": ["own/x"], "models": ["ridge"], "datasets": {"own": {"reader": "table", "fiel": "x"}}}
    said = give("--configfile", "own.yaml", own=broken)
    assert "own.yaml: unknown key 'fiel' at datasets.own; did you mean 'file'?" in said
    assert "ContractError" not in said


OWN = "tasks: [tiny/size]\nmodels: [mlp]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OWN + "seeds: [0]\nseeds: [1]\n", "line 4: the key 'seeds' stands on line 3 already; keep one of the two"),
        (OWN + "variants:\n  a: {of: mlp, label: A,\n    label: B}\n", "line 5: the key 'label' stands on line 4"),
        (OWN + "datasets:\n  x: {properties: {NO: {}}}\n", "line 4: the key NO is no text to YAML (bool); put it in"),
        (
            '{"tasks": ["tiny/size"],\n\t"models": ["mlp"],\n\t"models": ["ridge"]}',
            "line 3: the key 'models' stands on",
        ),
    ],
)
def test_what_snakemake_lets_pass_in_a_given_configuration_is_refused_with_its_line(give, project, text, said):
    (project.folder / "own.yaml").write_text(text)
    assert f"{project.folder}/own.yaml, {said}" in give("--configfile", "own.yaml")


def test_a_broken_default_configuration_is_named_with_its_line(give, project):
    (project.folder / "config/config.yaml").write_text("tasks: [tiny/size]\nmodels: [mlp\nseeds: [1]\n")
    assert "config/config.yaml, line 3: not valid YAML: expected ',' or ']'" in give()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--configfile", "own.yaml", "results/leaderboard.md"], "FileNotFoundError: .*'results/leaderboard.md'"),
        (["--config", "seeds=[7]", "results/leaderboard.md"], "Config entries have to be defined as name=value pairs"),
        (["--configfile", "broken.yaml"], "Config file is not valid JSON or YAML"),
        (["--configfile", "broken.yaml", "--verbose"], 'in "broken.yaml", line 2'),
    ],
)
def test_what_snakemake_says_before_it_reads_the_workflow_is_what_the_docs_say(project, arguments, said):
    """The table of docs/usage.md."""
    (project.folder / "own.yaml").write_text(OWN)
    (project.folder / "broken.yaml").write_text("tasks: [tiny/size\nmodels: [mlp]\n")
    assert re.search(said, project.snakemake("--dry-run", *arguments, check=False).stdout)


@pytest.mark.slow
def test_lists_of_the_command_line(give):
    both = {(scheme, model, seed) for scheme, model, seed in itertools.product(DEFAULT["schemes"], ["ridge"], [0, 1])}
    for seeds in ("seeds=[0,1]", "seeds=[0, 1]"):
        assert give("--config", seeds, "models=[ridge]") == both
    said = give("--config", "seeds=7")
    assert "the key 'seeds' is given twice" in give("--config", "seeds=[7]", "seeds=[8]")
    assert "config/config.yaml, --config: seeds: 7 is not of type 'array'; write a list: [first, second]" in said

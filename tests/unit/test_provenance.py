import ast
import functools
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from boomlib import provenance

ROOT = provenance.ROOT


def model_modules():
    """The modules of all registered models."""
    descriptors = [yaml.safe_load(path.read_text()) for path in sorted(ROOT.glob("config/models/*.yaml"))]
    classes = {each["class"] for each in descriptors if "class" in each}
    return sorted(f"boomlib.models.{name.rpartition('.')[0]}" for name in classes)


def list_stages():
    """The modules that the hash of each stage begins from, by a name of the stage."""
    stages = {f"train {name}": ("workflow_scripts.train_predict", name) for name in model_modules()}
    for path in ROOT.glob("boomlib/features/[a-z]*.py"):
        stages[f"compute {path.stem}"] = ("workflow_scripts.featurize", f"boomlib.features.{path.stem}")
    for kind in ("qm9", "csd10k", "table"):
        stages[f"read {kind}"] = ("workflow_scripts.prepare_molecules", f"boomlib.datasets.{kind}")
    for scheme in ("kde", "scaffold"):
        stages[f"split by {scheme}"] = ("workflow_scripts.make_split", f"boomlib.splits.{scheme}")
    for script in ("evaluate", "evaluate_policy", "summarise", "pretrain", "find_ch2_pairs"):
        stages[script] = (f"workflow_scripts.{script}",)
    for script, module in (("leaderboard", "build"), ("plot_parity", "figures.parity")):
        stages[f"report {script}"] = (f"workflow_scripts.{script}", f"boomlib.report.{module}")
    return stages


REDUCED = functools.cache(provenance.reduce_source)  # most tests edit one module of many


def forget():
    for function in (provenance.parse, provenance.neutral_unit, provenance.code_hash):
        function.cache_clear()


@pytest.fixture(autouse=True)
def forgetful():
    yield
    forget()


def fresh_hash(*modules, **files):
    forget()
    return provenance.code_hash(*modules, **files)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small package: a imports b; c stands alone."""
    (tmp_path / "boomlib").mkdir()
    (tmp_path / "boomlib/__init__.py").write_text('"""Root."""\n')
    (tmp_path / "boomlib/a.py").write_text("from boomlib.b import f\n\ndef g():\n    return f() + 1\n")
    (tmp_path / "boomlib/b.py").write_text('"""Doc."""\n\ndef f():\n    """Doc."""\n    return 1\n')
    (tmp_path / "boomlib/c.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path / "boomlib"


class Checkout:
    """A copy of the project's code, to be edited; tells which stages run again."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.before = self.hash_stages()

    def hash_stages(self) -> dict[str, str]:
        forget()
        return {name: provenance.code_hash(*modules) for name, modules in list_stages().items()}

    def edit(self, path: str, old: str, new: str) -> set[str]:
        """Replace ``old``, which must occur; returns the stages whose hash differs from that before all edits."""
        text = (self.folder / path).read_text()
        assert old in text, f"{path} does not hold {old!r}"
        (self.folder / path).write_text(text.replace(old, new, 1))
        return {name for name, code in self.hash_stages().items() if code != self.before[name]}

    def compute_more(self, path: str) -> set[str]:
        """Add a statement to a module."""
        return self.edit(path, text := (self.folder / path).read_text(), f"{text}\nMORE = 1\n")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    for part in ("boomlib", "workflow_scripts"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setattr(provenance, "reduce_source", REDUCED)
    return Checkout(tmp_path)


def test_code_hash_follows_imports(tree):
    before_a, before_c = fresh_hash("boomlib.a"), fresh_hash("boomlib.c")
    (tree / "b.py").write_text("def f():\n    return 2\n")
    assert fresh_hash("boomlib.a") != before_a
    assert fresh_hash("boomlib.c") == before_c


def test_code_hash_follows_relative_imports_and_counts_the_packages_of_its_roots(tree):
    (tree / "a.py").write_text("from .b import f\n")
    before = fresh_hash("boomlib.a")
    (tree / "b.py").write_text("def f():\n    return 2\n")
    inside = fresh_hash("boomlib.a")
    assert inside != before
    (tree / "__init__.py").write_text("MORE = 1\n")
    assert fresh_hash("boomlib.a") != inside


def test_what_boomlib_hands_to_people_does_not_count(tree):
    before = fresh_hash("boomlib.a")
    asked = "def __getattr__(name):\n    from boomlib.c import x\n\n    return x\n"
    (tree / "__init__.py").write_text(asked)
    assert fresh_hash("boomlib.a") == before
    (tree / "__init__.py").write_text(f"{asked}\nx = 1\n")
    assert fresh_hash("boomlib.a") != before
    (tree / "__init__.py").write_text("")
    (tree / "b.py").write_text(f"def f():\n    return 1\n\n{asked}")
    assert fresh_hash("boomlib.a") != before


def test_code_hash_ignores_comments_and_docstrings(tree):
    before = fresh_hash("boomlib.a")
    (tree / "b.py").write_text('"""Other."""\n\n# why\ndef f():\n    """Other."""\n\n    return 1  # one\n')
    assert fresh_hash("boomlib.a") == before


def test_code_hash_counts_named_files(tree):
    (tree / "t.j2").write_text("one")
    before = fresh_hash("boomlib.c", files=("boomlib/t.j2",))
    (tree / "t.j2").write_text("two")
    assert fresh_hash("boomlib.c", files=("boomlib/t.j2",)) != before


def test_code_hash_of_an_unknown_module(tree):
    with pytest.raises(FileNotFoundError, match=r"no module boomlib\.nowhere"):
        fresh_hash("boomlib.nowhere")


def test_comments_of_a_yaml_file_do_not_count(tree):
    (tree / "e.yaml").write_text("rdkit: 1  # one\n")
    before = fresh_hash("boomlib.c", files=("boomlib/e.yaml",))
    (tree / "e.yaml").write_text("# the first\nrdkit: 1\n")
    assert fresh_hash("boomlib.c", files=("boomlib/e.yaml",)) == before
    (tree / "e.yaml").write_text("rdkit: 2\n")
    assert fresh_hash("boomlib.c", files=("boomlib/e.yaml",)) != before


def test_a_neutral_module_counts_for_its_own_stage_alone(tree):
    (tree / "b.py").write_text('NEUTRAL = "why"\n\ndef f():\n    return 1\n')
    one, own = fresh_hash("boomlib.a"), fresh_hash("boomlib.b", "boomlib.a")
    (tree / "b.py").write_text('NEUTRAL = "why"\n\ndef f():\n    return 2\n')
    assert fresh_hash("boomlib.a") == one
    assert fresh_hash("boomlib.b", "boomlib.a") != own


def test_a_package_declares_all_its_modules_neutral(tree):
    for name, text in {"__init__": 'NEUTRAL = "why"\n', "b": "x = 1\n", "c": "import boomlib.p.b\n"}.items():
        (tree / "p").mkdir(exist_ok=True)
        (tree / "p" / f"{name}.py").write_text(text)
    (tree / "a.py").write_text("import boomlib.p.b\n")
    outside, inside = fresh_hash("boomlib.a"), fresh_hash("boomlib.p.c")
    (tree / "p/b.py").write_text("x = 2\n")
    assert fresh_hash("boomlib.a") == outside
    assert fresh_hash("boomlib.p.c") != inside


def test_a_module_that_messages_alone_use_does_not_count(tree):
    (tree / "a.py").write_text("from boomlib.b import f\n\ndef g():\n    raise ValueError(f())\n")
    before = fresh_hash("boomlib.a")
    (tree / "b.py").write_text("def f():\n    return 2\n")
    assert fresh_hash("boomlib.a") == before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("boomlib/contracts.py", "no such file; rerun", "there is no such file: rerun"),
        ("boomlib/harness/training.py", "training on {", "this run trains on {"),
        ("boomlib/featurize.py", 'Progress(feature, "mol", ', 'Progress(f"compute {feature}", "molecules", '),
        ("boomlib/split.py", "are too few for", "do not suffice for"),
        ("workflow_scripts/make_split.py", "print(", "print('folds: ', "),
        ("boomlib/contracts.py", "-> pa.DictionaryArray:", "-> pa.Array:"),
    ],
)
def test_an_edit_of_a_message_or_an_annotation_reruns_nothing(checkout, path, old, new):
    assert checkout.edit(path, old, new) == set()


@pytest.mark.parametrize(
    "path",
    [
        "boomlib/files.py",
        "boomlib/processes.py",
        "boomlib/provenance.py",
        "boomlib/source.py",
        "boomlib/mirror.py",
        "boomlib/registry.py",
        "boomlib/signatures.py",
        "boomlib/text/start.py",
        "workflow_scripts/job.py",
    ],
)
def test_an_edit_of_a_neutral_module_reruns_nothing(checkout, path):
    assert checkout.compute_more(path) == set()


def test_an_edit_of_the_report_reruns_the_report_alone(checkout):
    assert checkout.compute_more("boomlib/report/leaderboard.py") == {"report leaderboard"}
    assert checkout.compute_more("boomlib/report/figures/style.py") == {"report leaderboard", "report plot_parity"}


def test_an_edit_of_the_evaluation_trains_nothing(checkout):
    changed = checkout.compute_more("boomlib/evaluation/metrics.py")
    assert {"evaluate", "evaluate_policy"} <= changed
    assert not any(stage.split()[0] in ("train", "pretrain", "compute", "read", "split") for stage in changed)


@pytest.mark.parametrize("network", [name for name in model_modules() if name.startswith("boomlib.models.graph.")])
def test_an_edit_of_a_graph_network_reruns_that_network_alone(checkout, network):
    assert checkout.compute_more(f"{network.replace('.', '/')}.py") == {f"train {network}"}


def test_an_edit_of_an_adapter_reruns_its_stage(checkout):
    assert checkout.compute_more("workflow_scripts/make_split.py") == {"split by kde", "split by scaffold"}


def test_an_edit_of_a_scheme_splits_by_it_alone_and_one_of_its_texts_nothing(checkout):
    assert checkout.edit("boomlib/splits/kde.py", "rarest values", "least common values") == set()
    assert checkout.edit("boomlib/splits/kde.py", "KDE density", "Kernel density") == set()
    assert checkout.compute_more("boomlib/splits/scaffold.py") == {"split by scaffold"}


def test_names_are_imported_from_where_they_are_defined():
    """What a module imports for its messages alone is not followed; nobody may find it there."""
    for path in sorted(ROOT.glob("boomlib/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (source := provenance.source_file(node.module)):
                borrowed = {
                    alias.asname or alias.name
                    for other in ast.parse(source.read_text()).body
                    if isinstance(other, ast.Import | ast.ImportFrom)
                    for alias in other.names
                }
                assert not borrowed & {alias.name for alias in node.names}, f"{path}: {node.module}"


def test_content_hash_depends_on_content_alone():
    assert provenance.content_hash({"a": 1, "b": [2]}) == provenance.content_hash({"b": [2], "a": 1})
    assert provenance.content_hash({"a": 1}) != provenance.content_hash({"a": 2})


def test_versions_are_those_of_imported_packages(monkeypatch):
    found = provenance.versions()
    assert set(found) == {"python"} | {name for name, module in provenance.VERSIONED.items() if module in sys.modules}
    for name, module in (("scikit-learn", "sklearn"), ("torch-geometric", "torch_geometric")):
        monkeypatch.delitem(sys.modules, module, raising=False)
        assert name not in provenance.versions()
        monkeypatch.setitem(sys.modules, module, None)
        assert provenance.versions()[name] == metadata.version(name)


def test_a_record_names_the_processor_unless_a_gpu_was_used(monkeypatch):
    cuda = SimpleNamespace(
        is_available=lambda: True, get_device_name=lambda device: f"GPU {device}", max_memory_allocated=lambda: 3 << 20
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    on_cpu = provenance.RunRecord().finish(seed=1)
    processor = provenance.processor_name()
    assert on_cpu["device"] == on_cpu["prediction_device"] == f"CPU ({processor})"
    assert on_cpu["peak_gpu_memory_mib"] is None
    assert on_cpu["seed"] == 1
    on_gpu = provenance.RunRecord().finish(device="cuda:0")
    assert (on_gpu["device"], on_gpu["peak_gpu_memory_mib"]) == ("GPU cuda:0", 3.0)
    assert on_gpu["prediction_device"] == f"CPU ({processor})"


def test_the_processor_is_named_as_the_machine_does():
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    if "model name" not in text:
        pytest.skip("this machine's system does not tell its processor's model")
    assert f": {provenance.processor_name()}\n" in text


def test_import_boomlib_is_light():
    code = (
        "import sys, boomlib, boomlib.registry, boomlib.contracts, boomlib.provenance, boomlib.runs; "
        "print([m for m in ('torch', 'rdkit', 'sklearn', 'matplotlib', 'scipy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=provenance.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_commit_is_known_in_a_checkout_of_another_user(tmp_path, monkeypatch):
    folder = tmp_path / "their checkout"
    identity = ["-c", "user.name=they", "-c", "user.email=they@localhost"]
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    subprocess.run(["git", "-C", folder, *identity, "commit", "--quiet", "--allow-empty", "-m", "one"], check=True)
    monkeypatch.setattr(provenance, "ROOT", folder)
    mine = provenance.commit_id()
    assert len(mine) == 12
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    done = subprocess.run(["git", "-C", folder, "status"], capture_output=True, text=True, check=False)
    assert "dubious ownership" in done.stderr, "else this tests nothing"
    assert provenance.commit_id() == mine
    (folder / "new").touch()
    assert provenance.commit_id() == f"{mine}+"


def test_the_commit_is_unknown_without_git_and_outside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.commit_id() == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit_id() == "unknown"

import subprocess
import sys

import pytest

from boomlib import provenance


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small package: a imports b; c stands alone."""
    (tmp_path / "boomlib").mkdir()
    (tmp_path / "boomlib/__init__.py").write_text('"""Root."""\n')
    (tmp_path / "boomlib/a.py").write_text("from boomlib.b import f\n\ndef g():\n    return f() + 1\n")
    (tmp_path / "boomlib/b.py").write_text('"""Doc."""\n\ndef f():\n    """Doc."""\n    return 1\n')
    (tmp_path / "boomlib/c.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.parse.cache_clear()
    provenance.code_hash.cache_clear()
    yield tmp_path / "boomlib"
    provenance.parse.cache_clear()
    provenance.code_hash.cache_clear()


def fresh_hash(*modules, **files):
    provenance.parse.cache_clear()
    provenance.code_hash.cache_clear()
    return provenance.code_hash(*modules, **files)


def test_code_hash_follows_imports(tree):
    before_a, before_c = fresh_hash("boomlib.a"), fresh_hash("boomlib.c")
    (tree / "b.py").write_text("def f():\n    return 2\n")
    assert fresh_hash("boomlib.a") != before_a
    assert fresh_hash("boomlib.c") == before_c


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


def test_content_hash_depends_on_content_alone():
    assert provenance.content_hash({"a": 1, "b": [2]}) == provenance.content_hash({"b": [2], "a": 1})
    assert provenance.content_hash({"a": 1}) != provenance.content_hash({"a": 2})


def test_import_boomlib_is_light():
    code = (
        "import sys, boomlib, boomlib.registry, boomlib.contracts, boomlib.provenance, boomlib.runs; "
        "print([m for m in ('torch', 'rdkit', 'sklearn', 'matplotlib', 'scipy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=provenance.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

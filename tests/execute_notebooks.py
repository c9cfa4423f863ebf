"""Executes the scripts of docs/notebooks as notebooks, cell by cell, and keeps these with what they show."""

import argparse
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

USAGE = """\
python tests/execute_notebooks.py [NAME ...]

Writes docs/notebooks/NAME.ipynb from NAME.py, with its outputs; without a NAME all of them. In a script `# %%` begins
a cell of code and `# %% [markdown]` one of text."""
FOLDER = Path(__file__).parent.parent / "docs/notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def make_notebook(script: str) -> NotebookNode:
    """The notebook of a script, without outputs."""
    cells = []
    for number, part in enumerate(re.split(r"^# %%", script, flags=re.MULTILINE)[1:]):
        kind, _, text = part.partition("\n")
        if kind.strip() == "[markdown]":
            cell = new_markdown_cell(re.sub(r"^# ?", "", text.strip(), flags=re.MULTILINE), id=str(number))
        else:
            cell = new_code_cell(text.strip(), id=str(number))
        cells.append(cell)
    return new_notebook(cells=cells, metadata=METADATA)


def execute(script: Path, folder: Path) -> NotebookNode:
    """The notebook of a script as a fresh kernel executes it in a folder; stderr, which is progress, is left out.

    Raises:
        CellExecutionError: a cell fails.
    """
    notebook = make_notebook(script.read_text(encoding="utf-8"))
    place = {"metadata": {"path": str(folder)}}
    how = {"timeout": None, "record_timing": False, "coalesce_streams": True}  # else a slow machine cuts texts in two
    NotebookClient(notebook, kernel_name="python3", resources=place, **how).execute()
    notebook.metadata = METADATA
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
    return notebook


def main() -> None:
    """Execute what the command line names."""
    parser = argparse.ArgumentParser(usage=USAGE, description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*")
    for name in parser.parse_args().names or sorted(path.stem for path in FOLDER.glob("*.py")):
        notebook = execute(FOLDER / f"{name}.py", FOLDER)
        nbformat.write(notebook, str(FOLDER / f"{name}.ipynb"))
        print(f"docs/notebooks/{name}.ipynb")


if __name__ == "__main__":
    main()

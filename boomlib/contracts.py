"""Columns, types and checks of every file that passes between two stages of the pipeline.

Every reader checks what it reads and every writer checks what it writes, so that a broken file is named
where it appears and not three stages later. All files are Parquet, written beside their final path and
then renamed, so that a half-written file is never taken for a result.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from boomlib.files import ContractError, MoleculeError, StrPath, atomic_path, commit

FOLDS = ("train", "valid", "id", "ood")
PREDICTED_FOLDS = ("valid", "id", "ood")
NO_FOLD = ""  # of a molecule without a label of the property
SHOWN = 200  # characters of a SMILES that a message shows
FOLD_TYPE = pa.dictionary(pa.int8(), pa.string())


@dataclass(frozen=True)
class TableContract:
    """The required columns of one kind of Parquet file.

    Attributes:
        name: what messages call it.
        columns: Arrow types by column name.
        group_rows: rows of a row group, for a table that is read group by group; None for the library's own.
    """

    name: str
    columns: dict[str, pa.DataType]
    group_rows: int | None = None

    def check(self, table: pa.Table, where: str) -> None:
        """Raise :class:`ContractError` if a column is missing or has another type."""
        for column, dtype in self.columns.items():
            if column not in table.column_names:
                raise ContractError(
                    f"{where}: the {self.name} table lacks the column '{column}' (it has: "
                    f"{', '.join(table.column_names[:8])}); delete the file and rerun to make it anew"
                )
            found = table.schema.field(column).type
            if found != dtype:
                raise ContractError(
                    f"{where}: column '{column}' of the {self.name} table is {found}, not {dtype}; "
                    "delete the file and rerun to make it anew"
                )

    def empty(self) -> pa.Table:
        """A table of no rows."""
        return pa.schema(list(self.columns.items())).empty_table()


def list_of(dtype: pa.DataType) -> pa.DataType:
    """A list type whose child is named as Parquet reads it back: a table read from a file writes the same bytes."""
    return pa.list_(pa.field("element", dtype))


MOLECULES = TableContract("molecules", {"molecule_id": pa.int64(), "smiles": pa.string()})
DOUBLES = ("molecule_id", "same_as")
REJECTS = ("smiles", "reason")  # after where it stands, `line` or `row`
GEOMETRY = TableContract(
    "geometry",
    {"molecule_id": pa.int64(), "atomic_numbers": list_of(pa.uint8()), "positions": list_of(pa.float64())},
    group_rows=4096,
)
FEATURE = TableContract("feature", {"molecule_id": pa.int64()})
SPLIT = TableContract("split", {"molecule_id": pa.int64(), "fold": FOLD_TYPE, "density": pa.float64()})
TASK = TableContract("task", {"molecule_id": pa.int64(), "smiles": pa.string(), "fold": FOLD_TYPE, "y": pa.float64()})
CORPUS = TableContract("corpus", {"smiles": pa.string(), "dataset": pa.string()})
PREDICTIONS = TableContract("predictions", {"molecule_id": pa.int64(), "fold": FOLD_TYPE, "y_pred": pa.float64()})

EPOCHS = TableContract("epochs", {"molecule_id": pa.int64(), "epoch": pa.int32(), "y_pred": pa.float64()})
# A model's answers about a policy, all in native units: see boomlib.models.nlmtp.model
POLICY = TableContract(
    "policy",
    {"molecule_id": pa.int64(), "environment": pa.int64()}
    | dict.fromkeys(
        (
            "m_observed",
            "m_moved",
            "m_policy",
            "log_ratio_density",
            "log_ratio_classifier",
            "support",
            "support_before",
            "alpha",
        ),
        pa.float64(),
    )
    | {"sweep": list_of(pa.float64())},
)
# of a policy with a place also: m(a, x, G) and its log ratio, and for each product of an insertion what the policy
# head says of it, what the observed world does, and the product's log ratio
PLACES = {"m_grouped": pa.float64(), "log_ratio_grouped": pa.float64(), "place_product": list_of(pa.string())} | {
    name: list_of(pa.float64()) for name in ("place_outcome", "place_moved", "place_log_ratio")
}

PAIRS = TableContract("matched pairs", {"left": pa.int64(), "right": pa.int64(), "delta_mass": pa.float64()})


# -- tables --------------------------------------------------------------------------------------------


def write_table(table: pa.Table, path: StrPath, contract: TableContract | None = None) -> None:
    """Check ``table`` against ``contract`` and write it as Parquet in one step.

    The bytes depend on the table alone: no date and no host name enter the file.
    """
    if contract is not None:
        contract.check(table, str(path))
    group_rows = contract.group_rows if contract else None
    pq.write_table(table, atomic_path(path), compression="zstd", row_group_size=group_rows)
    commit(path)


@contextmanager
def readable(path: StrPath) -> Iterator[None]:
    """Raise :class:`ContractError` if ``path`` is missing, or if the block fails to read it as Parquet."""
    if not Path(path).is_file():
        raise ContractError(f"{path}: no such file; rerun the stage that makes it")
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ContractError(
            f"{path}: not readable as Parquet, probably truncated ({error}); delete it and rerun"
        ) from error


def read_table(path: StrPath, contract: TableContract | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file and check it; a missing, truncated or foreign file raises :class:`ContractError`."""
    with readable(path):
        table = pq.read_table(path, columns=list(columns) if columns else None, partitioning=None)
    if contract is not None and columns is None:
        contract.check(table, str(path))
    return table


# -- molecules -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """Where molecules stand in a user's file: a column of the molecules table, and of the task tables made of it.

    Attributes:
        file: the file.
        counts: what ``numbers`` count, ``line`` or ``row``.
        numbers: int64 [n]; the first line or row is 1.
    """

    file: str
    counts: str
    numbers: np.ndarray

    def as_column(self) -> tuple[pa.Field, pa.Array]:
        """The column, whose name no property can have."""
        return pa.field(f"source {self.counts}", pa.int64(), metadata={"file": self.file}), pa.array(self.numbers)


def find_origin(table: pa.Table) -> Origin | None:
    """Where the molecules of a table stand in the user's file; None if no column says so."""
    for field in table.schema:
        if field.name in ("source line", "source row"):
            return Origin(field.metadata[b"file"].decode(), field.name.split()[1], table[field.name].to_numpy())
    return None


def locate(table: pa.Table, smiles: Iterable[str]) -> str:
    """The first five of some molecules for a message, by the user's file, line and SMILES; else by SMILES alone.

    Args:
        table: a table with ``smiles`` and perhaps their :class:`Origin`.
        smiles: the molecules, as the table writes them.
    """
    shown = list(dict.fromkeys(smiles))[:6]  # one more than are listed
    origin, places = find_origin(table), [shorten(text) for text in shown]
    if origin is None:
        return listed(places)
    rows = [pc.index(table["smiles"], text).as_py() for text in shown]
    if -1 not in rows:
        places = [f"{origin.counts} {origin.numbers[row]} ({text})" for row, text in zip(rows, places, strict=True)]
    return f"{origin.file}, {listed(places)}"


def shorten(text: str) -> str:
    """``text``, or the beginning of a long one."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


@contextmanager
def locating(path: StrPath) -> Iterator[None]:
    """Let a :class:`MoleculeError` of the block say where its molecules come from, by the table at ``path``."""
    try:
        yield
    except MoleculeError as error:
        raise ContractError(f"{locate(read_table(path), error.smiles)}: {error}") from error


def write_molecules(
    path: StrPath,
    smiles: Sequence[str],
    properties: dict[str, np.ndarray],
    units: dict[str, str],
    origin: Origin | None = None,
) -> None:
    """Write the molecules table: ``molecule_id`` 0…n-1, ``smiles``, one float64 column a property.

    A molecule without a label of a property (NaN) is null there. ``units`` (by property) goes into the Parquet field
    metadata. ``origin`` is of a user's file alone.
    """
    fields = [pa.field("molecule_id", pa.int64()), pa.field("smiles", pa.string())]
    arrays = [pa.array(np.arange(len(smiles), dtype=np.int64)), pa.array(list(smiles), pa.string())]
    for name, values in properties.items():
        array = np.asarray(values, dtype=np.float64)
        if np.isinf(array).any():
            raise ContractError(f"{path}: property '{name}' has a value that is infinite")
        fields.append(pa.field(name, pa.float64(), metadata={"unit": units[name]}))
        arrays.append(pa.array(array, from_pandas=True))
    if origin is not None:
        field, numbers = origin.as_column()
        fields.append(field)
        arrays.append(numbers)
    write_table(pa.table(arrays, schema=pa.schema(fields)), path, MOLECULES)


def read_molecules(path: StrPath) -> pa.Table:
    """Read the molecules table; ids must be 0…n-1 in order."""
    table = read_table(path, MOLECULES)
    check_ids(table, table.num_rows, path)
    return table


def check_ids(table: pa.Table, n: int, path: StrPath) -> None:
    """Raise :class:`ContractError` unless ``molecule_id`` is 0…n-1 in order."""
    if not np.array_equal(table["molecule_id"].to_numpy(), np.arange(n)):
        raise ContractError(f"{path}: molecule_id is not 0…{n - 1} in order; delete it and rerun")


def listed(ids: np.ndarray | Sequence[int] | Sequence[str]) -> str:
    """The first five ids or places for an error message, and whether there are more."""
    return ", ".join(map(str, ids[:5])) + (" …" if len(ids) > 5 else "")


def property_values(table: pa.Table, name: str, path: StrPath) -> np.ndarray:
    """The values of one property, float64 [n], in the unit of the registry; NaN where a molecule has none."""
    if name not in table.column_names:
        known = [c for c in table.column_names if c not in MOLECULES.columns and not c.startswith("source ")]
        raise ContractError(f"{path}: no property '{name}'; it has {', '.join(known)}")
    return table[name].to_numpy()  # type: ignore[no-any-return]  # pyarrow has no types


# -- folds and predictions -------------------------------------------------------------------------------


def fold_array(folds: Iterable[str]) -> pa.DictionaryArray:
    """Encode fold names; the codes are the positions in :data:`FOLDS`, whatever folds occur, and null for NO_FOLD."""
    codes = {name: code for code, name in enumerate(FOLDS)} | {NO_FOLD: None}
    try:
        indices = [codes[fold] for fold in folds]
    except KeyError as error:
        raise ContractError(f"unknown fold {error}; a fold is one of {', '.join(FOLDS)}") from None
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), pa.array(FOLDS))


def read_split(path: StrPath) -> tuple[np.ndarray, np.ndarray]:
    """Read a split.

    Returns:
        ``fold`` (str [n], in the order of molecule_id; NO_FOLD for a molecule that is not in the task) and ``density``
        (float64 [n]; NaN for these).
    """
    table = read_table(path, SPLIT)
    check_ids(table, table.num_rows, path)
    fold = table["fold"].cast(pa.string()).fill_null(NO_FOLD)
    return fold.to_numpy().astype(str), table["density"].to_numpy()


def read_truth(
    molecules_path: StrPath, split_path: StrPath, property_name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The values of the property (float64 [n]), and :func:`read_split`."""
    y = property_values(read_molecules(molecules_path), property_name, molecules_path)
    return y, *read_split(split_path)


def write_predictions(
    path: StrPath,
    molecule_id: np.ndarray,
    fold: Sequence[str],
    y_pred: np.ndarray,
    y_std: np.ndarray | None = None,
) -> None:
    """Write predictions in native units (and optionally their standard deviation), sorted by molecule."""
    order = np.argsort(molecule_id, kind="stable")
    columns = {
        "molecule_id": pa.array(np.asarray(molecule_id, dtype=np.int64)[order]),
        "fold": fold_array(np.asarray(fold)[order]),
        "y_pred": pa.array(np.asarray(y_pred, dtype=np.float64)[order]),
    }
    if y_std is not None:
        columns["y_std"] = pa.array(np.asarray(y_std, dtype=np.float64)[order])
    write_table(pa.table(columns), path, PREDICTIONS)


def read_predictions(path: StrPath, fold: np.ndarray, molecules: pa.Table | None = None) -> pa.Table:
    """Read predictions and check them against the split that they answer.

    Args:
        path: the predictions file.
        fold: the split's fold of every molecule, str [n].
        molecules: a table of these molecules, with which messages say where each comes from; None: their ids are
            0…n-1.

    Returns:
        The table, sorted by ``molecule_id``.

    Raises:
        ContractError: ids are missing, doubled or unknown, stand in another fold, or a value is not finite.
    """
    table = read_table(path, PREDICTIONS).sort_by("molecule_id")
    ids = table["molecule_id"].to_numpy()
    known = np.arange(len(fold)) if molecules is None else molecules["molecule_id"].to_numpy()
    expected = known[np.isin(fold, PREDICTED_FOLDS)]
    remedy = "every model predicts each molecule of valid, id and ood once; delete the file and rerun"

    def where(ids: np.ndarray) -> str:
        if molecules is None or not np.isin(ids, known).all():
            return f"molecule_id {listed(ids)}"
        return locate(molecules, molecules["smiles"].take(pa.array(np.searchsorted(known, ids))).to_pylist())

    unique, counts = np.unique(ids, return_counts=True)
    for problem, wrong in (
        ("doubled", unique[counts > 1]),
        ("unknown", np.setdiff1d(unique, expected)),
        ("missing", np.setdiff1d(expected, unique)),
    ):
        if len(wrong):
            raise ContractError(f"{path}: {len(wrong)} {problem} molecules ({where(wrong)}); {remedy}")
    moved = ids[table["fold"].to_numpy().astype(str) != fold[np.searchsorted(known, ids)]]
    if len(moved):
        raise ContractError(f"{path}: {where(moved)}: in another fold than in the split; {remedy}")
    for column in ("y_pred", "y_std"):
        if column in table.column_names:
            bad = ids[~np.isfinite(table[column].to_numpy(zero_copy_only=False))]
            if len(bad):
                raise ContractError(
                    f"{path}: {column} of {len(bad)} molecules is not a finite number ({where(bad)}); {remedy}"
                )
    return table

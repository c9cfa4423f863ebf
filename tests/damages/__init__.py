"""All kinds of damage to a user's table and its entry.

Each is a function of the good table and a generator of random numbers, whose docstring says what it does; it returns
a :class:`damages.tables.Variant`, which declares what is to become of it.
"""

from collections.abc import Callable

import numpy as np

from damages import cells, entry, files, rows, text
from damages.tables import Table, Variant

Damage = Callable[[Table, np.random.Generator], Variant]

DAMAGES: dict[str, Damage] = {
    function.__name__: function
    for function in (
        files.marked_encoding,
        files.unmarked_encoding,
        files.zero_byte,
        files.zero_block,
        files.empty,
        files.cut_off,
        files.packed,
        files.damaged_packing,
        files.other_format,
        files.nested_packing,
        files.parquet,
        files.unreadable_parquet,
        files.damaged_parquet,
        files.date,
        text.separator,
        text.wrong_separator,
        text.decimal_comma,
        text.decimal_comma_without_quotes,
        text.doubtful_mark,
        text.other_mark,
        text.line_ends,
        text.quotes,
        text.open_quote,
        text.blank_lines,
        text.comment,
        text.title,
        text.trailing_separators,
        text.uneven_rows,
        text.wrapped_row,
        text.joined_files,
        rows.header_spelt,
        rows.header_wrong,
        rows.header_lost,
        rows.double_column,
        rows.other_columns,
        rows.shuffled,
        rows.repeated,
        rows.contradicting,
        cells.respelled,
        cells.blanks_around,
        cells.atom_maps,
        cells.broken_smiles,
        cells.foreign_smiles,
        cells.empty_smiles,
        cells.huge_smiles,
        cells.broken_label,
        cells.missing_label,
        cells.respelled_label,
        cells.other_unit,
        cells.extreme_unit,
        cells.thousands,
        entry.double_key,
        entry.key_no_text,
        entry.key_in_quotes,
        entry.name_refused,
        entry.unknown_key,
        entry.wrong_type,
        entry.wrong_value,
        entry.sizes_refused,
        entry.wrong_column,
        entry.wrong_file,
        entry.wrong_task,
        entry.lost_key,
        entry.broken_yaml,
        entry.yaml_bytes,
        entry.yaml_spelt,
    )
}

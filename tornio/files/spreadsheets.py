"""Write CSV that a spreadsheet shows and does not compute, and that Tornio reads back as it was.

A spreadsheet takes a cell for a formula that begins with one of a few characters, whoever wrote the text. Such a cell
gets an apostrophe in front, and the column ``escaped`` names the columns of the row in which that was done.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tornio.files.cells import label_cell

ESCAPED = "escaped"
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""Source: OWASP, "CSV injection"; the last four are the same signs in full width."""
_NEGATIVE = re.compile(r"-[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A negative number, which a spreadsheet takes for nothing else."""
_MARK = "'"
_BETWEEN = "|"


def write_csv(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, delimiter: str = ",", escape: bool = True
) -> int:
    """Write rows under a line of column names, and return their number. A list is a cell of labels.

    ``escape``: make texts that look like formulas harmless, and add the column ``escaped``.
    """
    count = 0
    with path.open("w", encoding="utf-8", newline="") as out:
        plain = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        quoted = csv.writer(out, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        plain.writerow([*columns, ESCAPED] if escape else columns)
        for row in rows:
            cells = [label_cell(cell) if isinstance(cell, list) else cell for cell in row]
            cells = _escaped(columns, cells) if escape else cells
            # The csv module does not quote a carriage return by itself, and would read it as the end of the line.
            returns = any(isinstance(cell, str) and "\r" in cell for cell in cells)
            (quoted if returns else plain).writerow(cells)
            count += 1
    return count


def unescaped(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of a row of CSV without the apostrophes that ``write_csv`` put in front of them.

    Another program's file may have a column of this name, so only an apostrophe in front of a formula is taken away.
    """
    names = set((values.get(ESCAPED) or "").split(_BETWEEN))
    return {name: cell[1:] if name in names and _is_escaped(cell) else cell for name, cell in values.items()}


def _is_escaped(cell: Any) -> bool:
    return isinstance(cell, str) and cell.startswith(_MARK) and cell[1:].startswith(_FORMULA)


def _is_formula(cell: str) -> bool:
    return cell.startswith(_FORMULA) and not _NEGATIVE.fullmatch(cell)


def _escaped(columns: Sequence[str], cells: Sequence[Any]) -> list[Any]:
    looks = [isinstance(cell, str) and _is_formula(cell) for cell in cells]
    names = _BETWEEN.join(name for name, look in zip(columns, looks, strict=True) if look)
    return [*(f"{_MARK}{cell}" if look else cell for cell, look in zip(cells, looks, strict=True)), names]

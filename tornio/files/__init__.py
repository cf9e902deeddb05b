"""Read and write data files: CSV, TSV, JSON, JSON lines, Parquet, Arrow, plain lines.

Each format has one reader (in ``delimited``, ``objects`` and ``columnar``), which yields rows. ``open_data`` finds it.
``read_records`` and the like collect the rows, because a file is read whole before anything is sent.
``rows.stream_rows`` streams them, for files of any size. ``cells`` says what a cell means, for all of them.
"""

from tornio.files.reading import open_data
from tornio.files.rows import Columns, Read, Skipped, read_labels, read_records, read_texts
from tornio.files.tables import Format, Options, Reader
from tornio.files.write import writer_for

__all__ = [
    "Columns",
    "Format",
    "Options",
    "Read",
    "Reader",
    "Skipped",
    "open_data",
    "read_labels",
    "read_records",
    "read_texts",
    "writer_for",
]

"""Read and write data files: CSV, TSV, JSON, JSON lines, Parquet, Arrow, plain lines.

Each format has one reader (in ``delimited``, ``objects`` and ``columnar``), which yields rows. ``load`` collects them,
because a file is read whole before anything is sent. ``rows.stream_rows`` streams them, for files of any size.
"""

from tornio.files.reading import load
from tornio.files.rows import Columns, Read, Skipped, read_labels, read_records
from tornio.files.tables import Format, Options
from tornio.files.write import writer_for

__all__ = [
    "Columns",
    "Format",
    "Options",
    "Read",
    "Skipped",
    "load",
    "read_labels",
    "read_records",
    "writer_for",
]

"""Data files in and out: CSV, TSV, JSON lines, Parquet, plain lines. A file is read whole before anything is sent."""

from tornio.files.rows import Columns, Read, Skipped, read_labels, read_records
from tornio.files.tables import Format, Options, load
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

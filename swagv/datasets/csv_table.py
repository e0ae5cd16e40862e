"""CSV tables that people write, read row by row with the line of every mistake."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from swagv.errors import ConfigError


def read_csv(path: Path | str, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and values of each row of a CSV table with a header; further columns are allowed.

    Raises
    ------
    ConfigError
        If there is no such file, it is not text or not CSV, a needed column is absent, or a row has not as many fields
        as the header.
    """
    if not os.path.isfile(path):  # Path.is_file raises on a name that is too long
        raise ConfigError(f"table not found: {str(path)!r}; it must be a CSV file with columns {','.join(needed)}")
    line = 1
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            found = reader.fieldnames or []
            if not set(needed) <= set(found):
                raise ConfigError(f"{path}: columns are {','.join(found) or 'absent'}; need {','.join(needed)}")
            for row in reader:
                line = reader.line_num
                if None in row or None in row.values():
                    raise ConfigError(f"{path}, line {line}: it has not as many fields as the header")
                yield line, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}, after line {line}: {error}; it must be a CSV table in UTF-8") from error

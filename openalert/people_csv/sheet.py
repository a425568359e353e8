"""A file's bytes as rows of named cells. Pure."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from incidents.reports.export import FORMULAS

# In the order in which they are exported.
COLUMNS = (
    "email",
    "name",
    "job_title",
    "phone",
    "time_zone",
    "active",
    "role",
    "teams",
    "contact_methods",
)
OTHER_NAMES = {"e-mail": "email", "email_address": "email", "timezone": "time_zone"}
SEPARATORS = ",;\t"
MOST_ROWS = 10_000
# So that the file, packed and signed, goes through the form that confirms it.
MOST_BYTES = 1_800_000


class FileRefused(Exception):
    """The file as a whole cannot be read. `line` and `column` are counted from 1; 0 where there is none."""

    def __init__(self, detail: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(detail)
        self.detail, self.line, self.column = detail, line, column

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        where += [f"column {self.column}"] if self.column else []
        return f"{', '.join(where).capitalize()}: {self.detail}" if where else self.detail


@dataclass(frozen=True)
class Row:
    """`line` is where it begins in the file; `cells` has the columns that the file has, without spaces around them."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Sheet:
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def number_of(self, column: str) -> int:
        """Counted from 1, as spreadsheets do."""
        return self.columns.index(column) + 1


def decode(data: bytes) -> str:
    """Raises FileRefused unless it is UTF-8, with or without a byte order mark."""
    if len(data) > MOST_BYTES:
        raise FileRefused(
            f"The file has {len(data):,} bytes, and may have {MOST_BYTES:,}. Split it into several."
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileRefused("The file is UTF-16 text. Save it as “CSV UTF-8” and upload that.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileRefused(
            "The file is not UTF-8: some of its letters are in another encoding. Save it as “CSV UTF-8” and upload that.",
            line=data.count(b"\n", 0, error.start) + 1,
        ) from error
    if "\0" in text:
        raise FileRefused("This is no text file.", line=text.count("\n", 0, text.index("\0")) + 1)
    return text


def read(text: str) -> Sheet:
    """Rows separated by commas, semicolons or tabs, whichever its first line has most of. Raises FileRefused."""
    records = _records(text)
    first = next(records, None)
    if first is None:
        raise FileRefused("The file is empty.")
    columns = _columns(*first)
    rows: list[Row] = []
    for line, record in records:
        if len(rows) == MOST_ROWS:
            raise FileRefused(f"The file has more than {MOST_ROWS:,} people. Split it.", line=line)
        if len(record) > len(columns):
            raise FileRefused(
                f"There are {len(record)} cells, and {len(columns)} columns have a name. "
                "A cell that contains the separator has to stand in quotes.",
                line=line,
                column=len(columns) + 1,
            )
        cells = [unguarded(cell.strip()) for cell in record] + [""] * (len(columns) - len(record))
        rows.append(Row(line, dict(zip(columns, cells, strict=True))))
    if not rows:
        raise FileRefused("There is nobody in the file: it has nothing but the names of its columns.")
    return Sheet(columns, tuple(rows))


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """With the line that each begins in. Empty lines are left out."""
    head = text.lstrip("\r\n").partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    begins = 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                yield begins, record
            begins = reader.line_num + 1
    except csv.Error as error:
        detail = f"This is not written as CSV ({error}). Look for a quotation mark that is not closed or not doubled."
        raise FileRefused(detail, line=begins) from error


def _columns(line: int, record: list[str]) -> tuple[str, ...]:
    columns: list[str] = []
    for number, cell in enumerate(record, 1):
        name = cell.strip().lower().replace(" ", "_")
        name = OTHER_NAMES.get(name, name)
        if name not in COLUMNS:
            raise FileRefused(
                f"There is no column “{cell.strip()[:60]}”. The columns are {', '.join(COLUMNS)}.",
                line=line,
                column=number,
            )
        if name in columns:
            raise FileRefused(f"There are two columns “{name}”.", line=line, column=number)
        columns.append(name)
    if "email" not in columns:
        raise FileRefused("The column “email” is missing: people are told apart by it.", line=line)
    return tuple(columns)


def guarded(text: str) -> str:
    """Fit for a spreadsheet, which would take what begins so for a formula. `unguarded` gives it back."""
    return f"'{text}" if text.startswith((*FORMULAS, "'")) else text


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith((*FORMULAS, "'")) else text


def joined(parts: list[tuple[str, str]]) -> str:
    """Several pairs in one cell: “Payments: manager; Search: observer”. A name with a semicolon stands in quotes."""
    file = io.StringIO()
    csv.writer(file, delimiter=";", lineterminator="").writerow(f"{name}: {value}" for name, value in parts)
    return (
        file.getvalue().replace(";", "; ")
        if not any(";" in name + value for name, value in parts)
        else file.getvalue()
    )


def split(cell: str, *, at_first: bool = False) -> list[tuple[str, str]]:
    """The other way. A name may have colons, if it is not said that a value may. Raises ValueError with a sentence."""
    try:
        [parts] = csv.reader([cell], delimiter=";", skipinitialspace=True, strict=True)
    except (csv.Error, ValueError) as error:
        raise ValueError("A quotation mark is not closed.") from error
    pairs = []
    for part in filter(None, map(str.strip, parts)):
        name, colon, value = part.partition(":") if at_first else part.rpartition(":")
        if not colon or not name.strip() or not value.strip():
            raise ValueError(f"“{part[:60]}” lacks its second half: write it like “{part[:60]}: …”.")
        pairs.append((name.strip(), value.strip()))
    return pairs

"""What the columns of a data set mean: the options that every converter of rows shares.

A column is one of a table, of a table joined to it, or a named part of a path. Its name is looked up in all of them,
so a recipe says what a column means and never where it came from. Labels come in two forms: one finding a column
(`LabelColumn`) and findings listed in one cell (`LabelList`). Blank is never absent; a cell that no option lists is an
error of its row and never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ingest.origin import check_source
from ingest.rights import Rights
from ingest.statements import LabelOrigin, Scope, Value, check_attributes, check_modality, check_specialty, check_values
from ingest.table_file import BLANK, JoinTable, check_parts
from shards.attributes import UNSAID, encode
from shards.stage import Contract, Kind

_RANGE = re.compile(r"(\d{1,6})\.\.(\d{1,6})")
State = Literal["present", "absent", "uncertain", "unstated"]
STATED_FPS = "stated frames per second"  # name inside of the column that says the rate of clips whose files say none


@dataclass(frozen=True, kw_only=True)
class LabelColumn:
    """One finding a column: which cell says what. A blank cell says nothing; a cell that is not listed is an error."""

    column: str | tuple[str, ...]  # several columns of the same states are several findings
    name: str = ""  # as a caption would word it; the column's name where it is empty
    states: Mapping[str, State]
    origin: LabelOrigin = "expert"
    scope: Scope | None = None  # default: `label_scope` of the rows

    def __post_init__(self) -> None:
        if blank := sorted(cell for cell in self.states if cell.strip().lower() in BLANK):
            raise ValueError(f"states: {blank} are read as blank, which says nothing; remove them")
        if self.name and not isinstance(self.column, str):
            raise ValueError(f"name: {self.name!r} cannot be the name of several columns; give each its own entry")

    def each(self) -> Iterator[tuple[str, str]]:
        """(column, words) of each finding."""
        columns = (self.column,) if isinstance(self.column, str) else self.column
        yield from ((column, self.name or column) for column in columns)


@dataclass(frozen=True, kw_only=True)
class LabelList:
    """Findings named in one cell. What is not named is not stated."""

    column: str
    separator: str | tuple[str, ...] = ""  # between entries, one or several; without any the cell is one entry
    form: Literal["text", "python", "json"] = "text"  # python, json: a list, or a mapping whose keys are the entries
    names: Mapping[str, str] = field(default_factory=dict)  # entry -> words
    names_table: NamesTable | None = None  # the same as a table of the data set
    others: Literal["keep", "drop", "reject"] = "keep"  # an entry that `names` lacks
    drop: tuple[str, ...] = ()  # entries that say nothing of the picture
    uncertain: tuple[str, ...] = ()  # entries that state a possibility
    # the values of a mapping are likelihoods: one below this is a possibility, 0 says that none was given; without
    # this option values are not read
    uncertain_below: float | None = None
    origin: LabelOrigin = "expert"
    scope: Scope | None = None

    def __post_init__(self) -> None:
        if self.separator and self.form != "text":
            raise ValueError(f"separator: a cell in the form of {self.form} has none; remove one of the two")
        if "" in self.separators and self.separator:
            raise ValueError("separator: one of several is empty; remove it")
        if self.uncertain_below is not None and (self.form == "text" or not self.uncertain_below > 0):
            raise ValueError(
                "uncertain_below must be above 0, and needs `form: python` or `json`, whose values it reads"
            )

    @property
    def separators(self) -> tuple[str, ...]:
        """What stands between entries."""
        return (self.separator,) if isinstance(self.separator, str) else self.separator


@dataclass(frozen=True, kw_only=True)
class NamesTable:
    """A table that words the codes of another one."""

    table: str
    code: str  # column
    name: str  # column


@dataclass(frozen=True, kw_only=True)
class AttributeColumn:
    """An attribute whose cells need words of ours; what then does not fit the attribute's form is unknown."""

    column: str
    values: Mapping[str, Value] = field(default_factory=dict)  # cell -> value; other cells are kept as they are
    others: Literal["keep", "drop"] = "keep"
    or_column: str = ""  # column that is read where `column` is blank
    since: str = ""  # column: the value is the years from it (its first four digits) to `column`
    scale: float = 1.0  # of a number


@dataclass(frozen=True, kw_only=True)
class CaptionColumn:
    """A text of the source that is cleaned before it is a caption, and worded as what it is."""

    column: str
    clean: Literal["report", "command", "line"] = "line"  # see ingest.source_text
    wording: str = "{}"  # around the text: "From a study with this report: {}"
    drop: tuple[str, ...] = ()  # cells that say nothing: "Not given."

    def __post_init__(self) -> None:
        if self.wording.count("{}") != 1 or set(self.wording.replace("{}", "")) & {"{", "}"}:
            raise ValueError(f"wording {self.wording!r} must hold {{}} once, where the text stands, and no other brace")


@dataclass(frozen=True, kw_only=True)
class DisplayColumns:
    """Columns that say which values of a deep picture are black and white, as two ends or as a window."""

    low: str = ""
    high: str = ""
    centre: str = ""
    width: str = ""
    bits: str = ""  # column with the bits that are used, for rows whose two cells are blank
    offset: float = 0.0  # stored value minus the value that the columns speak of

    def __post_init__(self) -> None:
        if bool(self.low and self.high) == bool(self.centre and self.width):
            raise ValueError("display needs either low and high or centre and width")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        ends = (self.low, self.high) if self.low else (self.centre, self.width)
        return (*ends, self.bits) if self.bits else ends

    def ends(self, first: float | None, second: float | None, bits: float | None = None) -> tuple[float, float] | None:
        """Black and white in stored values; None where the cells give no range."""
        if first is None or second is None:
            return (0.0, 2.0**bits - 1) if bits is not None and 1 <= bits <= 16 else None
        low, high = (first, second) if self.low else (first - second / 2, first + second / 2)
        return (low + self.offset, high + self.offset) if low < high else None


@dataclass(frozen=True, kw_only=True)
class TextFiles:
    """A column made of text files, one of which belongs to each row; one that cannot be read rejects its row."""

    column: str  # its name
    path: str  # of the file, with columns in braces: "files/p{subject_id}/s{study_id}.txt"
    sections: tuple[str, ...] = ()  # headings whose text is kept, in this order; without any, the whole file
    keys: tuple[str, ...] = ()  # of lines `key: value` or `key = value`: each is a column of its own name, too
    missing: Literal["keep", "reject"] = "keep"  # rows without a file or a key; cells of one that is kept are blank

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it gives."""
        return (self.column, *self.keys)


_MEANING = 3  # raise it when the same cells mean other rows in all converters


def row_contract(version: int) -> Contract:
    """What converters of rows give; `version` is that of one converter."""
    filled = ("media", "captions", "labels", "attributes", "group", "license", "terms")
    return Contract(gives=Kind.MANIFEST, adds=filled, version=100 * _MEANING + version)


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """Options shared by all converters that make rows of columns."""

    source: str  # plain name; each sample's key starts with it
    rights: Rights
    parts: Mapping[str, str] = field(default_factory=dict)  # column -> expression whose (?P<named>groups) are columns
    join: tuple[JoinTable, ...] = ()
    caption: str | CaptionColumn | None = None  # column
    template: tuple[str, ...] = ()  # how a caption is phrased where the source has none (shards.phrasing)
    patient: str | None = None  # column
    study: str | None = None  # column
    source_id: str | None = None  # column with the id in the original collection
    group: str | None = None  # column: the unit of splitting where neither patient nor study is known
    group_is: Literal["series", "lesion", "article", "video", "slide"] = "series"
    official_split: str | None = None  # column
    split_names: Mapping[str, Literal["train", "val", "test"]] = field(default_factory=dict)  # cell, or 1..40 -> split
    license_column: str | None = None  # where rows differ
    blank_license: Literal["reject", "rights"] = "reject"  # a row without a licence of its own
    license_names: Mapping[str, str] = field(default_factory=dict)  # cell -> SPDX id
    modality: str | None = None
    modality_column: str | None = None
    modality_codes: Mapping[str, str] = field(default_factory=dict)  # cell -> code; a cell that is a code needs none
    specialty: str | None = None
    specialty_column: str | None = None
    specialty_names: Mapping[str, str] = field(default_factory=dict)  # cell -> name in the vocabulary
    labels: tuple[LabelColumn, ...] = ()
    label_lists: tuple[LabelList, ...] = ()
    label_scope: Scope = "image"  # of captions, and of labels that have none of their own
    attributes: Mapping[str, Value] = field(default_factory=dict)  # the same for all rows
    attribute_columns: Mapping[str, str | AttributeColumn] = field(default_factory=dict)  # a cell precedes the constant
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column -> cells; other rows are not offered
    reject: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # column -> cell -> reason code
    url: str | None = None
    collection: str = ""  # the original collection where this is a derived one

    def __post_init__(self) -> None:
        from shards.phrasing import check_template
        from shards.reasons import Reason

        check_source(self.source)
        check_parts(self.parts)
        self.named_splits()
        check_modality(self.modality)
        check_specialty(self.specialty)
        check_attributes(self.attributes)
        encode(dict.fromkeys(self.attribute_columns, None))
        for name, cell in self.attribute_columns.items():
            values = () if isinstance(cell, str) else cell.values.values()
            check_values(name, [value for value in values if str(value).lower() not in UNSAID])
        for codes, check in ((self.modality_codes, check_modality), (self.specialty_names, check_specialty)):
            for value in codes.values():
                check(value)
        for license_name in self.license_names.values():
            Rights(license=license_name)
        for column, reasons in self.reject.items():
            for reason in reasons.values():
                if reason not in set(Reason):
                    raise ValueError(f"reject: {column} has the unknown reason {reason!r}: use excluded_by_name")
        for template in self.template:
            check_template(template)

    def check_given(self) -> None:
        """ValueError where neither an option nor a column gives the modality or the specialty."""
        for name in ("modality", "specialty"):
            if getattr(self, name) is None and getattr(self, f"{name}_column") is None:
                raise ValueError(f"{name} is not given: set `{name}` for all, or `{name}_column`")

    def named_splits(self) -> dict[str, str]:
        """`split_names` with a range of numbers (`1..40`) as each of them; ValueError where it does not rise."""
        found: dict[str, str] = {}
        for cell, split in self.split_names.items():
            ends = _RANGE.fullmatch(cell)
            numbers = range(int(ends[1]), int(ends[2]) + 1) if ends else None
            if numbers is not None and not numbers:
                raise ValueError(f"split_names: {cell!r} is no range; write the smaller number first")
            found |= dict.fromkeys([cell] if numbers is None else map(str, numbers), split)
        return found

    def columns(self) -> dict[str, str]:
        """All columns that are read: {name inside: name in the data set}."""
        own = ("patient", "study", "source_id", "group", "official_split", "license_column")
        found = {name: getattr(self, name) for name in (*own, "modality_column", "specialty_column")}
        found["caption"] = self.caption.column if isinstance(self.caption, CaptionColumn) else self.caption
        found |= {f"label {i}": column for i, (_, column, _) in enumerate(self.findings())}
        found |= {f"list {i}": listed.column for i, listed in enumerate(self.label_lists)}
        for name, cell in self.attribute_columns.items():
            found[f"attribute {name}"] = cell if isinstance(cell, str) else cell.column
            if isinstance(cell, AttributeColumn) and cell.or_column:
                found[f"or {name}"] = cell.or_column
            if isinstance(cell, AttributeColumn) and cell.since:
                found[f"since {name}"] = cell.since
        found |= {f"only {i}": column for i, column in enumerate(self.only)}
        found |= {f"reject {i}": column for i, column in enumerate(self.reject)}
        return {name: column for name, column in found.items() if column is not None}

    def stated_rights(self) -> Mapping[str, Rights]:
        """Rights by their licence, where the options state more than its text says."""
        return {self.rights.license: self.rights}

    def findings(self) -> list[tuple[LabelColumn, str, str]]:
        """(option, column, words) of each finding that has a column."""
        return [(label, column, words) for label in self.labels for column, words in label.each()]

"""How a study refers to a corpus: by its name in the catalogue, as the user's own files, or as a Hugging Face
data set.
"""

from __future__ import annotations

from functools import partial
from operator import eq
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from harness.config import FROM_LIST, Config
from harness.data.catalogue import CATALOGUE, SHIPPED_CORPORA
from harness.data.splits import Fractions

Column = Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=1)]
Files = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], FROM_LIST]


class NamedCorpus(Config):
    """A corpus of the catalogue. With `share`, only that share of its training text is used, together with
    the full validation and test sets.

    A smaller share is part of a larger one. A share of running text is its beginning; a share of pairs is a
    fixed draw of their sources.
    """

    kind: Literal["named"] = "named"
    name: str
    """The name of a corpus of the catalogue. `harness data list` shows them."""

    share: float = Field(default=1.0, gt=0.0, le=1.0, exclude_if=partial(eq, 1.0))
    """The share of the training text that is used."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in CATALOGUE:
            raise ValueError(f"unknown corpus {name!r}; {CATALOGUE.hint(name)}")
        return name

    @model_validator(mode="after")
    def _is_trained_on(self) -> Self:
        if self.share < 1.0 and "train" not in CATALOGUE[self.name].splits:
            raise ValueError(
                f"share is for text to train on, but {self.name} has no split train; leave it out"
            )
        return self


class _Columns(Config):
    """Either `column`, for text, or `source` and `target`, for translation pairs."""

    column: Column | None = None
    """The column of running text: its name in the header line of a .tsv file or in the objects of a .jsonl
    file, or in a .tsv file without a header line its number, counted from 1.
    """

    source: Column | None = None
    """The column of the sources of translation pairs: its name, or its number in a .tsv file."""

    target: Column | None = None
    """The column of the targets of translation pairs: its name, or its number in a .tsv file."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.source is None) != (self.target is None):
            raise ValueError("give both source and target, or neither")
        if self.source is not None and self.column is not None:
            raise ValueError("give either column (text) or source and target (pairs)")
        return self


class FilesCorpus(_Columns):
    """The user's own text. A .txt or .txt.gz file is running text; a .tsv or .jsonl file has a column of
    text, or columns of sources and targets.

    Give either `files`, of which `fractions` are held out, or `train` and optionally `valid` and `test`. A
    column is given by its name, or in a .tsv file without a header row by its number, counted from 1.
    Relative paths start at the working directory.
    """

    kind: Literal["files"] = "files"
    files: Files = ()
    """Files that are divided into training, validation and test text."""

    fractions: Fractions = Fractions()
    """The fractions of the files that are held out."""

    train: Files = ()
    """Files with text to train on, instead of `files`."""

    valid: Files = ()
    """Files with text for validation."""

    test: Files = ()
    """Files with text for the test."""

    @model_validator(mode="after")
    def _one_division(self) -> Self:
        if bool(self.files) == bool(self.train):
            raise ValueError("give either files (fractions of them are held out) or train, valid and test")
        for split, held_out in (("valid", self.valid), ("test", self.test)):
            if common := sorted({*self.train} & {*held_out}):
                raise ValueError(
                    f"{common[0]} is under both train and {split}, so a model would be evaluated on the text "
                    "that it was trained on"
                )
        if self.files and (self.valid or self.test):
            raise ValueError("valid and test need train; with files, use fractions instead")
        if self.train and "fractions" in self.model_fields_set and self.fractions != Fractions():
            raise ValueError(
                "fractions need files; leave them out, because train, valid and test are already separate"
            )
        return self


class HfCorpus(_Columns):
    """A Hugging Face data set (needs the extra `data`): `dataset` is a name on the hub or a local folder.

    `train`, `valid` and `test` are the data set's own names of its splits, or null if it has no such split.
    At most `rows` rows of each split are streamed. A dot leads into a column that has columns
    (`translation.en`). Without `revision` the newest revision is used.
    """

    kind: Literal["hf"] = "hf"
    dataset: str = Field(min_length=1)
    """The name of a data set on the hub of Hugging Face, or a local folder."""

    config: str | None = None
    """The configuration of the data set, if it has several."""

    revision: str | None = None
    """The revision of the data set. Default: the newest one."""

    train: str = "train"
    """The data set's name of its training split."""

    valid: str | None = "validation"
    """The data set's name of its validation split, or null if it has none."""

    test: str | None = "test"
    """The data set's name of its test split, or null if it has none."""

    rows: int | None = Field(default=None, gt=0)
    """The largest number of rows that are read of each split."""

    @model_validator(mode="after")
    def _columns_by_name(self) -> Self:
        if self.column is None and self.source is None:
            raise ValueError("give the column of the text, or the columns source and target")
        if any(isinstance(column, int) for column in (self.column, self.source, self.target)):
            raise ValueError("give the columns of a data set by their names, not by numbers")
        if self.train in (self.valid, self.test):
            raise ValueError(f"split {self.train} cannot be both the training text and a held-out text")
        return self


class VectorsFile(Config):
    """The user's own word vectors, one word per line, in the format of GloVe or fastText (.vec), plain or
    .gz.
    """

    kind: Literal["vectors"] = "vectors"
    file: str = Field(min_length=1)
    """The file with one word and its vector per line."""


def _spelt_out(name: Any) -> Any:
    return {"name": name} if isinstance(name, str) else name


def _form(value: Any) -> str | None:
    if isinstance(value, str):
        return "name"
    return value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)


_Name = Annotated[
    NamedCorpus,
    BeforeValidator(_spelt_out),
    WithJsonSchema({"type": "string", "enum": sorted(SHIPPED_CORPORA)}),
]

CorpusRef = Annotated[
    Annotated[_Name, Tag("name")]
    | Annotated[NamedCorpus, Tag("named")]
    | Annotated[FilesCorpus, Tag("files")]
    | Annotated[HfCorpus, Tag("hf")]
    | Annotated[VectorsFile, Tag("vectors")],
    Discriminator(
        _form,
        custom_error_type="corpus",
        custom_error_message="a corpus is a name or a mapping with kind named, files, hf or vectors",
    ),
]
"""The type of a config's field that refers to a corpus: a plain name becomes a NamedCorpus."""


def reference_name(reference: NamedCorpus | FilesCorpus | HfCorpus | VectorsFile) -> str:
    """The name of a corpus for people: that of the catalogue, of its first file or of its data set."""
    match reference:
        case NamedCorpus(name=name, share=share):
            return name if share == 1.0 else f"{name} ({share:.3g} of it)"
        case FilesCorpus(files=files, train=train):
            return (files or train)[0]
        case HfCorpus(dataset=dataset):
            return dataset
        case VectorsFile(file=file):
            return file


def entire(
    reference: NamedCorpus | FilesCorpus | HfCorpus | VectorsFile,
) -> NamedCorpus | FilesCorpus | HfCorpus | VectorsFile:
    """The corpus without its share: a share has the validation and test sets of the entire corpus."""
    return reference.model_copy(update={"share": 1.0}) if isinstance(reference, NamedCorpus) else reference

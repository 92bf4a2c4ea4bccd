"""How a study names a corpus: by its name in the catalogue, as files of one's own, or as a Hugging Face data
set.
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
from harness.data.catalogue import CATALOGUE
from harness.data.splits import Fractions
from harness.errors import did_you_mean

Column = Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=1)]
Files = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], FROM_LIST]


class NamedCorpus(Config):
    """A corpus of the catalogue, or less of it: `share` of what there is to train on, all of what is held
    out.

    A smaller share is part of a larger one. Of running text it is the beginning, of pairs a fixed draw of
    their sources.
    """

    kind: Literal["named"] = "named"
    name: str
    share: float = Field(default=1.0, gt=0.0, le=1.0, exclude_if=partial(eq, 1.0))

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in CATALOGUE:
            hint = did_you_mean(name, CATALOGUE)
            raise ValueError(f"unknown corpus {name!r}" + (f"; {hint}" if hint else ""))
        return name

    @model_validator(mode="after")
    def _is_trained_on(self) -> Self:
        if self.share < 1.0 and "train" not in CATALOGUE[self.name].splits:
            raise ValueError(f"share is of text to train on, and {self.name} is none; leave it out")
        return self


class _Columns(Config):
    """Either `column`, for text, or `source` and `target`, for translation pairs."""

    column: Column | None = None
    source: Column | None = None
    target: Column | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.source is None) != (self.target is None):
            raise ValueError("source and target go together")
        if self.source is not None and self.column is not None:
            raise ValueError("give column (text) or source and target (pairs), not both")
        return self


class FilesCorpus(_Columns):
    """One's own text: .txt and .txt.gz as they are; .tsv and .jsonl by column, of text or of source and
    target.

    Either `files`, of which `fractions` are held out, or `train` and, as wanted, `valid` and `test`. Columns
    are names, or in a .tsv without a header row numbers counting from 1. Relative paths start at the working
    directory.
    """

    kind: Literal["files"] = "files"
    files: Files = ()
    fractions: Fractions = Fractions()
    train: Files = ()
    valid: Files = ()
    test: Files = ()

    @model_validator(mode="after")
    def _one_division(self) -> Self:
        if bool(self.files) == bool(self.train):
            raise ValueError("give files (some of it is held out) or train, valid and test, not both")
        if self.files and (self.valid or self.test):
            raise ValueError("valid and test are files beside train; with files, use fractions")
        if self.train and "fractions" in self.model_fields_set and self.fractions != Fractions():
            raise ValueError("fractions are held out of files; train, valid and test are divided already")
        return self


class HfCorpus(_Columns):
    """A Hugging Face data set (extra `data`): `dataset` is a name on the hub or a local folder.

    `train`, `valid` and `test` are the data set's own names of its splits, null where there is none; at most
    `rows` rows of each are streamed. A dot steps into a column (`translation.en`). Without a `revision` the
    newest one is taken.
    """

    kind: Literal["hf"] = "hf"
    dataset: str = Field(min_length=1)
    config: str | None = None
    revision: str | None = None
    train: str = "train"
    valid: str | None = "validation"
    test: str | None = "test"
    rows: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _columns_by_name(self) -> Self:
        if self.column is None and self.source is None:
            raise ValueError("say which column holds the text, or source and target")
        if any(isinstance(column, int) for column in (self.column, self.source, self.target)):
            raise ValueError("columns of a data set have names, not numbers")
        return self


class VectorsFile(Config):
    """Word vectors of one's own, a word a line: as GloVe writes them or fastText (.vec), plain or .gz."""

    kind: Literal["vectors"] = "vectors"
    file: str = Field(min_length=1)


def _spelt_out(name: Any) -> Any:
    return {"name": name} if isinstance(name, str) else name


def _form(value: Any) -> str | None:
    if isinstance(value, str):
        return "name"
    return value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)


_Name = Annotated[
    NamedCorpus, BeforeValidator(_spelt_out), WithJsonSchema({"type": "string", "enum": sorted(CATALOGUE)})
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
        custom_error_message="a corpus is a name, or a mapping whose kind is named, files, hf or vectors",
    ),
]
"""For a field of a config: a plain name becomes a NamedCorpus."""

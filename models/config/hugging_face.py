"""The config of a causal language model of Hugging Face's transformers. Reading one needs the extra `hf`."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.models.config.base import CacheKind, Count, Probability
from harness.models.config.own import OwnDecoderConfig

if TYPE_CHECKING:
    from torch import nn

    from harness.models.hugging_face.architecture import ResolvedModel
    from harness.models.hugging_face.decoder import HuggingFaceDecoder

CONFIG_FILE = "config.json"
INSTALL = "pip install 'transformer-harness[hf]'"

# What a checkpoint's settings say about the file itself, and not about the model.
_ABOUT_THE_FILE = {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"}

FileStamp = tuple[int, int, int]


class HuggingFaceConfig(OwnDecoderConfig):
    """A causal language model of transformers: either `architecture`, with random weights, or `checkpoint`.

    `architecture` has a `model_type`, such as llama, and settings of that type. It has a vocabulary of
    `vocab_size` and room for `max_positions`, unless it says otherwise. `checkpoint` is a local folder with
    config.json and safetensors files. When a study is read, `architecture` becomes the content of its
    config.json, and `sha256` the digest of its weights. Tokens from `vocab_size` on are never predicted.

    `dropout` replaces every dropout of the architecture.
    """

    caches: ClassVar[tuple[CacheKind, ...]] = ("none", "dynamic", "static")

    kind: Literal["hf"] = "hf"
    architecture: dict[str, Any]
    """The settings of a model with random weights, in the words of its config.json, with a `model_type`."""

    checkpoint: str | None = Field(default=None, min_length=1)
    """A local folder with config.json and safetensors files, instead of `architecture`."""

    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """The digest of the weights of a checkpoint. The harness fills it in when it reads the study."""

    attention: Literal["sdpa", "eager"] = "sdpa"
    """The implementation of attention that transformers uses."""

    dropout: Probability | None = None
    """Replaces every dropout of the architecture."""

    vocab_size: Count
    """The number of tokens that the model predicts. Default: that of the architecture."""

    max_positions: Count
    """The largest number of positions that the model can see. Default: that of the architecture."""

    @model_validator(mode="before")
    @classmethod
    def _read_checkpoint(cls, document: Any) -> Any:
        if not isinstance(document, dict):
            return document
        settings = dict(document)
        if settings.get("checkpoint") is not None and settings.get("sha256") is None:
            if "architecture" in settings:
                raise ValueError("give either architecture (random weights) or checkpoint (a folder)")
            folder = Path(str(settings["checkpoint"]))
            settings |= {"architecture": _read_settings(folder), "sha256": weights_sha256(folder)}
        if not isinstance(settings.get("architecture"), dict):
            raise ValueError(  # noqa: TRY004  pydantic reports only a ValueError
                "give architecture, a mapping with a model_type, or checkpoint, a folder with a model"
            )
        if "vocab_size" in settings and "max_positions" in settings:
            return settings
        complete = _transformers().complete_settings(settings["architecture"])
        return {
            "vocab_size": complete["vocab_size"],
            "max_positions": complete["max_position_embeddings"],
            **settings,
        }

    @model_validator(mode="after")
    def _can_be_decoded(self) -> Self:
        if (self.checkpoint is None) != (self.sha256 is None):
            raise ValueError("sha256 is that of the weights of a checkpoint; leave it out")
        model = self.resolved()
        for name, most in (("vocab_size", model.vocab_size), ("max_positions", model.max_positions)):
            if most is not None and getattr(self, name) > most:
                raise ValueError(f"{name} {getattr(self, name)} is more than the {most} of the architecture")
        return self

    def resolved(self) -> ResolvedModel:
        """What transformers makes of the settings. Raises ValueError if it is no model that can be decoded
        here, or if transformers is not installed.
        """
        module = _transformers()
        sizes = module.ModelSizes(self.vocab_size, self.max_positions) if self.checkpoint is None else None
        model: ResolvedModel = module.resolve(
            json.dumps(self.architecture), attention=self.attention, dropout=self.dropout, sizes=sizes
        )
        return model

    def build(self) -> HuggingFaceDecoder:
        if self.checkpoint is None:
            return self.build_for_weights()
        folder = Path(self.checkpoint)
        if weights_sha256(folder) != self.sha256:
            raise ValueError(f"the weights in {folder} have changed since the study was read; run again")
        return self._decoder(self.resolved().load(folder))

    def build_for_weights(self) -> HuggingFaceDecoder:
        return self._decoder(self.resolved().build())

    def _decoder(self, model: nn.Module) -> HuggingFaceDecoder:
        from harness.models.hugging_face.decoder import HuggingFaceDecoder

        return HuggingFaceDecoder(self, model, self.resolved().cache_argument)

    def parameter_count(self) -> int:
        return self.resolved().parameters

    def flops_per_token(self, *, keys: int) -> int:
        model = self.resolved()
        attention = 2 * keys * model.layers * model.heads * model.head_width
        return 2 * (model.matrix_values + attention)

    def cache_bytes(self, kind: CacheKind, *, batch: int, positions: int, bytes_per_value: int) -> int:
        if kind == "none":
            return 0
        return batch * positions * self.resolved().cached_values * bytes_per_value


def _transformers() -> Any:
    """The module that uses transformers. Raises ValueError if transformers is not installed."""
    try:
        from harness.models.hugging_face import architecture
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ValueError(f"models of kind hf need transformers, which is not installed; {INSTALL}") from error
    return architecture


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the checkpoint has no {CONFIG_FILE} that can be read: {path}: {error}; relative paths start at "
            "the working directory"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a JSON object")  # noqa: TRY004  pydantic reports only a ValueError
    return {name: value for name, value in content.items() if name not in _ABOUT_THE_FILE}


def checkpoint_files(folder: Path) -> list[Path]:
    """The weights of a checkpoint, which may be in several files. Raises ValueError if there are none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ValueError(
            f"the checkpoint {folder} has no file *.safetensors; formats that can run code are not read"
        )
    return files


def weights_sha256(folder: Path) -> str:
    """The digest of the weights: of the names and contents of their files. Raises ValueError."""
    try:
        stamps = tuple((str(path), _file_stamp(path)) for path in checkpoint_files(folder))
        return _sha256(stamps)
    except OSError as error:
        raise ValueError(f"the checkpoint {folder} cannot be read: {error}") from error


def _file_stamp(path: Path) -> FileStamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=64)
def _sha256(files: tuple[tuple[str, FileStamp], ...]) -> str:
    """Files are read again only if their stamps have changed."""
    digest = hashlib.sha256()
    for name, _ in files:
        with Path(name).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{Path(name).name}:{content}\n".encode())
    return digest.hexdigest()

"""Where a text encoder comes from: a folder, a file inside a package, or a hub id, and the hash of its weights.

The encoder is part of a trained model though its weights are not stored with it, so their SHA-256 is recorded and
compared when the model is loaded again. Nothing is read but safetensors, or a state dict that loads with
`weights_only`; no code of a model folder is ever run. Standard library at the top: stages hold a source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shards.canonical import sha256_file, sha256_of
from shards.uri import local_path

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")  # in the order in which they are preferred


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """A frozen text encoder. Raises ValueError for values that cannot be meant."""

    name: str  # hub id; or a folder: an absolute path, one that starts with `./`, or `package://<package>/<folder>`
    sha256: str = ""  # of its weights; empty: whatever is found, which is then recorded
    revision: str = "main"  # of a hub id
    max_tokens: int = 64  # longer captions are cut

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("text_encoder: name one, for example emilyalsentzer/Bio_ClinicalBERT")
        if self.sha256 and (len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef")):
            raise ValueError("text_encoder_sha256: 64 lower-case hexadecimal digits are needed, or nothing")
        if self.max_tokens < 2:
            raise ValueError(f"max_tokens: {self.max_tokens} leaves no room for a word; 64 is usual")

    @property
    def folder(self) -> Path | None:
        """The local folder that is named, or None for a hub id."""
        if "://" in self.name or self.name.startswith(("/", "./", "../", "~")):
            found = local_path(self.name)
            return found.expanduser() if found else None
        return None

    def fetch(self) -> Path:
        """The folder with the encoder's files; a hub id is downloaded into the hub's cache unless it is there.

        Raises FileNotFoundError where there is no such folder or it has no weights, ValueError where the hash differs.
        """
        folder = self.folder or _from_hub(self.name, self.revision)
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"text_encoder: {folder} has no config.json, so it is no Hugging Face model folder")
        if self.sha256 and (found := weights_sha256(folder)) != self.sha256:
            raise ValueError(
                f"text_encoder: the weights in {folder} have the SHA-256 {found} and {self.sha256} was asked for; "
                "find the right weights, or change text_encoder_sha256 and encode again"
            )
        return folder

    def token(self) -> str:
        """What identifies the encoder in a fingerprint, without reading its weights."""
        if self.sha256:
            return self.sha256
        if not self.folder:
            return f"{self.name}@{self.revision}"
        files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in weight_files(self.folder)]
        return sha256_of([self.name, files])


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a model folder; FileNotFoundError where there are none of a safe format."""
    for pattern in WEIGHTS:
        if found := sorted(folder.glob(pattern)):
            return found
    raise FileNotFoundError(f"{folder} has neither {' nor '.join(WEIGHTS)}")


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the one weight file, or of the names and hashes of several."""
    files = weight_files(folder)
    if len(files) == 1:
        return sha256_file(files[0])
    return sha256_of([(path.name, sha256_file(path)) for path in files])


def _from_hub(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    texts = ["*.json", "*.txt", "*.model"]
    folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*texts, "*.safetensors"]))
    if not list(folder.glob("*.safetensors")):  # older repositories have a state dict alone
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*texts, "pytorch_model*.bin"]))
    return folder

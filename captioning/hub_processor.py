"""The processor of a vision-language model: what turns pictures and a chat into the tensors that the model takes.

The processors of many models also hold one for videos, which needs torchvision, though clips are shown here as several
pictures. Where the whole processor does not load for want of a package, it is built without its parts for video and
sound: from the same files, by the same class, so that prompts and pixels are those of the model's makers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from shards.stage import UserError

NAMED_IN = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")


def load_processor(folder: Path, *, trust_remote_code: bool) -> Any:
    """The processor in `folder`, padding on the left. Raises UserError where there is none for pictures and chats."""
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    try:
        processor = transformers.AutoProcessor.from_pretrained(folder, **local)
    except ImportError as error:
        processor = _without_video(folder, local, error)
    except (OSError, ValueError) as error:
        raise UserError(f"model: {folder} has no processor that transformers loads: {error}") from error
    for part in ("image_processor", "tokenizer"):
        if getattr(processor, part, None) is None:
            raise UserError(f"model: {folder} has no {part}, so it cannot be asked about pictures: name another model")
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"  # all rows of a batch go on from their last token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return processor


def _without_video(folder: Path, local: dict[str, Any], error: ImportError) -> Any:
    """The processor with None for its parts other than pictures and text."""
    whole = _processor_class(folder, local)
    if whole is None:
        raise UserError(f"model: the processor in {folder} needs a package that is not installed: {error}") from error
    if whole.__name__ == "SmolVLMProcessor":  # it wants num2words, for videos alone; its prompts are those of Idefics 3
        whole = transformers.Idefics3Processor
    bare: Any = type(whole.__name__, (_Bare, whole), {})
    settings, _ = whole.get_processor_dict(folder, local_files_only=True)
    loaders = {"image_processor": transformers.AutoImageProcessor, "tokenizer": transformers.AutoTokenizer}
    parts = [
        loaders[name].from_pretrained(folder, **local) if name in loaders else None for name in whole.get_attributes()
    ]
    return bare.from_args_and_dict(parts, settings)


class _Bare:
    """A processor some of whose parts are None."""

    def check_argument_for_proper_class(self, name: str, part: Any) -> Any:
        return None if part is None else super().check_argument_for_proper_class(name, part)  # type: ignore[misc]


def _processor_class(folder: Path, local: dict[str, Any]) -> Any:
    """The class that the files name, as AutoProcessor finds it; None where transformers has none of that name."""
    for name in NAMED_IN:
        file = folder / name
        named = json.loads(file.read_text()).get("processor_class") if file.is_file() else None
        if named:
            return getattr(transformers, named, None)
    config = transformers.AutoConfig.from_pretrained(folder, **local)
    return PROCESSOR_MAPPING.get(type(config))

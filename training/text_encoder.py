"""A frozen text encoder: captions in, one embedding a token out.

Any Hugging Face encoder: the text tower of a CLIP model, or a BERT-like model. A caption is embedded without padding,
so that its embedding does not depend on which captions stand beside it, and takes no more room than it needs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from training.text_source import TextSource, weights_sha256

AT_ONCE = 64
# what AutoModel would load has an image tower too
TEXT_CLASSES = {"clip": "CLIPTextModel", "clip_text_model": "CLIPTextModel"}


class TextEncoder:
    """The encoder of a `TextSource`, on `device`, in float32."""

    def __init__(self, source: TextSource, device: torch.device) -> None:
        import transformers

        folder = source.fetch()
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        kind = transformers.AutoConfig.from_pretrained(folder, **local).model_type
        model_class = getattr(transformers, TEXT_CLASSES.get(kind, "AutoModel"))
        with no_progress_bar(transformers.utils.logging):
            self.model = model_class.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=bool(list(folder.glob("*.safetensors"))),
                weights_only=True,
                dtype=torch.float32,
            )
        self.model.to(device).eval().requires_grad_(False)
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
        self.source = source
        self.device = device
        self.sha256 = weights_sha256(folder)
        room = getattr(self.model.config, "max_position_embeddings", source.max_tokens)
        if source.max_tokens > room:
            raise ValueError(f"max_tokens: {source.max_tokens} is more than the {room} that {source.name} can read")

    @property
    def width(self) -> int:
        """Numbers in the embedding of one token."""
        return int(self.model.config.hidden_size)

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> list[Tensor]:
        """Embeddings [L, width], float16 on the CPU, one for each caption; L counts its tokens, at most max_tokens."""
        tokens = [
            tuple(self.tokenizer(caption, truncation=True, max_length=self.source.max_tokens)["input_ids"])
            for caption in captions
        ]
        by_length: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)
        for each in dict.fromkeys(tokens):
            by_length[len(each)].append(each)
        found: dict[tuple[int, ...], Tensor] = {}
        for _, alike in sorted(by_length.items()):
            for start in range(0, len(alike), AT_ONCE):
                some = alike[start : start + AT_ONCE]
                ids = torch.tensor(some, device=self.device)
                hidden = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
                found.update(zip(some, hidden.half().cpu(), strict=True))
        return [found[each] for each in tokens]


@contextmanager
def no_progress_bar(logging: Any) -> Iterator[None]:
    """Loading takes a moment, and the bar of transformers is drawn into log files too."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()

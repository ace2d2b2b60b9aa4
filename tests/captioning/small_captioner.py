"""A captioner of 0.8 M parameters in the architecture of LLaVA, trained on slices inside packages.

It names what kind of picture it is shown, and the plane of a brain: three volumes of the MNI ICBM152 2009a template (a
T1 image and two maps of tissue, package nilearn) in three planes, and pieces of four other pictures. Every sixth slice
is left out. Slices that lie between slices of the training are near-duplicates of them and all brains here are one, so
that what it says of them proves that a picture's pixels reach the model in the right row, and nothing else.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.uri import local_path

PX, PATCH = 96, 24
STEPS, BATCH, RATE = 600, 32, 2e-3
LEFT_OUT = 6  # of so many slices one
TEXT = "Describe this picture."
CHAT = (
    "{% for m in messages %}USER:{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %} {{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
VOLUMES = {
    "t1": "Magnetic resonance image of a brain",
    "gm": "Map of grey matter of a brain",
    "wm": "Map of white matter of a brain",
}
PLANES = {"axial": 189, "coronal": 233, "sagittal": 98}  # slices; the template is symmetric, so half of the sagittal
PIECES = {
    "skimage/data/retina.jpg": "Colour photograph of a retina.",
    "skimage/data/ihc.png": "Microscope picture of stained tissue.",
    "data_store/data/RG1_J2KR.dcm": "Radiograph of a chest.",
    "data_store/data/MR2_J2KR.dcm": "Magnetic resonance image of a shoulder.",
}
PIECES_OF_ONE = 60


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A picture with its true caption."""

    media: Media
    caption: str
    left_out: bool


def slices(reader: MediaReader) -> Iterator[Slice]:
    """Every slice of the template that shows some brain, as the media of a manifest."""
    for tissue, words in VOLUMES.items():
        uri = f"package://nilearn/datasets/data/mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
        for plane, count in PLANES.items():
            for number in range(count):
                at = Locator(axis=plane, slice=number, low=0.0, high=255.0)
                media = Media(uri=uri, kind="nifti", locator=at.text(), frames=1)
                if reader.read(media).pixels.mean() > 6:
                    caption = f"{words}, {plane} plane."
                    yield Slice(media=media, caption=caption, left_out=number % LEFT_OUT == LEFT_OUT // 2)


def pieces(reader: MediaReader) -> Iterator[tuple[np.ndarray, str]]:
    """Square pieces of other pictures, with their captions."""
    random = np.random.default_rng(0)
    for name, caption in PIECES.items():
        path = local_path(f"package://{name}")
        kind = "dicom" if name.endswith(".dcm") else "image"
        whole = reader.read(Media(uri=str(path), kind=kind)).pixels[0]
        for _ in range(PIECES_OF_ONE):
            side = int(min(whole.shape[:2]) * random.uniform(0.4, 0.9))
            top, left = (int(random.integers(0, size - side)) for size in whole.shape[:2])
            yield whole[top : top + side, left : left + side], caption


def processor_of(captions: list[str]) -> Any:
    """A processor whose tokens are words."""
    said = " ".join(sorted(set(captions))).replace(",", " ,").replace(".", " .").replace(":", " :").split()
    asked = TEXT.replace(".", " .").split()
    control = ["<pad>", "<eos>", "<unk>", "<image>", "USER:", "ASSISTANT:"]
    words = dict.fromkeys([*control, *asked, *said])
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words_of: Any = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
        extra_special_tokens=control[3:],
    )
    pictures = CLIPImageProcessorPil(size={"height": PX, "width": PX}, do_center_crop=False)
    return transformers.LlavaProcessor(
        image_processor=pictures,
        tokenizer=words_of,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT,
    )


def model_of(processor: Any) -> Any:
    """The network, of random weights: a CLIP vision tower and a Llama."""
    config = transformers.LlavaConfig(
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 96,
            "intermediate_size": 192,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": PX,
            "patch_size": PATCH,
            "projection_dim": 96,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": len(processor.tokenizer),
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 256,
            "bos_token_id": None,
            "eos_token_id": 1,
            "pad_token_id": 0,
        },
        image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        image_seq_length=(PX // PATCH) ** 2,
    )
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(config)
    for name, weight in model.named_parameters():  # the library's 0.02 is for wider networks: this one learns nothing
        if "position" in name:
            torch.nn.init.normal_(weight, std=0.3)
        elif weight.ndim > 1 and "embed_tokens" not in name:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    model.generation_config.eos_token_id = 1
    model.generation_config.pad_token_id = 0
    return model


def prompt_of(processor: Any) -> str:
    """What is asked about each picture."""
    content = [{"type": "image"}, {"type": "text", "text": TEXT}]
    prompt: str = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return prompt


def train(folder: Path) -> None:
    """Train the captioner and save it, with what was seen on the way."""
    torch.set_num_threads(1)  # two that wait for a core are slower
    reader = MediaReader()
    seen = [(reader.read(each.media).pixels[0], each.caption) for each in slices(reader) if not each.left_out]
    seen += pieces(reader)
    processor = processor_of([caption for _, caption in seen])
    model = model_of(processor)
    prompt = prompt_of(processor)
    inputs = processor(
        text=[f"{prompt} {caption}<eos>" for _, caption in seen],
        images=[[Image.fromarray(pixels).convert("RGB")] for pixels, _ in seen],
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    asked = len(processor(text=prompt, images=[[Image.fromarray(seen[0][0]).convert("RGB")]])["input_ids"][0])
    labels[:, :asked] = -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS, pct_start=0.1)
    random = np.random.default_rng(1)
    begun, losses = time.monotonic(), []
    model.train()
    for step in range(STEPS):
        chosen = torch.from_numpy(random.choice(len(seen), BATCH, replace=False))
        loss = model(**{name: each[chosen] for name, each in inputs.items()}, labels=labels[chosen]).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        plan.step()
        losses.append(loss.item())
        if step % 50 == 49:
            sys.stderr.write(f"step {step + 1}: {np.mean(losses[-50:]):.3f}, {time.monotonic() - begun:.0f} s\n")
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    told = {
        "pictures": len(seen),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "loss": float(np.mean(losses[-50:])),
        "seconds": round(time.monotonic() - begun, 1),
    }
    (folder / "training.txt").write_text(json.dumps(told))


def trained() -> Path:
    """The captioner's folder; trained once for this file and these versions, and kept among the temporary files."""
    code = f"{Path(__file__).read_text()}{torch.__version__}{transformers.__version__}"
    folder = Path(tempfile.gettempdir()) / f"medloom-captioner-{hashlib.sha256(code.encode()).hexdigest()[:16]}"
    with folder.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            fresh = folder.with_suffix(f".{os.getpid()}")
            fresh.mkdir()
            train(fresh)
            fresh.replace(folder)
    return folder

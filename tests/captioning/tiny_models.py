"""Checkpoints of real architectures with random weights, as small as they can be made.

They are made by the library's own classes, with a tokenizer of whole words, so that a text tells its tokens. A sixth of
the words end an answer, so that answers of random weights end at all.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

WORDS = 150
TEXT = "Describe this picture ."
SYSTEM = "Be exact ."
THOUGHTS = ("<think>", "</think>")
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %} {{ c['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% if enable_thinking is not defined or enable_thinking %}"
    "w1 w2 w3{% endif %}{% endif %}"
)
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
LANGUAGE = dict(**SIZES, num_hidden_layers=2, max_position_embeddings=512, bos_token_id=2, eos_token_id=1)
EYES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def tokenizer_of(signs: Sequence[str], **named: str) -> Any:
    said = [*TEXT.split(), *SYSTEM.split(), "Frame", "of", "at", "s", ":", *map(str, range(10)), *THOUGHTS]
    control = ["<pad>", "<eos>", "<bos>", "<unk>", "<|user|>", "<|system|>", "<|assistant|>", *signs]
    words = dict.fromkeys([*control, *said, *(f"w{number}" for number in range(WORDS))])
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
        extra_special_tokens=named or list(control[4:]),
    )


def pil_processor(family: str, name: str) -> Any:
    module = importlib.import_module(f"transformers.models.{family}.image_processing_pil_{family}")
    return getattr(module, f"{name}ImageProcessorPil")


@dataclass
class Parts:
    """What a checkpoint is made of."""

    tokenizer: Any
    pictures: Any  # image processor
    config: Any
    place: str  # of a picture in the chat
    processor: str
    settings: dict[str, Any] = field(default_factory=dict)  # of the processor


def qwen(name: str, processor: str, patch: int, **eyes: Any) -> Parts:
    signs = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    words = tokenizer_of(signs)
    start, end, image, video = words.convert_tokens_to_ids(signs)
    side = 4 * patch
    pictures = pil_processor("qwen2_vl", "Qwen2VL")(
        size={"shortest_edge": side**2, "longest_edge": 4 * side**2}, patch_size=patch, merge_size=2
    )
    rope: dict[str, Any] = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
    language = {**LANGUAGE, "vocab_size": len(words), "rope_parameters": rope}
    if name != "Qwen2_5_VL":
        rope |= {"mrope_section": [2, 1, 1], "mrope_interleaved": True, "partial_rotary_factor": 1.0}
        language |= {"head_dim": 8}
    if name == "Qwen3_5":
        heads = {
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        }
        language |= {"layer_types": ["linear_attention", "full_attention"], **heads}
    config = getattr(transformers, f"{name}Config")(
        text_config=language,
        vision_config=dict(
            depth=2, hidden_size=32, intermediate_size=48, num_heads=2, out_hidden_size=32, patch_size=patch, **eyes
        ),
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    return Parts(words, pictures, config, "<|vision_start|><|image_pad|><|vision_end|>", processor)


def idefics(name: str) -> Parts:
    grid = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    words = tokenizer_of(["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *grid])
    config = getattr(transformers, f"{name}Config")(
        text_config=dict(LANGUAGE, model_type="llama", vocab_size=len(words), pad_token_id=0),
        vision_config=dict(EYES, image_size=64, patch_size=16),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    pictures = pil_processor(name.lower(), name)(size={"longest_edge": 128}, max_image_size={"longest_edge": 64})
    return Parts(words, pictures, config, "<image>", f"{name}Processor", {"image_seq_len": 4})


def llava_next() -> Parts:
    words = tokenizer_of(["<image>"])
    grid = [[32, 64], [64, 32], [64, 64]]
    config = transformers.LlavaNextConfig(
        text_config=dict(LANGUAGE, model_type="llama", vocab_size=len(words), pad_token_id=0),
        vision_config=dict(EYES, model_type="clip_vision_model", image_size=32, patch_size=8, projection_dim=32),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grid,
    )
    crop = {"height": 32, "width": 32}
    pictures = pil_processor("llava_next", "LlavaNext")(
        size={"shortest_edge": 32}, crop_size=crop, image_grid_pinpoints=grid
    )
    settings = {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return Parts(words, pictures, config, "<image>", "LlavaNextProcessor", settings)


def gemma3() -> Parts:
    signs = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    words = tokenizer_of(list(signs.values()), **signs)
    boi, eoi, image = words.convert_tokens_to_ids(list(signs.values()))
    config = transformers.Gemma3Config(
        text_config=dict(LANGUAGE, vocab_size=len(words), head_dim=8, sliding_window=64, pad_token_id=0),
        vision_config=dict(EYES, image_size=64, patch_size=16),
        image_token_id=image,
        boi_token_index=boi,
        eoi_token_index=eoi,
        mm_tokens_per_image=4,
        tie_word_embeddings=False,  # tied, random weights say again what they heard last
    )
    pictures = pil_processor("gemma3", "Gemma3")(size={"height": 64, "width": 64})
    return Parts(words, pictures, config, "<start_of_image>", "Gemma3Processor", {"image_seq_length": 4})


def gemma4() -> Parts:
    signs = {"boi_token": "<|image>", "eoi_token": "<image|>", "image_token": "<|image|>"}
    signs |= {"boa_token": "<|audio>", "eoa_token": "<audio|>", "audio_token": "<|audio|>", "video_token": "<|video|>"}
    words = tokenizer_of(list(signs.values()), **signs)
    boi, eoi, image, _, _, audio, video = words.convert_tokens_to_ids(list(signs.values()))
    config = transformers.Gemma4Config(
        text_config={
            **LANGUAGE,
            "vocab_size": len(words),
            "vocab_size_per_layer_input": len(words),
            "hidden_size_per_layer_input": 8,
            "head_dim": 8,
            "global_head_dim": 16,
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "full_attention"],
            "pad_token_id": 0,
            "use_bidirectional_attention": "vision",
            "tie_word_embeddings": False,
        },
        vision_config={
            **EYES,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "patch_size": 4,
            "position_embedding_size": 512,
        },
        audio_config=None,
        image_token_id=image,
        boi_token_id=boi,
        eoi_token_id=eoi,
        audio_token_id=audio,
        video_token_id=video,
        tie_word_embeddings=False,
    )
    pictures = pil_processor("gemma4", "Gemma4")(patch_size=4, max_soft_tokens=70, pooling_kernel_size=3)
    return Parts(words, pictures, config, "<|image|>", "Gemma4Processor")


KINDS: dict[str, Callable[[], Parts]] = {
    "qwen2.5-vl": lambda: qwen("Qwen2_5_VL", "Qwen2_5_VLProcessor", 14, fullatt_block_indexes=[1], window_size=56),
    "qwen3.5": lambda: qwen("Qwen3_5", "Qwen3VLProcessor", 16, num_position_embeddings=64),
    "qwen3-vl": lambda: qwen(
        "Qwen3VL", "Qwen3VLProcessor", 16, num_position_embeddings=64, deepstack_visual_indexes=[0]
    ),
    "idefics3": lambda: idefics("Idefics3"),
    "smolvlm": lambda: idefics("SmolVLM"),
    "llava-next": llava_next,
    "gemma3": gemma3,
    "gemma4": gemma4,
}


def save(kind: str, folder: Path) -> Parts:
    parts = KINDS[kind]()
    torch.manual_seed(0)
    model = transformers.AutoModelForImageTextToText.from_config(parts.config)
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.25)
    ends = [1, *parts.tokenizer.convert_tokens_to_ids([f"w{number}" for number in range(5, WORDS, 6)])]
    model.generation_config.eos_token_id = ends
    model.generation_config.pad_token_id = 0
    unsaid = [*range(len(parts.tokenizer.all_special_ids)), *parts.tokenizer.convert_tokens_to_ids(list(THOUGHTS))]
    model.generation_config.suppress_tokens = sorted(set(unsaid) - set(ends))
    # what makers recommend, and what has no part in an answer here
    model.generation_config.update(do_sample=True, temperature=0.1, top_k=3, repetition_penalty=1.3)
    model.save_pretrained(folder)
    parts.tokenizer.chat_template = CHAT.replace("IMAGE", parts.place)
    parts.tokenizer.save_pretrained(folder)
    parts.pictures.save_pretrained(folder)
    settings = {"processor_class": parts.processor, **parts.settings}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    return parts

"""Full sizes of documented models, without their weights: the classes that are loaded have the published parameters.

The sizes of layers are those of each model's own config.json; the published counts and where they stand are in
docs/captioning-models.md.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

SIGLIP = {"hidden_size": 1152, "intermediate_size": 4304}
CONFIGS: dict[str, tuple[str, dict[str, Any], dict[str, Any], float]] = {  # language, eyes, published billions
    "Qwen3-VL-8B-Instruct": (
        "Qwen3VLConfig",
        {
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 151936,
        },
        {**SIGLIP, "depth": 27, "num_heads": 16, "out_hidden_size": 4096, "num_position_embeddings": 2304},
        8.77,
    ),
    "Qwen2.5-VL-7B-Instruct": (
        "Qwen2_5_VLConfig",
        {
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vocab_size": 152064,
        },
        {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 3584},
        8.292,
    ),
    "llama3-llava-next-8b": (
        "LlavaNextConfig",
        {
            "model_type": "llama",
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 128320,
        },
        {
            "model_type": "clip_vision_model",
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "image_size": 336,
            "patch_size": 14,
            "projection_dim": 768,
        },
        8.36,
    ),
    "medgemma-4b": (
        "Gemma3Config",
        {
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "vocab_size": 262208,
        },
        {**SIGLIP, "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 896, "patch_size": 14},
        4.3,
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_full_size_has_the_parameters_that_its_makers_state(name: str) -> None:
    config_class, language, eyes, published = CONFIGS[name]
    config = getattr(transformers, config_class)(text_config=language, vision_config=eyes)
    with torch.device("meta"):
        model: Any = transformers.AutoModelForImageTextToText.from_config(config)
    model.tie_weights()
    found = sum(weight.numel() for weight in model.parameters()) / 1e9
    digits = len(str(published).partition(".")[2])
    assert round(found, digits) == published

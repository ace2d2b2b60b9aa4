"""The builder gives the published networks, and folding the latents' scale into a VAE changes nothing it decodes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from training.conditions import Field, collate
from training.families.msdm_networks import build_unet, build_vae, seeded, standardise
from training.families.msdm_shape import MsdmShape, UnetShape, VaeShape
from training.recipes import RECIPES

SD21_UNET = UnetShape(
    channels=(320, 640, 1280, 1280),
    attention=(True, True, True, False),
    heads=(5, 10, 20, 20),
    context=1024,
    project_text=False,
    pool_text=False,
    linear_projection=True,
)
SD_VAE = VaeShape(channels=(128, 256, 512, 512), latent_channels=4, groups=32, mid_attention=True)


def count(net: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


def test_published_parameter_counts() -> None:
    with torch.device("meta"):
        unet = build_unet(SD21_UNET, latent_channels=4, latent_px=64, text_width=1024)
        vae = build_vae(SD_VAE, 512)
    assert count(unet) == 865_910_724  # Stable Diffusion 2.1: 866 M
    assert count(vae) == 83_653_863  # its VAE: 83.7 M


def test_full_size_msdm() -> None:
    shape = RECIPES["msdm"].shape
    assert shape.latent_shape == (8, 32, 32)
    with torch.device("meta"):
        unet = build_unet(shape.unet, latent_channels=8, latent_px=32, text_width=768)
        vae = build_vae(shape.vae, shape.image_px)
        x = torch.empty(1, 8, 32, 32)
        text, mask = torch.empty(1, 128, 768), torch.empty(1, 128, dtype=torch.bool)
        out = unet(x, torch.empty(1, dtype=torch.long), encoder_hidden_states=text, encoder_attention_mask=mask).sample
        moments = vae.encode(torch.empty(1, 3, 256, 256)).latent_dist.mean
    assert out.shape == x.shape
    assert moments.shape == x.shape
    # no count was published; these are ours, so that a change of the shape is seen
    assert (round(count(unet) / 1e6, 1), round(count(vae) / 1e6, 1)) == (425.8, 53.8)


@pytest.mark.parametrize("name", RECIPES)
def test_a_caption_means_the_same_with_more_padding_behind_it(name: str) -> None:
    """At a size that a test can run; what decides it, how text enters, is the recipe's."""
    shape = RECIPES[name].shape.unet
    levels = len(shape.channels)
    small = replace(shape, channels=(32,) * levels, heads=(2,) * levels, context=32, groups=8, dropout=0.0)

    def answers(unet_shape: UnetShape) -> list[torch.Tensor]:
        net = seeded(0, lambda: build_unet(unet_shape, latent_channels=4, latent_px=8, text_width=32)).eval()
        x, text = torch.randn(1, 4, 8, 8), torch.randn(1, 5, 32)
        found = []
        for length in (5, 7, 64):
            field = Field("text", (length, 32))
            batch = collate([field], [{"text": text[0]}])
            with torch.no_grad():
                found.append(net(x, 9, batch["text"], encoder_attention_mask=batch["text_mask"]).sample)
        return found

    exact, more, most = answers(small)
    torch.testing.assert_close(more, exact, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(most, exact, rtol=1e-4, atol=1e-5)
    # why no recipe pools its text: in this version of diffusers padding is pooled with it
    exact, _, most = answers(replace(small, pool_text=True))
    assert (most - exact).abs().max() > 1e-3


def test_weights_depend_on_the_seed_alone_and_leave_the_global_generator() -> None:
    shape = RECIPES["msdm-tiny"].shape.vae
    torch.manual_seed(1)
    first = seeded(5, lambda: build_vae(shape, 32)).state_dict()
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
    second = seeded(5, lambda: build_vae(shape, 32)).state_dict()
    third = seeded(6, lambda: build_vae(shape, 32)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["quant_conv.weight"], third["quant_conv.weight"])


def test_standardised_latents_decode_to_the_same_pictures() -> None:
    vae = seeded(0, lambda: build_vae(RECIPES["msdm-tiny"].shape.vae, 32)).double().eval()
    pictures = torch.rand(6, 3, 32, 32, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        before = vae.encode(pictures).latent_dist
        decoded = vae.decode(before.mean).sample
        mean, std = before.mean.mean(dim=(0, 2, 3)), before.mean.std(dim=(0, 2, 3)) * torch.tensor([1.0, 2.0, 0.5, 3.0])
        standardise(vae, mean, std)
        after = vae.encode(pictures).latent_dist
        torch.testing.assert_close(after.mean, (before.mean - mean[:, None, None]) / std[:, None, None])
        torch.testing.assert_close(after.std, before.std / std[:, None, None])
        torch.testing.assert_close(vae.decode(after.mean).sample, decoded)
    assert vae.config.scaling_factor == 1.0


def test_a_shape_survives_its_record() -> None:
    import json
    from dataclasses import asdict

    for recipe in RECIPES.values():
        assert MsdmShape.of(json.loads(json.dumps(asdict(recipe.shape)))) == recipe.shape


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="as many entries"):
        UnetShape(channels=(8, 8), attention=(True,), heads=(1, 1), context=8)
    with pytest.raises(ValueError, match="multiple of 8"):
        MsdmShape(image_px=100, vae=RECIPES["msdm"].shape.vae, unet=SD21_UNET, text=RECIPES["msdm"].shape.text)
    with pytest.raises(ValueError, match="1024"):
        build_unet(SD21_UNET, latent_channels=4, latent_px=8, text_width=768)

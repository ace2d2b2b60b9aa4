"""DICOM made to measure: functional groups, windows, padding, lies, bombs, cines and streams."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, generate_uid

from shards.dicom import DicomImage, open_image, read_frames, series_percentiles
from shards.dicom_header import read_header
from shards.frames import Frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.reasons import Reason
from shards.sniff import sniff

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it warns on the odd files made here

LIMITS = Limits()
WHOLE = Locator()
EXPLICIT, DEFLATED, BASELINE, RLE = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.5",
)
CT, MR, US, ENHANCED_CT = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "4", "3.1", "2.1"))


def dicom(pixels: npt.NDArray[Any], *, syntax: str = EXPLICIT, sop_class: str = MR, **attributes: Any) -> FileDataset:
    """A data set around pixels [H, W], [T, H, W] or RGB [H, W, 3]; attributes override what follows from them."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["test"])
    dataset = FileDataset(None, {}, preamble=bytes(128), file_meta=meta)
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.ndim == 3 and not colour:
        dataset.NumberOfFrames = len(pixels)
    rows, columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    bits = 8 * pixels.itemsize
    values = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": {CT: "CT", ENHANCED_CT: "CT", US: "US"}.get(sop_class, "MR"),
        "PatientName": "Zmith^Jane",
        "PatientID": "4711",
        "Rows": rows,
        "Columns": columns,
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        **({"PlanarConfiguration": 0} if colour else {}),
        "PixelData": pixels.tobytes(),
        **attributes,
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OB" if UID(syntax).is_encapsulated else "OW"
    return dataset


def written(dataset: FileDataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def opened(dataset: FileDataset | bytes, limits: Limits = LIMITS) -> DicomImage:
    data = dataset if isinstance(dataset, bytes) else written(dataset)
    return open_image(data, sniff(data).format, limits)


def show(dataset: FileDataset | bytes, view: Locator = WHOLE, limits: Limits = LIMITS) -> Frames:
    return read_frames(opened(dataset, limits), view, limits)


def refused(dataset: FileDataset | bytes, view: Locator = WHOLE, limits: Limits = LIMITS) -> Reason:
    with pytest.raises(Skip) as skip:
        show(dataset, view, limits)
    return skip.value.reason


def item(**attributes: Any) -> Dataset:
    found = Dataset()
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return found


HU = np.array([[-1000, -600, 0, 40, 79, 400, 3000]], np.int16)


def ct(**attributes: Any) -> FileDataset:
    return dicom(HU + 1024, sop_class=CT, **{"RescaleSlope": 1, "RescaleIntercept": -1024, **attributes})


def test_named_windows_are_the_table_of_hounsfield_units() -> None:
    brain = show(ct(), Locator(window="brain"))  # 40/80: black at 0, white at 79 (PS3.3 C.11.2.1.2.1)
    assert brain.pixels.tolist() == [[[0, 0, 0, 129, 255, 255, 255]]]
    assert brain.steps == ("rescale slope 1 intercept -1024", "window brain 40/80 HU")
    lung = show(ct(), Locator(window="lung")).pixels[0, 0]
    assert lung[1] == 128
    assert lung[0] == pytest.approx(255 * (-1000 - -1350) / 1499, abs=1)
    for broken in (
        ct(Modality="OT"),
        ct(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        ct(RescaleType="HU_MOD"),
        dicom(HU, sop_class=CT),
        dicom(
            (HU % 4096).astype(np.uint16), sop_class=CT, BitsStored=12, RescaleSlope=1, RescaleIntercept=0
        ),  # -1000 is 3096
    ):
        assert refused(broken, Locator(window="brain")) == Reason.UNSUPPORTED_PIXELS
    assert refused(ct(), Locator(window="bain")) == Reason.BAD_ROW


def test_the_locator_then_the_header_decide() -> None:
    header = {"WindowCenter": [50, 0], "WindowWidth": [101, 5]}
    assert show(ct(**header)).steps[-1] == "window 50/101 of the header"
    assert show(ct(**header), Locator(window="header")).steps[-1] == "window 50/101 of the header"
    assert show(ct(**header), Locator(low=-1000, high=3000)).pixels[0, 0, [0, 2, 6]].tolist() == [0, 64, 255]
    lut = Sequence([item(LUTDescriptor=[3, 40, 8], LUTData=[0, 100, 200])])
    both = ct(**header, VOILUTSequence=lut)
    for element in both["VOILUTSequence"].value[0]:
        element.VR = "US"
    assert show(both).steps[-1] == "VOI LUT of the header"
    assert show(both).pixels[0, 0].tolist() == [0, 0, 0, 0, 255, 255, 255]
    assert show(both, Locator(window="header")).steps[-1] == "window 50/101 of the header"
    assert "percentiles" in show(ct(), Locator(window="header")).steps[-1]


def test_window_functions() -> None:
    values = np.array([[0, 25, 50, 75, 100]], np.int16)
    window: dict[str, Any] = {"WindowCenter": 50, "WindowWidth": 100}
    assert show(dicom(values, **window, VOILUTFunction="LINEAR_EXACT")).pixels[0, 0].tolist() == [0, 64, 128, 191, 255]
    sigmoid = show(dicom(values, **window, VOILUTFunction="SIGMOID")).pixels[0, 0]
    assert sigmoid.tolist() == [round(255 / (1 + np.exp(-4 * (x - 50) / 100))) for x in values[0]]
    assert show(dicom(values, WindowCenter=50, WindowWidth=1)).pixels[0, 0].tolist() == [0, 0, 255, 255, 255]
    assert refused(dicom(values, **window, VOILUTFunction="CUBIC")) == Reason.CORRUPT
    assert "percentiles" in show(dicom(values, WindowCenter=50, WindowWidth=0)).steps[-1]


def test_padding_is_black_and_counts_for_nothing() -> None:
    tissue = np.linspace(100, 200, 64 * 64).astype(np.int16).reshape(64, 64)
    tissue[:20] = -2000
    for photometric in ("MONOCHROME2", "MONOCHROME1"):
        frames = show(dicom(tissue, PhotometricInterpretation=photometric, PixelPaddingValue=-2000))
        assert frames.pixels[0, :20].max() == 0
        shown = frames.pixels[0, 20:].astype(int).reshape(-1)
        assert shown.max() == 255
        assert shown.min() == 0
        assert (np.diff(shown) >= 0).all() if photometric == "MONOCHROME2" else (np.diff(shown) <= 0).all()
    unmasked = show(dicom(tissue)).pixels[0, 20:]
    assert unmasked.min() > 200, "without the padding value the background takes most of the range"
    padded = dicom(tissue, PixelPaddingValue=-2000, PixelPaddingRangeLimit=150)
    assert (show(padded).pixels[0][tissue <= 150] == 0).all()


def test_stored_bits_signs_and_constants() -> None:
    eight = np.array([[0, 100, 255]], np.uint8)
    assert show(dicom(eight, sop_class=US)).pixels.tolist() == [[[0, 100, 255]]]
    assert show(dicom(eight, PhotometricInterpretation="MONOCHROME1")).pixels.tolist() == [[[255, 155, 0]]]
    assert show(dicom(eight, PresentationLUTShape="INVERSE")).pixels.tolist() == [[[255, 155, 0]]]
    twelve = np.array([[0, 2048, 4095 | 0xF000]], np.uint16)  # four overlay bits above
    frames = show(dicom(twelve, BitsStored=12, HighBit=11), Locator(low=0, high=4095))
    assert frames.pixels.tolist() == [[[0, 128, 255]]]
    assert show(dicom(np.full((4, 4), 700, np.int16))).pixels.max() == 0
    floating = dicom(np.zeros((1, 4), np.float32), sop_class="1.2.840.10008.5.1.4.1.1.30")
    del floating.PixelData
    del floating.BitsStored, floating.HighBit, floating.PixelRepresentation
    floating.FloatPixelData = np.array([0, 1, np.nan, 4], np.float32).tobytes()
    assert show(floating, Locator(low=0, high=4)).pixels.tolist() == [[[0, 64, 0, 255]]]


def enhanced(frames: npt.NDArray[Any]) -> FileDataset:
    """Two frames with rescale and window in functional groups alone, each frame its own."""
    per_frame = [
        item(
            PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=-1024, RescaleType="HU")],
            FrameVOILUTSequence=[item(WindowCenter=centre, WindowWidth=101)],
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 5 * i])],
        )
        for i, (slope, centre) in enumerate(((1, 50), (2, 150)))
    ]
    return dicom(
        frames,
        sop_class=ENHANCED_CT,
        SharedFunctionalGroupsSequence=[item(PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.7], SliceThickness=5)])],
        PerFrameFunctionalGroupsSequence=per_frame,
    )


def test_functional_groups_hold_for_their_frame(tmp_path: Path) -> None:
    stored = np.array([[[1024, 1074, 1124, 0]], [[562, 587, 612, 0]]], np.int16)  # 0, 50, 100 HU; 100, 150, 200 HU
    data = written(enhanced(stored))
    frames = show(data)
    assert frames.pixels.tolist() == [[[1, 129, 255, 0]], [[1, 129, 255, 0]]]
    assert frames.spacing_mm == (0.5, 0.7)
    assert frames.fps is None
    assert "rescale slope 2 intercept -1024" in frames.steps
    second = show(data, Locator(frame_start=1, frame_stop=2, window="abdomen"))
    assert second.pixels.shape == (1, 1, 4)
    assert second.pixels[0, 0, 1] == round(255 * (150 + 150) / 399)
    (tmp_path / "enhanced").write_bytes(data)
    facts = read_header(str(tmp_path / "enhanced"))
    assert (facts.frames, facts.slice_thickness_mm, facts.position_mm) == (2, 5, (0, 0, 0))
    assert facts.has_window
    assert refused(data, Locator(frame_start=2)) == Reason.BAD_ROW


def test_a_lookup_table_of_a_functional_group_holds_for_its_frame(tmp_path: Path) -> None:
    """PS3.3 C.7.6.16.2.10b: Frame VOI LUT with LUT."""
    stored = np.array([[[1064, 1065, 1066, 0]]] * 2, np.int16)  # 40, 41, 42 HU in the first frame
    dataset = enhanced(stored)
    voi = dataset.PerFrameFunctionalGroupsSequence[0].FrameVOILUTSequence[0]
    voi.VOILUTSequence = [item(LUTDescriptor=[3, 40, 8], LUTData=[0, 100, 200])]
    for element in voi.VOILUTSequence[0]:
        element.VR = "US"
    frames = show(dataset)
    assert frames.pixels[0].tolist() == [[0, 128, 255, 0]]
    assert [step for step in frames.steps if "header" in step] == [
        "VOI LUT of the header",
        "window 150/101 of the header",
    ]
    assert show(dataset, Locator(frame_stop=1, window="header")).steps[-1] == "window 50/101 of the header"
    del voi.WindowCenter
    (tmp_path / "lut").write_bytes(written(dataset))
    assert read_header(str(tmp_path / "lut")).has_window


def test_one_scale_for_a_series() -> None:
    slices = [np.full((32, 32), -2000, np.int16) for _ in range(4)]
    for i, pixels in enumerate(slices):
        pixels[8:] = np.linspace(0, 100 * (i + 1), 24 * 32).reshape(24, 32)
    images = [opened(dicom(pixels, PixelPaddingValue=-2000, RescaleSlope=2, RescaleIntercept=10)) for pixels in slices]
    low, high = series_percentiles(iter(images))
    every = np.concatenate([pixels[8:].ravel() for pixels in slices]) * 2.0 + 10
    assert (low, high) == pytest.approx(np.percentile(every, [0.5, 99.5]), abs=2)
    assert series_percentiles([]) == (0.0, 0.0)


def test_cine_rates() -> None:
    clip = np.zeros((4, 8, 8), np.uint8)
    for attributes, fps in (
        ({"FrameTime": "40", "CineRate": "10"}, 25.0),
        ({"FrameTimeVector": [0, 20, 20, 20]}, 50.0),
        ({"CineRate": "12"}, 12.0),
        ({"RecommendedDisplayFrameRate": "15"}, 15.0),
        ({}, None),
    ):
        assert show(dicom(clip, sop_class=US, **attributes)).fps == fps
    region = item(
        RegionDataType=1, PhysicalUnitsXDirection=3, PhysicalUnitsYDirection=3, PhysicalDeltaX=0.02, PhysicalDeltaY=0.01
    )
    assert show(dicom(clip, sop_class=US, SequenceOfUltrasoundRegions=[region])).spacing_mm == pytest.approx((0.1, 0.2))


def test_planar_configuration_and_deep_colour() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    planar = dicom(rgb, sop_class=US, PlanarConfiguration=1, PixelData=rgb.transpose(2, 0, 1).tobytes() + b"\0")
    assert np.array_equal(show(planar).pixels[0], rgb)
    deep = rgb.astype(np.uint16) << 4
    assert np.abs(show(dicom(deep, BitsStored=12, HighBit=11)).pixels[0].astype(int) - rgb).max() <= 1
    assert refused(dicom(rgb, PhotometricInterpretation="HSV")) == Reason.UNSUPPORTED_PIXELS


def test_a_file_without_preamble_is_read_on_evidence_alone() -> None:
    data = written(ct())
    body = data.index(b"\x08\x00\x16\x00UI")  # the data set starts with the SOP class
    assert show(data[132:]).pixels.shape == (1, 1, 7)  # File Meta Information first
    assert np.array_equal(show(data[body:]).pixels, show(data).pixels)
    unknown = ct(SOPClassUID="1.2.3.4")
    unknown.file_meta.MediaStorageSOPClassUID = UID("1.2.3.4")
    bare = written(unknown)
    assert refused(bare[bare.index(b"\x08\x00\x16\x00UI") :]) == Reason.NOT_RECOGNISED
    for noise in (b"", b"\x08\x00", bytes(2000), b"\x08\x00" + bytes(2000), np.random.default_rng(0).bytes(5000)):
        assert refused(noise) == Reason.NOT_RECOGNISED


def test_objects_that_are_no_pictures() -> None:
    storage = "1.2.840.10008.5.1.4.1.1."
    for number in ("66.4", "66.7", "481.2", "481.3", "11.1", "88.11", "88.59", "104.1", "9.1.1", "67", "4.2"):
        assert refused(dicom(HU, sop_class=storage + number)) == Reason.NOT_AN_IMAGE, number
    for number in ("481.1", "7", "77.1.6", "12.1", "13.1.3"):
        assert show(dicom(HU, sop_class=storage + number)).pixels.shape == (1, 1, 7), number


def test_lying_headers_are_refused_before_anything_is_allocated() -> None:
    tracemalloc.start()
    lies: tuple[tuple[dict[str, Any], Reason], ...] = (
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": 1000}, Reason.TOO_LARGE),
        ({"Rows": 9000, "Columns": 9000}, Reason.TRUNCATED),
        ({"NumberOfFrames": 2_000_000}, Reason.TOO_LARGE),
        ({"NumberOfFrames": 2}, Reason.TRUNCATED),
        ({"Rows": 0}, Reason.CORRUPT),
        ({"BitsAllocated": 12}, Reason.UNSUPPORTED_PIXELS),
        ({"SamplesPerPixel": 3}, Reason.UNSUPPORTED_PIXELS),
    )
    for lie, reason in lies:
        assert refused(dicom(HU, **lie)) == reason, lie
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


def test_a_deflated_bomb_is_cut_off() -> None:
    assert np.array_equal(show(dicom(HU, syntax=DEFLATED)).pixels, show(dicom(HU)).pixels)
    limits = Limits(max_total_bytes=8 << 20)
    bomb = dicom(np.zeros((4000, 4000), np.int16), syntax=DEFLATED)
    data = written(bomb)
    assert len(data) < 100_000
    tracemalloc.start()
    assert refused(data, limits=limits) == Reason.TOO_LARGE
    assert tracemalloc.get_traced_memory()[1] < 60 << 20
    tracemalloc.stop()
    start = data.index(b"1.2.840.10008.1.2.1.99")
    assert refused(data[: start + 200]) in (Reason.CORRUPT, Reason.TRUNCATED, Reason.NO_PIXELS)


def jpeg(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("L", size, 99).save(stream, "JPEG")
    return stream.getvalue()


def test_a_compressed_frame_must_be_what_the_header_says() -> None:
    small = np.zeros((16, 24), np.uint8)

    def around(frames: list[bytes], **attributes: Any) -> FileDataset:
        return dicom(small, syntax=attributes.pop("syntax", BASELINE), PixelData=encapsulate(frames), **attributes)

    assert show(around([jpeg((24, 16))])).pixels[0, 3, 3] == 99
    assert refused(around([jpeg((4000, 4000))])) == Reason.CORRUPT
    assert refused(around([jpeg((24, 16))], NumberOfFrames=3)) == Reason.TRUNCATED
    assert refused(around([jpeg((24, 16))[:200]])) == Reason.CORRUPT
    assert refused(around([b"\xff\xd8\xff\xd9"])) == Reason.CORRUPT
    header = np.zeros(16, "<u4")
    header[:2] = 1, 64
    runs = header.tobytes() + b"\x81\x55" * 4_000_000  # 512 MB when expanded
    tracemalloc.start()
    assert show(around([runs], syntax=RLE)).pixels.max() == 0x55  # what lies behind the frame is never expanded
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    assert refused(around([jpeg((24, 16))], syntax="1.2.840.10008.1.2.4.95")) == Reason.CODEC_MISSING

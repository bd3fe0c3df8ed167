"""DICOM files and NIfTI volumes: other compression, and headers that the source does not have."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from .base import dicom, files, kind, volume


def dicoms(folder: Path, change: Callable[..., None]) -> str:
    from pydicom import dcmread

    paths = list(dicom(folder))
    for path in paths:
        image = dcmread(path)
        change(image)
        image.save_as(path)
    return "*" if paths else ""


@kind("RLE", equal=True)
def _(folder: Path) -> str:
    from pydicom.uid import RLELossless

    return dicoms(folder, lambda image: image.compress(RLELossless))


@kind("deflated", equal=True)
def _(folder: Path) -> str:
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    return dicoms(folder, lambda image: setattr(image.file_meta, "TransferSyntaxUID", DeflatedExplicitVRLittleEndian))


@kind("JPEG 2000", equal=True)
def _(folder: Path) -> str:
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless

    def change(image):
        buffer = io.BytesIO()
        Image.fromarray(image.pixel_array).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
        image.PixelData = encapsulate([buffer.getvalue()])
        image["PixelData"].VR = "OB"
        image["PixelData"].is_undefined_length = True
        image.file_meta.TransferSyntaxUID = JPEG2000Lossless

    return dicoms(folder, change)


@kind("MONOCHROME1")
def _(folder: Path) -> str:
    return dicoms(folder, lambda image: setattr(image, "PhotometricInterpretation", "MONOCHROME1")) and ".dcm"


@kind("BitsAllocated 1")
def _(folder: Path) -> str:
    def change(image):
        image.BitsAllocated = image.BitsStored = 1
        image.HighBit = 0

    return dicoms(folder, change) and ".dcm"


@kind("DICOM of 60,000 rows")
def _(folder: Path) -> str:
    return dicoms(folder, lambda image: setattr(image, "Rows", 60_000)) and ".dcm"


@kind("BitsStored 12")
def _(folder: Path) -> str:
    def change(image):
        if image.BitsAllocated == 16:
            image.BitsStored, image.HighBit = 12, 11

    return dicoms(folder, change) and "BitsStored is 12"


@kind(".nii.gz", equal=True)
def _(folder: Path) -> str:
    paths = files(folder, ".nii")
    for path in paths:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
    return "*" if paths else ""


def nifti(folder: Path, change: Callable[..., object]) -> str:
    path = volume(folder)
    if path is None:
        return ""
    import nibabel as nib

    image = nib.Nifti1Image.from_bytes(path.read_bytes())
    changed = change(image)
    path.write_bytes(changed if isinstance(changed, bytes) else changed.to_bytes())
    return path.stem


@kind("NaN voxels")
def _(folder: Path) -> str:
    import nibabel as nib

    def change(image):
        values = image.get_fdata().astype(np.float32)
        values[::2] = np.nan
        header = image.header.copy()
        header.set_data_dtype(np.float32)
        return nib.Nifti1Image(values, image.affine, header)

    return nifti(folder, change)


@kind("RGB voxels")
def _(folder: Path) -> str:
    import nibabel as nib

    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return nifti(folder, lambda image: nib.Nifti1Image(np.zeros(image.shape, kind), image.affine))


@kind("voxel size 0")
def _(folder: Path) -> str:
    path = volume(folder)
    if path is None:
        return ""
    data = bytearray(path.read_bytes())
    data[80:92] = bytes(12)  # pixdim[1:4]
    path.write_bytes(data)
    return path.stem


@kind("voxel size NaN")
def _(folder: Path) -> str:
    path = volume(folder)
    if path is None:
        return ""
    data = bytearray(path.read_bytes())
    data[80:84] = np.float32(np.nan).tobytes()
    path.write_bytes(data)
    return path.stem


@kind("infinite voxels")
def _(folder: Path) -> str:
    import nibabel as nib

    def change(image):
        header = image.header.copy()
        header.set_data_dtype(np.float32)
        return nib.Nifti1Image(np.full(image.shape, np.inf, np.float32), image.affine, header)

    return nifti(folder, change)


@kind("voxels that begin in the header")
def _(folder: Path) -> str:
    def change(image):
        data = bytearray(image.to_bytes())
        data[108:112] = bytes(4)
        return bytes(data)

    return nifti(folder, change)


def tagged(folder: Path, words: str, **values: object) -> str:
    """DICOM files with other elements."""

    def change(image):
        for name, value in values.items():
            setattr(image, name, value)

    return dicoms(folder, change) and words


@kind("a rescale slope")
def _(folder: Path) -> str:
    return tagged(folder, "RescaleSlope", RescaleSlope="2", RescaleIntercept="-1024")


@kind("a rescale slope of 1", equal=True)
def _(folder: Path) -> str:
    return tagged(folder, "*", RescaleSlope="1", RescaleIntercept="0", WindowCenter="100", WindowWidth="50")


@kind("two frames, DICOM")
def _(folder: Path) -> str:
    return tagged(folder, "NumberOfFrames", NumberOfFrames=2)


@kind("signed values, DICOM")
def _(folder: Path) -> str:
    return tagged(folder, "PixelRepresentation", PixelRepresentation=1)


@kind("three samples per pixel, DICOM")
def _(folder: Path) -> str:
    return tagged(folder, ".dcm", SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)


@kind("PALETTE COLOR")
def _(folder: Path) -> str:
    return tagged(folder, "PALETTE COLOR", PhotometricInterpretation="PALETTE COLOR")


@kind("compressed with loss before")
def _(folder: Path) -> str:
    return tagged(folder, "with loss before", LossyImageCompression="01", LossyImageCompressionRatio="10")


@kind("JPEG 2000 with loss")
def _(folder: Path) -> str:
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000

    def change(image):
        buffer = io.BytesIO()
        Image.fromarray(image.pixel_array).save(buffer, "JPEG2000", irreversible=True, no_jp2=True)
        image.PixelData = encapsulate([buffer.getvalue()])
        image["PixelData"].VR = "OB"
        image["PixelData"].is_undefined_length = True
        image.file_meta.TransferSyntaxUID = JPEG2000

    return dicoms(folder, change) and ".dcm"


@kind("no preamble, DICOM")
def _(folder: Path) -> str:
    paths = list(dicom(folder))
    for path in paths:
        path.write_bytes(path.read_bytes()[132:])
    return ".dcm" if paths else ""


@kind("a long private header, DICOM", equal=True)
def _(folder: Path) -> str:
    return dicoms(folder, lambda image: image.add_new(0x00091001, "OB", bytes(200_000)))


def resaved(folder: Path, change: Callable[..., object]) -> str:
    """All volumes and segmentations of a miniature, saved by nibabel."""
    import nibabel as nib

    paths = files(folder, ".nii")
    for path in paths:
        image = nib.Nifti1Image.from_bytes(path.read_bytes())
        path.write_bytes(change(image).to_bytes())
    return "*" if paths else ""


@kind("four dimensions, the last of 1")
def _(folder: Path) -> str:
    import nibabel as nib

    return (
        resaved(folder, lambda image: nib.Nifti1Image(np.asarray(image.dataobj)[..., None], image.affine, image.header))
        and ".nii"
    )


@kind("NIfTI-2")
def _(folder: Path) -> str:
    import nibabel as nib

    return resaved(folder, lambda image: nib.Nifti2Image(np.asarray(image.dataobj), image.affine)) and ".nii"


@kind("big endian, NIfTI", equal=True)
def _(folder: Path) -> str:
    return resaved(
        folder,
        lambda image: image.__class__(np.asarray(image.dataobj.get_unscaled()), None, image.header.as_byteswapped(">")),
    )


@kind("a slope and an intercept that give the same values", equal=True)
def _(folder: Path) -> str:
    def change(data: bytearray) -> None:
        data[112:120] = np.array([1, 0], np.float32).tobytes()

    return _volumes(folder, change)


def _volumes(folder: Path, change: Callable[[bytearray], None], *names: str) -> str:
    paths = [p for p in files(folder, ".nii") if not names or p.name in names]
    for path in paths:
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(data)
    return "*" if paths else ""


@kind("an infinite slope", equal=True)
def _(folder: Path) -> str:
    """Taken as no slope, as nibabel does, which made the release."""

    def change(data: bytearray) -> None:
        data[112:116] = np.float32(np.inf).tobytes()

    return _volumes(folder, change)


@kind("a slope that is NaN", equal=True)
def _(folder: Path) -> str:
    """As NIfTI defines it: not scaled. Only where no scaling was stored before."""

    def change(data: bytearray) -> None:
        data[112:120] = np.array([np.nan, np.nan], np.float32).tobytes()

    return _volumes(folder, change)


for _turn in ("mirrored along x", "mirrored along y", "mirrored along z", "with other axes"):

    @kind(f"volumes {_turn}")
    def _(folder: Path, turn: str = _turn) -> str:
        import nibabel as nib

        path = volume(folder)
        if path is None:
            return ""
        liver = nib.Nifti1Image.from_bytes(path.with_name("segmentation-0.nii").read_bytes()).get_fdata() > 0
        if "axes" not in turn:
            taken = np.flatnonzero(liver.any(axis=tuple({0, 1, 2} - {"xyz".index(turn[-1])})))
            if abs(taken[0] + taken[-1] - liver.shape["xyz".index(turn[-1])]) < 9:  # in the middle: nothing shows it
                return ""

        def change(image):
            values = image.dataobj.get_unscaled()
            values = values.transpose(2, 0, 1) if "axes" in turn else np.flip(values, "xyz".index(turn[-1]))
            zooms = image.header.get_zooms()
            header = image.header.copy()
            header.set_data_shape(values.shape)
            if "axes" in turn:
                header.set_zooms((zooms[2], zooms[0], zooms[1]))
            return nib.Nifti1Image(values, None, header)

        return resaved(folder, change) and ".nii"


@kind("the segmentation under the volume's name")
def _(folder: Path) -> str:
    path = volume(folder)
    if path is None:
        return ""
    path.write_bytes(path.with_name("segmentation-0.nii").read_bytes())
    return path.name


@kind("the volume under the segmentation's name")
def _(folder: Path) -> str:
    path = volume(folder)
    if path is None:
        return ""
    other = path.with_name("segmentation-0.nii")
    other.write_bytes(path.read_bytes())
    return other.name

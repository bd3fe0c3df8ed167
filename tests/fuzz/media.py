"""Mutations of images, DICOM files, NIfTI volumes, HDF5 files and NumPy arrays."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from .archives import gzipped
from .mutations import NUMBERS, mutated, pick

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr")
SIZES = ((1, 1), (3, 5), (224, 224), (1, 60_000), (60_000, 1), (9_000, 2), (2, 11_000), (300, 200), (4_000, 4_000))


def picture(rng, form):
    """An image of any mode and size that the format can hold."""
    mode, size = pick(rng, MODES), pick(rng, SIZES)
    image = Image.new("L", size, int(rng.integers(256)))
    buffer = io.BytesIO()
    try:
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
        image.save(buffer, form)
    except (OSError, ValueError, KeyError):
        image.convert("L").save(buffer, "PNG")
    return buffer.getvalue()


def as_image(form):
    """Mutations of an image in one of Pillow's formats."""

    def mutate(rng, data):
        how = rng.random()
        if how < 0.2:
            return picture(rng, form)
        if form == "PNG" and how < 0.6:
            return as_png(rng, data)
        return mutated(rng, data)

    return mutate


def as_png(rng, data):
    """A PNG whose chunks are changed and have the right checksums."""
    chunks, place = [], 8
    while place + 8 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    number = int(rng.integers(len(chunks)))
    kind, body = chunks[number]
    big = zlib.compress(bytes(60_000_000))
    more = [
        (b"zTXt", b"k\0\0" + big), (b"iCCP", b"k\0\0" + big), (b"tRNS", b"\0\0"), (b"PLTE", bytes(768)),
        (b"eXIf", body),        (b"IEND", b""), (b"acTL", struct.pack(">II", 2, 0)), (b"gAMA", b"\0"), (b"IDAT",
        b""), (b"pHYs", b"\0"),
    ]  # fmt: skip
    how = pick(rng, ("body", "head", "drop", "add", "double"))
    if how == "body":
        chunks[number] = kind, mutated(rng, body)
    elif how == "head":
        head = bytearray(chunks[0][1].ljust(13, b"\0"))
        field, code = pick(rng, ((0, ">I"), (4, ">I"), (8, "B"), (9, "B"), (12, "B")))
        choices = NUMBERS if code == ">I" else (0, 1, 2, 3, 4, 6, 8, 16, 255)
        struct.pack_into(code, head, field, pick(rng, choices))
        chunks[0] = b"IHDR", bytes(head)
    elif how == "drop":
        del chunks[number]
    elif how == "add":
        chunks.insert(number, pick(rng, more))
    else:
        chunks.insert(number, chunks[number])
    checked = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    return data[:8] + b"".join(checked)


def as_dicom(rng, data):
    """A DICOM file with an element changed, losslessly compressed, or its bytes."""
    import pydicom
    from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

    how = rng.random()
    if how < 0.4:
        return mutated(rng, data)
    image = pydicom.dcmread(io.BytesIO(data))
    if how < 0.6:
        syntax = pick(rng, (RLELossless, DeflatedExplicitVRLittleEndian))
        if syntax == RLELossless:
            image.compress(RLELossless)
        image.file_meta.TransferSyntaxUID = syntax
    else:
        element = pick(rng, [e for e in image if e.keyword])
        numbers = (0, 1, 2, 8, 12, 16, 32, 65535)
        new = {"US": pick(rng, numbers), "OW": mutated(rng, image.PixelData), "OB": mutated(rng, image.PixelData)}
        try:
            if rng.random() < 0.2:
                del image[element.tag]
            else:
                element.value = new.get(element.VR, pick(rng, ("", "x" * 100, "1", "MONOCHROME1", "RGB", "1.2.3")))
        except Exception:
            image.Rows = 0
    buffer = io.BytesIO()
    try:
        image.save_as(buffer)
    except Exception:
        return mutated(rng, data)
    return mutated(rng, buffer.getvalue()) if how < 0.5 else buffer.getvalue()


def as_nifti(rng, data):
    """A NIfTI volume with a field of its header changed, compressed, or its bytes."""
    from nibabel.nifti1 import header_dtype

    if rng.random() < 0.3:
        data = mutated(rng, data)
    else:
        head = np.frombuffer(data[:348], header_dtype).copy()
        field = pick(rng, header_dtype.names)
        inner = head[field]
        if inner.dtype.kind in "iuf":
            flat = inner.reshape(-1)
            new = pick(rng, (0, -1, 1, 2, 3, 16, 64, 128, 512, 30_000, float("nan"), 1e30))
            with np.errstate(all="ignore"):
                flat[int(rng.integers(len(flat)))] = np.array(new, np.float64).astype(flat.dtype)
        else:
            head[field] = pick(rng, (b"", b"n+1", b"ni1", b"x"))
        data = head.tobytes() + data[348:]
    if rng.random() < 0.2:
        data = gzipped(data)
        data = mutated(rng, data) if rng.random() < 0.5 else data
    return data


def as_hdf5(rng, data):
    """An HDF5 file whose dataset is of another kind or elsewhere, or its bytes."""
    import h5py

    if rng.random() < 0.6:
        return mutated(rng, data)
    with h5py.File(io.BytesIO(data), "r") as file:
        images = file["images"][:]
    buffer = io.BytesIO()
    how = pick(
        rng, ("dtype", "shape", "soft", "outside", "group", "chunks", "none", "external", "virtual", "gzip", "text")
    )
    with h5py.File(buffer, "w") as file:
        if how == "dtype":
            file["images"] = images.astype(pick(rng, ("i1", "u2", "f4", "f8", "?", "c8")))
        elif how == "shape":
            file["images"] = pick(rng, (images[:1], images[..., :5], images[:0], images[0], images.reshape(-1)))
        elif how == "soft":
            file["images"] = h5py.SoftLink(pick(rng, ("/images", "/other")))
        elif how == "outside":
            file["images"] = h5py.ExternalLink("/etc/passwd", "/x")
        elif how == "group":
            file.create_group("images")
        elif how == "chunks":
            file.create_dataset("images", (10**6, *images.shape[1:]), "u1", chunks=(50_000, *images.shape[1:]))
        elif how == "external":
            size = images.nbytes
            file.create_dataset("images", images.shape, "u1", external=[("/etc/passwd", 0, size)])
        elif how == "virtual":
            layout = h5py.VirtualLayout(images.shape, "u1")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", images.shape)
            file.create_virtual_dataset("images", layout)
        elif how == "gzip":
            file.create_dataset("images", data=images, compression="gzip", chunks=(1, *images.shape[1:]))
        elif how == "text":
            file["images"] = "text"
    return buffer.getvalue()


def as_npy(rng, data):
    """A NumPy array of other values, types or shapes, or its bytes."""
    if rng.random() < 0.5:
        return mutated(rng, data)
    values = np.load(io.BytesIO(data))
    new = pick(
        rng,
        (values.astype(float) + 0.5, values[:-1], values.astype(object), values.astype(str), values - 1, values[None],
         np.array([]), values.astype([("x", "i8")]), values.astype(complex), values * np.nan),
    )  # fmt: skip
    buffer = io.BytesIO()
    np.save(buffer, new, allow_pickle=True)
    return buffer.getvalue()

"""Images that are stored in another way, or as the source does not have them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from .base import FORMATS, files, kind, picture


@kind("recompressed without loss", equal=True)
def _(folder: Path) -> str:
    changed = False
    for path in files(folder, ".png", ".tif", ".tiff"):
        with Image.open(path) as image:
            image.load()
        if path.suffix.lower() == ".png":
            image.save(path, compress_level=9, optimize=True)
        else:
            image.save(path, compression="tiff_lzw")
        changed = True
    return "*" if changed else ""


# Pixels and headers that the source does not have


def first_picture(folder: Path, change: Callable[[Path], None], *suffixes: str) -> str:
    path = picture(folder)
    if path is None or (suffixes and path.suffix.lower() not in suffixes):
        return ""
    change(path)
    return path.stem


def grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def png16(path: Path) -> None:
    Image.fromarray(grey(path).astype(np.uint16) * 257).save(path, "PNG")


@kind("16 bits per pixel")
def _(folder: Path) -> str:
    return first_picture(folder, png16, ".png")


@kind("16 bits per pixel, TIFF")
def _(folder: Path) -> str:
    return first_picture(
        folder, lambda path: Image.fromarray(grey(path).astype(np.uint16)).save(path, "TIFF"), ".tif", ".tiff"
    )


@kind("32 bits per pixel, TIFF")
def _(folder: Path) -> str:
    return first_picture(
        folder, lambda path: Image.fromarray(grey(path).astype(np.int32)).save(path, "TIFF"), ".tif", ".tiff"
    )


@kind("floats, TIFF")
def _(folder: Path) -> str:
    return first_picture(
        folder, lambda path: Image.fromarray(grey(path).astype(np.float32)).save(path, "TIFF"), ".tif", ".tiff"
    )


@kind("one bit per pixel")
def _(folder: Path) -> str:
    return first_picture(folder, lambda path: Image.fromarray(grey(path) > 100).save(path, "PNG"), ".png")


@kind("another format under the name")
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            image.convert("RGB").save(path, "PNG" if path.suffix.lower() in (".jpg", ".jpeg") else "JPEG")

    return first_picture(folder, change)


@kind("PostScript under the name")
def _(folder: Path) -> str:
    return first_picture(folder, lambda path: Image.new("RGB", (300, 300)).save(path, "EPS"))


@kind("two frames or pages")
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            Image.new(image.mode, image.size).save(
                path, FORMATS[path.suffix.lower()], save_all=True, append_images=[image.copy()]
            )

    return first_picture(folder, change, ".png", ".tif", ".tiff")


@kind("turned by a TIFF tag")
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            image.save(path, "TIFF", tiffinfo={274: 6})

    return first_picture(folder, change, ".tif", ".tiff")


def saved(folder: Path, form: str, *suffixes: str, mode: str = "", **options: object) -> str:
    """The first image saved again."""

    def change(path: Path) -> None:
        with Image.open(path) as image:
            image.load()
        (image.convert(mode) if mode else image).save(path, form, **options)

    return first_picture(folder, change, *suffixes)


@kind("a palette")
def _(folder: Path) -> str:
    return saved(folder, "PNG", ".png", mode="P")


@kind("a palette of the same colours")
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            grey = image.convert("L")
            if image.mode != "L" and (np.asarray(image.convert("RGB")) != np.asarray(grey.convert("RGB"))).any():
                return
        palette = Image.fromarray(np.asarray(grey), "L").convert("P", palette=Image.Palette.WEB)
        palette.putpalette(bytes(v for n in range(256) for v in (n, n, n)))
        palette.putdata(grey.getdata())
        palette.save(path, "PNG")

    return first_picture(folder, change, ".png")


@kind("an alpha channel that hides nothing")
def _(folder: Path) -> str:
    return saved(folder, "PNG", ".png", mode="RGBA")


@kind("CMYK")
def _(folder: Path) -> str:
    return saved(folder, "JPEG", ".jpg", ".jpeg", mode="CMYK")


@kind("CMYK, TIFF")
def _(folder: Path) -> str:
    return saved(folder, "TIFF", ".tif", ".tiff", mode="CMYK")


@kind("Lab, TIFF")
def _(folder: Path) -> str:
    return saved(folder, "TIFF", ".tif", ".tiff", mode="LAB")


@kind("YCbCr, TIFF")
def _(folder: Path) -> str:
    return saved(folder, "TIFF", ".tif", ".tiff", mode="YCbCr")


@kind("JPEG inside TIFF")
def _(folder: Path) -> str:
    return saved(folder, "TIFF", ".tif", ".tiff", mode="RGB", compression="jpeg", quality=60)


@kind("16 bits per channel")
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            deep = np.asarray(image.convert("RGB")).astype(">u2") * 257
        path.write_bytes(png(deep.shape[1], deep.shape[0], 16, 2, b"".join(b"\0" + row.tobytes() for row in deep)))

    return first_picture(folder, change, ".png")


def png(width: int, height: int, depth: int, colours: int, lines: bytes, *, interlaced: bool = False) -> bytes:
    """A PNG as Pillow cannot write it."""
    head = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@kind("a profile, EXIF and comments", equal=True)
def _(folder: Path) -> str:
    from PIL import ImageCms, PngImagePlugin

    def change(path: Path) -> None:
        with Image.open(path) as image:
            image.load()
        exif = Image.Exif()
        exif[274] = 6
        text = PngImagePlugin.PngInfo()
        text.add_itxt("Comment", "é")
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        image.save(path, "PNG", exif=exif, pnginfo=text, icc_profile=profile, dpi=(300, 300))

    return first_picture(folder, change, ".png")


@kind("EXIF that turns a JPEG", equal=True)
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        exif = Image.Exif()
        exif[274] = 6
        body = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
        data = path.read_bytes()
        path.write_bytes(data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:])

    return first_picture(folder, change, ".jpg", ".jpeg")


@kind("bytes after the image", equal=True)
def _(folder: Path) -> str:
    return first_picture(folder, lambda path: path.write_bytes(path.read_bytes() + b"trailer" * 10))


@kind("bytes before the image")
def _(folder: Path) -> str:
    return first_picture(folder, lambda path: path.write_bytes(b"\r\n" + path.read_bytes()))


@kind("line ends that a transfer changed")
def _(folder: Path) -> str:
    return first_picture(folder, lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n")))


@kind("a hole of zeros in the middle")
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        start = len(data) // 2
        data[start : start + len(data) // 4] = bytes(len(data) // 4)
        path.write_bytes(data)

    return first_picture(folder, change, ".png")


@kind("an interlaced PNG", equal=True)
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            image.load()
        pixels = np.asarray(image)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        kind_of = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
        passes = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))
        lines = b"".join(
            b"\0" + row.tobytes()
            for top, down, left, right in passes
            for row in pixels[top::down, left::right]
            if row.size
        )
        path.write_bytes(png(image.width, image.height, 8, kind_of, lines, interlaced=True))

    return first_picture(folder, change, ".png")


@kind("a multi-picture JPEG", equal=True)
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            image.load()
        first = path.read_bytes()
        image.save(path, "MPO", save_all=True, append_images=[Image.new(image.mode, image.size)])
        # The first picture as it was, with the segment that announces the second.
        second = path.read_bytes()
        place = second.index(b"\xff\xe2")
        length = int.from_bytes(second[place + 2 : place + 4], "big")
        path.write_bytes(first[:2] + second[place : place + 2 + length] + first[2:])

    return first_picture(folder, change, ".jpg", ".jpeg")

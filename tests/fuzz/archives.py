"""Mutations of zip and tar.gz archives."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
import zlib

from .mutations import TEXTS, mutated, pick

NAMES = (
    "../escaped.png", "../../canary/escaped.png", "/tmp/medimeta-fuzz-escaped", "C:/x.png", "a\\..\\..\\x.png",
    "x" * 300, "/".join("d" * 40), "a\x1b[31m.png", "con.png", "._x.png", ".hidden/x.png", "__MACOSX/x.png",
    "x (1).png", "é.png",
    "caf\udce9.png", "a//b.png", "./x.png", "", "x.zip", "x\u202egnp.exe",
)  # fmt: skip


def rezipped(data, edit, method=zipfile.ZIP_DEFLATED):
    """A zip archive with the list of its members (name, content) edited."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = [(name, file.read(name)) for name in file.namelist()]
    edit(members)
    return zipped(members, method)


def zipped(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members:
            info = (
                name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name.encode("utf-8", "replace").decode())
            )
            file.writestr(info, content, method)
    return buffer.getvalue()


def as_zip(rng, data):
    """A zip archive with bad names, links, duplicate or nested members, huge sizes, other methods, or its bytes."""
    how = pick(rng, ("bytes", "bytes", "bytes", "name", "double", "link", "nest", "size", "method", "extra", "flag"))
    if how == "bytes":
        return mutated(rng, data)
    if how in ("size", "flag"):
        return declared(rng, data, how)

    def edit(members):
        place = int(rng.integers(len(members)))
        name, content = members[place]
        if how == "name":
            members[place] = (pick(rng, NAMES), content)
        elif how == "double":
            members.insert(int(rng.integers(len(members) + 1)), (name, pick(rng, (content, mutated(rng, content)))))
        elif how == "link":
            info = zipfile.ZipInfo(name)
            info.external_attr = (pick(rng, (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR)) | 0o777) << 16
            members[place] = (info, pick(rng, (b"/etc/passwd", b"../../canary/secret", content)))
        elif how == "nest":
            members[:] = [(pick(rng, ("archive.zip", name)), zipped(members))]
        elif how == "extra":
            members.append((pick(rng, NAMES), pick(rng, (b"", rng.bytes(100), bytes(5_000_000), zipped(members)))))

    method = pick(rng, (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)) if how == "method" else None
    return rezipped(data, edit, method or zipfile.ZIP_DEFLATED)


def declared(rng, data, what):
    """A directory that states other sizes, methods, flags or places than members have."""
    changed, starts = bytearray(data), []
    start = data.find(b"PK\1\2")
    while start >= 0:
        starts.append(start)
        start = data.find(b"PK\1\2", start + 46)
    entry = pick(rng, starts)
    if what == "flag":
        field, code = pick(rng, ((8, "<H"), (10, "<H"), (28, "<H"), (30, "<H"), (34, "<H"), (38, "<I")))
        struct.pack_into(code, changed, entry + field, pick(rng, (1, 2, 8, 9, 12, 14, 93, 2048, 2049, 65535)))
    else:
        field = pick(rng, (16, 20, 24, 24, 24, 42))
        struct.pack_into("<I", changed, entry + field, pick(rng, (0, 1, 10**6, 5 * 10**8, 2**31, 2**32 - 1)))
    return bytes(changed)


def as_tar(rng, data):
    """A tar.gz archive with bad names, links, devices, duplicate members, huge sizes, or its bytes."""
    how = pick(rng, ("bytes", "bytes", "inner", "name", "double", "kind", "size", "bomb", "content", "format"))
    if how == "bytes":
        return mutated(rng, data)
    plain = zlib.decompress(data, zlib.MAX_WBITS | 16)
    if how == "inner":
        return gzipped(mutated(rng, plain))
    if how == "bomb":
        return gzipped(plain[: 512 * int(rng.integers(4))] + bytes(100_000_000))
    with tarfile.open(fileobj=io.BytesIO(plain)) as file:
        members = [(info, file.extractfile(info).read() if info.isreg() else b"") for info in file]
    info, content = members[place := int(rng.integers(len(members)))]
    if how == "name":
        info.name = pick(rng, NAMES) or "x"
    elif how == "double":
        members.insert(place, (info, mutated(rng, content)))
    elif how == "content":
        members[place] = info, mutated(rng, content)
    elif how == "kind":
        kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"Z")
        info.type, info.linkname, info.size = pick(rng, kinds), pick(rng, ("/etc/passwd", "../../canary/secret")), 0
        members[place] = info, b""
    buffer = io.BytesIO()
    layout = pick(rng, (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)) if how == "format" else 2
    with tarfile.open(fileobj=buffer, mode="w", format=layout, errors="surrogateescape") as file:
        for member, body in members:
            if member.isreg() and not (how == "size" and member is info):
                member.size = len(body)
            elif how == "size":
                member.size = pick(rng, (0, 2**31, 2**40, len(body) + 600))
            if how == "format":
                member.pax_headers = {pick(rng, ("size", "path", "GNU.sparse.map", "mtime")): pick(rng, TEXTS[:12])}
            file.addfile(member, io.BytesIO(body) if member.isreg() and member.size <= len(body) else None)
            if member.isreg() and member.size > len(body):
                file.fileobj.write(body)
    return gzipped(buffer.getvalue())


def gzipped(data):
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(data) + packer.flush()

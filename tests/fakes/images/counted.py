"""An encoder that counts what it is given."""

from __future__ import annotations

import medimeta

FORM = {"size": 16, "mean": (0.5,) * 3, "std": (0.5,) * 3}


HASH = "0" * 64


class Counted:
    """A function from images to vectors that counts images."""

    def __init__(self):
        self.images = 0

    def __call__(self, values):
        self.images += len(values)
        return values.flatten(1)[:, ::16].contiguous()


def counted(sha256=HASH, name="pixels", **form):
    function = Counted()
    encoder = medimeta.encoder(function, name=name, sha256=sha256, **{**FORM, **form})
    function.images = 0
    return encoder, function


def rows_of(raw, split="train"):
    return medimeta.load_dataset("bus", split=split, data_dir=raw, partial=True)

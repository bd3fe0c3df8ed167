"""`medimeta.to_numpy` and `class_weights` of views."""

from __future__ import annotations

import numpy as np
import pytest

import medimeta
from medimeta.errors import MedIMetaError
from medimeta.upload.folder.miniatures import build_miniatures


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return build_miniatures(["bus", "cxr"], tmp_path_factory.mktemp("hub"), version="0", per_class=6)


@pytest.mark.parametrize(("mode", "channels"), [(None, 1), ("RGB", 3)])
def test_images_and_labels_are_those_of_the_rows(hub, mode, channels):
    view = medimeta.load_task("bus", data_dir=hub, mode=mode)
    images, labels = medimeta.to_numpy(view)

    assert images.shape == (len(view), 224, 224, channels)
    assert images.dtype == np.uint8
    assert labels.tolist() == view["label"][:]
    assert np.array_equal(images[3].squeeze(), np.asarray(view[3]["image"]))


def test_multilabel_labels_are_vectors(hub):
    view = medimeta.load_task("cxr", data_dir=hub)

    assert np.array_equal(medimeta.to_numpy(view)[1], np.array(view["label"][:], np.float32))


def test_other_things_than_views_are_named(hub):
    rows = medimeta.load_dataset("bus", "train", data_dir=hub)
    stream = medimeta.load_task("bus", data_dir=hub, streaming=True)
    for function in (medimeta.to_numpy, medimeta.loader):
        for wrong in (rows, stream, "bus"):
            with pytest.raises(MedIMetaError, match="load_task"):
                function(wrong)


def test_classes_of_a_view_come_from_its_features(hub):
    view = medimeta.load_task("bus", data_dir=hub)

    assert np.array_equal(medimeta.class_weights(view), medimeta.class_weights(view, "bus"))
    with pytest.raises(MedIMetaError, match="positive_weights"):
        medimeta.class_weights(medimeta.load_task("cxr", data_dir=hub))
    with pytest.raises(MedIMetaError, match="their task"):
        medimeta.class_weights([0, 1, 2])

"""A small prepared folder of tensorflow-datasets."""

import io
import json
from pathlib import Path

import numpy as np

SHARD = "mnist-{}.array_record-00000-of-00001"


def write_mnist(data_dir: Path) -> dict[str, np.ndarray]:
    """Write an ``mnist`` of 25 and 5 random images by TFDS's own encoder; its arrays."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from PIL import Image
    from tensorflow_datasets.core.example_serializer import ExampleSerializer
    from tensorflow_datasets.core.features import ClassLabel, FeaturesDict
    from tensorflow_datasets.core.features import Image as ImageFeature

    features = FeaturesDict(
        {"image": ImageFeature(shape=(28, 28, 1)), "label": ClassLabel(num_classes=10)}
    )
    serializer = ExampleSerializer(features.get_serialized_info())
    random = np.random.default_rng(0)
    folder = data_dir / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    made, splits = {}, []
    for split, n in (("train", 25), ("test", 5)):
        x = random.integers(0, 256, (n, 28, 28), np.uint8)
        y = random.integers(0, 10, n, np.int32)
        writer = ArrayRecordWriter(str(folder / SHARD.format(split)), "group_size:1")
        for image, label in zip(x, y, strict=True):
            png = io.BytesIO()
            Image.fromarray(image).save(png, "PNG")
            encoded = features.encode_example({"image": png.getvalue(), "label": int(label)})
            writer.write(serializer.serialize_example(encoded))
        writer.close()
        made |= {f"{split}_x": x.reshape(n, 784), f"{split}_y": y}
        splits.append(
            {
                "name": split,
                "shardLengths": [str(n)],
                "numBytes": "1",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        )
    features.save_metadata(folder)
    info = {"name": "mnist", "version": "3.0.1", "fileFormat": "array_record", "splits": splits}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return made

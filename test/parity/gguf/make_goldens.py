"""Writes test/fixtures/gguf: random blocks of every readable ggml type, and their values by the gguf package.

Run from the repository root: `python test/parity/gguf/make_goldens.py`. quants.gguf holds one tensor a type, named by it;
quants.safetensors the float32 values that gguf.quants.dequantize gives. Scales are finite, subnormal ones among them.
"""

import json
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize
from safetensors.numpy import save_file

OUT = Path(__file__).parents[2] / "fixtures" / "gguf"
ROWS, COLUMNS = 3, 512
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where the f16 scales of a block stand.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def scales(rng: np.random.Generator, count: int) -> np.ndarray:
    """Finite f16: mostly ordinary, some zero, subnormal, large and negative."""
    values = rng.normal(0, 0.05, count).astype(np.float16)
    special = np.array([0.0, -0.0, 6e-8, -3e-5, 65504, -1000], dtype=np.float16)
    pick = rng.random(count) < 0.2
    values[pick] = rng.choice(special, pick.sum())
    return values


def raw(rng: np.random.Generator, name: str) -> np.ndarray:
    if name == "F32":
        return rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    if name == "F16":
        return scales(rng, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    if name == "BF16":
        bits = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32).view(np.uint32) >> 16
        return bits.astype(np.uint16).view(np.uint8).reshape(ROWS, -1)
    block, size = GGML_QUANT_SIZES[Type[name]]
    blocks = rng.integers(0, 256, (ROWS * COLUMNS // block, size), dtype=np.uint8)
    for at in SCALES[name]:
        blocks[:, at : at + 2] = scales(rng, len(blocks)).view(np.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS, -1)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(str(OUT / "quants.gguf"), "llama")
    values = {}
    for name in TYPES:
        data = raw(rng, name)
        writer.add_tensor(name, data, raw_dtype=Type[name])
        values[name] = np.ascontiguousarray(dequantize(data, Type[name]).reshape(ROWS, COLUMNS))
        assert np.isfinite(values[name]).all(), name
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(values, str(OUT / "quants.safetensors"))
    (OUT / "versions.json").write_text(json.dumps({name: version(name) for name in ("gguf", "numpy")}) + "\n")


if __name__ == "__main__":
    main()

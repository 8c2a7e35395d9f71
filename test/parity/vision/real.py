"""Writes test/fixtures/images/dinov2-small.safetensors: class tokens of DINOv2-small in transformers, every layer, of two pictures at two sizes.

Run from the repository root: `python test/parity/vision/real.py FOLDER`, where FOLDER is the model as cortune keeps it (`cortune models dinov2-small`).
"""

import sys
from pathlib import Path

import torch
import transformers as tf
from PIL import Image
from safetensors.torch import save_file

IMAGES = Path(__file__).parents[2] / "fixtures" / "images"

model = tf.Dinov2Model.from_pretrained(sys.argv[1]).eval()
out = {}
for size in (98, 224):
    shortest = round(256 * size / 224)
    processor = tf.BitImageProcessorPil.from_pretrained(
        sys.argv[1], size={"shortest_edge": shortest}, crop_size={"height": size, "width": size}
    )
    pixels = processor([Image.open(IMAGES / name).convert("RGB") for name in ("photo.png", "grey.png")], return_tensors="pt")
    with torch.no_grad():
        states = model(pixels["pixel_values"], output_hidden_states=True).hidden_states
    out[f"class-{size}"] = torch.stack([h[:, 0] for h in states])  # [L + 1, n, C]
    out[f"patches-{size}"] = torch.stack([h[:, 1:].mean(1) for h in states])
save_file({k: v.contiguous() for k, v in out.items()}, IMAGES / "dinov2-small.safetensors")

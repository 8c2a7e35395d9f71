"""Writes test/fixtures/images: small picture files of many kinds, and what transformers' processors make of them.

Run from the repository root: `python test/parity/vision/make_images.py`. The processors are those on Pillow ("Pil"), which the ones on torchvision
follow within a level. golden.safetensors holds levels 0 to 255 before rescaling, and for one case what the model is given.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import save_file

ROOT = Path(__file__).parents[2] / "fixtures" / "images"
SEED = 92
PROCESSORS = {
    "crop": tf.BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}, resample=3),
    "fixed": tf.ViTImageProcessorPil(size={"height": 28, "width": 28}, resample=2),
    "larger": tf.BitImageProcessorPil(size={"shortest_edge": 23}, crop_size={"height": 40, "width": 34}, resample=1),
}


def picture(width: int, height: int) -> np.ndarray:
    """Smooth colours with edges and some noise, so that filters differ."""
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[:height, :width]
    waves = [127 + 90 * np.sin(x / (5 + c) + c) * np.cos(y / (7 - c)) for c in range(3)]
    rgb = np.stack(waves, -1) + 40 * ((x // 9 + y // 6) % 2)[..., None] + rng.normal(0, 6, (height, width, 3))
    return np.clip(rgb, 0, 255).astype(np.uint8)


def write_files() -> dict[str, Image.Image]:
    """The files, and the picture that Pillow reads from each; those without are not compared."""
    rgb = Image.fromarray(picture(61, 45))
    files = {}

    def put(name: str, image: Image.Image, **how) -> None:
        image.save(ROOT / name, **how)
        files[name] = Image.open(ROOT / name).convert("RGB")

    put("photo.jpg", rgb, quality=92)
    put("photo.png", rgb)
    put("photo.webp", rgb, lossless=True)
    put("grey.png", rgb.convert("L"))
    put("palette.png", rgb.quantize(32))
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray(picture(61, 45)[..., 0]))
    put("alpha.png", alpha)
    tall = Image.fromarray(picture(30, 71))
    put("tall.png", tall)
    put("small.png", Image.fromarray(picture(9, 12)))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    rgb.save(ROOT / "turned.jpg", exif=exif, quality=92)
    from PIL import ImageOps

    files["turned.jpg"] = ImageOps.exif_transpose(Image.open(ROOT / "turned.jpg")).convert("RGB")
    Image.fromarray((picture(20, 16)[..., 0].astype(np.uint16) << 8) + 77).save(ROOT / "deep.png")
    rgb.convert("CMYK").save(ROOT / "cmyk.jpg", quality=92)
    whole = (ROOT / "photo.jpg").read_bytes()
    (ROOT / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (ROOT / "text.png").write_text("this is no picture\n")
    (ROOT / "drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\n')
    return files


def main() -> None:
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir(parents=True)
    out = {}
    for name, image in write_files().items():
        for kind, processor in PROCESSORS.items():
            levels = processor(image, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
            out[f"{kind}/{name}"] = levels.float()
    out["model/photo.png"] = PROCESSORS["crop"](Image.open(ROOT / "photo.png"), return_tensors="pt")["pixel_values"][0].float()
    save_file({k: v.contiguous() for k, v in out.items()}, ROOT / "golden.safetensors")
    for kind, processor in PROCESSORS.items():
        (ROOT / kind).mkdir()
        processor.save_pretrained(ROOT / kind)
    versions = {"pillow": PIL.__version__, "transformers": tf.__version__, "numpy": np.__version__, "torch": torch.__version__}
    (ROOT / "versions.json").write_text(json.dumps({"seed": SEED, **versions}, indent=1) + "\n")


if __name__ == "__main__":
    main()

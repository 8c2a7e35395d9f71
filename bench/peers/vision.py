"""The recipe of examples/vision-tuning.yaml in transformers and peft: accuracy on held-out digits by method.

    python bench/peers/vision.py FOLDER_OF_DINOV2 examples/vision --seeds 0 1 2 3 4

FOLDER is the model as cortune keeps it (`cortune models dinov2-small` shows where). Every method trains a fresh head beside its own parameters: AdamW,
linear decay, gradients clipped to norm 1, as the study says. Visual prompts are the plain reference of test/parity/vision/make_goldens.py.
Fresh values and the order of digits are drawn by torch and NumPy, so a seed here is another draw than the same seed of a study: compare several.
"""

import argparse
import io
import math
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import transformers as tf
from peft import LoraConfig, get_peft_model
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "test" / "parity" / "vision"))
import make_goldens

RATES = {"full": 1e-4, "lora": 2e-3, "bitfit": 2e-3, "vpt-shallow": 1e-2, "vpt-deep": 1e-2}
PROMPTS, RANK, ALPHA = 10, 8, 16


def digits(path: Path, folder: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    table = pq.read_table(path)
    shortest = round(256 * size / 224)
    processor = tf.BitImageProcessorPil.from_pretrained(
        folder, size={"shortest_edge": shortest}, crop_size={"height": size, "width": size}
    )
    pictures = [Image.open(io.BytesIO(each.as_py())).convert("RGB") for each in table["image"]]
    return processor(pictures, return_tensors="pt")["pixel_values"], torch.tensor(table["label"].to_pylist())


def made(folder: str, method: str, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = tf.Dinov2ForImageClassification.from_pretrained(folder, num_labels=10)
    torch.nn.init.normal_(model.classifier.weight, std=model.config.initializer_range)
    torch.nn.init.zeros_(model.classifier.bias)
    if method == "lora":
        config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
        return get_peft_model(model, config)
    if method.startswith("vpt"):
        c = model.config
        bound = math.sqrt(6 / (c.num_channels * c.patch_size**2 + c.hidden_size))
        draw = lambda *shape: torch.empty(shape).uniform_(-bound, bound)
        deep = draw(c.num_hidden_layers - 1, PROMPTS, c.hidden_size) if method == "vpt-deep" else None
        return make_goldens.Prompted(model, draw(PROMPTS, c.hidden_size), deep)
    for name, p in model.named_parameters():
        p.requires_grad_(method == "full" or name.endswith(".bias") or name.startswith("classifier"))
    return model


def accuracy(model: torch.nn.Module, pixels: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        said = torch.cat([model(part).logits.argmax(1) for part in pixels.split(50)])
    return (said == labels).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=56)
    parser.add_argument("--test", type=int, default=500, help="digits of the test, the first ones")
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--methods", nargs="+", default=list(RATES), choices=list(RATES))
    args = parser.parse_args()
    torch.set_num_threads(2)
    tf.logging.set_verbosity_error()
    tf.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    train, test = (digits(args.data / f"mnist-{name}.parquet", args.model, args.size) for name in ("train", "test"))
    for method in args.methods:
        lr, found = RATES[method], []
        for seed in args.seeds:
            model = made(args.model, method, seed)
            params = [p for p in model.parameters() if p.requires_grad]
            optimiser = torch.optim.AdamW(params, lr=lr, weight_decay=0)
            schedule = tf.get_linear_schedule_with_warmup(optimiser, args.warmup, args.steps)
            order = np.random.default_rng(seed)
            model.train()
            start, left = time.time(), []
            for _ in range(args.steps):
                if len(left) < args.batch:
                    left = list(order.permutation(len(train[1])))
                rows, left = left[: args.batch], left[args.batch :]
                loss = torch.nn.functional.cross_entropy(model(train[0][rows]).logits, train[1][rows])
                loss.backward()
                torch.nn.utils.clip_grad_norm_(params, 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad()
            model.eval()
            found.append(accuracy(model, test[0][: args.test], test[1][: args.test]))
            print(f"{method:12} seed {seed} accuracy {found[-1]:.3f} last loss {loss.item():.3f} ({time.time() - start:.0f} s)", flush=True)
        if len(found) > 1:
            print(f"{method:12} mean {np.mean(found):.3f}, standard deviation of {len(found)} seeds {np.std(found, ddof=1):.3f}", flush=True)


if __name__ == "__main__":
    main()

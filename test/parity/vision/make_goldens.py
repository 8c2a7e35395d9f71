"""Writes test/fixtures/vision: tiny random ViT, DeiT and DINOv2 models and what transformers, peft and plain PyTorch compute with them.

Run from the repository root: `python test/parity/vision/make_goldens.py`. Seeds are fixed; versions.json records the libraries used. Each
folder holds a model without its head, as transformers saves it, and golden.json beside golden.safetensors: hidden states of two sizes of
images, logits of a given head, gradients of every parameter, ten losses of full fine-tuning, LoRA (peft), BitFit and visual prompt tuning.
"""

import json
import math
import shutil
import sys
import warnings
from pathlib import Path

import torch
import transformers as tf
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

ROOT = Path(__file__).parents[2] / "fixtures" / "vision"
SEED, IMAGES, CLASSES, STEPS, CLIP, RANK, ALPHA, PROMPTS = 1717, 5, 3, 10, 1.0, 4, 8, 3
LABELS = [2, 0, 1, 1, 2]
LR = {"full": 2e-3, "lora": 1e-2, "bitfit": 1e-2, "vpt-shallow": 2e-2, "vpt-deep": 2e-2}
SHAPE = dict(hidden_size=24, num_hidden_layers=3, num_attention_heads=4, image_size=12, patch_size=4)


def configs() -> dict[str, tuple[type, tf.PretrainedConfig]]:
    """Folder name -> (class for classification, config)."""
    more = {"num_labels": CLASSES, "attn_implementation": "eager"}
    return {
        "vit": (tf.ViTForImageClassification, tf.ViTConfig(**SHAPE, intermediate_size=40, **more)),
        "deit": (tf.DeiTForImageClassification, tf.DeiTConfig(**SHAPE, intermediate_size=40, qkv_bias=False, **more)),
        "dinov2": (tf.Dinov2ForImageClassification, tf.Dinov2Config(**SHAPE, mlp_ratio=2, **more)),
        "dinov2-registers": (
            tf.Dinov2WithRegistersForImageClassification,
            tf.Dinov2WithRegistersConfig(**SHAPE, mlp_ratio=2, num_register_tokens=2, use_swiglu_ffn=True, **more),
        ),
    }


@torch.no_grad()
def randomise(model: torch.nn.Module, seed: int) -> None:
    """Every parameter random: a forgotten one must show in the goldens."""
    gen = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if "embeddings" in name and "projection" not in name:
            p.copy_(0.4 * noise)
        elif p.dim() > 1:
            p.copy_(noise * 1.2 / math.sqrt(p[0].numel()))
        else:
            p.copy_(0.1 * noise + (1.0 if name.endswith(("weight", "lambda1")) else 0.0))


def base_of(model: torch.nn.Module) -> torch.nn.Module:
    return getattr(model, model.base_model_prefix)


def load(name: str, dtype: torch.dtype, head: dict) -> torch.nn.Module:
    """The saved encoder under a head of given weights."""
    kind, config = configs()[name]
    model = kind(config)
    inner = type(base_of(model)).from_pretrained(ROOT / name, attn_implementation="eager")
    base_of(model).load_state_dict({k: v for k, v in inner.state_dict().items() if not k.startswith("pooler")})
    model.classifier.load_state_dict(head)
    return model.to(dtype).eval()


def head_for(name: str) -> dict:
    gen = torch.Generator().manual_seed(SEED + 1)
    width = SHAPE["hidden_size"] * (2 if name.startswith("dinov2") else 1)
    draw = lambda *shape: 0.3 * torch.randn(shape, generator=gen)
    return {"weight": draw(CLASSES, width), "bias": draw(CLASSES)}


def forward(model: torch.nn.Module, pixels: torch.Tensor, **more):
    """transformers asks to be told that the position table is to be interpolated, but for DINOv2."""
    if not model.base_model_prefix.startswith("dinov2"):
        more["interpolate_pos_encoding"] = True
    return model(pixels.to(next(model.parameters()).dtype), **more)


@torch.no_grad()
def hidden(model: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return torch.stack(list(forward(model, pixels, output_hidden_states=True).hidden_states)).flatten(1, 2)  # [L + 1, B T, C]


def loss_of(model: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(forward(model, pixels).logits, torch.tensor(LABELS))


class Prompted(torch.nn.Module):
    """Visual prompt tuning (Jia et al. 2022) in plain PyTorch: hooks put P trained states behind the class token before the first block, or fresh ones
    in their place before every block. `model` is frozen but for its classifier."""

    def __init__(self, model: torch.nn.Module, tokens: torch.Tensor, deep: torch.Tensor | None):
        super().__init__()
        self.model, self.tokens = model, torch.nn.Parameter(tokens)
        self.deep = None if deep is None else torch.nn.Parameter(deep)
        for name, p in model.named_parameters():
            p.requires_grad_(name.startswith("classifier"))
        inner = base_of(model)
        self.layers = inner.layers if hasattr(inner, "layers") else inner.encoder.layer
        for n, layer in enumerate(self.layers):
            layer.register_forward_pre_hook(lambda _m, args, n=n: (self.before(n, args[0]), *args[1:]))
        # the head of DINOv2 averages what lies behind class token and registers, so prompts are taken out again
        inner.layernorm.register_forward_pre_hook(lambda _m, args: (torch.cat([args[0][:, :1], args[0][:, 1 + len(self.tokens) :]], 1),))

    def before(self, n: int, h: torch.Tensor) -> torch.Tensor:
        if n == 0:
            return torch.cat([h[:, :1], self.tokens.expand(len(h), -1, -1), h[:, 1:]], 1)
        if self.deep is None:
            return h
        return torch.cat([h[:, :1], self.deep[n - 1].expand(len(h), -1, -1), h[:, 1 + len(self.tokens) :]], 1)

    def named(self) -> dict[str, torch.nn.Parameter]:
        found = {"prompt_embeddings": self.tokens} | ({} if self.deep is None else {"deep_prompt_embeddings": self.deep})
        return found | {k: p for k, p in self.model.named_parameters() if p.requires_grad}

    @property
    def base_model_prefix(self) -> str:
        return self.model.base_model_prefix

    def forward(self, *args, **more):
        return self.model(*args, **more)


def prompts() -> tuple[torch.Tensor, torch.Tensor]:
    gen = torch.Generator().manual_seed(SEED + 2)
    draw = lambda *shape: 0.5 * torch.randn(shape, generator=gen)
    return draw(PROMPTS, SHAPE["hidden_size"]), draw(SHAPE["num_hidden_layers"] - 1, PROMPTS, SHAPE["hidden_size"])


def adapted(model: torch.nn.Module) -> torch.nn.Module:
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
    peft_model = get_peft_model(model, config)
    gen = torch.Generator().manual_seed(SEED + 3)
    with torch.no_grad():
        for key, p in peft_model.named_parameters():
            if "lora_" in key:
                p.copy_(torch.randn(p.shape, generator=gen).to(p.dtype) * (0.2 if "lora_A" in key else 0.1))
    return peft_model


def made(name: str, method: str, dtype: torch.dtype) -> tuple[torch.nn.Module, dict[str, torch.nn.Parameter]]:
    """The model as the method trains it, and what it trains by the names cortune gives it."""
    model = load(name, dtype, head_for(name))
    if method == "lora":
        peft_model = adapted(model).to(dtype)
        trained = {k: p for k, p in peft_model.named_parameters() if p.requires_grad}
        inner = f"base_model.model.{model.base_model_prefix}."
        clean = lambda k: (k.replace(inner, "base_model.model.").replace(".default", "")
                           .replace("base_model.model.classifier.modules_to_save.", "classifier."))  # fmt: skip
        return peft_model.base_model.model, {clean(k): p for k, p in trained.items()}
    if method.startswith("vpt"):
        tokens, deep = prompts()
        prompted = Prompted(model, tokens.to(dtype), deep.to(dtype) if method == "vpt-deep" else None)
        return prompted, prompted.named()
    for key, p in model.named_parameters():
        p.requires_grad_("mask_token" not in key and (method == "full" or key.endswith(".bias") or key.startswith("classifier")))
    return model, {k.removeprefix(model.base_model_prefix + "."): p for k, p in model.named_parameters() if p.requires_grad}


def train(model: torch.nn.Module, params: list, pixels: torch.Tensor, lr: float) -> list[float]:
    optimiser = torch.optim.AdamW(params, lr=lr, weight_decay=0.01)
    losses = []
    for _ in range(STEPS):
        loss = loss_of(model, pixels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, CLIP)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return losses


def worst(a, b) -> float:
    a, b = torch.as_tensor(a).double(), torch.as_tensor(b).double()
    return ((a - b).abs().max() / b.pow(2).mean().sqrt()).item()


def write(name: str, n: int) -> None:
    kind, config = configs()[name]
    model = kind(config)
    randomise(model, SEED + 10 * n)
    folder = ROOT / name
    base_of(model).save_pretrained(folder)
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    saved.pop("transformers_version", None)
    path.write_text(json.dumps(saved, indent=1) + "\n")
    head = head_for(name)
    gen = torch.Generator().manual_seed(SEED)
    pixels = torch.randn(IMAGES, 3, 12, 12, generator=gen)
    wide = torch.randn(2, 3, 9, 21, generator=gen)  # two by five patches; a column and rows that fill none
    single, double = load(name, torch.float32, head), load(name, torch.float64, head)
    out = {"pixels": pixels, "wide": wide, "hidden": hidden(single, pixels), "hidden_wide": hidden(single, wide)}
    out |= {"logits": forward(single, pixels).logits.detach(), "logits_wide": forward(single, wide).logits.detach()}
    out |= {"head.weight": head["weight"], "head.bias": head["bias"]}
    tokens, deep = prompts()
    out |= {"prompts": tokens, "deep_prompts": deep}
    golden = {"labels": LABELS, "classes": CLASSES, "clip": CLIP, "weightDecay": 0.01, "rank": RANK, "alpha": ALPHA, "methods": {}}
    golden["noise"] = {k: worst(hidden(single, out[p]), hidden(double, out[p])) for k, p in [("hidden", "pixels"), ("hidden_wide", "wide")]}
    for method, lr in LR.items():
        trained, names = made(name, method, torch.float32)
        exact, exact_names = made(name, method, torch.float64)
        if method == "lora":
            out |= {f"lora/{k}": p.detach().clone() for k, p in names.items() if "lora_" in k}
        loss_of(trained, pixels).backward()
        out |= {f"grad/{method}/{k}": p.grad.clone() for k, p in names.items()}
        trained.zero_grad()
        losses = train(trained, list(names.values()), pixels, lr)
        noise = worst(losses, train(exact, list(exact_names.values()), pixels, lr))
        golden["methods"][method] = {"lr": lr, "losses": losses, "noise": noise}
        print(f"{name:18} {method:12} {losses[0]:.4f} -> {losses[-1]:.4f}, noise {noise:.1e}")
    save_file({k: v.contiguous() for k, v in out.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")


def main() -> None:
    import peft

    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    tf.logging.set_verbosity_error()
    tf.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    shutil.rmtree(ROOT, ignore_errors=True)
    for n, name in enumerate(configs()):
        write(name, n)
    libraries = {m.__name__: m.__version__ for m in (torch, tf, peft)}
    (ROOT / "versions.json").write_text(json.dumps({"seed": SEED, "python": sys.version.split()[0], **libraries}, indent=1) + "\n")


if __name__ == "__main__":
    main()

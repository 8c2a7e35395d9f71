"""Ten steps of LoRA (peft) and of full fine-tuning (transformers) on a tiny model, as goldens."""

import json
from pathlib import Path
from typing import Callable

import torch
import transformers as tf
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

STEPS, BATCH, WARMUP, RANK, ALPHA, CLIP = 10, 4, 2, 4, 8, 1.0
TARGETS = {
    "llama": ["q_proj", "v_proj"],
    "llama-rope-llama3": ["k_proj", "o_proj"],
    "mistral": ["q_proj", "down_proj"],
    "qwen2": ["k_proj", "gate_proj"],
    "gpt2": ["c_attn"],
    "neox-parallel": ["query_key_value", "dense_4h_to_h"],
    "neox-sequential": ["query_key_value"],
    "opt": ["q_proj", "fc1"],
    "opt-post-norm": ["v_proj", "out_proj"],
}
SCHEDULES = {
    "cosine": lambda opt: tf.get_cosine_schedule_with_warmup(opt, WARMUP, STEPS),
    "linear": lambda opt: tf.get_linear_schedule_with_warmup(opt, WARMUP, STEPS),
    "constant": lambda opt: tf.get_constant_schedule_with_warmup(opt, WARMUP),
}
SCHEDULE_OF = {"gpt2": "linear", "neox-parallel": "constant", "opt": "linear"}  # the others cosine
LANES = {
    "lora": [{"lr": 2e-2, "weightDecay": 0.0}, {"lr": 5e-3, "weightDecay": 0.1}],
    "full": [{"lr": 1e-2, "weightDecay": 0.01}, {"lr": 2e-3, "weightDecay": 0.0}],
}


def data(vocab: int, seed: int) -> dict:
    """Ten sequences of 3 to 14 tokens, labels (0 for a prompt that is not learnt), and which sequences make each batch."""
    gen = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 15, (10,), generator=gen).tolist()
    # few distinct tokens, so that ten steps suffice to learn something
    rows = [torch.randint(3, 40, (n,), generator=gen).tolist() for n in lengths]
    labels = [[int(not (s % 4 == 0 and t < n // 2)) for t in range(n)] for s, n in enumerate(lengths)]
    order = [torch.randperm(len(rows), generator=gen)[:BATCH].tolist() for _ in range(STEPS)]
    return {"sequences": rows, "labels": labels, "order": order}


def batch(d: dict, step: int) -> dict[str, torch.Tensor]:
    """One step's sequences, padded on the right; -100 where nothing is learnt."""
    rows = d["order"][step]
    width = max(len(d["sequences"][r]) for r in rows)
    ids, mask, labels = (torch.full((len(rows), width), fill) for fill in (0, 0, -100))
    for i, r in enumerate(rows):
        row, keep = torch.tensor(d["sequences"][r]), torch.tensor(d["labels"][r]).bool()
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
        labels[i, : len(row)] = torch.where(keep, row, -100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def one_by_one(model: torch.nn.Module, d: dict, step: int) -> torch.Tensor:
    """The same mean loss without padding: sequences one at a time, summed over labelled tokens, divided by their number."""
    total, count = 0.0, 0
    for r in d["order"][step]:
        ids = torch.tensor([d["sequences"][r]])
        keep = torch.tensor(d["labels"][r][1:]).bool()
        logits = model(input_ids=ids).logits[0, :-1]
        total = total + torch.nn.functional.cross_entropy(logits[keep], ids[0, 1:][keep], reduction="sum")
        count += int(keep.sum())
    return total / count


def train(model: torch.nn.Module, d: dict, lane: dict, schedule: str, padded: bool = True) -> tuple[list[float], list[float]]:
    """The loss before each step, and the schedule's multipliers."""
    params = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(params, lr=lane["lr"], betas=(0.9, 0.999), eps=1e-8, weight_decay=lane["weightDecay"])
    scheduler = SCHEDULES[schedule](optimiser)
    losses, multipliers = [], []
    model.train()  # dropout is 0 everywhere
    for step in range(STEPS):
        multipliers.append(scheduler.get_last_lr()[0] / lane["lr"])
        loss = model(**batch(d, step)).loss if padded else one_by_one(model, d, step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, CLIP)
        optimiser.step()
        scheduler.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    model.eval()
    return losses, multipliers


def adapter(model: torch.nn.Module, name: str, seed: int) -> PeftModel:
    """A LoRA model whose B is random too, so that A has gradients from the first step."""
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=TARGETS[name], fan_in_fan_out=name == "gpt2",
        bias="none", task_type="CAUSAL_LM", base_model_name_or_path=name,
    )  # fmt: skip
    peft_model = get_peft_model(model, config)
    peft_model.peft_config["default"].base_model_name_or_path = name
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, p in peft_model.named_parameters():
            if "lora_" in key:
                p.copy_(torch.randn(p.shape, generator=gen) * (0.2 if "lora_A" in key else 0.1))
    return peft_model


def save_adapter(model: PeftModel, folder: Path) -> None:
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["target_modules"].sort()  # peft holds them in a set, whose order changes from run to run
    path.write_text(json.dumps(config, indent=1) + "\n")


@torch.no_grad()
def logits(model: torch.nn.Module, row: list[int]) -> torch.Tensor:
    return model(torch.tensor([row])).logits[0]  # [T, V]


def worst(a: list[float], b: list[float]) -> float:
    return max(abs(x - y) / abs(y) for x, y in zip(a, b))


def write_lora(folder: Path, load: Callable, d: dict, ids: list[int], schedule: str, out: dict) -> dict:
    """LoRA lanes one at a time from the same initial adapter; lane 0's final adapter is saved."""
    name, lanes = folder.name, []
    save_adapter(adapter(load(torch.float32), name, 5), folder / "tune" / "adapter-initial")
    for n, lane in enumerate(LANES["lora"]):
        model = adapter(load(torch.float32), name, 5)
        losses, multipliers = train(model, d, lane, schedule)
        exact, _ = train(adapter(load(torch.float64), name, 5).double(), d, lane, schedule, padded=False)
        lanes.append({**lane, "losses": losses, "float32_noise": worst(losses, exact)})
        if n == 0:
            save_adapter(model, folder / "tune" / "adapter-after")
            again = PeftModel.from_pretrained(load(torch.float32), folder / "tune" / "adapter-after").eval()
            out["lora_logits"] = logits(again, ids)
            if name in ("llama", "gpt2"):
                out["merged_logits"] = logits(again.merge_and_unload(), ids)
    modules = sorted({k.split(".lora_")[0].removeprefix("base_model.model.") for k in model.state_dict() if ".lora_" in k})
    return {"multipliers": multipliers, "lora": {"rank": RANK, "alpha": ALPHA, "modules": modules, "lanes": lanes}}


def write(folder: Path, load: Callable[[torch.dtype], torch.nn.Module], seed: int) -> None:
    """The folder's `tune` part: tune.json, golden.safetensors, adapter-initial, adapter-after."""
    (folder / "tune").mkdir(exist_ok=True)
    ids = json.loads((folder / "golden.json").read_text())["ids"][1]
    schedule = SCHEDULE_OF.get(folder.name, "cosine")
    d, out = data(320, seed), {}
    golden = d | {"schedule": schedule, "warmup": WARMUP, "clip": CLIP, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    golden |= write_lora(folder, load, d, ids, schedule, out)
    full = []
    for n, lane in enumerate(LANES["full"]):
        model = load(torch.float32)
        losses, _ = train(model, d, lane, schedule)
        exact, _ = train(load(torch.float64), d, lane, schedule, padded=False)
        full.append({**lane, "losses": losses, "float32_noise": worst(losses, exact)})
        if n == 0:
            out["full_logits"] = logits(model, ids)
    golden["full"] = {"lanes": full}
    save_file({k: v.contiguous() for k, v in out.items()}, folder / "tune" / "golden.safetensors")
    (folder / "tune" / "tune.json").write_text(json.dumps(golden) + "\n")
    for method in ("lora", "full"):
        for lane in golden[method]["lanes"]:
            print(f"   {method} lr {lane['lr']}: {lane['losses'][0]:.4f} -> {lane['losses'][-1]:.4f}, noise {lane['float32_noise']:.1e}")

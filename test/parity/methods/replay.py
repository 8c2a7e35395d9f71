"""Trains one case by peft or transformers and returns what it did: initial values, first gradients, losses, final values."""

import re
from pathlib import Path

import peft
import torch
import transformers as tf
from cases import MODELS, STEPS
from peft.utils import get_peft_model_state_dict
from torch.nn.functional import cross_entropy

BATCH, CLIP, DECAY, SEED, MASK = 3, 1.0, 0.01, 20241, 4
BETAS, EPS = (0.9, 0.999), 1e-8
SWITCH = 6  # half fine-tuning: the step at which the halves are chosen anew


def load(folder: Path, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    kind = tf.BertForMaskedLM if folder.name == "bert" else tf.AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=dtype, attn_implementation="eager")


def examples(name: str) -> dict:
    """Eight sequences; `targets`: the token that each position is to predict, or -1; and which sequences make each batch."""
    gen = torch.Generator().manual_seed(SEED)
    sequences, targets = [], []
    for _ in range(8):
        length = int(torch.randint(3, 12, (1,), generator=gen))
        row = torch.randint(5, 40, (length,), generator=gen).tolist()
        chosen = (torch.rand(length, generator=gen) < 0.6).tolist()
        chosen[1] = True
        if name == "bert":
            sequences.append([MASK if pick else token for token, pick in zip(row, chosen)])
            targets.append([token if pick else -1 for token, pick in zip(row, chosen)])
        else:
            sequences.append(row)
            targets.append([row[t + 1] if t + 1 < length and chosen[t + 1] else -1 for t in range(length)])
    order = [torch.randperm(8, generator=gen)[:BATCH].tolist() for _ in range(STEPS)]
    return {"sequences": sequences, "targets": targets, "order": order}


def batch(data: dict, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One step's sequences padded on the right: ids, mask, targets (-100 for none)."""
    rows = data["order"][step]
    width = max(len(data["sequences"][r]) for r in rows)
    ids, mask, targets = (torch.full((len(rows), width), fill) for fill in (0, 0, -100))
    for i, r in enumerate(rows):
        row, want = torch.tensor(data["sequences"][r]), torch.tensor(data["targets"][r])
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
        targets[i, : len(row)] = torch.where(want < 0, -100, want)
    return ids, mask, targets


def losses_of(model: torch.nn.Module, data: dict, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What is minimised, and the mean cross-entropy in it (they differ where the method adds a term)."""
    ids, mask, targets = batch(data, step)
    adds = getattr(model, "peft_type", None) == peft.PeftType.ADALORA  # its term goes onto transformers' own loss
    masked = model.config.model_type == "bert"
    labels = targets if masked else torch.cat([torch.full_like(targets[:, :1], -100), targets[:, :-1]], 1)
    out = model(input_ids=ids, attention_mask=mask, **({"labels": labels} if adds else {}))
    logits = out.logits[:, -ids.shape[1] :]  # without those of a prompt
    plain = cross_entropy(logits.flatten(0, 1), targets.flatten())
    if adds:
        assert out.loss > plain
    return (out.loss if adds else plain), plain


def layer_of(key: str) -> int:
    """The block a parameter belongs to; -1 before the first, the number of blocks after the last."""
    found = re.search(r"\.(?:layers|h|layer)\.(\d+)\.", key)
    if found:
        return int(found[1])
    return -1 if re.search("embed|wte|wpe", key) else 10_000


def halves(model: torch.nn.Module) -> list[list[str]]:
    """Two selections of parameters: of every block, every second matrix and norm, then the others; the rest always."""
    names = [n for n, _ in model.named_parameters()]
    block = [n for n in names if 0 <= layer_of(n) < 10_000]
    units = list(dict.fromkeys(n.rpartition(".")[0] for n in block))
    rest = [n for n in names if n not in block]
    return [[n for n in block if units.index(n.rpartition(".")[0]) % 2 == part] + rest for part in (0, 1)]


def short(key: str) -> str:
    """A parameter's name without peft's name of the adapter."""
    return re.sub(r"\.default(?=\.|$)", "", key)


def adapted(base: torch.nn.Module, name: str, case: dict, folder: Path) -> torch.nn.Module:
    """The model with the case's trainable parameters, at their initial values."""
    torch.manual_seed(SEED)
    if "config" not in case:
        choose = case["parameters"]
        for key, p in base.named_parameters():
            blocks = base.config.num_hidden_layers
            p.requires_grad_(choose == "halves" or choose(name, key, min(layer_of(key), blocks)))
        return base
    config = case["config"](name)
    config.task_type, config.base_model_name_or_path = MODELS[name], name
    if getattr(config, "tokenizer_name_or_path", None):
        config.tokenizer_name_or_path = str(folder)
    model = peft.get_peft_model(base, config)
    model.peft_config["default"].base_model_name_or_path = name
    gen = torch.Generator().manual_seed(SEED + 1)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.requires_grad and "random" in case and "bias" not in key:
                p.add_(torch.randn(p.shape, generator=gen) * case["random"])
    return model


def optimiser(model: torch.nn.Module, case: dict, chosen: set[str] | None = None) -> torch.optim.Optimizer:
    """AdamW; LoRA+ gives B a rate of its own, layer-wise decay each block."""
    groups, top = [], max([layer_of(k) for k, _ in model.named_parameters() if layer_of(k) < 10_000], default=0) + 1
    for key, p in model.named_parameters():
        if not p.requires_grad or (chosen is not None and key not in chosen):
            continue
        factor = case.get("ratio", 1.0) if "lora_B" in key else 1.0
        factor *= case.get("layer_decay", 1.0) ** (top - min(layer_of(key), top))
        groups.append({"params": [p], "lr": case["lr"] * factor})
    return torch.optim.AdamW(groups, betas=BETAS, eps=EPS, weight_decay=DECAY)


def train(model: torch.nn.Module, case: dict, data: dict) -> dict:
    """Ten steps: the losses before each, and the gradients of the first."""
    parts = halves(model) if case.get("parameters") == "halves" else None
    record = {"losses": [], "objective": [], "gradients": {}}
    for step in range(STEPS):
        if step == 0 or (parts and step == SWITCH):  # a new selection begins with fresh moments
            chosen = set(parts[0 if step < SWITCH else 1]) if parts else None
            update = optimiser(model, case, chosen)
        whole, plain = losses_of(model, data, step)
        for p in model.parameters():
            p.grad = None
        whole.backward()
        trained = [(k, p) for k, p in model.named_parameters() if p.requires_grad and (chosen is None or k in chosen)]
        if step == 0:
            record["gradients"] = {short(k): p.grad.detach().clone() for k, p in trained}
        torch.nn.utils.clip_grad_norm_([p for _, p in trained], CLIP)
        for group in update.param_groups:
            group["lr"] = group.setdefault("first", group["lr"]) * (STEPS - step) / STEPS
        update.step()
        if getattr(model, "peft_type", None) == peft.PeftType.ADALORA:
            model.base_model.update_and_allocate(step)
        record["losses"].append(plain.item())
        record["objective"].append(whole.item())
    return record


def trainable(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {short(k): p.detach().clone() for k, p in model.named_parameters() if p.requires_grad}


def saved(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What peft writes to adapter_model.safetensors."""
    return {k: v.detach().clone() for k, v in get_peft_model_state_dict(model).items()}


@torch.no_grad()
def logits(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    """Of the last two tokens. [2, V]"""
    return model.eval()(torch.tensor([ids])).logits[0, -2:]

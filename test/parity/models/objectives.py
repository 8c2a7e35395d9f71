"""Ten steps of peft on completions, masked tokens, classes and values: goldens in test/fixtures/objectives.

Run from the repository root: `python test/parity/models/objectives.py`, after make_goldens.py (it tunes the tiny models that one writes). Each
golden is one batch seen ten times by one LoRA lane, B not zero, constant learning rate, gradients clipped to norm 1; `noise` is the largest
relative difference between the losses in float32 and in float64.
"""

import json
import shutil
import sys
import warnings
from pathlib import Path

import torch
import transformers as tf
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
ROOT = MODELS.parent / "objectives"
STEPS, CLIP, RANK, ALPHA, SEED = 10, 1.0, 4, 8, 515
# Slow enough that ten losses of four labels do not vanish, where a relative difference would say nothing.
LR = {"completion": 1e-2, "masked": 1e-2, "classification": 2e-3, "regression": 2e-3}
TEXTS = ["the rabbit ran over a small hill", "rain fell on the river", "nobody answered because the room was empty and cold", "it was only the wind"]
LABELS = {"classification": [2, 0, 1, 2], "regression": [0.5, -1.25, 2.0, 0.75]}
PAIRS = [("the rabbit ran", " over a small hill"), ("rain fell on", " the river"), ("nobody answered because the room", " was empty and cold"), ("it was", " only the wind")]  # fmt: skip
TARGETS = {"llama": ["q_proj", "v_proj"], "gpt2": ["c_attn"], "opt-post-norm": ["v_proj", "out_proj"], "neox-parallel": ["query_key_value"], "bert": ["query", "value"], "bert-heads": ["query", "value"]}  # fmt: skip
CASES = [
    ("llama", "completion"), ("gpt2", "completion"), ("bert-heads", "masked"),
    ("llama", "classification"), ("gpt2", "classification"), ("opt-post-norm", "classification"), ("bert-heads", "classification"),
    ("neox-parallel", "regression"), ("bert-heads", "regression"),
]  # fmt: skip


def write_bert_with_heads() -> None:
    """A BERT with pooler and masked-token head, as published checkpoints hold them: names with `bert.`."""
    config = tf.BertConfig(
        vocab_size=101, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=48, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = tf.BertForPreTraining(config).float().eval()
    tiny_models.randomise(model, SEED)
    model.tie_weights()
    folder = ROOT / "bert-heads"
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tiny_models.respell(folder, {})
    tiny_models.write_tokenizer(folder, "bert")


def folder_of(name: str) -> Path:
    return (ROOT if name == "bert-heads" else MODELS) / name


def load(name: str, objective: str, dtype: torch.dtype) -> torch.nn.Module:
    kinds = {"completion": tf.AutoModelForCausalLM, "masked": tf.AutoModelForMaskedLM}
    more = {}
    if objective == "classification":
        more = {"num_labels": 3, "problem_type": "single_label_classification"}
    if objective == "regression":
        more = {"num_labels": 1, "problem_type": "regression"}
    torch.manual_seed(SEED)  # the new head
    kind = kinds.get(objective, tf.AutoModelForSequenceClassification)
    return kind.from_pretrained(folder_of(name), dtype=torch.float32, attn_implementation="eager", **more).to(dtype)


def adapted(name: str, objective: str, dtype: torch.dtype) -> torch.nn.Module:
    task = {"completion": "CAUSAL_LM", "masked": "FEATURE_EXTRACTION"}.get(objective, "SEQ_CLS")
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=TARGETS[name], fan_in_fan_out=name == "gpt2",
        bias="none", task_type=task, base_model_name_or_path=name,
    )  # fmt: skip
    model = get_peft_model(load(name, objective, torch.float32), config)
    model.peft_config["default"].base_model_name_or_path = name
    gen = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "lora_" in key:
                p.copy_(torch.randn(p.shape, generator=gen) * (0.2 if "lora_A" in key else 0.1))
            elif "modules_to_save" in key and key.endswith("weight"):
                p.copy_(torch.randn(p.shape, generator=gen) * 0.3)
    return model.to(dtype)


def masked(ids: list[int], gen: torch.Generator) -> tuple[list[int], list[int]]:
    """Every third token hidden, replaced or kept, in turn; labels -100 elsewhere."""
    labels = [-100] * len(ids)
    ids = list(ids)
    for n, i in enumerate(range(1, len(ids) - 1, 3)):
        labels[i] = ids[i]
        ids[i] = [4, int(torch.randint(5, 101, (1,), generator=gen)), ids[i]][n % 3]
    return ids, labels


def examples(name: str, objective: str) -> list[dict]:
    """ids, and labels as transformers takes them, of each example."""
    tok = Tokenizer.from_file(str(folder_of(name) / "tokenizer.json"))
    if objective == "completion":
        out = []
        for prompt, completion in PAIRS:
            enc = tok.encode(prompt + completion)
            out.append({"ids": enc.ids, "labels": [t if end > len(prompt) else -100 for t, (_, end) in zip(enc.ids, enc.offsets)]})
        return out
    rows = [tok.encode(text).ids for text in TEXTS]
    if objective == "masked":
        gen = torch.Generator().manual_seed(SEED)
        return [dict(zip(("ids", "labels"), masked(row, gen))) for row in rows]
    return [{"ids": row, "labels": label} for row, label in zip(rows, LABELS[objective])]


def loss_of(model: torch.nn.Module, batch: list[dict], objective: str) -> torch.Tensor:
    """The mean loss, from examples one at a time (no padding): token losses over all labelled tokens, sequence losses over sequences."""
    total, count = 0.0, 0
    for each in batch:
        ids = torch.tensor([each["ids"]])
        if objective in ("completion", "masked"):
            labels = torch.tensor([each["labels"]])
            scored = int((labels[:, 1:] if objective == "completion" else labels).ne(-100).sum())
            total, count = total + model(input_ids=ids, labels=labels).loss * scored, count + scored
        else:
            total, count = total + model(input_ids=ids, labels=torch.tensor([each["labels"]])).loss, count + 1
    return total / count


def train(model: torch.nn.Module, batch: list[dict], objective: str) -> list[float]:
    params = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(params, lr=LR[objective], weight_decay=0.01)
    losses = []
    model.train()  # dropout is 0 everywhere
    for _ in range(STEPS):
        double = [{**e, "labels": torch.tensor(e["labels"], dtype=params[0].dtype)} if objective == "regression" else e for e in batch]
        loss = loss_of(model, double, objective)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, CLIP)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return losses


def save(model: torch.nn.Module, folder: Path) -> None:
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=1) + "\n")


def write(name: str, objective: str) -> None:
    folder = ROOT / f"{name}-{objective}"
    batch = examples(name, objective)
    model = adapted(name, objective, torch.float32)
    save(model, folder / "adapter-initial")
    losses = train(model, batch, objective)
    save(model, folder / "adapter-after")
    exact = train(adapted(name, objective, torch.float64), batch, objective)
    golden = {
        "model": name, "objective": objective, "examples": batch, "lr": LR[objective], "weightDecay": 0.01, "clip": CLIP, "losses": losses,
        "texts": [{"prompt": p, "completion": c} for p, c in PAIRS] if objective == "completion" else
        [{"text": t, "label": label} for t, label in zip(TEXTS, LABELS.get(objective, [None] * 4))],
        "noise": max(abs(a - b) / abs(b) for a, b in zip(losses, exact)),
    }  # fmt: skip
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    print(f"{folder.name:32} {losses[0]:.4f} -> {losses[-1]:.4f}, noise {golden['noise']:.1e}")


def main() -> None:
    import peft

    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    tf.logging.set_verbosity_error()
    tf.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for old in ROOT.glob("*/"):
        shutil.rmtree(old)
    write_bert_with_heads()
    for name, objective in CASES:
        write(name, objective)
    libraries = {m.__name__: m.__version__ for m in (torch, tf, peft)}
    (ROOT / "versions.json").write_text(json.dumps({"seed": SEED, **libraries}, indent=1) + "\n")


if __name__ == "__main__":
    main()

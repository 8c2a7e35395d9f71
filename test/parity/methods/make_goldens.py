"""Writes test/fixtures/methods: what every tuning method of peft and transformers does to the tiny models in ten steps.

Run from the repository root, after test/parity/models/make_goldens.py: `python test/parity/methods/make_goldens.py [case ...]`.
Per model one golden.json (options, data, losses) and one golden.safetensors (CASE/initial/NAME, CASE/gradient/NAME, CASE/final/NAME,
CASE/saved/NAME where peft's files hold something else than what is trained, CASE/logits). Seeds are fixed; versions.json
records the libraries used.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
import transformers as tf
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent))
import replay
from cases import CASES, MODELS, TARGETINGS

ROOT = Path(__file__).parents[2] / "fixtures"


def masked_bert() -> Path:
    """The tiny BERT with a random masked-token head, as BertForMaskedLM saves it."""
    folder = ROOT / "methods" / "bert"
    base = ROOT / "models" / "bert"
    model = tf.BertForMaskedLM(tf.BertConfig.from_pretrained(base))
    gen = torch.Generator().manual_seed(replay.SEED)
    weights = {f"bert.{key}": value for key, value in load_file(base / "model.safetensors").items()}
    with torch.no_grad():
        for key, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=gen)
            if key in weights:
                p.copy_(weights[key])
            else:
                p.copy_(noise * 0.2 if p.dim() > 1 else 0.1 * noise + float(key.endswith("Norm.weight")))
    model.tie_weights()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).write_bytes((base / file).read_bytes())
    return folder


def worst(a: list[float], b: list[float]) -> float:
    return max(abs(x - y) / abs(y) for x, y in zip(a, b))


def in_float64(folder: Path, name: str, case: dict, data: dict, initial: dict) -> list[float]:
    """The losses of the same run in float64."""
    model = replay.adapted(replay.load(folder), name, case, folder).double()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.requires_grad:
                p.copy_(initial[replay.short(key)])
    return replay.train(model, case, data)["losses"]


def run(folder: Path, name: str, key: str, data: dict, ids: list[int]) -> tuple[dict, dict[str, torch.Tensor]]:
    """One case: its part of golden.json and of golden.safetensors."""
    case, tensors = CASES[key], {}
    model = replay.adapted(replay.load(folder), name, case, folder)
    whole = "config" not in case  # whole weights start from the base model: nothing to keep but what they come to
    initial = replay.trainable(model)
    record = replay.train(model, case, data)
    final = replay.trainable(model)
    entry = {k: case[k] for k in ("lr", "ratio", "layer_decay") if k in case}
    entry |= {"losses": record["losses"], "trained": {k: list(v.shape) for k, v in initial.items()}}
    entry["float32_noise"] = worst(record["losses"], in_float64(folder, name, case, data, initial))
    if record["objective"] != record["losses"]:
        entry["objective"] = record["objective"]
    if case.get("parameters") == "halves":
        entry["selections"], entry["switch"] = replay.halves(model), replay.SWITCH
    kept = [k for k in final if not whole or final[k].numel() <= 128]
    for part, values in (("initial", {} if whole else initial), ("gradient", record["gradients"]), ("final", final)):
        tensors |= {f"{key}/{part}/{k}": values[k] for k in kept if k in values}
    if not whole:
        entry["config"] = describe(model.peft_config["default"].to_dict())
        files = replay.saved(model)
        entry["saved"] = {k: list(v.shape) for k, v in files.items()}
        if not set(files) <= set(final) or any(not torch.equal(files[k], final[k]) for k in files):
            tensors |= {f"{key}/saved/{k}": v for k, v in files.items()}
    if getattr(model, "peft_type", None) == "ADALORA":
        model = reload(folder, name, model)
    tensors[f"{key}/logits"] = replay.logits(model, ids)
    print(f"{name:6} {key:18} {record['losses'][0]:.4f} -> {record['losses'][-1]:.4f}, noise {entry['float32_noise']:.1e}")
    return entry, tensors


def reload(folder: Path, name: str, model: torch.nn.Module) -> torch.nn.Module:
    """AdaLoRA's saved adapter is smaller than the trained one: what a user gets back is what counts."""
    import tempfile

    from peft import PeftModel

    with tempfile.TemporaryDirectory() as place:
        model.save_pretrained(place)
        again = PeftModel.from_pretrained(replay.load(folder), place)
        ids = [7, 8, 9, 10]
        assert torch.allclose(replay.logits(again, ids), replay.logits(model, ids), atol=1e-5)
    return again


def describe(config: dict) -> dict:
    """adapter_config.json as peft writes it, sets in order."""
    config = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    config["inference_mode"] = True
    if config.get("tokenizer_name_or_path"):
        config["tokenizer_name_or_path"] = config["base_model_name_or_path"]
    return json.loads(json.dumps(config, default=str))


def targetings(folder: Path, name: str) -> list[dict]:
    """Which modules peft adapts for each way of naming them."""
    found = []
    for options in TARGETINGS[name]:
        model = get_peft_model(replay.load(folder), LoraConfig(r=1, fan_in_fan_out=name == "gpt2", **options))
        names = {k.split(".lora_")[0].removeprefix("base_model.model.") for k in model.state_dict() if ".lora_A" in k}
        found.append({"options": options, "modules": sorted(names)})
    return found


def write(name: str, wanted: list[str]) -> None:
    folder = masked_bert() if name == "bert" else ROOT / "models" / name
    out = ROOT / "methods" / name
    out.mkdir(parents=True, exist_ok=True)
    ids = json.loads((ROOT / "models" / name / "golden.json").read_text())["ids"][1]
    data = replay.examples(name)
    golden = {"steps": replay.STEPS, "batch": replay.BATCH, "clip": replay.CLIP, "weightDecay": replay.DECAY, "schedule": "linear"}
    golden |= {"beta1": replay.BETAS[0], "beta2": replay.BETAS[1], "eps": replay.EPS, "ids": ids, "data": data, "cases": {}}
    tensors = {}
    for key, case in CASES.items():
        if name not in case.get("models", MODELS) or (wanted and key not in wanted):
            continue
        golden["cases"][key], found = run(folder, name, key, data, ids)
        tensors |= found
    golden["targetings"] = targetings(folder, name)
    save_file({k: v.contiguous() for k, v in tensors.items()}, out / "golden.safetensors")
    (out / "golden.json").write_text(json.dumps(golden) + "\n")


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tf.logging.set_verbosity_error()
    tf.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in MODELS:
        write(name, sys.argv[1:])
    import peft
    import safetensors

    libraries = {m.__name__: m.__version__ for m in (torch, tf, peft, safetensors)}
    (ROOT / "methods" / "versions.json").write_text(json.dumps({"seed": replay.SEED, **libraries}, indent=1) + "\n")


if __name__ == "__main__":
    main()

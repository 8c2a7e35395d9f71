"""Goldens of the two real models: hidden states of every layer at a few positions, their RMS, and a loss on 1,000 tokens."""

import copy
import json
from pathlib import Path

import torch
import transformers as tf
from safetensors.torch import save_file

TEXT = (
    "On the third morning the lighthouse keeper found a letter under the door. It was written in green ink, "
    "folded twice, and it asked him, politely, to leave the lamp unlit until Friday."
)
POSITIONS = (0, 1, 17, -1)

PLACES = ("harbour", "market", "old library", "railway station", "orchard", "museum", "valley")
PEOPLE = ("A fisherman", "The teacher", "My neighbour", "An engineer", "The youngest sister")
DEEDS = ("looked for", "repaired", "described", "carried away", "almost forgot", "painted", "sold", "measured")
THINGS = ("a brass compass", "three letters", "the wooden boat", "an unfinished map", "a basket of pears", "the clock")
REASONS = (
    "because the winter had come early",
    "although nobody had asked for it",
    "while the others were still asleep",
    "before the rain reached the hills",
)


def long_text(sentences: int = 90) -> str:
    """Sentences whose parts walk through lists of coprime-ish lengths, so that they do not soon repeat."""
    lines = []
    for n in range(sentences):
        person, deed, thing = PEOPLE[n % 5], DEEDS[(3 * n + n // 5) % 8], THINGS[(n * n + n // 7) % 6]
        place, reason = PLACES[(2 * n) % 7], REASONS[(n + n // 3) % 4]
        lines.append(f"{person} {deed} {thing} near the {place} {reason}.")
    return " ".join(lines)


@torch.no_grad()
def golden(model: torch.nn.Module, ids: list[int]) -> tuple[dict, dict]:
    """In float64: tensors `hidden` [L + 1, positions, C] and `mean` [L + 1, C] over all positions; RMS of every layer; and how far
    the model's own float32 is from that at the positions of each layer (largest difference, relative to the layer's RMS and to the
    token's own), which a state may be off by before it is the implementation's fault."""
    run = lambda m: torch.stack(m(torch.tensor([ids]), output_hidden_states=True).hidden_states)[:, 0].double()  # [L + 1, T, C]
    single, states = run(model), run(copy.deepcopy(model).double())
    at = [p % len(ids) for p in POSITIONS]
    tensors = {"hidden": states[:, at].float().contiguous(), "mean": states.mean(1).float().contiguous()}
    rms = states.pow(2).mean((1, 2)).sqrt()
    off = (single - states)[:, at].abs().amax(2)  # [L + 1, positions]
    own = states[:, at].pow(2).mean(2).sqrt()
    noise = torch.maximum(off / rms[:, None], off / own).tolist()
    return tensors, {"ids": ids, "positions": at, "rms": rms.tolist(), "float32_noise": noise}


@torch.no_grad()
def loss_of(model: torch.nn.Module, ids: list[int]) -> float:
    logits = model(torch.tensor([ids])).logits[0, :-1].double()
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:])).item()


def write(out: Path, smollm2: Path, minilm: Path) -> None:
    """`smollm2` is the GGUF file, `minilm` the folder; writes real.json and two safetensors files into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    source = dict(pretrained_model_name_or_path=smollm2.parent, gguf_file=smollm2.name)
    tok = tf.AutoTokenizer.from_pretrained(**source)
    model = tf.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32, attn_implementation="eager").eval()
    tensors, facts = golden(model, tok(TEXT, add_special_tokens=False).input_ids)
    save_file(tensors, out / "smollm2.safetensors")
    text = long_text()
    ids = tok(text, add_special_tokens=False).input_ids[:1000]
    assert len(ids) == 1000, f"the long text has only {len(ids)} tokens"
    facts |= {"long_text": text, "long_ids": ids, "loss": loss_of(model, ids), "loss_float64": loss_of(model.double(), ids)}
    bert = tf.AutoModel.from_pretrained(minilm, dtype=torch.float32, attn_implementation="eager").eval()
    tensors, bert_facts = golden(bert, tf.AutoTokenizer.from_pretrained(minilm)(TEXT).input_ids)
    save_file(tensors, out / "minilm.safetensors")
    versions = {"torch": torch.__version__, "transformers": tf.__version__}
    facts = {"text": TEXT, "versions": versions, "smollm2": facts, "minilm": bert_facts}
    (out / "real.json").write_text(json.dumps(facts) + "\n")
    print(f"loss {facts['smollm2']['loss']:.7f}, in float64 {facts['smollm2']['loss_float64']:.7f}")

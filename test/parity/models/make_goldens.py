"""Writes test/fixtures/models: tiny random models and what transformers and peft compute with them.

Run from the repository root: `python test/parity/models/make_goldens.py`. With `--real GGUF FOLDER` it makes instead the small
goldens of the two real models (see real.py). Seeds are fixed; versions.json records the libraries used.
"""

import argparse
import json
import shutil
import sys
import warnings
from pathlib import Path

import torch
import transformers as tf
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models
import tuning

ROOT = Path(__file__).parents[2] / "fixtures" / "models"
SEED = 20240
LENGTHS = (5, 11, 8)
TEXTS = [
    "the rabbit ran over a small hill",
    "She asked: whether anyone had seen it?",
    "caf\u00e9 \u2014 na\u00efve \U0001f407 rabbit",
    "  two  spaces\nand a line",
]


def load(folder: Path, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """The model as transformers reads it back from the folder; dropout off, attention by the plain formula."""
    kind = tiny_models.configs()[folder.name][0]
    return kind.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def token_ids(name: str, vocab: int) -> list[list[int]]:
    """Three random sequences; BERT's begin and end as its tokenizer would have them."""
    gen = torch.Generator().manual_seed(SEED + 7)
    low = 5 if name == "bert" else 3
    return [torch.randint(low, vocab, (n,), generator=gen).tolist() for n in LENGTHS]


@torch.no_grad()
def forward(model: torch.nn.Module, ids: list[list[int]]) -> dict[str, torch.Tensor]:
    """Logits [N, V] and hidden states [L + 1, N, C] of sequences fed one at a time, and the summed loss."""
    last = {}
    projected = getattr(model.config, "word_embed_proj_dim", model.config.hidden_size) != model.config.hidden_size
    if projected:
        # transformers gives the projected state as the last entry, of another width; the block's own output goes here
        block = model.model.decoder.layers[-1]
        block.register_forward_hook(lambda _m, _i, out: last.update(h=out[0] if isinstance(out, tuple) else out))
    logits, hidden, losses = [], [], []
    for row in ids:
        x = torch.tensor([row])
        out = model(x, output_hidden_states=True)
        states = list(out.hidden_states)
        if projected:
            states[-1] = last["h"]
        hidden.append(torch.cat(states))  # [L + 1, T, C]
        if "logits" in out:
            logits.append(out.logits[0])
            losses.append(torch.nn.functional.cross_entropy(out.logits[0, :-1].double(), x[0, 1:], reduction="sum"))
    result = {"hidden": torch.cat(hidden, dim=1)}
    if logits:
        result["logits"] = torch.cat(logits)
        result["loss"] = torch.stack(losses).sum() / sum(len(row) - 1 for row in ids)
    return result


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference over the root mean square of the reference."""
    return ((a.double() - b.double()).abs().max() / b.double().pow(2).mean().sqrt()).item()


def tokenised(folder: Path) -> list[dict]:
    """What the tokenizers library gives for a few texts: ids with special tokens, and offsets in code points."""
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [{"text": t, "ids": (e := tok.encode(t)).ids, "offsets": e.offsets, "decoded": tok.decode(e.ids)} for t in TEXTS]


def write_forward(folder: Path) -> None:
    """golden.safetensors and golden.json of one folder."""
    model = load(folder)
    ids = token_ids(folder.name, model.config.vocab_size)
    got, exact = forward(model, ids), forward(load(folder, torch.float64), ids)
    loss = got.pop("loss", None)
    exact.pop("loss", None)
    save_file({k: v.contiguous() for k, v in got.items()}, folder / "golden.safetensors")
    golden = {
        "ids": ids,
        "loss": None if loss is None else loss.item(),
        "float32_noise": {k: relative(got[k], exact[k]) for k in got},
        "tokens": tokenised(folder),
    }
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    print(f"{folder.name:20} loss {golden['loss'] or 0:.5f}  float32 against float64: {golden['float32_noise']}")


def write_versions(path: Path) -> None:
    """Versions and seed beside the goldens they made."""
    import peft
    import safetensors
    import tokenizers

    libraries = {m.__name__: m.__version__ for m in (torch, tf, peft, safetensors, tokenizers)}
    path.write_text(json.dumps({"seed": SEED, "python": sys.version.split()[0], **libraries}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", nargs=2, type=Path, metavar=("GGUF", "FOLDER"), help="SmolLM2 and MiniLM: only their goldens")
    args = parser.parse_args()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    tf.logging.set_verbosity_error()
    tf.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    if args.real:
        import real

        real.write(ROOT.parent / "real", *args.real)
        return
    for n, name in enumerate(tiny_models.configs()):
        shutil.rmtree(ROOT / name, ignore_errors=True)
        folder = tiny_models.write_model(ROOT, name, SEED + n)
        write_forward(folder)
        if name in tuning.TARGETS:
            tuning.write(folder, lambda dtype, f=folder: load(f, dtype), SEED + n)
    write_versions(ROOT / "versions.json")


if __name__ == "__main__":
    main()

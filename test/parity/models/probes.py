"""Writes test/fixtures/probes: what plain hooks on transformers' modules see and change in the tiny random models.

Run from the repository root: `python test/parity/models/probes.py`. Needs torch, transformers and safetensors as versions.json of
test/fixtures/models says. Every ablation and every patch is one forward pass of its own, in float64, one item at a time.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))
from make_goldens import ROOT, load

OUT = ROOT.parent / "probes"
NAMES = ["llama", "mistral", "qwen2", "gpt2", "neox-parallel", "neox-sequential", "opt", "opt-post-norm", "bert"]
SEED = 71


def parts(name: str, model) -> list[dict]:
    """Of each block: the block, the output projection of its attention, and the module whose output the MLP adds."""
    if name.startswith("neox"):
        return [dict(block=b, out=b.attention.dense, mlp=b.mlp) for b in model.gpt_neox.layers]
    if name.startswith("opt"):
        return [dict(block=b, out=b.self_attn.out_proj, mlp=b.fc2) for b in model.model.decoder.layers]
    if name == "gpt2":
        return [dict(block=b, out=b.attn.c_proj, mlp=b.mlp) for b in model.transformer.h]
    if name == "bert":
        encoder = getattr(model, "bert", model).encoder
        return [dict(block=b, out=b.attention.output.dense, mlp=b.output.dense) for b in encoder.layer]
    return [dict(block=b, out=b.self_attn.o_proj, mlp=b.mlp) for b in model.model.layers]


def items_of(vocab: int) -> tuple[list, list]:
    """Items with beginnings in common (6 and 4 tokens), one of another length; and their other readings, one or two tokens changed."""
    gen = torch.Generator().manual_seed(SEED)
    draw = lambda n: torch.randint(5, vocab, (n,), generator=gen).tolist()
    first = draw(6)
    items = [first + draw(3), first + draw(3), first[:4] + draw(5), draw(7)]
    others = [list(item) for item in items]
    for item in others:
        item[4] = (item[4] + 17) % (vocab - 5) + 5
    others[1][7] = (others[1][7] + 3) % (vocab - 5) + 5
    return items, others


class Hooked:
    """Forward passes of one item with changes at points of blocks."""

    def __init__(self, name: str):
        self.model = load(ROOT / name, torch.float64)
        self.parts = parts(name, self.model)
        config = self.model.config
        self.heads = config.num_attention_heads
        self.width = getattr(config, "head_dim", None) or config.hidden_size // self.heads

    @torch.no_grad()
    def run(self, ids, change=None, attentions=False):
        """`change(point, layer, x)` gives what the pass goes on with; x [T, width]. Returns the output."""
        handles = []

        def pre(point, layer):
            def hook(_module, args, kwargs):
                x = args[0] if args else kwargs["hidden_states"]
                x = change(point, layer, x.reshape(-1, x.shape[-1])).view_as(x)
                return ((x, *args[1:]), kwargs) if args else (args, dict(kwargs, hidden_states=x))
            return hook

        def post(point, layer):
            return lambda _m, _a, out: change(point, layer, out.reshape(-1, out.shape[-1])).view_as(out)

        if change:
            for layer, part in enumerate(self.parts):
                handles.append(part["block"].register_forward_pre_hook(pre("residual", layer), with_kwargs=True))
                handles.append(part["out"].register_forward_pre_hook(pre("heads", layer), with_kwargs=True))
                handles.append(part["out"].register_forward_hook(post("attention", layer)))
                handles.append(part["mlp"].register_forward_hook(post("mlp", layer)))
        try:
            return self.model(torch.tensor([ids]), output_attentions=attentions)
        finally:
            for handle in handles:
                handle.remove()

    def states(self, ids) -> dict:
        """Of each point: [L, T, width]."""
        found = {}
        def see(point, layer, x):
            found.setdefault(point, []).append(x.clone())
            return x
        self.run(ids, see)
        return {point: torch.stack(xs) for point, xs in found.items()}

    def scores(self, items, edits, given, expected=None) -> torch.Tensor:
        """Log probability of every next token of every item under `edits`: (point, layer, head, position, value) with value `zero`,
        `mean` or `other`; `given` holds means by point and the states of the other readings. `expected`: whose tokens are scored."""
        rows = []
        for number, ids in enumerate(items):
            def change(point, layer, x, number=number):
                for at, l, head, position, value in edits:
                    if (at, l) != (point, layer):
                        continue
                    x = x.clone()
                    cols = slice(None) if head < 0 else slice(head * self.width, (head + 1) * self.width)
                    where = slice(None) if position < 0 else position
                    if value == "zero":
                        x[where, cols] = 0
                    elif value == "mean":
                        x[where, cols] = given["mean"][point][layer][cols]
                    elif position < 0 or position < len(x):
                        x[where, cols] = given["other"][number][point][layer][where, cols]
                return x
            logits = self.run(ids, change).logits[0]
            p = torch.log_softmax(logits, -1)
            target = (expected or items)[number]
            rows += [p[t, target[t + 1]] for t in range(len(ids) - 1)]
        return torch.stack(rows)


def variants_of(layers: int, heads: int) -> list:
    every = [[("heads", l, h, -1, "zero")] for l in range(layers) for h in range(heads)]
    means = [[("heads", l, h, -1, "mean")] for l in range(layers) for h in range(heads)]
    several = [
        [("heads", 0, 0, -1, "zero"), ("heads", 1, 1, -1, "zero")],
        [("heads", 0, 0, -1, "zero"), ("heads", 0, 1, -1, "zero")],
        [("attention", 0, -1, -1, "zero"), ("mlp", 0, -1, -1, "zero")],
        [("attention", 1, -1, -1, "mean"), ("mlp", 1, -1, -1, "mean")],
        [("mlp", 0, -1, -1, "zero"), ("heads", 1, 0, -1, "mean")],
    ]
    patches = [[("residual", l, -1, p, "other")] for l in range(layers) for p in (4, 6)]
    patches += [[("heads", l, h, p, "other")] for l in range(layers) for h in range(heads) for p in (4, 5)]
    patches += [[("mlp", 1, -1, 5, "other")], [("residual", 1, -1, -1, "other")], [("attention", 1, -1, 4, "zero")]]
    return every + means + several + patches


def make(name: str) -> None:
    hooked = Hooked(name)
    items, others = items_of(hooked.model.config.vocab_size)
    states = [hooked.states(ids) for ids in items]
    tensors = {point: torch.cat([s[point] for s in states], 1) for point in ("residual", "heads", "attention", "mlp")}
    maps = [torch.stack(hooked.run(ids, attentions=True).attentions)[:, 0] for ids in items[:2]]
    tensors["maps"] = torch.stack(maps).mean(0)  # [L, H, T, T]
    golden = {"items": items, "others": others}
    if name != "bert":
        given = {
            "mean": {point: tensors[point].mean(1) for point in ("heads", "attention", "mlp")},
            "other": [hooked.states(ids) for ids in others],
        }
        variants = variants_of(len(hooked.parts), hooked.heads)
        tensors["scores"] = torch.stack([hooked.scores(items, edits, given) for edits in [[], *variants]])
        tensors["otherScores"] = hooked.scores(others, [], given, items)
        golden["variants"] = variants
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(golden) + "\n")
    save_file({key: value.float().contiguous() for key, value in tensors.items()}, OUT / f"{name}.safetensors")


if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        make(name)
        print(name)

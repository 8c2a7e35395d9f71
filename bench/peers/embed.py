"""The rival of the embed suite: hidden states of transformers' AutoModel in float32, all layers, the last token of each sequence.

As a user would write it for speed: inference mode, scaled-dot-product attention, no cache of keys, no vocabulary projection; sequences
sorted by length, padded on the right, in batches of a given size.
"""
import time

import torch
import transformers
from serve import serve
from transformers import AutoModel

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

STATE = {}


def start(request):
    model = AutoModel.from_pretrained(request["folder"], dtype=torch.float32, attn_implementation="sdpa")
    STATE["model"] = model.eval()
    return {}


def states(batch, rows, precision):
    """[layers + 1, n, C] of the rows (sequence, position) wanted from a batch of ids."""
    longest = max(map(len, batch))
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids in batch])
    mask = None
    if any(len(each) < longest for each in batch):
        mask = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in batch])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        output = STATE["model"](input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
    sequence, position = (torch.tensor(part) for part in zip(*rows))
    return torch.stack([layer[sequence, position].float() for layer in output.hidden_states])


@torch.inference_mode()
def embed(request):
    """The last token of each of `sequences`, in batches of `batch` by length; written to `file` (float32, [layers + 1, n, C]) where named."""
    sequences = request["sequences"]
    begin = time.perf_counter()
    order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
    result = None
    for first in range(0, len(order), request["batch"]):
        chosen = order[first : first + request["batch"]]
        batch = [sequences[i] for i in chosen]
        part = states(batch, [(row, len(ids) - 1) for row, ids in enumerate(batch)], request["precision"])
        if result is None:
            result = torch.empty(len(part), len(sequences), part.shape[-1])
        result[:, chosen] = part
    seconds = time.perf_counter() - begin
    if request.get("file"):
        result.numpy().tofile(request["file"])
    return {"seconds": seconds}


@torch.inference_mode()
def grow(request):
    """Stretches [first, end) of `ids`, each read with all before it: the seconds of each; states of the last token of each, if `file` is named."""
    seconds, parts = [], []
    for end in request["ends"]:
        begin = time.perf_counter()
        parts.append(states([request["ids"][:end]], [(0, end - 1)], request["precision"]))
        seconds.append(time.perf_counter() - begin)
    if request.get("file"):
        torch.cat(parts, 1).numpy().tofile(request["file"])
    return {"seconds": seconds}


if __name__ == "__main__":
    serve({"start": start, "embed": embed, "grow": grow})

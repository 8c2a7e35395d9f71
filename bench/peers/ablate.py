"""The rival of the ablate suite: one forward pass of transformers for each head that is zeroed by a hook, in float32.

As a user would write it for speed: inference mode, scaled-dot-product attention, no cache of keys, items sorted by length and padded on the
right in batches of a given size, the vocabulary projection of each item's last token alone.
"""
import time

import torch
import transformers
from serve import serve
from transformers import AutoModelForCausalLM

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

STATE = {}


def start(request):
    model = AutoModelForCausalLM.from_pretrained(request["folder"], dtype=torch.float32, attn_implementation="sdpa")
    STATE["model"] = model.eval()
    layers = model.transformer.h if hasattr(model, "transformer") else model.model.layers
    STATE["outputs"] = [b.attn.c_proj if hasattr(b, "attn") else b.self_attn.o_proj for b in layers]
    return {}


def log_p(sequences, tokens, size):
    """Log probabilities of `tokens` after each sequence, [n][tokens], and whether the likeliest token of all is the first of them."""
    model = STATE["model"]
    order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
    found = [None] * len(sequences)
    for first in range(0, len(order), size):
        chosen = order[first : first + size]
        batch = [sequences[i] for i in chosen]
        longest = max(map(len, batch))
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids in batch])
        mask = None
        if any(len(each) < longest for each in batch):
            mask = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in batch])
        states = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        last = states[torch.arange(len(batch)), torch.tensor([len(each) - 1 for each in batch])]
        for i, row in zip(chosen, torch.log_softmax(model.lm_head(last), -1)):
            found[i] = row[tokens].tolist()
    return found


@torch.inference_mode()
def ablate(request):
    """Each of `heads` [layer, head] zeroed: [heads][n][tokens], and the seconds of each."""
    width = request["width"]
    results, seconds = [], []
    for layer, head in request["heads"]:
        begin = time.perf_counter()

        def zero(_module, args):
            x = args[0].clone()
            x[..., head * width : (head + 1) * width] = 0
            return (x, *args[1:])

        handle = STATE["outputs"][layer].register_forward_pre_hook(zero)
        try:
            results.append(log_p(request["sequences"], request["tokens"], request["batch"]))
        finally:
            handle.remove()
        seconds.append(time.perf_counter() - begin)
    return {"logP": results, "seconds": seconds}


if __name__ == "__main__":
    serve({"start": start, "ablate": ablate})

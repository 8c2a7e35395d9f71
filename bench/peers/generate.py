"""The rival of the generate suite: transformers' `generate` in float32 with its cache, prompts padded on the left in one batch."""
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
    model.generation_config.eos_token_id = None  # texts go on to their full length
    STATE["model"] = model.eval()
    return {}


@torch.inference_mode()
def generate(request):
    """`tokens` new tokens after each of `prompts`, with `beams` beams."""
    prompts = request["prompts"]
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(each)) + each for each in prompts])
    mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in prompts])
    begin = time.perf_counter()
    out = STATE["model"].generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        num_beams=request["beams"],
        max_new_tokens=request["tokens"],
        pad_token_id=0,
    )
    return {"seconds": time.perf_counter() - begin, "texts": out[:, longest:].tolist()}


if __name__ == "__main__":
    serve({"start": start, "generate": generate})

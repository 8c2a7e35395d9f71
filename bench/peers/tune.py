"""The rival of the tune suite: transformers with peft, one run at a time, as good as a user would get it.

Float32 weights with scaled-dot-product attention, or the same under bfloat16 autocast; no gradient for frozen weights; batches padded on the
right and moved to tensors beforehand, labels -100 on the padding; AdamW as the faster of its fused and its foreach form; gradients clipped
to norm 1; caches off; no loss read back while the time is taken.
"""
import resource
import time
import warnings

import torch
import transformers
from peft import IA3Config, LoraConfig, PromptTuningConfig, get_peft_model
from serve import serve
from transformers import AutoModelForCausalLM

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

TASK = {"task_type": "CAUSAL_LM"}
CONFIGS = {
    "lora-all": lambda: LoraConfig(r=8, lora_alpha=8, target_modules="all-linear", **TASK),
    # PEFT's default targets of the family: q_proj and v_proj, or GPT-2's c_attn.
    "lora-qv": lambda: LoraConfig(r=8, lora_alpha=8, **TASK),
    "ia3": lambda: IA3Config(**TASK),
    "prompt": lambda: PromptTuningConfig(num_virtual_tokens=20, **TASK),
}
STATE = {}


def start(request):
    """Builds the model of one run: {folder, method, seed, adapter}; saves a fresh adapter where `adapter` says, for the other side to load."""
    STATE.clear()
    torch.manual_seed(request["seed"])
    model = AutoModelForCausalLM.from_pretrained(request["folder"], dtype=torch.float32, attn_implementation="sdpa")
    model.config.use_cache = False
    if request["method"] != "full":
        model = get_peft_model(model, CONFIGS[request["method"]]())
        if request.get("adapter"):
            model.save_pretrained(request["adapter"])
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    STATE.update(model=model, trained=trained, form=None)
    return {"trainable": sum(parameter.numel() for parameter in trained)}


def optimiser(lr):
    if STATE["form"] is None:
        STATE["form"] = faster_form()
    return torch.optim.AdamW(STATE["trained"], lr=lr, weight_decay=0.0, **STATE["form"])


def faster_form():
    """Of fused and foreach AdamW, the one whose update takes less time; parameters stay as they are."""
    taken = []
    for form in [{"fused": True}, {"foreach": True}]:
        optim = torch.optim.AdamW(STATE["trained"], lr=0.0, weight_decay=0.0, **form)
        for parameter in STATE["trained"]:
            parameter.grad = torch.zeros_like(parameter)
        optim.step()
        begin = time.perf_counter()
        optim.step()
        taken.append((time.perf_counter() - begin, form))
    optim.zero_grad(set_to_none=True)
    return min(taken, key=lambda pair: pair[0])[1]


def collate(batch):
    longest = max(map(len, batch))
    pad = lambda fill, value: torch.tensor([value(ids) + [fill] * (longest - len(ids)) for ids in batch])
    return {
        "input_ids": pad(0, list),
        "attention_mask": pad(0, lambda ids: [1] * len(ids)),
        "labels": pad(-100, list),
    }


def step(batch, optim, precision):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        loss = STATE["model"](**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(STATE["trained"], 1.0)
    optim.step()
    optim.zero_grad(set_to_none=True)
    return loss.detach()


def losses(request):
    """Losses of one run over `batches`, from where the model stands."""
    optim = optimiser(request["lr"])
    steps = [step(collate(batch), optim, request["precision"]) for batch in request["batches"]]
    return {"losses": [float(loss) for loss in steps]}


def train(request):
    """Seconds of the steps after the first, which warms up."""
    optim = optimiser(request["lr"])
    first, *others = [collate(batch) for batch in request["batches"]]
    step(first, optim, request["precision"])
    begin = time.perf_counter()
    for batch in others:
        step(batch, optim, request["precision"])
    return {"seconds": time.perf_counter() - begin}


def peak(request):
    """Bytes of memory this process held at most."""
    return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


if __name__ == "__main__":
    serve({"start": start, "losses": losses, "train": train, "peak": peak})

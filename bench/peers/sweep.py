"""The rival of the sweep suite: a study as a loop over peft, transformers and himalaya in one process, from a plan that ours wrote.

The model is loaded once; every run puts a fresh adapter on it (the one given, so that both sides begin alike) and takes it off again. It is
trained as in tune.py, on the batches of the plan. The stimuli are read in one pass over the same sequences, without the vocabulary
projection; tokens become volumes by one sparse product, with the same delays. Every layer and outer fold is standardised by its training
rows and fitted by himalaya's KernelRidgeCV over the same inner folds and alphas, with the backend and dtype that a trial finds fastest.
Adapter and scores are written to files.
"""
import json
import os
import time

import numpy as np
import torch
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from peft import PeftConfig, PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from serve import serve
from sklearn.preprocessing import StandardScaler
from transformers import AutoModelForCausalLM
from tune import STATE, collate, optimiser, step

SOLVERS = [("torch", "float32"), ("torch", "float64"), ("numpy", "float32"), ("numpy", "float64")]
SWEEP = {}


def start(request):
    """Loads the model in `folder`."""
    model = AutoModelForCausalLM.from_pretrained(request["folder"], dtype=torch.float32, attn_implementation="sdpa")
    model.config.use_cache = False
    # peft freezes what it wraps; a prompt's base model too.
    model.requires_grad_(False)
    SWEEP.update(base=model, forms={})
    return {}


def load(request):
    """Reads a plan of bench/sweep/plan.mjs and its responses."""
    with open(request["plan"]) as file:
        plan = json.load(file)
    responses = np.fromfile(plan["responses"], dtype=np.float32).reshape(plan["rows"], -1)
    SWEEP.update(plan=plan, responses=responses, pools=[pool_of(part, plan["rows"]) for part in plan["sequences"]])
    return {}


def pool_of(sequence, rows):
    """[rows, tokens]: tokens to the mean of their word, words to volumes."""
    return torch.sparse_csr_tensor(
        torch.tensor(sequence["rowStarts"]), torch.tensor(sequence["columns"]), torch.tensor(sequence["weights"]),
        size=(rows, len(sequence["ids"])),
    )


@torch.inference_mode()
def embed(model):
    """[layers + 1, volumes, C x delays]"""
    plan, total = SWEEP["plan"], None
    for sequence, pool in zip(plan["sequences"], SWEEP["pools"]):
        states = hidden_states(model, torch.tensor([sequence["ids"]]))  # [L, T, C]
        part = torch.stack([pool @ layer for layer in states])
        total = part if total is None else total + part
    delayed = []
    for delay in plan["delays"]:
        copy = torch.zeros_like(total)
        copy[:, delay:] = total[:, : total.shape[1] - delay]
        delayed.append(copy)
    return torch.cat(delayed, -1).numpy()


def hidden_states(model, ids):
    """Of every layer, by the inner model: the vocabulary projection is not needed."""
    causal = model.get_base_model() if isinstance(model, PeftModel) else model
    if isinstance(model, PeftModel) and model.active_peft_config.is_prompt_learning:
        prompt = model.get_prompt(batch_size=1)
        inputs = torch.cat([prompt, causal.get_input_embeddings()(ids)], 1)
        output = causal.model(inputs_embeds=inputs, output_hidden_states=True, use_cache=False)
        return [layer[0, prompt.shape[1] :] for layer in output.hidden_states]
    output = causal.model(input_ids=ids, output_hidden_states=True, use_cache=False)
    return [layer[0] for layer in output.hidden_states]


def pearson(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))


def score(features, backend_name, dtype):
    """Mean r over outer folds. [L, targets]"""
    backend = set_backend(backend_name)
    plan, Y = SWEEP["plan"], SWEEP["responses"].astype(dtype)
    alphas = np.array(plan["alphas"], dtype=dtype)
    result = []
    for layer in features:
        layer, r = layer.astype(dtype), []
        for fold in plan["folds"]:
            train, test = np.array(fold["train"]), np.array(fold["test"])
            scaler = StandardScaler().fit(layer[train])
            cv = [(np.array(inner["train"]), np.array(inner["test"])) for inner in fold["inner"]]
            model = KernelRidgeCV(alphas=alphas, cv=cv, fit_intercept=True)
            model.fit(scaler.transform(layer[train]), Y[train])
            predicted = backend.to_numpy(model.predict(scaler.transform(layer[test])))
            r.append(pearson(predicted.astype(np.float64), Y[test].astype(np.float64)))
        result.append(np.mean(r, 0))
    return np.stack(result)


def untuned(request):
    """Scores of the model as it is in float64, and the fastest solver by a few of its layers."""
    features = embed(SWEEP["base"])
    r = score(features, "numpy", "float64")
    few, taken = features[:: max(1, len(features) // 3)], []
    for solver in SOLVERS:
        score(few[:1], *solver)
        begin = time.perf_counter()
        score(few, *solver)
        taken.append((time.perf_counter() - begin, solver))
    SWEEP["solver"] = min(taken)[1]
    return {"r": r.ravel().tolist(), "solver": " ".join(SWEEP["solver"])}


def adapted(folder):
    """The model with the adapter of a folder, to be trained. PeftModel.from_pretrained refuses that for prompts."""
    config = PeftConfig.from_pretrained(folder)
    config.inference_mode = False
    model = get_peft_model(SWEEP["base"], config)
    set_peft_model_state_dict(model, load_peft_weights(folder))
    return model


def run(request):
    """One run, {method, adapter, order, lr, out}: seconds of its stages, its losses and scores."""
    seconds, last = {}, time.perf_counter()

    def lap(stage):
        nonlocal last
        now = time.perf_counter()
        seconds[stage] = seconds.get(stage, 0) + now - last
        last = now

    plan = SWEEP["plan"]
    model = adapted(request["adapter"])
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # Which form of AdamW is faster depends on the parameters: found once a method.
    STATE.update(model=model, trained=trained, form=SWEEP["forms"].get(request["method"]))
    optim, losses = optimiser(request["lr"]), []
    SWEEP["forms"][request["method"]] = STATE["form"]
    lap("load")
    for batch, factor in zip(plan["batches"][request["order"]], plan["schedule"]):
        for group in optim.param_groups:
            group["lr"] = request["lr"] * factor
        losses.append(step(collate(batch), optim, "fp32"))
    losses = [float(loss) for loss in losses]
    lap("tune")
    model.eval()
    features = embed(model)
    lap("embed")
    r = score(features, *SWEEP["solver"])
    lap("encode")
    model.save_pretrained(request["out"])
    with open(os.path.join(request["out"], "scores.json"), "w") as file:
        json.dump({"r": r.tolist(), "losses": losses}, file)
    if not model.active_peft_config.is_prompt_learning:
        model.unload()
    STATE.clear()
    lap("store")
    return {"seconds": seconds, "losses": losses, "r": r.ravel().tolist()}


if __name__ == "__main__":
    serve({"start": start, "load": load, "untuned": untuned, "run": run})

"""Loads what cortune saved with peft and transformers; prints the logits of one sequence each (of encoders the last states) as JSON.

Argument: a JSON list of {"base": folder, "adapter": folder or null, "ids": [...], "head": "masked" or "sequences" where it has one}.
"""

import json
import sys

import torch
import transformers as tf
from peft import PeftModel

tf.logging.set_verbosity_error()
tf.logging.disable_progress_bar()
torch.set_num_threads(1)
results = []
for job in json.loads(sys.argv[1]):
    encoder = tf.AutoConfig.from_pretrained(job["base"]).model_type == "bert"
    kind = tf.AutoModel if encoder else tf.AutoModelForCausalLM
    heads = {"masked": tf.AutoModelForMaskedLM, "sequences": tf.AutoModelForSequenceClassification}
    kind = heads.get(job.get("head"), kind)
    model = kind.from_pretrained(job["base"], dtype=torch.float32, attn_implementation="eager")
    if job["adapter"]:
        model = PeftModel.from_pretrained(model, job["adapter"])
    with torch.no_grad():
        out = model.eval()(torch.tensor([job["ids"]]))
        logits = (out.last_hidden_state if encoder and not job.get("head") else out.logits)[0]
    results.append({"shape": list(logits.shape), "logits": logits.flatten().tolist()})
print(json.dumps(results))

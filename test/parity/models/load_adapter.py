"""Loads what cortune saved with peft or transformers and prints the logits of one sequence as JSON.

Arguments: base folder, adapter folder (or - for none), token ids separated by commas.
"""

import json
import sys

import torch
import transformers as tf

tf.logging.set_verbosity_error()
tf.logging.disable_progress_bar()
torch.set_num_threads(1)
base, adapter, ids = sys.argv[1:]
model = tf.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
if adapter != "-":
    from peft import PeftModel

    model = PeftModel.from_pretrained(model, adapter)
with torch.no_grad():
    logits = model.eval()(torch.tensor([[int(i) for i in ids.split(",")]])).logits[0]
print(json.dumps({"shape": list(logits.shape), "logits": logits.flatten().tolist()}))

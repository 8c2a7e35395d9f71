"""What all rivals share: reads one JSON request a line, does operation `op` with `threads` threads, answers one JSON line."""
import json
import os
import sys
import traceback

import torch


def serve(operations):
    """Answers requests until the input ends. `operations`: functions by name, each from the request to a dict."""
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        torch.set_num_threads(request["threads"])
        try:
            answer = operations[request["op"]](request)
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)

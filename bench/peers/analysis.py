"""The rival of the analysis suite: 2v2 accuracy and block permutations in numpy, as one writes them by hand and as one writes them for speed."""
import time

import numpy as np
from safetensors.numpy import load_file
from serve import serve

STATE = {}


def load(request):
    STATE.update(load_file(request["file"]))
    return {}


def units(rows):
    """Rows centred and of length 1."""
    rows = rows - rows.mean(1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def vectorised(request):
    dtype = request["dtype"]
    predicted, actual = STATE["predicted"].astype(dtype), STATE["actual"].astype(dtype)
    begin = time.perf_counter()
    similar = units(predicted) @ units(actual).T
    own = np.diag(similar)
    apart = own[:, None] + own[None, :] > similar + similar.T
    wins = (int(apart.sum()) - int(np.diag(apart).sum())) // 2
    return {"seconds": time.perf_counter() - begin, "wins": wins}


def loop(request):
    """Pairs of the first `rows` rows with all later ones."""
    predicted, actual = STATE["predicted"].astype(float), STATE["actual"].astype(float)
    begin = time.perf_counter()
    d, z = units(predicted), units(actual)
    wins = 0
    for i in range(request["rows"]):
        for j in range(i + 1, len(d)):
            wins += d[i] @ z[i] + d[j] @ z[j] > d[i] @ z[j] + d[j] @ z[i]
    return {"seconds": time.perf_counter() - begin, "wins": int(wins)}


def permuted(request):
    """Mean over folds of r of every target, observed and with rows of the responses in each order."""
    data = load_file(request["file"])
    sizes = request["sizes"]
    edges = np.cumsum([0, *sizes])
    orders = np.array(request["orders"]).reshape(-1, edges[-1])
    begin = time.perf_counter()
    parts = [(units(data["predictions"][a:b].T), units(data["responses"][a:b].T), a, b) for a, b in zip(edges, edges[1:])]

    def score(order):
        return sum(np.einsum("ti,ti->t", d, z[:, order[a:b] - a]) for d, z, a, b in parts) / len(parts)

    observed = score(np.arange(edges[-1]))
    exceed = np.zeros(len(observed), int)
    setup = time.perf_counter() - begin
    begin = time.perf_counter()
    for order in orders:
        exceed += score(order) >= observed
    # The preparation is done once however many permutations there are; it is left out.
    return {"seconds": time.perf_counter() - begin, "setup": setup, "r": observed.tolist(), "exceed": exceed.tolist()}


serve({"load": load, "vectorised": vectorised, "loop": loop, "permuted": permuted})

"""The rivals of the ridge suite: the seconds taken and the scores.

Nested ridge as a user of himalaya writes it: for every layer and outer fold a StandardScaler on the training rows, KernelRidgeCV with an
intercept over the inner folds, prediction of the test rows, Pearson r. Needs numpy, torch, scikit-learn, himalaya and safetensors.
"""
import time
import warnings

import numpy as np
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from safetensors.numpy import load_file
from serve import serve
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")


def split(n, count):
    rows = np.arange(n)
    return [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, count)]


def pearson(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))


def nested(X, Y, request):
    backend = set_backend(request["backend"])
    dtype, alphas = request["dtype"], np.array(request["alphas"], dtype=request["dtype"])
    r, chosen = [], []
    for layer in X:
        for train, test in split(len(Y), request["folds"]):
            scaler = StandardScaler().fit(layer[train])
            model = KernelRidgeCV(alphas=alphas, cv=split(len(train), request["inner"]), fit_intercept=True)
            model.fit(scaler.transform(layer[train]).astype(dtype), Y[train].astype(dtype))
            predicted = backend.to_numpy(model.predict(scaler.transform(layer[test]).astype(dtype)))
            r.append(pearson(predicted.astype(np.float64), Y[test].astype(np.float64)))
            chosen.append(backend.to_numpy(model.best_alphas_).astype(np.float64))
    return np.array(r), np.array(chosen)


def ridge(request):
    data = load_file(request["file"])
    start = time.perf_counter()
    r, alpha = nested(data["features"], data["responses"], request)
    return {"seconds": time.perf_counter() - start, "r": r.ravel().tolist(), "alpha": alpha.ravel().tolist()}


if __name__ == "__main__":
    serve({"ridge": ridge})

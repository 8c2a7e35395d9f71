"""The rivals of the ridge suite: the seconds taken and, when asked (`check`), the scores.

nested   for every layer and outer fold a StandardScaler on the training rows, himalaya's KernelRidgeCV with an intercept over the inner folds,
         prediction of the test rows, Pearson r.
fixed    one KernelRidgeCV or RidgeCV of himalaya with an intercept over given folds: alphas, cross-validation scores, the fit of all rows.
permute  fixed alphas, a few permutations of the responses' rows: scikit-learn's Ridge fitted in every fold, or numpy with the SVD of every fold
         made beforehand (not timed).
match    2v2 accuracy by a double loop, or by one matrix of correlations.
banded   himalaya's MultipleKernelRidgeCV over given gammas.
Needs numpy, torch, scikit-learn, himalaya and safetensors.
"""
import time
import warnings

import numpy as np
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV, MultipleKernelRidgeCV
from himalaya.ridge import RidgeCV
from safetensors.numpy import load_file
from serve import serve
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")


def split(n, count):
    rows = np.arange(n)
    return [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, count)]


def pearson(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))


def load(request):
    data = load_file(request["file"])
    dtype = request.get("dtype", "float32")
    X, Y = data["features"][: request.get("layers", 1)], data["responses"][:, : request["targets"]]
    return X.astype(dtype), np.ascontiguousarray(Y.astype(dtype)), np.array(request.get("alphas", [1]), dtype=dtype)


def answer(request, start, **results):
    seconds = time.perf_counter() - start
    return {"seconds": seconds, **({k: np.asarray(v, dtype=float).ravel().tolist() for k, v in results.items()} if request["check"] else {})}


def nested(request):
    backend = set_backend(request["backend"])
    X, Y, alphas = load(request)
    start = time.perf_counter()
    r, chosen = [], []
    for layer in X:
        for train, test in split(len(Y), request["folds"]):
            scaler = StandardScaler().fit(layer[train])
            model = KernelRidgeCV(alphas=alphas, cv=split(len(train), request["inner"]), fit_intercept=True)
            model.fit(scaler.transform(layer[train]), Y[train])
            predicted = backend.to_numpy(model.predict(scaler.transform(layer[test])))
            r.append(pearson(predicted.astype(np.float64), Y[test].astype(np.float64)))
            chosen.append(backend.to_numpy(model.best_alphas_))
    return answer(request, start, r=r, alpha=chosen)


def fixed(request):
    backend = set_backend(request["backend"])
    X, Y, alphas = load(request)
    # Centred once, as ours does: a user of float32 would; fit_intercept still centres every fold.
    X = X[0] - X[0].mean(0)
    start = time.perf_counter()
    model = {"kernel": KernelRidgeCV, "primal": RidgeCV}[request["model"]](alphas=alphas, cv=split(len(Y), request["folds"]), fit_intercept=True)
    model.fit(X, Y)
    return answer(request, start, alpha=backend.to_numpy(model.best_alphas_), mse=-np.atleast_2d(backend.to_numpy(model.cv_scores_)).max(0))


def permute(request):
    X, Y, _ = load(request)
    X, chosen = X[0], np.array(request["chosen"], dtype=X.dtype)
    folds, orders = split(len(Y), request["folds"]), np.array(request["orders"])
    factors = []
    for train, test in folds:
        mean = X[train].mean(0)
        U, s, Vt = np.linalg.svd(X[train] - mean, full_matrices=False)
        factors.append((U, s, (X[test] - mean) @ Vt.T))
    start, r = time.perf_counter(), []
    for order in orders:
        Yp, scores = Y[order], 0
        for (train, test), alpha, (U, s, basis) in zip(folds, chosen, factors):
            if request["how"] == "sklearn":
                predicted = Ridge(alpha=alpha, solver="svd").fit(X[train], Yp[train]).predict(X[test])
            else:
                centred = Yp[train] - Yp[train].mean(0)
                predicted = basis @ ((s[:, None] / (s[:, None] ** 2 + alpha)) * (U.T @ centred))
            scores = scores + pearson(predicted, Yp[test])
        r.append(scores / len(folds))
    return answer(request, start, r=r)


def match(request):
    data = load_file(request["file"])
    predicted, actual = data["predicted"], data["actual"]
    n = len(predicted)
    start = time.perf_counter()
    if request["how"] == "loop":
        rows, total = range(0, n, request.get("step", 1)), 0
        right, corr = 0, lambda a, b: np.corrcoef(a, b)[0, 1]
        for i in rows:
            for j in range(i + 1, n):
                right += corr(predicted[i], actual[i]) + corr(predicted[j], actual[j]) > corr(predicted[i], actual[j]) + corr(predicted[j], actual[i])
                total += 1
    else:
        def z(a):
            a = a - a.mean(1, keepdims=True)
            return a / np.linalg.norm(a, axis=1, keepdims=True)
        S = z(predicted) @ z(actual).T
        d, i, j = np.diag(S), *np.triu_indices(n, 1)
        right, total = (d[i] + d[j] > S[i, j] + S[j, i]).sum(), len(i)
    return answer(request, start, accuracy=right / total) | {"pairs": total}


def banded(request):
    backend = set_backend(request["backend"])
    X, Y, alphas = load(request)
    X = X[0] - X[0].mean(0)
    start = time.perf_counter()
    ends = np.cumsum(request["sizes"])
    Ks = np.stack([X[:, e - s:e] @ X[:, e - s:e].T for s, e in zip(request["sizes"], ends)])
    params = dict(n_iter=np.array(request["gammas"], dtype=X.dtype), alphas=alphas, progress_bar=False, return_alphas=True)
    model = MultipleKernelRidgeCV(kernels="precomputed", solver="random_search", cv=split(len(Y), request["folds"]), fit_intercept=True, solver_params=params)
    model.fit(Ks, Y)
    return answer(request, start, deltas=backend.to_numpy(model.deltas_), mse=-np.atleast_2d(backend.to_numpy(model.cv_scores_)).max(0))


if __name__ == "__main__":
    serve({"nested": nested, "fixed": fixed, "permute": permute, "match": match, "banded": banded})

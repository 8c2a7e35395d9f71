"""Makes test/fixtures/ridge/{groups,bands,groupridge,kernels}-*.json: kinds of folds, banded ridge and kernels on awkward data, by others.

groups      scikit-learn's KFold, LeaveOneGroupOut and GroupKFold outside and inside, and folds of random rows that leave some out: GridSearchCV
            of Ridge(solver="svd") on rows scaled by StandardScaler; test rows of every fold, r, R2 and chosen alphas.
bands       himalaya MultipleKernelRidgeCV over given weights chooses in each outer fold; scikit-learn KernelRidge on the centred sum of
            kernels at the chosen weights and alpha; held-out r, R2 and himalaya's r2_score_split on centred held-out rows.
groupridge  himalaya GroupRidgeCV(solver="random_search", n_iter=given weights): the same search in primal form; deltas and cv scores.
kernels     himalaya KernelRidgeCV(kernel="rbf" / "polynomial"), fixed folds: alphas, cv scores, dual coefficients.

Made with Python 3.11, numpy 2.4.6, scikit-learn 1.9.1, himalaya 0.4.11. Seeds are in the cases.
Run: python test/parity/make_band_goldens.py
"""
import warnings

import numpy as np
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV, MultipleKernelRidgeCV
from himalaya.ridge import GroupRidgeCV
from himalaya.scoring import r2_score_split
from make_ridge_goldens import flat, folds_of, write
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneGroupOut
from sklearn.preprocessing import KernelCenterer, StandardScaler

set_backend("numpy")


def awkward(seed, n, p, t, rank=None, duplicates=None, constant=()):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.exp(0.5 * rng.normal(size=p)) + rng.normal(size=p)
    if rank is not None:
        X = rng.integers(-3, 4, size=(n, rank)) @ rng.integers(-3, 4, size=(rank, p)).astype(float)
    if duplicates is not None:
        X[duplicates:] = X[: n - duplicates]
    for column in constant:
        X[:, column] = 0.75
    X = np.round(X, 2)
    signal = X @ rng.normal(size=(p, t))
    Y = signal / signal.std(0) + rng.normal(size=(n, t)) * np.linspace(0.5, 2, t) + rng.normal(size=t) * 3
    return X.astype(np.float32).astype(float), np.round(Y, 3).astype(np.float32).astype(float)


def sizes_to_labels(sizes):
    return np.concatenate([np.full(size, label) for label, size in enumerate(sizes)])


def groups(name, seed, n, p, labels, outer, inner, spec, inner_count):
    X, Y = awkward(seed, n, p, 2)
    alphas = np.logspace(-1, 5, 7)
    out = {key: [] for key in ("r", "r2", "alpha")}
    tests, used = [], []
    for train, test in outer(X, labels):
        scaler = StandardScaler().fit(X[train])
        Z, Zt = scaler.transform(X[train]), scaler.transform(X[test])
        folds = list(inner(Z, labels[train]))
        tests.append([int(row) for row in test])
        used.append([[int(train[row]) for row in held] for _, held in folds])
        for j in range(Y.shape[1]):
            grid = GridSearchCV(Ridge(solver="svd"), {"alpha": alphas[::-1]}, cv=folds, scoring="neg_mean_squared_error")
            predicted = grid.fit(Z, Y[train, j]).predict(Zt)
            out["r"].append(np.corrcoef(predicted, Y[test, j])[0, 1])
            out["r2"].append(r2_score(Y[test, j], predicted))
            out["alpha"].append(grid.best_params_["alpha"])
    write(name, "groups", X, Y, alphas, labels=[int(label) for label in labels], spec=spec, innerFolds=inner_count, tests=tests,
          inner=used, **{key: flat(values) for key, values in out.items()})


def banded(name, seed, sizes, alphas, t=3, weights=6, **data):
    p = sum(sizes)
    X, Y = awkward(seed, data.pop("n"), p, t, **data)
    ends = np.cumsum(sizes)
    bands = [slice(e - s, e) for s, e in zip(sizes, ends)]
    gammas = np.random.default_rng(seed).dirichlet(np.ones(len(sizes)), weights)
    out = {key: [] for key in ("r", "r2", "split", "deltas", "error")}
    for train, test in folds_of(len(X)):
        centre = X[train].mean(0)
        Z, Zt = X[train] - centre, X[test] - centre
        kernels = np.stack([Z[:, b] @ Z[:, b].T for b in bands])
        crosses = np.stack([Zt[:, b] @ Z[:, b].T for b in bands])
        model = MultipleKernelRidgeCV(kernels="precomputed", solver="random_search", cv=folds_of(len(train), 3), fit_intercept=True,
                                      solver_params=dict(n_iter=gammas, alphas=alphas, progress_bar=False)).fit(kernels, Y[train])
        out["deltas"].append(flat(model.deltas_))
        out["error"].append(flat(-model.cv_scores_.max(0)))
        for j in range(t):
            scale = np.exp(model.deltas_[:, j])  # gamma / alpha
            centrers = [KernelCenterer().fit(k) for k in kernels]
            weighted = [s * c.transform(k) for s, c, k in zip(scale, centrers, kernels)]
            held = [s * c.transform(k) for s, c, k in zip(scale, centrers, crosses)]
            mean = Y[train, j].mean()
            dual = KernelRidge(alpha=1, kernel="precomputed").fit(sum(weighted), Y[train, j] - mean).dual_coef_
            parts = np.stack([k @ dual for k in held])  # [B, m]
            y = Y[test, j]
            out["r"].append(np.corrcoef(parts.sum(0), y)[0, 1])
            out["r2"].append(r2_score(y, parts.sum(0) + mean))
            middle = parts - parts.mean(1, keepdims=True)
            out["split"].append(r2_score_split((y - y.mean())[:, None], middle[:, :, None])[:, 0])
    shape = (4, t, len(sizes))
    write(name, "bands", X, Y, alphas, sizes=sizes, gammas=flat(gammas), deltas=flat(out["deltas"]), error=flat(out["error"]),
          r=flat(out["r"]), r2=flat(out["r2"]), split=flat(np.reshape(out["split"], shape).swapaxes(1, 2)), alpha=[])


def group_ridge(name, seed, sizes, **data):
    X, Y = awkward(seed, data.pop("n"), sum(sizes), 3, **data)
    alphas, folds = np.logspace(-1, 4, 6), folds_of(len(X))
    gammas = np.random.default_rng(seed).dirichlet(np.ones(len(sizes)), 8)
    labels = sizes_to_labels(sizes)
    model = GroupRidgeCV(groups=labels, solver="random_search", cv=folds, fit_intercept=True,
                         solver_params=dict(n_iter=gammas, alphas=alphas, progress_bar=False, warn=False)).fit(X - X.mean(0), Y)
    write(name, "groupridge", X, Y, alphas, sizes=sizes, gammas=flat(gammas), deltas=flat(model.deltas_),
          error=flat(-model.cv_scores_.max(0)), alpha=flat(model.best_alphas_))


def kernels(name, seed, kind, params, alphas, t=2, **data):
    X, Y = awkward(seed, data.pop("n"), data.pop("p"), t, **data)
    folds = folds_of(len(X))
    model = KernelRidgeCV(alphas=alphas, cv=folds, fit_intercept=True, kernel=kind, kernel_params=params).fit(X - X.mean(0), Y)
    write(name, "kernels", X, Y, alphas, kernel=kind, params=params, alpha=flat(model.best_alphas_),
          error=flat(-np.atleast_2d(model.cv_scores_).max(0)), dual=flat(model.dual_coef_))


def some_rows(X, labels):
    """Folds as another program may give them: test rows at random, some in no fold."""
    rows = np.random.default_rng(3).permutation(len(X))
    for test in (rows[:8], rows[8:20], rows[20:29]):
        yield np.setdiff1d(np.arange(len(X)), test), np.sort(test)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    kfold = lambda count: lambda X, labels: KFold(count).split(X)
    left_out = lambda X, labels: LeaveOneGroupOut().split(X, groups=labels)
    grouped = lambda count: lambda X, labels: GroupKFold(count).split(X, groups=labels)
    groups("contiguous", 100, 43, 20, np.zeros(43, int), kfold(4), kfold(3), "contiguous:4", 3)
    groups("leave-one-out", 101, 46, 12, sizes_to_labels([9, 13, 10, 14]), left_out, left_out, "grouped", 5)
    groups("balanced", 102, 61, 30, np.random.default_rng(1).permutation(sizes_to_labels([3, 5, 6, 8, 10, 13, 16])), grouped(3), grouped(2),
           "grouped:3", 2)
    groups("given", 103, 36, 50, np.zeros(36, int), some_rows, kfold(3), None, 3)
    grid = np.logspace(-1, 4, 6)
    banded("wide", 110, [40, 24], grid, n=40)
    banded("tall", 111, [2, 4, 1], grid, n=60)
    banded("rank-deficient", 112, [10, 12], grid, n=45, rank=5)
    banded("duplicate-rows", 113, [30, 20], grid, n=44, duplicates=22)
    banded("constant-columns", 114, [12, 10, 8], grid, n=42, constant=[0, 13, 29])
    banded("one-target-one-alpha", 115, [20, 20], np.array([30.0]), t=1, n=36)
    banded("one-weighting", 116, [9, 7], grid, weights=1, n=40)
    banded("tiny-alphas", 117, [4, 5], np.array([1e-8, 1e-5, 1e-2]), n=50)
    banded("huge-alphas", 118, [16, 14], np.array([1e6, 1e9]), n=40)
    group_ridge("tall", 120, [3, 4], n=60)
    group_ridge("wide", 121, [30, 25], n=40)
    group_ridge("rank-deficient", 122, [11, 9], n=45, rank=5)
    group_ridge("constant-columns", 123, [6, 5, 4], n=42, constant=[2, 14])
    wide = np.logspace(-4, 3, 8)
    kernels("polynomial-wide", 130, "polynomial", dict(degree=3, gamma=0.01, coef0=1), wide, n=40, p=64)
    kernels("polynomial-rank-deficient", 131, "polynomial", dict(degree=2, gamma=0.01, coef0=0), wide, n=45, p=20, rank=5)
    kernels("rbf-duplicate-rows", 132, "rbf", dict(gamma=0.01), wide, n=44, p=30, duplicates=22)
    kernels("rbf-constant-columns", 133, "rbf", dict(gamma=0.02), wide, n=42, p=12, constant=[0, 11])
    kernels("rbf-one-target-one-alpha", 134, "rbf", dict(gamma=0.02), np.array([0.5]), t=1, n=36, p=10)
    kernels("rbf-tiny-alphas", 135, "rbf", dict(gamma=0.1), np.array([1e-8, 1e-6, 1e-4]), n=40, p=8)
    kernels("rbf-huge-alphas", 136, "rbf", dict(gamma=0.02), np.array([1e4, 1e7]), n=40, p=8)

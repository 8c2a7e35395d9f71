"""Makes test/fixtures/encode/*.json: ridge encoding scores by two independent references.

scikit-learn: StandardScaler (or centring) on the outer training rows, then for every target a GridSearchCV of Ridge
(own unpenalised intercept, solver "svd", float64) over the inner folds, refit, Pearson r (numpy.corrcoef) and r2_score on the test rows.
himalaya: the same scaled rows into KernelRidgeCV(fit_intercept=True, kernel="linear"), numpy backend, float64.
Shared alpha: one GridSearchCV over all targets; himalaya with local_alpha=False.

Made with Python 3.11, numpy 2.4.6, scikit-learn 1.9.1, himalaya 0.4.11. Seeds are in CASES.
Run: python test/parity/make_encode_goldens.py   (writes beside the fixtures; takes about a minute)
"""
import json
import pathlib
import warnings

import numpy as np
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

set_backend("numpy")
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "encode"

CASES = [
    dict(name="wide", seed=1, n=40, p=64, t=3),
    dict(name="tall", seed=2, n=60, p=7, t=3),
    dict(name="square", seed=3, n=40, p=32, t=2),
    dict(name="rank-deficient", seed=4, n=45, p=20, t=2, rank=5),
    dict(name="wide-rank-deficient", seed=5, n=40, p=60, t=2, rank=12),
    dict(name="duplicate-rows", seed=6, n=44, p=50, t=2, duplicates=22),
    dict(name="constant-columns", seed=7, n=42, p=30, t=2, constant=[0, 4, 29]),
    dict(name="one-target-one-alpha", seed=8, n=36, p=40, t=1, alphas=[3.0]),
    dict(name="tiny-alphas", seed=9, n=50, p=12, t=2, alphas=[1e-8, 1e-4, 1e-2]),
    dict(name="tiny-alphas-wide", seed=10, n=36, p=70, t=2, alphas=[1e-8, 1e-4, 1e-2]),
    dict(name="huge-alphas", seed=11, n=40, p=30, t=2, alphas=[1e6, 1e9, 1e12]),
    dict(name="shared", seed=12, n=40, p=48, t=4, shared=True),
    dict(name="centred", seed=13, n=40, p=48, t=3, standardize="center"),
    dict(name="trimmed", seed=14, n=60, p=80, t=2, trim=2),
    dict(name="two-layers-dense-grid", seed=15, n=36, p=24, t=2, layers=2, alphas=list(np.logspace(-2, 5, 29))),
]


def make_data(rng, case):
    n, p, t, L = case["n"], case["p"], case["t"], case.get("layers", 1)
    X = rng.normal(size=(L, n, p)) * np.exp(rng.normal(size=p)) + rng.normal(size=p)
    if "rank" in case:
        X = rng.integers(-3, 4, size=(L, n, case["rank"])) @ rng.integers(-3, 4, size=(case["rank"], p)).astype(float)
    if "duplicates" in case:
        X[:, case["duplicates"]:] = X[:, : n - case["duplicates"]]
    for column in case.get("constant", []):
        X[:, :, column] = 0.7
    X = np.round(X, 2)
    W = rng.normal(size=(p, t)) / X[0].std(0).clip(0.1).reshape(-1, 1)
    signal = X[0] @ W
    Y = signal / signal.std(0) + rng.normal(size=(n, t)) * np.linspace(0.5, 2, t) + rng.normal(size=t) * 3
    return X.astype(np.float32).astype(float), np.round(Y, 3).astype(np.float32).astype(float)


def split(rows, count, trim):
    """Contiguous test blocks of `rows`; training rows within `trim` of a test row are left out."""
    folds = []
    for test in np.array_split(rows, count):
        near = np.abs(rows[:, None] - test[None, :]).min(1) <= trim
        folds.append((rows[~near], test))
    return folds


def scale(train, test, how):
    mean = train.mean(0)
    std = train.std(0) if how == "zscore" else np.ones(train.shape[1])
    constant = train.max(0) == train.min(0)
    return tuple(np.where(constant, 0.0, (rows - mean) / np.where(constant, 1.0, std)) for rows in (train, test))


def positions(rows, train):
    return [(np.searchsorted(train, a), np.searchsorted(train, b)) for a, b in rows]


def by_sklearn(Z, y, inner, alphas, shared):
    """Chosen alpha of every target; GridSearchCV keeps the first of equal scores, so the grid goes down."""
    def choose(target):
        grid = GridSearchCV(Ridge(solver="svd"), {"alpha": alphas[::-1]}, cv=inner, scoring="neg_mean_squared_error")
        return grid.fit(Z, target).best_params_["alpha"]
    if len(alphas) == 1:
        return np.full(y.shape[1], alphas[0])
    return np.full(y.shape[1], choose(y)) if shared else np.array([choose(y[:, j]) for j in range(y.shape[1])])


def by_himalaya(Z, y, inner, alphas, shared):
    model = KernelRidgeCV(alphas=np.array(alphas), cv=inner, fit_intercept=True,
                          solver_params=dict(local_alpha=not shared, n_targets_batch=None))
    model.fit(Z, y)
    return model


def scores(y, slope, intercept):
    """r of the predictions without their intercept, beside which those of a huge alpha would be lost to rounding."""
    r = [np.corrcoef(y[:, j], slope[:, j])[0, 1] for j in range(y.shape[1])]
    return r, r2_score(y, slope + intercept, multioutput="raw_values")


def run(case):
    rng = np.random.default_rng(case["seed"])
    X, Y = make_data(rng, case)
    alphas = [float(a) for a in case.get("alphas", np.logspace(-1, 5, 7))]
    shared, trim, how = case.get("shared", False), case.get("trim", 0), case.get("standardize", "zscore")
    rows = np.arange(case["n"])
    out = {name: [] for name in ("r", "r2", "alpha", "himalayaR", "himalayaR2", "himalayaAlpha")}
    for layer in X:
        for train, test in split(rows, 4, trim):
            inner = positions(split(train, 3, trim), train)
            Z, Zt = scale(layer[train], layer[test], how)
            alpha = by_sklearn(Z, Y[train], inner, alphas, shared)
            fits = [Ridge(alpha=a, solver="svd").fit(Z, Y[train][:, j]) for j, a in enumerate(alpha)]
            r, r2 = scores(Y[test], np.stack([Zt @ fit.coef_ for fit in fits], 1), [fit.intercept_ for fit in fits])
            other = by_himalaya(Z, Y[train], inner, alphas, shared)
            hr, hr2 = scores(Y[test], Zt @ other.get_primal_coef(), other.intercept_)
            for name, value in zip(out, (r, r2, alpha, hr, hr2, np.broadcast_to(other.best_alphas_, len(alpha)))):
                out[name] += [float(v) for v in value]
    golden = dict(name=case["name"], seed=case["seed"], alphas=alphas, shared=shared, trim=trim, standardize=how,
                  features=dict(shape=list(X.shape), values=[round(float(v), 2) for v in X.ravel()]),
                  responses=dict(shape=list(Y.shape), values=[round(float(v), 3) for v in Y.ravel()]), **out)
    disagree = max(abs(np.array(out["r"]) - np.array(out["himalayaR"])))
    print(f'{case["name"]:24} references differ in r by {disagree:.1e}')
    (OUT / f'{case["name"]}.json').write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        run(case)

"""Makes test/fixtures/ridge/*.json: what ridge does beside nested linear scores, by himalaya and scikit-learn (numpy, float64).

fixed      himalaya KernelRidgeCV(cv=given folds, fit_intercept=True): chosen alphas, cv_scores_ (negated mean squared errors), dual_coef_,
           primal coefficients and intercept_ of the fit of all rows.
weighted   scikit-learn Ridge(solver="svd") with sample_weight: for each alpha the weighted mean squared error on the held-out rows, the
           alpha of the least mean over folds, coefficients and intercept of the fit of all rows.
loo        scikit-learn RidgeCV(alpha_per_target=True): leave-one-out alphas, coefficients, intercept; without and with sample_weight.
kernel     himalaya KernelRidgeCV(kernel="rbf" / "polynomial"): as fixed, on the features centred beforehand.
banded     himalaya MultipleKernelRidgeCV over given gammas: deltas, cv scores, dual coefficients; r2_score_split on held-out rows.

Made with Python 3.11, numpy 2.4.6, scikit-learn 1.9.1, himalaya 0.4.11, scipy 1.17. Seeds are in the cases.
Run: python test/parity/make_ridge_goldens.py
"""
import json
import pathlib
import warnings

import numpy as np
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV, MultipleKernelRidgeCV
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import explained_variance_score, mean_squared_error, r2_score

set_backend("numpy")
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "ridge"
SHAPES = {"wide": (40, 64, 3), "tall": (60, 7, 3), "rank-deficient": (45, 20, 2)}


def make_data(seed, n, p, t, rank=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.exp(0.5 * rng.normal(size=p)) + rng.normal(size=p)
    if rank is not None:
        X = rng.integers(-3, 4, size=(n, rank)) @ rng.integers(-3, 4, size=(rank, p)).astype(float)
    X = np.round(X, 2)
    signal = X @ rng.normal(size=(p, t))
    Y = signal / signal.std(0) + rng.normal(size=(n, t)) * np.linspace(0.5, 2, t) + rng.normal(size=t) * 3
    weights = np.round(np.exp(rng.normal(size=n)), 3)
    return X.astype(np.float32).astype(float), np.round(Y, 3).astype(np.float32).astype(float), weights


def folds_of(n, count=4):
    rows = np.arange(n)
    return [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, count)]


def flat(array):
    return [float(value) for value in np.asarray(array, dtype=float).ravel()]


def write(name, kind, X, Y, alphas, **rest):
    golden = dict(name=name, kind=kind, alphas=flat(alphas), features=dict(shape=list(X.shape), values=[round(v, 2) for v in flat(X)]),
                  responses=dict(shape=list(Y.shape), values=[round(v, 3) for v in flat(Y)]), **rest)
    (OUT / f"{kind}-{name}.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(kind, name)


def held_out(Y, predict, alpha, folds):
    """r, R2, Spearman and explained variance of every fold and target, each target with its alpha."""
    out = {name: [] for name in ("r", "r2", "spearman", "explained")}
    for train, test in folds:
        for j, a in enumerate(alpha):
            y, p = Y[test, j], predict(train, test, j, a)
            out["r"].append(np.corrcoef(y, p)[0, 1])
            out["r2"].append(r2_score(y, p))
            out["spearman"].append(spearmanr(y, p).statistic)
            out["explained"].append(explained_variance_score(y, p))
    return {name: flat(values) for name, values in out.items()}


def fixed(name, seed):
    X, Y, _ = make_data(seed, *SHAPES[name], rank=5 if name == "rank-deficient" else None)
    alphas, folds = np.logspace(-1, 5, 13), folds_of(len(X))
    model = KernelRidgeCV(alphas=alphas, cv=folds, fit_intercept=True).fit(X - X.mean(0), Y)

    def predict(train, test, j, a):
        return Ridge(alpha=a, solver="svd").fit(X[train], Y[train, j]).predict(X[test])

    coef = model.get_primal_coef()
    write(name, "fixed", X, Y, alphas, alpha=flat(model.best_alphas_), error=flat(-model.cv_scores_), dual=flat(model.dual_coef_),
          primal=flat(coef), intercept=flat(model.intercept_ - X.mean(0) @ coef), **held_out(Y, predict, model.best_alphas_, folds))


def weighted(name, seed):
    X, Y, weights = make_data(seed, *SHAPES[name])
    alphas, folds = np.logspace(-1, 5, 13), folds_of(len(X))
    errors = np.zeros((len(alphas), Y.shape[1]))
    for i, a in enumerate(alphas):
        for train, test in folds:
            fit = Ridge(alpha=a, solver="svd").fit(X[train], Y[train], sample_weight=weights[train])
            errors[i] += mean_squared_error(Y[test], fit.predict(X[test]), sample_weight=weights[test], multioutput="raw_values") / len(folds)
    alpha = alphas[errors.argmin(0)]
    fits = [Ridge(alpha=a, solver="svd").fit(X, Y[:, j], sample_weight=weights) for j, a in enumerate(alpha)]

    def predict(train, test, j, a):
        return Ridge(alpha=a, solver="svd").fit(X[train], Y[train, j], sample_weight=weights[train]).predict(X[test])

    write(name, "weighted", X, Y, alphas, weights=flat(weights), alpha=flat(alpha), primal=flat(np.stack([fit.coef_ for fit in fits], 1)),
          intercept=flat([fit.intercept_ for fit in fits]), **held_out(Y, predict, alpha, folds))


def loo(name, seed, use_weights):
    X, Y, weights = make_data(seed, *SHAPES[name])
    alphas = np.logspace(-1, 5, 13)
    model = RidgeCV(alphas=alphas, alpha_per_target=True).fit(X, Y, sample_weight=weights if use_weights else None)
    write(name + ("-weighted" if use_weights else ""), "loo", X, Y, alphas, weights=flat(weights) if use_weights else None,
          alpha=flat(model.alpha_), primal=flat(model.coef_.T), intercept=flat(model.intercept_))


def gcv(name, seed):
    X, Y, _ = make_data(seed, *SHAPES[name])
    alphas = np.logspace(-1, 5, 13)
    Xc, Yc, n = X - X.mean(0), Y - Y.mean(0), len(X)
    score = []
    for a in alphas:
        hat = Xc @ np.linalg.solve(Xc.T @ Xc + a * np.eye(Xc.shape[1]), Xc.T)
        score.append(((Yc - hat @ Yc) ** 2).mean(0) / (1 - (1 + np.trace(hat)) / n) ** 2)
    alpha = alphas[np.argmin(score, 0)]
    fits = [Ridge(alpha=a, solver="svd").fit(X, Y[:, j]) for j, a in enumerate(alpha)]
    write(name, "gcv", X, Y, alphas, alpha=flat(alpha), primal=flat(np.stack([fit.coef_ for fit in fits], 1)),
          intercept=flat([fit.intercept_ for fit in fits]))


def kernel(name, seed, kind, params):
    X, Y, _ = make_data(seed, *SHAPES[name])
    alphas, folds = np.logspace(-4, 3, 8), folds_of(len(X))
    Xc = X - X.mean(0)
    model = KernelRidgeCV(alphas=alphas, cv=folds, fit_intercept=True, kernel=kind, kernel_params=params).fit(Xc, Y)
    write(f"{name}-{kind}", "kernel", X, Y, alphas, kernel=kind, params=params, alpha=flat(model.best_alphas_), error=flat(-model.cv_scores_),
          dual=flat(model.dual_coef_))


def banded(name, seed, sizes):
    n, p, t = SHAPES[name]
    X, Y, _ = make_data(seed, n, p, t)
    Xc, alphas, folds = X - X.mean(0), np.logspace(-1, 4, 6), folds_of(n)
    ends = np.cumsum(sizes)
    Ks = np.stack([Xc[:, e - s:e] @ Xc[:, e - s:e].T for s, e in zip(sizes, ends)])
    gammas = np.random.default_rng(seed).dirichlet(np.ones(len(sizes)), 12)
    gammas[0] = 1 / len(sizes)
    model = MultipleKernelRidgeCV(kernels="precomputed", solver="random_search", cv=folds, fit_intercept=True,
                                  solver_params=dict(n_iter=gammas, alphas=alphas, progress_bar=False, return_alphas=True)).fit(Ks, Y)
    write(name, "banded", X, Y, alphas, sizes=sizes, gammas=flat(gammas), deltas=flat(model.deltas_), error=flat(-model.cv_scores_.max(0)),
          alpha=flat(model.best_alphas_), dual=flat(model.dual_coef_))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    for seed, name in enumerate(SHAPES):
        fixed(name, 20 + seed)
    for seed, name in enumerate(("wide", "tall")):
        weighted(name, 30 + seed)
        loo(name, 40 + seed, False)
        loo(name, 50 + seed, True)
        gcv(name, 60 + seed)
        banded(name, 80 + seed, [40, 24] if name == "wide" else [2, 4, 1])
    kernel("tall", 70, "rbf", dict(gamma=0.02))
    kernel("wide", 71, "rbf", dict(gamma=0.005))
    kernel("tall", 72, "polynomial", dict(degree=2, gamma=0.1, coef0=1))

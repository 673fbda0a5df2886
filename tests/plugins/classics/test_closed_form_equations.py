"""SAE's solution and DAP's probabilities against brute-force computations, from their description."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import torch

from zslbench.plugin import ClassSpace, TrainView
from zslbench_classics.dap import DAP
from zslbench_classics.sae import SAE, solve
from zslbench_classics.settings import DAPSettings, SAESettings

SEEN, UNSEEN = [0, 2, 3, 5], [1, 4]


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def space(semantics):
    return ClassSpace(tuple("abcdef"), torch.tensor(semantics), torch.tensor(SEEN), torch.tensor(UNSEEN))


def unit(rows):
    return np.array([row / np.sqrt((row**2).sum()) for row in rows])


def sylvester(a, b, c):
    """W of a W + W b = c, as one linear system over the entries of W."""
    k, d = c.shape
    system = np.zeros((k * d, k * d))
    for i in range(k):
        for j in range(d):
            for n in range(k):
                system[i * d + j, n * d + j] += a[i, n]
            for n in range(d):
                system[i * d + j, i * d + n] += b[n, j]
    return np.linalg.solve(system, c.ravel()).reshape(k, d)


def test_the_sylvester_equation(rng):
    left, right = rng.normal(size=(3, 6)), rng.normal(size=(5, 9))
    a, b, c = left @ left.T, right @ right.T, rng.normal(size=(3, 5))
    found = solve(*(torch.tensor(one) for one in (a, b, c)))
    np.testing.assert_allclose(found, sylvester(a, b, c), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(a @ found.numpy() + found.numpy() @ b, c, atol=1e-9)


def test_one_by_one():
    """2 w + 3 w = 10."""
    found = solve(*(torch.tensor([[one]], dtype=torch.float64) for one in (2.0, 3.0, 10.0)))
    assert found.item() == pytest.approx(2.0)


@pytest.mark.parametrize("lam", [0.3, 5.0])
def test_saes_projection_and_both_comparisons(rng, lam):
    semantics, labels = rng.normal(size=(6, 3)) + 1, np.array([0, 2, 2, 3, 5, 5, 0, 3, 2, 5])
    x = rng.normal(size=(10, 4)) * 3
    classes = unit(semantics)
    s, features = classes[labels].T, unit(x).T  # (A, n), (d, n)
    w = sylvester(s @ s.T, lam * features @ features.T, (1 + lam) * s @ features.T)
    view = TrainView(torch.tensor(x), torch.tensor(labels))
    new = rng.normal(size=(5, 4))
    for rows in (w, unit(w)):
        expected = {
            "semantics": unit(new @ rows.T) @ classes.T,  # F→S
            "features": unit(new) @ unit(classes @ rows).T,  # S→F
        }
        for compare, cosines in expected.items():
            settings = SAESettings(lam=lam, compare=compare, unit_rows=rows is not w)
            component = SAE(settings, space(semantics))
            nets = component.fit(view)
            np.testing.assert_allclose(nets["autoencoder"]["W"], w, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(component.scores(nets, torch.tensor(new)), cosines, rtol=1e-7)


def logistic(parameters, x, target, c):
    w, b = parameters[:-1], parameters[-1]
    return 0.5 * (w @ w) + c * np.log1p(np.exp((1 - 2 * target) * (x @ w + b))).sum()


@pytest.mark.parametrize("c", [0.1, 4.0])
def test_daps_regression_is_liblinears(rng, c):
    x, targets = rng.normal(size=(30, 3)), (rng.uniform(size=(30, 4)) < 0.4).astype(float)
    component = DAP(DAPSettings(c=c), space(rng.uniform(size=(6, 4))))
    weight, bias = component.regress(torch.tensor(x), torch.tensor(targets))
    for m in range(4):
        best = scipy.optimize.minimize(logistic, np.zeros(4), (x, targets[:, m], c), options={"gtol": 1e-8})
        found = np.array([*weight[m], bias[m]])
        np.testing.assert_allclose(found, best.x, atol=1e-4)
        assert logistic(found, x, targets[:, m], c) <= best.fun + 1e-9


def test_daps_scores(rng):
    """∏ p(a_m = a_cm | x) / p(a_m = a_cm) over the attributes on which the seen classes differ."""
    semantics = rng.uniform(size=(6, 5))
    semantics[SEEN, 1] = [0.9, 0.8, 0.85, 0.95]  # above its mean for every seen class: nothing to learn
    semantics[UNSEEN, 1] = [0.0, 0.1]
    threshold = semantics.mean(axis=0)
    present = semantics > threshold
    learnt = [m for m in range(5) if 0 < present[SEEN, m].sum() < len(SEEN)]
    assert 1 not in learnt and len(learnt) >= 2
    labels = np.array([0, 2, 3, 5] * 5)
    x = rng.normal(size=(20, 3)) + present[labels][:, :3]
    component = DAP(DAPSettings(c=1.0), space(semantics))
    fitted = component.fit(TrainView(torch.tensor(x), torch.tensor(labels)))
    nets = fitted["attributes"]
    assert nets["learnt"].tolist() == [m in learnt for m in range(5)]
    np.testing.assert_allclose(nets["threshold"], threshold)
    np.testing.assert_allclose(nets["prior"], present[SEEN][:, learnt].mean(axis=0))
    new = rng.normal(size=(4, 3))
    expected = np.zeros((4, 6))
    for i, one in enumerate(new):
        for row, m in enumerate(learnt):
            z = one @ nets["weight"][row].numpy() + float(nets["bias"][row])
            p, prior = 1 / (1 + np.exp(-z)), present[SEEN, m].mean()
            for k in range(6):
                expected[i, k] += np.log(p / prior) if present[k, m] else np.log((1 - p) / (1 - prior))
    np.testing.assert_allclose(component.scores(fitted, torch.tensor(new)), expected, rtol=1e-9, atol=1e-9)


def test_daps_score_by_hand():
    """One attribute that half of the seen classes have: at p = ½ every class scores log 1, at p = ¾ those
    with it log 1.5 and the others log 0.5."""
    semantics = np.array([[1.0], [1.0], [0.0], [1.0], [0.0], [0.0]])
    component = DAP(DAPSettings(), space(semantics))
    nothing = torch.zeros(4, 2, dtype=torch.float64)
    nets = component.fit(TrainView(nothing, torch.tensor([0, 2, 3, 5])))
    assert nets["attributes"]["prior"].tolist() == [0.5]
    np.testing.assert_allclose(component.scores(nets, nothing[:1]), np.zeros((1, 6)), atol=1e-9)
    nets["attributes"]["bias"] = torch.tensor([np.log(3.0)])
    expected = np.log([[1.5, 1.5, 0.5, 1.5, 0.5, 0.5]])
    np.testing.assert_allclose(component.scores(nets, nothing[:1]), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("scale", "warnings"),
    [(lambda a: a, 0), (unit, 1), (lambda a: a - a.mean(), 1), (lambda a: unit(a - a.mean()), 1)],
)
def test_dap_says_that_semantics_are_not_attributes_as_rated(rng, caplog, scale, warnings):
    component = DAP(DAPSettings(), space(scale(rng.uniform(size=(6, 4)))))
    component.fit(TrainView(torch.tensor(rng.normal(size=(8, 3))), torch.tensor(SEEN * 2)))
    assert sum("semantics" in one.getMessage() for one in caplog.records) == warnings

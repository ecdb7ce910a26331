#!/usr/bin/env python3
# Reference values of prediction_scores_test.cpp and calibration_test.cpp, by scipy and by definitions written out.
# Rows come from formulas, so that both sides can make them: no file, no random numbers. Run: python3 scores_reference.py
import numpy as np
from scipy import optimize, special, stats

np.set_printoptions(precision=17)


def show(name, value):
    print(f"{name:40s} {value:.15g}")


n = 60
i = np.arange(1, n + 1)
logit = np.floor(20 * np.sin(1.7 * i) + 0.5) / 10  # ties
y = (np.cos(0.9 * i) + 0.6 * np.sin(1.7 * i) > 0.3).astype(int)
p = special.expit(logit)

show("events", y.sum())
u = stats.mannwhitneyu(logit[y == 1], logit[y == 0], method="asymptotic").statistic
show("auroc (scipy mannwhitneyu)", u / (y.sum() * (n - y.sum())))
ap, before = 0.0, 0.0
for t in np.unique(logit)[::-1]:
    called = logit >= t
    recall = (called & (y == 1)).sum() / y.sum()
    ap += (recall - before) * (called & (y == 1)).sum() / called.sum()
    before = recall
show("average precision", ap)
show("brier", np.mean((p - y) ** 2))
show("log loss", -np.mean(stats.bernoulli.logpmf(y, p)))

# Three classes, three columns of logits.
z = np.stack([np.sin(1.3 * i), 1.5 * np.cos(0.7 * i), np.sin(0.4 * i + 1)], axis=1)
c = np.argmax(z + np.stack([np.sin(5.1 * i), np.cos(3.3 * i), np.sin(2.9 * i)], axis=1), axis=1)
q = special.softmax(z, axis=1)
h = np.eye(3)[c]
auc = [stats.mannwhitneyu(q[c == k, k], q[c != k, k]).statistic / ((c == k).sum() * (c != k).sum()) for k in range(3)]
show("macro auroc", np.mean(auc))
flat, truth = q.ravel(), h.ravel()
show("micro auroc", stats.mannwhitneyu(flat[truth == 1], flat[truth == 0]).statistic / (n * 2 * n))
top = q.argmax(axis=1)
table = np.array([[((top == a) & (c == b)).sum() for b in range(3)] for a in range(3)])
f = 2 * np.diag(table) / (table.sum(axis=0) + table.sum(axis=1))
show("macro f1", f.mean())
show("weighted f1", (f * table.sum(axis=0)).sum() / n)
show("accuracy", np.trace(table) / n)
show("multiclass log loss", -np.mean(np.log(q[np.arange(n), c])))
show("multiclass brier", np.mean(((q - h) ** 2).sum(axis=1)))

# Numbers.
target = np.floor(30 * np.sin(0.8 * i) + 0.5) / 10
guess = 0.7 * target + np.cos(2.1 * i)
show("pearson (scipy)", stats.pearsonr(guess, target)[0])
show("r squared", 1 - ((guess - target) ** 2).sum() / ((target - target.mean()) ** 2).sum())
show("mae", np.abs(guess - target).mean())
show("rmse", np.sqrt(((guess - target) ** 2).mean()))
sd = 0.5 + 0.1 * (i % 5)
show("gaussian log loss (scipy)", -stats.norm.logpdf(target, guess, sd).mean())

# Calibration: scipy's minimisers on the negative log-likelihood.
loss = lambda b: np.mean(np.logaddexp(0, -(2 * y - 1) * b * logit))
beta = optimize.minimize_scalar(loss, bracket=(0.1, 1), tol=1e-14).x
show("binary temperature", 1 / beta)
show("its log-loss", loss(beta))
platt = lambda a: np.mean(np.logaddexp(0, -(2 * y - 1) * (a[0] * logit + a[1])))
fit = optimize.minimize(platt, [1, 0], method="BFGS", options={"gtol": 1e-11})
show("platt slope", fit.x[0])
show("platt intercept", fit.x[1])
show("its log-loss", fit.fun)
many = lambda b: np.mean(special.logsumexp(b * z, axis=1) - b * z[np.arange(n), c])
beta = optimize.minimize_scalar(many, bracket=(0.1, 1), tol=1e-14).x
show("multiclass temperature", 1 / beta)
show("its log-loss", many(beta))
# Separated classes: targets (n_1 + 1) / (n_1 + 2) and 1 / (n_0 + 2) (Platt 1999), 2 events in 5 rows.
s, e = np.array([-2.0, -1.0, -0.5, 1.0, 3.0]), np.array([0, 0, 0, 1, 1])
t = np.where(e == 1, 3 / 4, 1 / 5)
soft = lambda a: np.mean(t * np.logaddexp(0, -(a[0] * s + a[1])) + (1 - t) * np.logaddexp(0, a[0] * s + a[1]))
fit = optimize.minimize(soft, [1, 0], method="BFGS", options={"gtol": 1e-11})
show("smoothed platt slope", fit.x[0])
show("smoothed platt intercept", fit.x[1])
fit = optimize.minimize_scalar(lambda b: soft([b, 0]), bracket=(0.1, 1), tol=1e-14)
show("smoothed temperature", 1 / fit.x)

"""Golden values of the paired tests and of pass@k, by SciPy and by counting.

Run: python significance.py > significance.json   (NumPy and SciPy; the versions are in the file)
"""

import itertools
import json
import random
import sys

import numpy
import scipy
from scipy import stats

rng = random.Random(20261124)


def permutation(first, second):
    """SciPy counts all 2^n swaps when n_resamples allows it."""
    result = stats.permutation_test(
        (numpy.array(first), numpy.array(second)),
        lambda a, b, axis: numpy.mean(b - a, axis=axis),
        permutation_type="samples",
        n_resamples=numpy.inf,
        alternative="two-sided",
        vectorized=True,
    )
    return {"first": first, "second": second, "p": float(result.pvalue)}


def mcnemar(only_first, only_second):
    n = only_first + only_second
    p = 1.0 if n == 0 else stats.binomtest(only_first, n, 0.5).pvalue
    return {"onlyFirst": only_first, "onlySecond": only_second, "p": float(p)}


def pass_at_k(n, c, k):
    """The share of all subsets of k answers that hold a right one."""
    answers = [True] * c + [False] * (n - c)
    subsets = list(itertools.combinations(answers, k))
    return {"n": n, "c": c, "k": k, "value": sum(map(any, subsets)) / len(subsets)}


permutations = [
    permutation([rng.randint(0, k) for _ in range(n)], [rng.randint(0, k) for _ in range(n)])
    for n, k in [(5, 1), (8, 4), (12, 4), (14, 8), (16, 1), (16, 3)]
]
permutations.append(permutation([0] * 12, [3] * 10 + [0, 1]))

json.dump(
    {
        "versions": {"python": sys.version.split()[0], "numpy": numpy.__version__, "scipy": scipy.__version__},
        "permutation": permutations,
        "mcnemar": [mcnemar(*pair) for pair in [(0, 0), (1, 0), (3, 9), (9, 3), (5, 5), (40, 71), (0, 60), (610, 709), (1500, 1400)]],
        "passAtK": [pass_at_k(n, c, k) for n in (1, 4, 9) for c in range(n + 1) for k in sorted({1, min(3, n), n})],
    },
    sys.stdout,
)
print()

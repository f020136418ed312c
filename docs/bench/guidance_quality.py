"""Does a conditional digits run draw the digit that it is asked for, and what does guidance cost?

    python -m docs.bench.guidance_quality runs/digits_conditional

Draws 500 digits, 50 of each class, for several guidance scales w, by the default sampler from the
averaged weights, and asks a support vector machine, trained on the 1,797 real digits, which ones
they are. Beside its answer: Fréchet distance, precision and recall (k = 3) of the samples' pixels
against the real digits'. Writes the table of the page, `docs/figures/data/guidance_quality.json`.
"""

import sys
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from docs.figures.data.store import keep, rounded
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.evaluation.frechet import frechet_distance
from labml_nn.evaluation.precision_recall import precision_recall

N, SEED = 500, 1
SCALES = (-1.0, 0.0, 0.5, 1.0, 2.0, 4.0)


def main(run: str) -> None:
    data = load_digits()
    svm = SVC(gamma=0.001, C=10)
    unseen = cross_val_score(svm, data.data, data.target, cv=10).mean()
    svm.fit(data.data, data.target)
    real = data.data / 8 - 1
    asked = np.arange(N) % 10
    print(f'{N} samples, {N // 10} of each class, against {len(real)} real digits')
    print(f'real digits that the machine has not seen: {unseen:.1%} recognised')
    head = ['$w$', 'recognised', 'worst class', 'Fréchet distance', 'precision', 'recall']
    table: list[list[Any]] = [head]
    for w in SCALES:
        sampler = Sampler.from_run(run, label=range(10), guidance=w)
        x = sampler.sample(N, seed=SEED).double().cpu().numpy().reshape(N, -1)
        right = svm.predict((x + 1) * 8) == asked
        worst = min(right[asked == c].mean() for c in range(10))
        precision, recall = precision_recall(x, real)
        # Shares in per cent
        found = [100 * right.mean(), 100 * worst, frechet_distance(x, real), precision, recall]
        table.append([w, *rounded(found)])
        print(*table[-1])
    keep('guidance_quality', {'table': table, 'unseen': round(100 * float(unseen), 2)})


if __name__ == '__main__':
    main(*sys.argv[1:])

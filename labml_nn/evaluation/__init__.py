r"""
# Evaluation

Formulas that compare a set of samples with a set of images, on features that are passed in. Nothing
here knows a model or a data set.

* [Fréchet distance](frechet.html)
"""

r"""
# Data

Pictures, on their way in and out.

* [Data sets](datasets.html), and [from a file to pixels](decode.html)
* [Pictures](pictures.html): grids and animations of what a model draws
* [Files](files.html), written all or not at all
* [torchvision](vision.html), imported in one place
"""

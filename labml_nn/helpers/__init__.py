r"""
# Helpers

The plumbing that the pages of mathematics do without: where pictures come from, where
checkpoints go, which device to use, how torchvision is imported. Nothing here knows a model.

* [Data sets](datasets.html), and [from a file to pixels](decode.html)
* [Checkpoints](checkpoint.html), and what is done about [files of strangers](plain.html)
* [Devices](device.html)
* [torchvision](vision.html)
* [Pictures](pictures.html)
* [Output](output.html)
* [Progress](progress.html)
* [Trackers](trackers.html), and [labml](labml_run.html) among them

Whether all of it works on a machine, the [doctor](../doctor.html) says.
"""

r"""
# Compute

How a step is computed, whatever the model.

* [Devices](device.html)
* [Gradient steps](descent.html), and what is done when memory ends
* [Precision and speed](precision.html)
* [Several GPUs](distributed.html)
"""

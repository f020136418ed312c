r"""
# Runs

What a run leaves in its folder, and what keeps it there.

* [A run from beginning to end](run.html), [its folder](folder.html), and
  [how long it takes](pace.html)
* [Checkpoints](checkpoint.html), [weights to share](safetensors.html), and what is done about
  [files of strangers](plain.html)
* [The log](log.html), and [trackers](trackers.html), [labml](labml_run.html) among them
* [The lock](lock.html) and [signals](signals.html)
"""

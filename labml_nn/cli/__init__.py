r"""
# The command line

What any command needs, whatever it does. Nothing here knows a model, a picture or a file of a run.

* [Options](options.html) of the command line and of YAML files
* [Declarations](declared.html) of options, each on a line of its own
* [Messages](messages.html), of which errors at the door are made
* [Output](output.html) that nobody has to read
* [Pages](pages.html) that commands write
* [Progress](progress.html)
"""

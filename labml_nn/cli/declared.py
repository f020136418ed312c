r"""
# Declarations

What a class says of its options, each on a line of its own:

    eta: Annotated[float, 'how much noise, 0 to 1'] = 0.0

A [run](../diffusion/ddpm/configs.html), a [sampler](../diffusion/samplers/index.html) and a
[command](../diffusion/ddpm/commands.html) declare theirs in this way, and
[options](options.html) makes the command line of it. This page imports the standard library alone,
so that the mathematics may use it.
"""

import inspect
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin


def declarations(options: type) -> dict[str, tuple[Any, ...]]:
    r"""
    The names of a class's options, those of its bases first, each with its type and all that is
    said of it. The type of `int | None` is `int`: who says nothing gives `None`.
    """
    return {name: of_type(annotation) for name, annotation in annotated(options).items()}


def may_be_none(options: type) -> set[str]:
    r"""
    The names of the options of which nothing may be said, as the type is `bool | None`.
    """
    kinds = {name: get_args(annotation)[0] for name, annotation in annotated(options).items()}
    return {name for name, kind in kinds.items() if NoneType in get_args(kind)}


def annotated(options: type) -> dict[str, Any]:
    r"""
    The annotations of a class that declare options, those of its bases first.
    """
    annotations: dict[str, Any] = {}
    for base in reversed(options.__mro__):
        annotations.update(inspect.get_annotations(base))
    return {name: a for name, a in annotations.items() if get_origin(a) is Annotated}


def of_type(annotation: Any) -> tuple[Any, ...]:
    r"""
    The type of a value that is given, and all that is said of it.
    """
    if get_origin(annotation) is Annotated:
        kind, *said = get_args(annotation)
        kind, *inner = of_type(kind)
        return (kind, *said, *inner)
    if get_origin(annotation) in (Union, UnionType):
        kind, *others = (one for one in get_args(annotation) if one is not NoneType)
        if others:
            raise TypeError(f'an option has one type, got {annotation}')
        return of_type(kind)
    return (annotation,)

r"""
# Swap: the new site for the old one

A reader of the site, and an author whose build fails, must never see half of it. So the new site
is written to a folder beside the old one; then two renames, which take no time and cannot run out
of space. If anything goes wrong before, the old folder has not been touched.

`.pylit-manifest.json` lists what we have written, so that we know what is ours. A folder with files
and no manifest is not ours and stays as it is. Files that someone added to our folder (a `CNAME`,
a `.nojekyll`) move along.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .problems import Refusal

MANIFEST = '.pylit-manifest.json'


def put(path: Path, text: str) -> None:
    """A file of text, in one step: there is never half of it."""
    part = path.with_name(f'{path.name}.{os.getpid()}')
    part.write_text(text, encoding='utf-8')
    part.replace(path)


def check(out: Path) -> None:
    """Refuse a folder that is not ours, before any work is done."""
    if not out.exists():
        return
    if not out.is_dir():
        raise Refusal(f'{out}: exists and is not a folder')
    if not (out / MANIFEST).is_file() and any(out.iterdir()):
        raise Refusal(f'{out}: not empty, and not made by pylit: choose another folder')


def sums(files: Mapping[str, bytes]) -> dict[str, str]:
    """What the manifest says of the files of a site."""
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}


def stands(out: Path, wanted: Mapping[str, str]) -> bool:
    """Whether a site is there already, to the byte, and nothing is left of a killed run."""
    out = out.resolve()
    _recover(out)
    with suppress(OSError):
        return _ours(out) == wanted and all(_is_ours(out / n, s) for n, s in wanted.items())
    return False


def write(files: Mapping[str, bytes], out: Path) -> None:
    """Put the files at `out`, all or none."""
    wanted = sums(files)
    if stands(out, wanted):
        return
    out = out.resolve()
    check(out)
    fresh = out.with_name(f'{out.name}.tmp-{os.getpid()}')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(fresh, ignore_errors=True)
        _fill(fresh, files, wanted)
        if out.exists():
            _keep_foreign(out, fresh, files)
        _exchange(fresh, out)
    except OSError as error:
        raise Refusal(f'{error.filename or out}: {error.strerror}: nothing was changed') from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _recover(out: Path) -> None:
    """What a killed run has left: the old site comes back, and half of a new one goes."""
    if not out.parent.is_dir():
        return
    pattern = re.compile(rf'{re.escape(out.name)}\.(tmp|old)-(\d+)')
    for path in sorted(out.parent.iterdir()):
        found = pattern.fullmatch(path.name)
        if not found or _runs(int(found[2])) or not _left_by_us(path):
            continue
        if found[1] == 'old' and not out.exists() and any(path.iterdir()):
            path.rename(out)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _left_by_us(folder: Path) -> bool:
    """A run may be killed between making a folder and writing its first file."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return (folder / MANIFEST).is_file() or not any(folder.iterdir())


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _fill(folder: Path, files: Mapping[str, bytes], listed: Mapping[str, str]) -> None:
    # Whoever finds half of it has to know that it is ours: the list of the files goes first
    folder.mkdir(parents=True)
    text = json.dumps({'files': listed}, indent=1)
    (folder / MANIFEST).write_text(f'{text}\n', encoding='utf-8')
    made = set()
    for name, data in files.items():
        path = folder / name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.write_bytes(data)


def _keep_foreign(out: Path, fresh: Path, files: Mapping[str, bytes]) -> None:
    ours = _ours(out)
    for folder, folders, names in os.walk(out):
        here = Path(folder)
        for name in [*names, *(f for f in folders if (here / f).is_symlink())]:
            inside = (here / name).relative_to(out).as_posix()
            if inside == MANIFEST or _is_ours(here / name, ours.get(inside, '')):
                continue
            if inside in files:
                raise Refusal(f'{here / name}: is in the way of a page, and not made by pylit')
            target = fresh / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(here / name, target, follow_symlinks=False)


def _ours(out: Path) -> dict[str, str]:
    try:
        return dict(json.loads((out / MANIFEST).read_text(encoding='utf-8'))['files'])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _is_ours(path: Path, checksum: str) -> bool:
    """A manifest may name any file; only what we have written has the sum that it notes."""
    if not checksum or path.is_symlink() or not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == checksum


def _exchange(fresh: Path, out: Path) -> None:
    if not out.exists():
        fresh.rename(out)
        return
    old = out.with_name(f'{out.name}.old-{os.getpid()}')
    out.rename(old)
    try:
        fresh.rename(out)
    except BaseException:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)

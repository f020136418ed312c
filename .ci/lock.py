"""What pip would install here, each file with its hash: `make lock` writes build/lock.txt.

    python .ci/lock.py REPORT

REPORT is what `pip install --dry-run --report` has written. A lock holds on machines like this one:
another system or Python takes other files.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def locked(report: dict[str, Any]) -> Iterator[str]:
    """A line for each file, as `pip install --require-hashes -r` reads it."""
    for item in sorted(report['install'], key=lambda one: one['metadata']['name'].lower()):
        name, source = item['metadata']['name'], item['download_info']
        if 'dir_info' in source:  # this clone
            continue
        digest = source.get('archive_info', {}).get('hashes', {}).get('sha256')
        if not digest:
            raise SystemExit(f'error: pip tells no hash of {name}, got from {source.get("url")}')
        yield f'{name}=={item["metadata"]["version"]} --hash=sha256:{digest}'


def main(file: str) -> None:
    """Print the lock of a report, all of it or nothing."""
    report = json.loads(Path(file).read_text(encoding='utf-8'))
    lines, here = list(locked(report)), report['environment']
    print('# Python', here['python_version'], here['sys_platform'], here['platform_machine'])
    print(*lines, sep='\n')


if __name__ == '__main__':
    main(sys.argv[1])

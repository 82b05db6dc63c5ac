"""What the style tests share: finding files, reading code without its comments, telling what is wrong."""

import pathlib
import re
import sys

LIBRARY = ('runtime', 'sync', 'io')
FOLDERS = LIBRARY + ('examples', 'tests', 'bench')
UMBRELLA = 'weft.hpp'

_TOKEN = re.compile(
    r'''(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<raw>\bu?8?R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)")
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<char>(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+')''',
    re.DOTALL | re.VERBOSE)


class Report:
    """Collects what is wrong as file:line: message; `finish` gives the exit code."""

    def __init__(self):
        self.lines = []

    def add(self, path, line, message):
        self.lines.append(f'{path}:{line}: {message}')

    def finish(self):
        for line in self.lines:
            print(line)
        return 1 if self.lines else 0


class Source:
    """One file: `path` relative to the root, `text`, and `code`: as long as the text, line for line and column
    for column, with comments and the insides of strings blanked out."""

    def __init__(self, root, path):
        self.path = path
        self.text = (root / path).read_text(encoding='utf-8')
        self._code = None

    @property
    def code(self):
        if self._code is None:
            self._code = code_of(self.text)
        return self._code

    def line_of(self, offset):
        return self.text.count('\n', 0, offset) + 1


def code_of(text):
    def blank(match):
        whole = match.group()
        if match.lastgroup != 'comment' and len(whole) >= 2 and '<' not in whole:
            return whole[0] + re.sub(r'[^\n]', ' ', whole[1:-1]) + whole[-1]
        return re.sub(r'[^\n]', ' ', whole)
    return _TOKEN.sub(blank, text)


def find(root, folders, suffixes):
    """Paths relative to root, as text with forward slashes, sorted."""
    found = []
    for folder in folders:
        for path in (root / folder).rglob('*'):
            if path.suffix in suffixes and path.is_file() and '__pycache__' not in path.parts:
                found.append(path.relative_to(root).as_posix())
    if '.hpp' in suffixes and set(folders) >= set(LIBRARY) and (root / UMBRELLA).is_file():
        found.append(UMBRELLA)
    return sorted(found)


def sources(root, folders=FOLDERS, suffixes=('.hpp', '.cpp')):
    return [Source(root, path) for path in find(root, folders, suffixes)]


def root_argument():
    """The tree to check: the first argument, else the tree this file is in."""
    if len(sys.argv) > 1:
        return pathlib.Path(sys.argv[1]).resolve()
    return pathlib.Path(__file__).resolve().parents[2]

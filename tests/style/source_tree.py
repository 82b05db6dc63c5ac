"""What the style tests share: finding files, reading code without its comments, telling what is
wrong."""

import pathlib
import re
import sys

LIBRARY = ('runtime', 'sync', 'io')
FOLDERS = LIBRARY + ('examples', 'tests', 'bench')
UMBRELLA = 'weft.hpp'

# What a line of allow.txt can make an exception of.
RULES = ('columns', 'file-length', 'function-length', 'banned', 'nolint', 'proofs')

# A directive of the preprocessor, with the lines that it goes on in.
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n\\]|\\\n|\\.)*', re.MULTILINE)

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


class Allowed:
    """The reasoned exceptions of tests/style/allow.txt, whose head describes the form of a line.

    A line that excuses nothing is wrong itself: the limits only ever get tighter.
    """

    PATH = 'tests/style/allow.txt'

    def __init__(self, root, rules):
        self._lines = {}  # (rule, path, item) -> line number
        self._used = set()
        self.malformed = []
        if not (root / self.PATH).is_file():
            return
        for number, text in enumerate((root / self.PATH).read_text().split('\n'), 1):
            if not text.strip() or text.startswith('#'):
                continue
            words = text.split(None, 3)
            if len(words) < 4:
                self.malformed.append((number, 'not of the form: rule path item reason'))
            elif words[0] not in RULES:
                self.malformed.append((number, f'no rule is called {words[0]}'))
            elif words[0] in rules:
                self._lines[tuple(words[:3])] = number

    def excuses(self, rule, path, item):
        key = (rule, path, str(item))
        if key in self._lines:
            self._used.add(key)
        return key in self._lines

    def limit(self, rule, path, measured, default):
        """The limit that counts for what was measured: the default, unless that is exceeded."""
        if measured <= default:
            return default
        for key in self._lines:
            if key[:2] == (rule, path) and key[2].isdigit():
                self._used.add(key)
                return int(key[2])
        return default

    def finish(self, report):
        for number, message in self.malformed:
            report.add(self.PATH, number, message)
        for key in sorted(self._lines.keys() - self._used, key=self._lines.get):
            report.add(self.PATH, self._lines[key], f'excuses nothing: {" ".join(key)}')


class Source:
    """One file: `path` relative to the root, `text`, and `code`: as long as the text, line for line
    and column for column, with comments and the insides of strings blanked out."""

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

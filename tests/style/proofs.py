#!/usr/bin/env python3
"""Every numbered invariant of a protocol comment has its row in tests/PROOFS.md, and whatever a row
names exists; rechecks.py changes text that is there. usage: proofs.py [ROOT]"""

import re
import runpy
import sys

import source_tree

TABLE = 'tests/PROOFS.md'
RECHECKS = 'tests/model/rechecks.py'

INVARIANT = re.compile(r'^///? +([IS]\d+) ', re.MULTILINE)
FOLDER = re.compile(r'^## (\S+)$')
ROW = re.compile(r'^\| (\S+) \| ([IS]\d+) (\S.*?) \| (\S.*) \|$')
HEAD = re.compile(r'^\|(?: file \| invariant \| proof |---\|---\|---)\|$')
PROOF = re.compile(r'`([^`]*)`')

EXPLORATION = re.compile(r'\bexplore\s*\(\s*"(\w+)"(?:\s*,\s*"(\w+)")?')
# A name may go on in the next line.
TEST_CASE = re.compile(r'\bTEST_CASE(?:_TEMPLATE|_FIXTURE)?\s*\(\s*(?:\w+\s*,\s*)?'
                       r'((?:"(?:\\.|[^"\\])*"\s*)+)')


class Proofs:
    """What there is to name: explorations, rechecks, cases."""

    def __init__(self, root):
        self._root = root
        self._names = {}  # path -> names
        self._rechecks = None

    def problem_of(self, proof):
        """Why this is none, or None."""
        place, colon, name = proof.partition(': ')
        if not colon:
            return f'"{proof}" is no proof: name it like `model/mutex: two_lockers`'
        if place == 'recheck':
            return None if name in self.rechecks() else f'{RECHECKS} has no "{name}"'
        model = re.fullmatch(r'model/(\w+)', place)
        path = f'tests/model/{model[1]}_model.cpp' if model else f'tests/{place}'
        if not (self._root / path).is_file():
            return f'{path} does not exist'
        what = 'exploration' if model else 'case'
        return None if name in self.names(path) else f'{path} has no {what} "{name}"'

    def rechecks(self):
        """Name -> the file it changes, and the text there."""
        if self._rechecks is None:
            found = runpy.run_path(str(self._root / RECHECKS))
            self._rechecks = {each[0]: each[1:3] for each in found['CHANGES'] + found['FAULTS']}
        return self._rechecks

    def names(self, path):
        if path not in self._names:
            text = (self._root / path).read_text(encoding='utf-8')
            found = set()
            for match in EXPLORATION.finditer(text):
                found.update(match.groups())
            for match in TEST_CASE.finditer(text):
                pieces = re.findall(r'"((?:\\.|[^"\\])*)"', match[1])
                found.add(re.sub(r'\\(.)', r'\1', ''.join(pieces)))
            self._names[path] = found
        return self._names[path]


def invariants(root, report):
    """(path, number) -> line, as the protocol comments list them."""
    found = {}
    for source in source_tree.sources(root, source_tree.LIBRARY):
        for match in INVARIANT.finditer(source.text):
            key, line = (source.path, match[1]), source.line_of(match.start())
            if key in found:
                report.add(source.path, line, f'{match[1]} is what line {found[key]} says already')
            found.setdefault(key, line)
    return found


def rows(source, report):
    """(line, path, number, proofs) of every row."""
    folder = None
    for number, line in enumerate(source.text.split('\n'), 1):
        if heading := FOLDER.match(line):
            folder = heading[1]
        elif line.startswith('|') and not HEAD.match(line):
            if folder is not None and (row := ROW.match(line)):
                yield number, f'{folder}/{row[1]}', row[2], PROOF.findall(row[4])
            else:
                report.add(source.path, number, 'not of the form: | file | I1 words | `proofs` |, '
                                                'below the name of a folder')


def check_rows(root, listed, allowed, report):
    """Gives the invariants that have a row."""
    proofs, seen = Proofs(root), {}
    if not (root / TABLE).is_file():
        return seen
    for line, path, number, named in rows(source_tree.Source(root, TABLE), report):
        key = (path, number)
        if not (root / path).is_file():
            report.add(TABLE, line, f'{path} does not exist')
        elif key not in listed:
            report.add(TABLE, line, f'{path} lists no {number}')
        elif key in seen:
            report.add(TABLE, line, f'{number} of {path} stands in line {seen[key]} already')
        seen.setdefault(key, line)
        if not named:
            report.add(TABLE, line, 'a row without a proof')
        for each in named:
            problem = None
            if each != 'nothing':
                problem = proofs.problem_of(each)
            elif not allowed.excuses('proofs', path, number):
                problem = f'nothing proves {number} of {path}: prove it, or say why not in ' \
                          f'{allowed.PATH}'
            if problem:
                report.add(TABLE, line, problem)
    return seen


def check_rechecks(root, report):
    for name, (path, text) in Proofs(root).rechecks().items():
        if not (root / path).is_file() or text not in (root / path).read_text(encoding='utf-8'):
            report.add(RECHECKS, 1, f'"{name}" changes text that is not in {path}')


def check(root):
    report = source_tree.Report()
    if (root / RECHECKS).is_file():
        check_rechecks(root, report)
    allowed = source_tree.Allowed(root, ('proofs',))
    listed = invariants(root, report)
    proved = check_rows(root, listed, allowed, report)
    for (path, number), line in listed.items():
        if (path, number) not in proved:
            report.add(path, line, f'{number} has no row in {TABLE}')
    allowed.finish(report)
    return report


if __name__ == '__main__':
    sys.exit(check(source_tree.root_argument()).finish())

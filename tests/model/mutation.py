#!/usr/bin/env python3
"""Weakens every memory order that the models pass, one at a time; a model has to notice each.

usage: mutation.py [--all] ROOT EQUIVALENTS PROGRAM...

A mutant that survives every program that passes its place must stand in EQUIVALENTS with a reason:

    <file> <function> <object>.<operation> <order>-><order>
        <reason>

A line there that excuses nothing fails as well. With --all the programs have to pass every place in
the library whose order is more than relaxed; what they do not pass stands there, too, as

    <file> <object>.<operation> not passed
        <reason>

A mutant is shown to the explorations that pass its place, first for a moment and then for as long
as WEFT_MODEL_RANDOM and WEFT_MODEL_SECONDS say; one that stands in EQUIVALENTS is shown for the
moment only, or like the others with WEFT_MODEL_DOUBT=1. With WEFT_MODEL_ONLY=<file> only that file
is mutated. WEFT_MODEL_JOBS=<number> mutants are shown at a time.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TIMEOUT = 3600  # seconds after which nothing is known of a mutant; a program ends by itself
GLANCE = {'WEFT_MODEL_SECONDS': '0.01', 'WEFT_MODEL_RANDOM': '200'}
MOMENT = {'WEFT_MODEL_SECONDS': '0.1', 'WEFT_MODEL_RANDOM': '1000'}
SURVEY = {'WEFT_MODEL_SECONDS': '1', 'WEFT_MODEL_RANDOM': '1000'}
FIGURES = re.compile(r'^model (\w+): \d+ executions, [\w ]+, ([\d.]+) s', re.MULTILINE)
FAILURE = re.compile(r'^model (\w+): ', re.MULTILINE)
FOLDERS = ('runtime', 'sync', 'io')
REPLACED = 'runtime/base/'  # what the models have in its place
WEAKER = {
    'load': {'acquire': ('relaxed',), 'seq_cst': ('acquire',)},
    'store': {'release': ('relaxed',), 'seq_cst': ('release',)},
    'modify': {
        'acquire': ('relaxed',),
        'release': ('relaxed',),
        'acq_rel': ('acquire', 'release'),
        'seq_cst': ('acq_rel', 'acquire', 'release'),
    },
    'fence': {'full': ('none',), 'light': ('none',), 'heavy': ('own', 'none')},
}
OPERATION = re.compile(
    r'(\w+)(?:\[[^\]]*\]|\([^()]*\))?(?:\.|->)'
    r'(load|store|exchange|compare_exchange_\w+|fetch_\w+)\(')
FENCE = re.compile(r'\b(fence_\w+)\(')
STRONG = re.compile(r'\b(acquire|release|acq_rel|seq_cst)\b')


class Site:
    """A place in the library where an order is used."""

    def __init__(self, root, line):
        place, self.operation, self.orders, function, _ = line.split('\t')
        self.path, self.line, self.column = place.split(':')
        self.place = place
        self.function = short_name(function)
        self.explorations = {}  # which pass it, with their seconds, by program
        text = (root / self.path).read_text().split('\n')[int(self.line) - 1]
        matches = list(OPERATION.finditer(text)) + list(FENCE.finditer(text))
        nearest = min(matches, default=None,
                      key=lambda match: abs(match.start() - int(self.column) + 1))
        self.what = '?' if nearest is None else '.'.join(nearest.groups())

    def programs(self):
        """The quickest first."""
        return sorted(self.explorations, key=lambda each: sum(self.explorations[each].values()))

    def position(self):
        return self.path, int(self.line), int(self.column)

    def changes(self):
        """(order, weaker order, what the program is told)"""
        if self.operation == 'compare_exchange':
            success, failure = self.orders.split(',')
            for weaker in WEAKER['modify'].get(success, ()):
                yield success, weaker, weaker
            if failure != 'relaxed':
                yield failure, 'relaxed/failure', 'failure-relaxed'
        else:
            for weaker in WEAKER[self.operation].get(self.orders, ()):
                yield self.orders, weaker, weaker


def short_name(function):
    """The last name of a signature, without its scope, parameters and template arguments."""
    function = re.sub(r'\((?:anonymous|lambda)[^)]*\)|\[[^\]]*\]', '', function)
    previous = None
    while previous != function:
        previous, function = function, re.sub(r'<[^<>]*>', '', function)
    return re.split(r'[\s:*&]', function.partition('(')[0].strip())[-1]


def sites_of(root, programs):
    sites = {}
    for program in programs:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'sites'
            ended = run(program, SURVEY | {'WEFT_MODEL_SITES': str(path)})
            if ended.returncode != 0:
                sys.exit(f'{program}: {ended.returncode} without a mutant\n{ended.stderr}')
            seconds = {}
            for exploration, time in FIGURES.findall(ended.stdout):
                seconds[exploration] = seconds.get(exploration, 0) + float(time)
            for line in path.read_text().splitlines():
                if not line.startswith('tests/'):
                    place, exploration = line.partition('\t')[0], line.rpartition('\t')[2]
                    if place not in sites:
                        sites[place] = Site(root, line)
                    site = sites[place]
                    site.explorations.setdefault(program, {})[exploration] = seconds[exploration]
    return sorted(sites.values(), key=Site.position)


def end_of_call(text, begin):
    """The place behind the parenthesis that closes the one before `begin`."""
    depth = 1
    while depth:
        depth += {'(': 1, ')': -1}.get(text[begin], 0)
        begin += 1
    return begin


def not_passed(root, sites):
    """The places in the library that no model passes."""
    passed = {(site.path, int(site.line)) for site in sites}
    for path in sorted(path for name in FOLDERS for path in (root / name).rglob('*.[hc]pp')):
        name = str(path.relative_to(root))
        text = re.sub('//[^\n]*', lambda found: ' ' * len(found[0]), path.read_text())
        for found in OPERATION.finditer(text):
            end = end_of_call(text, found.end())
            lines = (text.count('\n', 0, found.start()) + 1, text.count('\n', 0, end) + 1)
            if (not name.startswith(REPLACED) and STRONG.search(text[found.end():end]) and
                    not any((name, line) in passed for line in range(lines[0], lines[1] + 1))):
                yield f'{name} {".".join(found.groups())} not passed', lines[0]


def run(program, environment):
    return subprocess.run([program, '--abort-after=1'], env=os.environ | environment, check=False,
                          timeout=TIMEOUT, capture_output=True, text=True)


def killer_of(site, told, looks):
    """The exploration that notices the mutant, if any does in one of the looks."""
    mutant = {'WEFT_MODEL_MUTANT': f'{site.place}:{told}', 'WEFT_MODEL_QUIET': '1'}
    for look in looks:
        for program in site.programs():
            shown = {'WEFT_MODEL_EXPLORE': ','.join(sorted(site.explorations[program]))}
            ended = run(program, mutant | shown | look)
            if ended.returncode != 0:
                found = FAILURE.search(ended.stderr)
                name = pathlib.Path(program).name.removeprefix('model_')
                return f'{name}/{found[1] if found else "?"}'
    return None


def read_equivalents(path):
    """The excused mutants, each with the number of its line; a reason stands indented below."""
    excused, key = {}, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith(' '):
            if key is not None:
                excused[key] = number - 1
            key = None
        elif line.strip() and not line.startswith('#'):
            if key is not None:
                sys.exit(f'{path}:{number}: no reason above')
            key = line.strip()
    if key is not None:
        sys.exit(f'{path}: no reason at the end')
    return excused


def mutants_of(sites):
    """(site, name in EQUIVALENTS, what the program is told)"""
    seen = {}
    for site in sites:
        for order, weaker, told in site.changes():
            key = f'{site.path} {site.function} {site.what} {order}->{weaker}'
            seen[key] = seen.get(key, 0) + 1
            yield site, key + (f'#{seen[key]}' if seen[key] > 1 else ''), told


def main():
    arguments = sys.argv[1:]
    wants_all = arguments[0] == '--all'
    root, equivalents, *programs = arguments[wants_all:]
    root, equivalents = pathlib.Path(root), pathlib.Path(equivalents)
    excused = read_equivalents(equivalents)
    only = os.environ.get('WEFT_MODEL_ONLY', '')
    doubts = 'WEFT_MODEL_DOUBT' in os.environ
    sites = [site for site in sites_of(root, programs) if only in site.path]
    used, killed, failures = set(), 0, 0
    for key, line in not_passed(root, sites) if wants_all and not only else ():
        if key in excused:
            used.add(key)
        else:
            failures += 1
            print(f'NOT PASSED  {key}  (line {line})', flush=True)

    def show(mutant):
        site, key, told = mutant
        trusts = key in excused and not doubts
        looks = (GLANCE,) if trusts else (GLANCE, MOMENT, {})
        return mutant, killer_of(site, told, looks)

    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get('WEFT_MODEL_JOBS', '1'))) as pool:
        for (site, key, told), killer in pool.map(show, mutants_of(sites)):
            if killer is not None:
                killed += 1
                print(f'killed      {key}  by {killer}', flush=True)
            elif key in excused:
                used.add(key)
                print(f'equivalent  {key}', flush=True)
            else:
                failures += 1
                print(f'SURVIVED    {key}  ({site.place}:{told})', flush=True)
    covered = {site.path for site in sites}
    for key in sorted(excused.keys() - used):
        if (wants_all and not only) or key.partition(' ')[0] in covered:
            failures += 1
            print(f'{equivalents.name}:{excused[key]}: excuses nothing: {key}')
    print(f'{killed} killed, {len(used)} equivalent, {failures} to look at')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
"""Runs programs in turn and compares their figures with the first one's.

A program is NAME=COMMAND, or a COMMAND whose file gives the name. It may come from anywhere: a
figure is a number in the line of JSON that it prints (--key; the least of a list), else what
--pattern finds in its output, or the time that the command takes (--time). A program that fails
ends the comparison. The order changes every round.

  compare.py build/release/bench/forkjoin_fib build/release/bench/tbb_fib --args '--workers 2'
  compare.py --key seconds --key peak_rss_bytes weft='forkjoin_fib --workers 2' other='./fib -w 2'
  compare.py --pattern '([0-9.]+) s' weft='forkjoin_fib --size 39' other='./fib 1 39'
"""

import argparse
import json
import os
import pathlib
import platform
import random
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time

import echo_run

REDUCTIONS = {'min': min, 'median': statistics.median}


class CannotCompare(Exception):
    """A program failed or did not print the figure; the text says which and why."""


def named_command(text):
    """('name', [command, …]) of `name=command …` or `command …`."""
    name, equals, command = text.partition('=')
    if not equals or not re.fullmatch(r'[\w.+-]+', name):
        name, command = None, text
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text}: {error}') from None
    if not words:
        raise argparse.ArgumentTypeError(f'{text}: no command')
    return name or pathlib.Path(words[0]).name, words


def pattern(text):
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f'{text}: {error}') from None
    if compiled.groups != 1:
        raise argparse.ArgumentTypeError(f'{text}: one group has to hold the number')
    return compiled


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError('at least 1')
    return number


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('programs', nargs='+', type=named_command, metavar='[NAME=]COMMAND')
    parser.add_argument('--args', default=[], type=shlex.split,
                        help='appended to every command')
    parser.add_argument('--rounds', type=positive, default=10)
    parser.add_argument('--key', action='append', dest='keys', metavar='NAME',
                        help='a figure, or several (default: seconds)')
    parser.add_argument('--reduce', choices=REDUCTIONS, default='min',
                        help='what stands for a list of figures (default: min)')
    parser.add_argument('--pattern', type=pattern, metavar='REGEX',
                        help='finds the figure of a program that prints no JSON')
    parser.add_argument('--time', action='store_true', help='compare what the commands take')
    parser.add_argument('--cpus', metavar='LIST', help='pin to these, such as 0,1 (taskset)')
    parser.add_argument('--compiler', help='named in the report')
    parser.add_argument('--json', type=pathlib.Path, help='write every figure to this file')
    options = parser.parse_args(words)
    options.keys = ['wall time'] if options.time else options.keys or ['seconds']
    names = [name for name, _ in options.programs]
    if len(set(names)) != len(names):
        parser.error('two programs have the same name: give NAME=COMMAND')
    if options.cpus and not shutil.which('taskset'):
        parser.error('--cpus needs taskset')
    return options


def json_object(output):
    """The first line that is a JSON object, or None."""
    for line in output.splitlines():
        if line.lstrip().startswith('{'):
            try:
                return json.loads(line)
            except json.JSONDecodeError:
                pass
    return None


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def figure_in(output, key, options):
    """A figure that a program printed. Raises CannotCompare without the program's name."""
    printed = json_object(output)
    if printed is not None and key in printed:
        value = printed[key]
        values = value if isinstance(value, list) else [value]
        if values and all(map(is_number, values)):
            return REDUCTIONS[options.reduce](values)
        raise CannotCompare(f'"{key}" is no number: {value}')
    found = options.pattern.search(output) if options.pattern else None
    if found:
        return float(found.group(1))
    there = ', '.join(printed) if printed else 'no JSON'
    raise CannotCompare(f'no "{key}" in its output ({there})')


def run_once(name, command, options):
    """Figures by key."""
    command = (['taskset', '-c', options.cpus] if options.cpus else []) + command + options.args
    start = time.perf_counter()
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise CannotCompare(f'{name}: {error}') from None
    elapsed = time.perf_counter() - start
    if done.returncode != 0:
        raise CannotCompare(f'{name} failed ({done.returncode}): {done.stdout}{done.stderr}')
    if options.time:
        return dict.fromkeys(options.keys, elapsed)
    try:
        return {key: figure_in(done.stdout, key, options) for key in options.keys}
    except CannotCompare as error:
        raise CannotCompare(f'{name}: {error}') from None


def measure(options):
    """Figures by key and name; the n-th ones of all programs are of one round."""
    figures = {key: {name: [] for name, _ in options.programs} for key in options.keys}
    for number in range(1, options.rounds + 1):
        if sys.stderr.isatty():
            print(f'round {number} of {options.rounds}', file=sys.stderr, flush=True)
        for name, command in random.sample(options.programs, len(options.programs)):
            for key, figure in run_once(name, command, options).items():
                figures[key][name].append(figure)
    return figures


def ratio_to(first, values):
    """The median over the rounds: a machine that changes its pace does so between rounds too."""
    ratios = [value / base for value, base in zip(values, first) if base != 0]
    return statistics.median(ratios) if ratios else None


def digits(number):
    """Four of them, and no exponent."""
    if abs(number) >= 1000 or number == 0:
        return f'{number:,.0f}'
    return f'{number:#.4g}'.rstrip('.') if abs(number) >= 1e-4 else f'{number:.4g}'


def rows_of(figures):
    first = next(iter(figures.values()))
    for name, values in figures.items():
        middle = statistics.median(values)
        spread = f'{(max(values) - min(values)) / middle:.1%}' if middle else ''
        ratio = ratio_to(first, values)
        yield [name, digits(middle), digits(min(values)), digits(max(values)), spread,
               '' if ratio is None else f'{ratio:.3f}']


def processor():
    try:
        for line in pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.machine()


def commit():
    folder = pathlib.Path(__file__).resolve().parent
    try:
        done = subprocess.run(['git', '-C', folder, 'describe', '--always', '--dirty'],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def setting(options):
    """What a reader needs to judge the figures, as name: text."""
    facts = {
        'machine': f'{processor()}, {os.cpu_count()} CPUs' +
                   (f', pinned to {options.cpus}' if options.cpus else ''),
        'kernel': f'{platform.system()} {platform.release()}',
        'compiler': options.compiler,
        'commit': commit(),
        'rounds': str(options.rounds),
    }
    return {name: text for name, text in facts.items() if text}


def main():
    options = arguments()
    try:
        figures = measure(options)
    except CannotCompare as error:
        print(f'compare.py: {error}', file=sys.stderr)
        return 1
    facts = setting(options)
    for name, text in facts.items():
        print(f'{name + ":":9} {text}')
    first = options.programs[0][0]
    for key, by_name in figures.items():
        print('\n' + echo_run.table([key, 'median', 'min', 'max', 'spread', f'/ {first}'],
                                    list(rows_of(by_name))))
    if options.json:
        commands = {name: shlex.join(command + options.args) for name, command in options.programs}
        everything = {'setting': facts, 'commands': commands, 'figures': figures}
        options.json.write_text(json.dumps(everything, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())

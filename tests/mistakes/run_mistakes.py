#!/usr/bin/env python3
"""What does not compile says why, in a sentence and a few lines.
usage: run_mistakes.py INCLUDE_FOLDER COMPILER...

Each of programs/*.cpp holds one mistake. Its first lines say what the compiler must print, and how
it is called:

  // says: TEXT      in the output; without it the program would have to compile
  // with: OPTION    one more option
  // only: clang     for this compiler alone

The lines that tell which file includes which are not counted: they are as many as the user's
headers are deep.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

PROGRAMS = pathlib.Path(__file__).resolve().parent / 'programs'
LINES_MAX = 10
DIRECTIVE = re.compile(r'^// (says|with|only): (.+)$', re.MULTILINE)
INCLUDED_FROM = re.compile(r'^(In file included from|\s+from) ')


def is_clang(compiler):
    version = subprocess.run([*compiler, '--version'], text=True, stdout=subprocess.PIPE)
    return 'clang' in version.stdout


def fault_of(program, compiler, include, clang):
    """Why the compiler's answer to a program will not do, or None."""
    said = {'says': [], 'with': [], 'only': []}
    for key, value in DIRECTIVE.findall(program.read_text(encoding='utf-8')):
        said[key].append(value)
    if said['only'] == ['clang'] and not clang:
        return None
    done = subprocess.run([*compiler, '-std=c++20', '-fsyntax-only', '-I', include, *said['with'],
                           program], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = [line for line in done.stdout.splitlines() if not INCLUDED_FROM.match(line)]
    if done.returncode == 0:
        return 'compiles'
    for text in said['says']:
        if text not in done.stdout:
            return f'does not say "{text}":\n{done.stdout}'
    if len(lines) > LINES_MAX:
        return f'takes {len(lines)} lines, the limit is {LINES_MAX}:\n{done.stdout}'
    return None


def main(include, *compiler):
    programs = sorted(PROGRAMS.glob('*.cpp'))
    clang = is_clang(compiler)
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get('JOBS', '2'))) as pool:
        faults = list(pool.map(lambda each: fault_of(each, compiler, include, clang), programs))
    for program, fault in zip(programs, faults):
        if fault is not None:
            print(f'{program.name}: {fault}')
    if any(faults):
        sys.exit(1)
    print(f'{len(programs)} mistakes are told')


if __name__ == '__main__':
    main(*sys.argv[1:])

#!/usr/bin/env python3
"""How clang-tidy shall compile each source. usage: analysis_database.py BUILD

Writes BUILD/analysis/compile_commands.json: how sources are compiled for use. (For the models they
are compiled again, with other settings.) All headers together make one more source: no source of
ours instantiates everything in them, and the most work with a header alone is what it includes.
"""

import json
import pathlib
import sys

build = pathlib.Path(sys.argv[1])
everything = build / 'compile_commands.json'
(build / 'analysis').mkdir(parents=True, exist_ok=True)
if everything.exists():
    commands = json.loads(everything.read_text(encoding='utf-8'))
    used = [each for each in commands if not each['output'].startswith('tests/')]
    headers = sorted(each for folder in ('runtime', 'sync', 'io')
                     for each in pathlib.Path(folder).rglob('*.hpp'))
    source = build.resolve() / 'analysis' / 'headers.cpp'
    source.write_text(''.join(f'#include <weft/{each}>\n' for each in ('weft.hpp', *headers)))
    like = next(each for each in used if each['output'].startswith('io/'))
    command = like['command'].replace(f' -c {like["file"]}', f' -c {source}')
    # As in a source, the analyser follows every function.
    command += ' -Xclang -analyzer-opt-analyze-headers'
    used.append({**like, 'file': str(source), 'command': command})
    (build / 'analysis' / everything.name).write_text(json.dumps(used), encoding='utf-8')

#!/usr/bin/env python3
"""A stranger's program builds against the library and runs.
usage: run_packaging.py subproject|installed ROOT BUILD COMPILER...

  subproject  a Meson project finds the library in its subprojects folder: the program compiles, and
              so does a source of each of the library's folders. It is linked with the libraries of
              BUILD, whose sources are the same
  installed   the library, as BUILD holds it, is installed, and a compiler finds it through
              pkg-config

The program's own folders are called io, sync and runtime and hold headers that must not be read in
place of the library's. Nothing outside a temporary folder is written, and no network is used.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'style'))
from layers import NOT_INSTALLED

USER = pathlib.Path(__file__).resolve().parent / 'user'
PROCESSES = os.environ.get('JOBS', '2')
INCLUDE = re.compile(r'^#include <weft/([^>]+)>', re.MULTILINE)


def run(*command, **environment):
    """Runs a command; what it printed is shown, and this program ends, when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env={**os.environ, **environment}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f'{" ".join(words)}\n{done.stdout}\nexit code {done.returncode}')
    return done.stdout


def flags_of(build):
    """The compiler's arguments for the sources of a build, as one text."""
    return (build / 'build.ninja').read_text(encoding='utf-8')


def test_subproject(root, build, compiler, scratch):
    project = scratch / 'user'
    shutil.copytree(USER, project)
    (project / 'subprojects').mkdir()
    # A copy of what is needed, as somebody who vendors the library has it.
    (project / 'subprojects/weft').mkdir()
    for part in ('runtime', 'sync', 'io', 'meson.build', 'meson_options.txt', 'weft.hpp'):
        (project / 'subprojects/weft' / part).symlink_to(root / part)
    asserts = 'enabled' if '-DWEFT_ASSERTS=1' in flags_of(build) else 'disabled'
    fiber = 'enabled' if '-DWEFT_HAS_FIBERS=1' in flags_of(build) else 'disabled'
    run('meson', 'setup', scratch / 'build', project, '--wrap-mode=nodownload', '-Doptimization=0',
        f'-Dweft:asserts={asserts}', f'-Dweft:fiber={fiber}',
        '--force-fallback-for=weft', CXX=' '.join(compiler))
    planned = run('ninja', '-C', scratch / 'build', '-t', 'targets', 'all')
    objects = re.findall(r'^(\S+\.o): ', planned, re.MULTILINE)
    own = [name for name in objects if name.startswith('user.p/')]
    sampled = [next(name for name in objects if name.startswith(f'subprojects/weft/{folder}/'))
               for folder in ('runtime', 'sync', 'io')]
    run('ninja', '-C', scratch / 'build', '-j', PROCESSES, *own, *sampled)
    if 'user: cpp_LINKER' not in planned:
        sys.exit('the program is not linked')
    libraries = [build / f'{folder}/libweft_{folder}.a' for folder in ('io', 'sync', 'runtime')]
    context = ['-lboost_context'] if '-DWEFT_HAS_FIBERS=1' in flags_of(build) else []
    run(*compiler, *(scratch / 'build' / name for name in own), *libraries, '-luring', *context,
        '-pthread', '-o', scratch / 'program')
    run(scratch / 'program')


def check_installed_headers(folder):
    for path in sorted(folder.rglob('*.hpp')):
        name = path.relative_to(folder).as_posix()
        if name in NOT_INSTALLED:
            sys.exit(f'{name} is private, and yet it is installed')
        for included in INCLUDE.findall(path.read_text(encoding='utf-8')):
            if not (folder / included).is_file():
                sys.exit(f'{name} includes <weft/{included}>, which is not installed')


def test_installed(_root, build, compiler, scratch):
    run('meson', 'install', '-C', build, '--no-rebuild', '--destdir', scratch)
    [package] = scratch.rglob('weft.pc')
    [headers] = scratch.rglob('include/weft')
    check_installed_headers(headers)
    flags = run('pkg-config', '--cflags', '--libs', 'weft', PKG_CONFIG_PATH=str(package.parent),
                PKG_CONFIG_SYSROOT_DIR=str(scratch)).split()
    if any(flag.startswith('-std=') for flag in flags):
        sys.exit(f'the standard is the user\'s to choose: {flags}')
    for standard in ('c++20', 'c++23'):
        run(*compiler, f'-std={standard}', '-Wall', '-Wextra', '-Werror', '-I', USER,
            USER / 'main.cpp', '-o', scratch / 'user', *flags)
        run(scratch / 'user')


def main(kind, root, build, *compiler):
    with tempfile.TemporaryDirectory() as scratch:
        test = {'subproject': test_subproject, 'installed': test_installed}[kind]
        test(pathlib.Path(root).resolve(), pathlib.Path(build), compiler,
             pathlib.Path(scratch).resolve())
    print(f'{kind}: the program was built and ran')


if __name__ == '__main__':
    main(*sys.argv[1:])

#!/usr/bin/env python3
"""./dev answers wrong words, missing packages and failing tests as it says. usage: dev_test.py DEV

Runs a copy of the script in a folder of its own, where the only programs are a few of the system's
and stand-ins for those that would install, build and test.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

WORDS = ('setup', 'build', 'test', 'demo', 'bench', 'lint', 'ci')
SYSTEM = ('bash', 'cat', 'dirname', 'env', 'find', 'grep', 'head', 'mkdir', 'mktemp', 'nproc',
          'readlink', 'rm', 'sed', 'sort', 'tail', 'tee', 'xargs')
NOBODY = 65534

# What the stand-ins do. Each also writes its name and arguments into the file `calls`.
NOTHING_INSTALLED = 'exit 1'
ALL_INSTALLED = "printf 'ii '"
# Two tests, each made of one program.
MESON = '''
case $1 in
    setup)
        mkdir -p "$2/meson-info" && echo > "$2/build.ninja"
        echo '[{"name": "io/a", "depends": ["a"]}, {"name": "io/b", "depends": ["b"]}]' \\
            > "$2/meson-info/intro-tests.json"
        echo "[{\\"id\\": \\"a\\", \\"filename\\": [\\"$PWD/$2/io/a_test\\"]},
               {\\"id\\": \\"b\\", \\"filename\\": [\\"$PWD/$2/io/b_test\\"]}]" \\
            > "$2/meson-info/intro-targets.json"
        ;;
    test)
        if [[ $5 == --list ]]; then
            if [[ $8 == io/* ]]; then echo "weft:io / $8"; fi
            exit
        fi
        mkdir -p "$3/meson-logs"
        cat "$HOME/results" > "$3/meson-logs/testlog-$6.json"
        exit "$(cat "$HOME/meson-exit")"
        ;;
esac
'''


class Dev(unittest.TestCase):
    script = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.programs = self.folder / 'programs'
        self.programs.mkdir()
        for name in SYSTEM:
            (self.programs / name).symlink_to(shutil.which(name))
        # Not what may be in front of it, which takes its time.
        (self.programs / 'python3').symlink_to(sys.executable)
        shutil.copy(self.script, self.folder / 'dev')
        shutil.copytree(self.script.parent / 'tests/tools', self.folder / 'tests/tools')
        (self.folder / 'calls').touch()
        for folder in ('runtime', 'sync', 'io', 'examples', 'bench'):
            (self.folder / folder).mkdir()
        (self.folder / 'weft.hpp').touch()
        (self.folder / 'io/runtime.cpp').touch()
        self.stand_in('dpkg-query', ALL_INSTALLED)
        self.stand_in('apt-get')
        for name in ('ninja', 'clang++-19', 'clang-format-19', 'clang-tidy-19'):
            self.stand_in(name)
        self.stand_in('meson', MESON)
        self.results('OK')

    def stand_in(self, name, does='exit 0'):
        program = self.programs / name
        program.write_text(f'#!{shutil.which("bash")}\necho "{name} $*" >> "$HOME/calls"\n{does}\n')
        program.chmod(0o755)

    def results(self, *results, exit_code=0, said=''):
        lines = ''.join(f'{{"name": "a test", "stdout": "{said}", "result": "{result}"}}\n'
                        for result in results)
        (self.folder / 'results').write_text(lines)
        (self.folder / 'meson-exit').write_text(str(exit_code))

    def run_dev(self, *words, user=None):
        if user is not None and os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob('*')):
                if not path.is_symlink():
                    path.chmod(0o777)
        else:
            user = None
        environment = {'PATH': str(self.programs), 'HOME': str(self.folder)}
        done = subprocess.run([str(self.folder / 'dev'), *words], env=environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, user=user)
        self.calls = (self.folder / 'calls').read_text().splitlines()
        return done

    def last_line(self, done):
        return done.stdout.rstrip('\n').rpartition('\n')[2]

    def test_no_word_lists_the_words(self):
        done = self.run_dev()
        self.assertEqual(done.returncode, 0)
        for word in WORDS:
            self.assertRegex(done.stdout, rf'(?m)^  {word} ')

    def test_every_word_explains_itself_and_does_nothing_else(self):
        for word in WORDS:
            for words in ((word, '--help'), (word, '-h'), (word, 'debug', '--help')):
                done = self.run_dev(*words)
                self.assertEqual(done.returncode, 0, words)
                self.assertTrue(done.stdout.startswith(f'usage: ./dev {word}'), words)
        self.assertEqual(self.calls, [])

    def test_an_unknown_word_is_named_and_ends_with_2(self):
        done = self.run_dev('tset')
        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown word 'tset'", done.stderr)
        self.assertEqual(self.calls, [])

    def test_an_unknown_option_is_named_and_ends_with_2(self):
        for word in ('setup', 'lint', 'ci'):
            done = self.run_dev(word, '--nonsense')
            self.assertEqual(done.returncode, 2, word)
            self.assertIn("unknown option '--nonsense'", done.stderr)

    def test_setup_is_silent_when_nothing_is_missing(self):
        done = self.run_dev('setup', '--all')
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, '', ''))
        self.assertFalse([call for call in self.calls if call.startswith('apt-get')])

    def test_setup_without_rights_says_the_command_and_ends_with_3(self):
        self.stand_in('dpkg-query', NOTHING_INSTALLED)
        for word in ('setup', 'test'):
            done = self.run_dev(word, user=NOBODY)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertRegex(done.stderr, r'run as root: apt-get install --yes '
                             r'--no-install-recommends g\+\+ meson .*\bclang-19\n$')
        self.assertFalse([call for call in self.calls if call.startswith(('apt-get', 'meson'))])

    def test_setup_does_not_wait_for_a_password(self):
        self.stand_in('dpkg-query', NOTHING_INSTALLED)
        self.stand_in('sudo', 'exit 1')
        self.assertEqual(self.run_dev('setup', user=NOBODY).returncode, 3)
        self.assertNotIn('sudo env', '\n'.join(self.calls))

    def test_setup_installs_through_sudo(self):
        self.stand_in('dpkg-query', NOTHING_INSTALLED)
        self.stand_in('sudo', 'if [[ $1 == -n ]]; then shift; fi\n[[ $1 == true ]] || "$@"')
        done = self.run_dev('setup', user=NOBODY)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue([call for call in self.calls if call.startswith('apt-get install --yes')])

    def test_setup_installs_only_what_is_missing(self):
        self.stand_in('dpkg-query', '[[ $3 != ninja-build ]] && printf "ii "')
        self.stand_in('sudo', 'if [[ $1 == -n ]]; then shift; fi\n[[ $1 == true ]] || "$@"')
        self.run_dev('setup', user=NOBODY)
        installs = [call for call in self.calls if call.startswith('apt-get install')]
        self.assertEqual(set(installs),
                         {'apt-get install --yes --no-install-recommends ninja-build'})

    def test_a_failing_installation_shows_what_apt_get_said(self):
        self.stand_in('dpkg-query', NOTHING_INSTALLED)
        self.stand_in('sudo', 'if [[ $1 == -n ]]; then shift; fi\n[[ $1 == true ]] || "$@"')
        self.stand_in('apt-get', 'echo "E: no such package"; [[ $1 == update ]]')
        done = self.run_dev('setup', user=NOBODY)
        self.assertEqual(done.returncode, 1)
        self.assertIn('E: no such package', done.stderr)

    def test_the_last_line_counts_the_tests(self):
        self.results('OK', 'FAIL', 'SKIP', 'EXPECTEDFAIL', 'TIMEOUT', exit_code=2)
        done = self.run_dev('test')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.splitlines()[-2:], ['1 skipped', '2 passed, 2 failed'])

    def test_a_failed_test_is_named_again_with_the_end_of_its_output(self):
        self.results('FAIL', exit_code=1, said=''.join(f'line {i}\\n' for i in range(30)))
        for word in ('test', 'ci'):
            done = self.run_dev(word)
            self.assertIn('failed: a test (FAIL)\n    line 10\n', done.stdout, word)
            self.assertIn('    line 29\n0 passed, 1 failed\n', done.stdout, word)
        self.assertIn('\n== ci: what failed in tsan\nfailed: a test (FAIL)\n', done.stdout)

    def test_of_a_long_output_the_heads_of_its_reports_are_shown(self):
        said = ['WARNING: ThreadSanitizer: data race (pid=7)', *(f'frame {i}' for i in range(99)),
                '==7==ERROR: AddressSanitizer: heap-use-after-free', *map(str, range(99))]
        self.results('FAIL', exit_code=1, said=''.join(f'{line}\\n' for line in said))
        for word in ('test', 'ci'):
            out = self.run_dev(word).stdout
            self.assertRegex(out, r'\(FAIL\)\n    WARNING: ThreadSanitizer: .*\n    frame 0\n')
            self.assertIn('    frame 38\n    ...\n    ==7==ERROR: AddressSanitizer', out, word)
            self.assertIn('    38\n    ...\n    79\n', out, word)
            self.assertIn('    98\n0 passed, 1 failed\n', out, word)

    def ninja_calls(self):
        return [call for call in self.calls if call.startswith('ninja')]

    def test_only_what_the_named_tests_take_is_built(self):
        self.run_dev('test', 'debug', 'io/b')
        self.assertRegex(self.ninja_calls()[-1], r'^ninja -C build/debug -j \d+ io/b_test$')

    def test_without_names_everything_is_built(self):
        self.run_dev('test')
        self.assertRegex(self.ninja_calls()[-1], r'^ninja -C build/debug -j \d+$')

    def test_the_demo_builds_what_it_runs(self):
        (self.folder / 'bench/demo.py').touch()
        self.assertEqual(self.run_dev('demo').returncode, 0)
        self.assertRegex(self.ninja_calls()[-1], r'^ninja -C build/release -j \d+ '
                         r'examples/example_echo_server bench/echo_load/echo_load$')

    def setups(self):
        return [call for call in self.calls if call.startswith('meson setup')]

    def test_a_release_build_is_configured_again_when_a_peer_was_installed(self):
        self.stand_in('dpkg-query', '[[ $3 != libtbb-dev ]] && printf "ii "')
        self.run_dev('build', 'release')
        self.run_dev('build', 'release')
        self.assertEqual(len(self.setups()), 1)
        self.stand_in('dpkg-query', ALL_INSTALLED)
        self.run_dev('build', 'release')
        self.assertEqual(len(self.setups()), 2)

    def test_lint_leaves_the_style_tests_out_when_asked_to(self):
        self.assertEqual(self.run_dev('lint', '--no-style').returncode, 0)
        self.assertFalse([call for call in self.calls if call.startswith('meson test')])
        self.assertEqual(self.last_line(self.run_dev('lint')), '1 passed, 0 failed')

    def test_a_name_that_no_test_has_ends_with_2(self):
        self.results()
        done = self.run_dev('test', 'io/tpc')
        self.assertEqual(done.returncode, 2)
        self.assertIn('no test is called: io/tpc', done.stderr)

    def test_a_failing_build_is_one_failure(self):
        self.stand_in('ninja', 'exit 1')
        done = self.run_dev('test')
        self.assertEqual((done.returncode, self.last_line(done)), (1, '0 passed, 1 failed'))

    def test_ci_adds_up_all_stages(self):
        done = self.run_dev('ci')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(self.last_line(done), '8 passed, 0 failed')

    def test_ci_goes_on_after_a_failed_stage_and_fails(self):
        self.stand_in('ninja', '[[ $2 != build/asan ]]')
        self.stand_in('clang-tidy-19', 'echo "x.cpp:1: error: wrong"; exit 1')
        done = self.run_dev('ci')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.last_line(done), '6 passed, 3 failed')
        self.assertRegex(done.stdout, r'(?m)^asan +\d+ s +FAILED: 0 passed, 1 failed$')
        self.assertRegex(done.stdout, r'(?m)^lint +\d+ s +FAILED: ')
        self.assertIn('\n== ci: what failed in lint\nx.cpp:1: error: wrong\n', done.stdout)


if __name__ == '__main__':
    Dev.script = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()

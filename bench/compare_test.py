#!/usr/bin/env python3
"""Tests of compare.py, with shell scripts in place of benchmarks."""

import argparse
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

import compare


class Comparison(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def script(self, name, *lines):
        path = self.folder / name
        path.write_text('\n'.join(['#!/bin/sh', *lines]) + '\n', encoding='utf-8')
        path.chmod(0o755)
        return str(path)

    def compare(self, *words):
        """Exit code, standard output, standard error."""
        output, errors = io.StringIO(), io.StringIO()
        whole, sys.argv = sys.argv, ['compare.py', '--rounds', '2', *words]
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
                code = compare.main()
        finally:
            sys.argv = whole
        return code, output.getvalue(), errors.getvalue()

    def row(self, output, name):
        return next(line.split() for line in output.splitlines() if line.startswith(name + ' '))

    def test_the_second_program_is_compared_with_the_first(self):
        slow = self.script('slow', "echo some text", "echo '{\"seconds\": [4, 3, 5]}'")
        fast = self.script('fast', "echo '{\"seconds\": 1.5}'")
        code, output, _ = self.compare(slow, 'quick=' + fast)
        self.assertEqual(code, 0)
        self.assertEqual(self.row(output, 'slow'), ['slow', '3.000', '3.000', '3.000', '0.0%',
                                                    '1.000'])
        self.assertEqual(self.row(output, 'quick')[-1], '0.500')

    def test_programs_may_stand_behind_two_dashes(self):
        one = self.script('one', "echo '{\"seconds\": 1}'")
        code, output, _ = self.compare('--', one, 'two=' + one)
        self.assertEqual(code, 0)
        self.assertEqual(self.row(output, 'two')[-1], '1.000')

    def test_the_median_stands_for_a_list_when_asked_for(self):
        one = self.script('one', "echo '{\"seconds\": [4, 3, 5]}'")
        self.assertEqual(self.row(self.compare('--reduce', 'median', one)[1], 'one')[1], '4.000')

    def test_any_number_can_be_compared(self):
        one = self.script('one', "echo '{\"seconds\": 1, \"peak_rss_bytes\": 4096}'")
        _, output, _ = self.compare('--key', 'peak_rss_bytes', one)
        self.assertEqual(self.row(output, 'one')[1], '4,096')

    def test_each_key_gets_a_table(self):
        one = self.script('one', "echo '{\"seconds\": 1, \"peak_rss_bytes\": 4096}'")
        _, output, _ = self.compare('--key', 'peak_rss_bytes', '--key', 'seconds', one)
        rows = [line.split()[:2] for line in output.splitlines() if line.startswith('one ')]
        self.assertEqual(rows, [['one', '4,096'], ['one', '1.000']])

    def test_a_pattern_finds_the_figure_of_a_program_without_json(self):
        one = self.script('one', "echo '63245986 2.125 s'")
        _, output, _ = self.compare('--pattern', r'([0-9.]+) s', one)
        self.assertEqual(self.row(output, 'one')[1], '2.125')

    def test_wall_time_needs_no_output(self):
        code, output, _ = self.compare('--time', 'nothing=true')
        self.assertEqual(code, 0)
        self.assertGreater(float(self.row(output, 'nothing')[1]), 0)

    def test_every_command_gets_the_common_arguments(self):
        one = self.script('one', "echo \"{\\\"seconds\\\": $2}\"")
        _, output, _ = self.compare('--args', '--size 7', one)
        self.assertEqual(self.row(output, 'one')[1], '7.000')

    def test_a_failing_program_ends_the_comparison(self):
        bad = self.script('bad', 'echo the answer is wrong >&2', 'exit 1')
        code, output, errors = self.compare(bad)
        self.assertEqual((code, output), (1, ''))
        self.assertIn('bad failed (1): the answer is wrong', errors)

    def test_a_missing_program_is_named(self):
        code, _, errors = self.compare('gone=' + str(self.folder / 'gone'))
        self.assertEqual(code, 1)
        self.assertIn('gone', errors)

    def test_a_missing_figure_is_told_with_those_there_are(self):
        one = self.script('one', "echo '{\"minutes\": 1}'")
        code, _, errors = self.compare(one)
        self.assertEqual(code, 1)
        self.assertIn('one: no "seconds" in its output (minutes)', errors)

    def test_what_is_no_number_is_no_figure(self):
        one = self.script('one', "echo '{\"seconds\": \"2\"}'")
        code, _, errors = self.compare(one)
        self.assertEqual(code, 1)
        self.assertIn('is no number', errors)

    def test_two_programs_of_one_name_are_refused(self):
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            compare.arguments(['true', 'true'])

    def test_an_equals_sign_in_a_path_makes_no_name(self):
        self.assertEqual(compare.named_command('a/b=c d'), ('b=c', ['a/b=c', 'd']))
        with self.assertRaises(argparse.ArgumentTypeError):
            compare.named_command('name=')

    def test_every_figure_is_written_to_the_file(self):
        one = self.script('one', "echo '{\"seconds\": 2}'")
        path = self.folder / 'figures.json'
        self.compare('--json', str(path), '--compiler', 'c++ 1', one)
        written = json.loads(path.read_text(encoding='utf-8'))
        self.assertEqual(written['figures'], {'seconds': {'one': [2, 2]}})
        self.assertEqual(written['setting']['compiler'], 'c++ 1')

    def test_the_ratio_is_the_median_over_the_rounds(self):
        self.assertEqual(compare.ratio_to([1, 2, 4], [3, 4, 4]), 2)
        self.assertIsNone(compare.ratio_to([0], [1]))

    def test_small_figures_keep_their_digits(self):
        self.assertEqual([compare.digits(x) for x in (0.00012346, 0.5, 123456.0, 0)],
                         ['0.0001235', '0.5000', '123,456', '0'])


if __name__ == '__main__':
    unittest.main()

#!/usr/bin/python3
"""docs/compose.md names each rule of the linter, and no other."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "compose.md").read_text()
SOURCES = [path.read_text() for path in (ROOT / "shared" / "compose").glob("*.c")
           if not path.name.startswith(("test_", "fuzz_"))]


def rules_on_page():
    rows = re.findall(r"^\| ((?:`[a-z_-]+` ?)+)\|", PAGE[PAGE.index("## Findings"):], re.M)
    return {rule for row in rows for rule in re.findall(r"`([a-z_-]+)`", row)}


def rules_of_corpus():
    first_lines = [path.read_text(errors="replace").split("\n", 1)[0]
                   for path in (ROOT / "tests" / "compose" / "dangerous").iterdir()]
    return {line.split("finding:")[1].split()[0] for line in first_lines}


def rules_of_sources():
    calls = r'(?:lint_find\(\s*[^,]+,\s*[^,]+|find\(reading),\s*"([a-z_-]+)"'
    refused_keys = r'\{"([a-z_]+)", NULL, false,\s*(?!NULL)[A-Z"]'
    return {rule for text in SOURCES for rule in re.findall(calls, text)} | {
        key for text in SOURCES for key in re.findall(refused_keys, text)}


class ComposePage(unittest.TestCase):
    def test_the_search_finds_something(self):
        self.assertGreater(len(rules_of_sources()), 60)
        self.assertGreater(len(rules_of_corpus()), 40)
        self.assertGreater(len(rules_on_page()), 60)

    def test_each_rule_is_on_the_page(self):
        self.assertEqual(sorted(rules_of_sources() - rules_on_page()), [])
        self.assertEqual(sorted(rules_of_corpus() - rules_on_page()), [])

    def test_the_page_names_no_other(self):
        unknown = [rule for rule in sorted(rules_on_page())
                   if not any(f'"{rule}"' in text for text in SOURCES)]
        self.assertEqual(unknown, [])


if __name__ == "__main__":
    unittest.main()

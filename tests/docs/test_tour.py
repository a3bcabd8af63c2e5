#!/usr/bin/python3
"""The runner of tours: that it takes what is right, and refuses what is wrong. And that the tours
run every command of the command line and every route of the API that has a page."""
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOUR = ROOT / "tests" / "docs" / "tour"

# What a tour of a user's day does not do: they need an image's or a policy's build folder.
NOT_ON_TOUR = {"image seal", "policy seal"}

GOOD = """
# A page

<!-- tour
hidden=5
echo nobody compares this
-->

```sh tour
$ echo "$hidden"
5
$ cat << END
> first
> > second
> END
first
> second
$ true
```

    $ false    # not marked: not run

```sh
$ false
```

```sh tour
$ cd /tmp; later=yes; wc -c
0
$ false || echo "exit status $?"
exit status 1
```

```sh tour
$ pwd; echo "it is $later" >&2
/tmp
it is yes
$ echo 'id 1234 (a+b)'; seq 5
id ... (a+b)
...
5
$ printf 'no newline'
no newline
$ trap 'echo the end' EXIT
```
"""

# A block, and what the report must say of it.
WRONG = {
    "another text": ("$ echo a\nb\n",
                     ["page.md:4: it prints something else", "echo a", "    b\n", "    a\n"]),
    "more than is shown": ("$ echo a; echo b\na\n", ["something else"]),
    "less than is shown": ("$ echo a\na\nb\n", ["something else"]),
    "output of a silent command": ("$ echo a\n", ["something else", "(nothing)"]),
    "silence": ("$ true\na\n", ["something else", "(nothing)"]),
    "dots are not a regular expression": ("$ echo abc\na.c\n", ["something else"]),
    "dots stay on their line": ("$ printf 'a\\nb\\n'\na...b\n", ["something else"]),
    "order": ("$ echo b; echo a\na\nb\n", ["something else"]),
    "a failure": ("$ echo out; false\nout\n$ echo never\n", ["exit status 1", "0 of 2 commands"]),
    "a failure in a pipe": ("$ false | true\n", ["exit status 1"]),
    "an unset variable": ('$ echo "$nothing"\n\n', ["exit status 1", "unbound"]),
    "an exit": ("$ exit 0\n", ["exit status 0", "0 of 1 commands"]),
    "something that hangs": ("$ echo begun; sleep 60\n", ["did not end within", "begun"]),
    "a failure of the trap": ("$ trap 'exit 3' EXIT\n", ["did not end well"]),
    "both of two": ("$ echo a\nb\n$ echo a\nb\n", ["page.md:4", "page.md:6", "0 of 2 commands"]),
}

BROKEN = {
    "no command": "# A page\n",
    "hidden commands only": "<!-- tour\ntrue\n-->\n",
    "no end of a block": "```sh tour\n$ true\n",
    "no end of a hidden block": "<!-- tour\ntrue\n",
    "output before any command": "```sh tour\nnothing\n```\n",
}


def tour(text, *options):
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "page.md"
        page.write_text(text, encoding="utf-8")
        return subprocess.run([TOUR, *options, page.name], cwd=folder, capture_output=True,
                              text=True, check=False)


class Runner(unittest.TestCase):
    def test_a_page_that_is_right(self):
        done = tour(GOOD)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("10 of 10 commands", done.stdout)

    def test_pages_that_are_wrong(self):
        for name, (block, said) in WRONG.items():
            with self.subTest(name):
                done = tour(f"# A page\n\n```sh tour\n{block}```\n", "--timeout", "2")
                self.assertEqual(done.returncode, 1, done.stdout)
                for text in said:
                    self.assertIn(text, done.stdout)

    def test_a_hidden_command_that_fails(self):
        done = tour("<!-- tour\nfalse\n-->\n```sh tour\n$ true\n```\n")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("page.md:2: exit status 1", done.stdout)

    def test_pages_that_cannot_be_run(self):
        for name, text in BROKEN.items():
            with self.subTest(name):
                self.assertEqual(tour(text).returncode, 2)

    def test_another_shell(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text("```sh tour\n$ echo $A\n1\n```\n", encoding="utf-8")
            done = subprocess.run([TOUR, page, "env", "A=1", "bash"], capture_output=True,
                                  text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


def commands_of(page):
    return subprocess.run([TOUR, "--list", ROOT / "docs" / page], capture_output=True, text=True,
                          check=True).stdout


class Pages(unittest.TestCase):
    def test_the_tour_of_the_command_line_runs_every_command(self):
        run = commands_of("cli.md")
        table = (ROOT / "cli" / "commands.c").read_text(encoding="utf-8")
        names = [f"{group or ''} {name}".strip()
                 for group, name in re.findall(r'\{(?:NULL|"(\w+)"), "([\w-]+)",', table)]
        self.assertGreater(len(names), 60)
        missing = {name for name in names
                   if not re.search(rf"\bcoffer (--context \w+ )?{name}\b", run)}
        self.assertEqual(missing, NOT_ON_TOUR)

    def test_the_page_of_the_api_names_every_route(self):
        page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
        table = (ROOT / "services" / "api-gateway" / "routes.c").read_text(encoding="utf-8")
        table = table[:table.index("metrics_routes")]
        routes = set(re.findall(r'\{"(\w+)", "([^"]+)"', table)) - {("GET", "/docs/:file")}
        self.assertGreater(len(routes), 50)
        missing = {route for route in routes if "`{} {}`".format(*route) not in page}
        self.assertEqual(missing, set())


if __name__ == "__main__":
    unittest.main()

"""What the checks share: arguments, reading C sources, and failures that say how to mend them."""
import argparse
import os
import re
import subprocess
import sys

SKIP = 77  # ctest counts it as skipped


class Check:
    def __init__(self, description):
        parser = argparse.ArgumentParser(description=description)
        top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        parser.add_argument("--root", default=top, help="the source tree")
        parser.add_argument("--build", help="a configured and built directory of that tree")
        options = parser.parse_args()
        self.root = os.path.abspath(options.root)
        self.build = os.path.abspath(options.build) if options.build else None
        self.failures = []
        self.looked_at = 0

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def read(self, relative):
        self.looked_at += 1
        with open(self.path(relative), encoding="utf-8", errors="replace") as file:
            return file.read()

    def files(self, *folders, ends=(".c", ".h")):
        """Relative paths below the folders, sorted; only what git knows where the tree is a checkout."""
        found = []
        if os.path.exists(self.path(".git")):
            # In continuous integration the checkout often belongs to somebody else.
            command = ["git", "-c", "safe.directory=*", "-C", self.root, "ls-files", "-z", "--cached", "--others",
                       "--exclude-standard", "--", *(folders or ["."])]
            listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = [name for name in listed.split("\0") if name]
        else:
            for folder in folders or ["."]:
                for where, below, names in os.walk(self.path(folder)):
                    below[:] = [name for name in below if name not in ("build", "node_modules")]
                    found += [os.path.relpath(os.path.join(where, name), self.root)
                              for name in names]
        return sorted(name for name in set(found)
                      if name.endswith(tuple(ends)) and os.path.isfile(self.path(name)))

    def need_build(self):
        if self.build is None or not os.path.exists(os.path.join(self.build, "CMakeCache.txt")):
            print("this check needs --build with a configured directory", file=sys.stderr)
            sys.exit(2)

    def fail(self, place, message, fix):
        self.failures.append((place, message, fix))

    def finish(self):
        """Exit status of the check: what was found, and for each kind of finding its fix once."""
        fixes = []
        for place, message, fix in self.failures:
            print(f"{place}: {message}")
            if fix not in fixes:
                fixes.append(fix)
        for fix in fixes:
            print(f"fix: {fix}")
        if self.looked_at == 0:
            print("nothing was looked at: the check would never fail")
            sys.exit(1)
        print(f"{self.looked_at} looked at, {len(self.failures)} findings")
        sys.exit(1 if self.failures else 0)


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments(text, keep_strings=False):
    """The same number of lines, comments (and the insides of strings) blanked."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] + token[0]
        return "\n" * token.count("\n")
    return TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.M)


def includes(text):
    """(line, bracket, path) of each include that is no comment."""
    clean = without_comments(text, keep_strings=True)
    return [(line_of(clean, match.start()), match.group(1), match.group(2))
            for match in INCLUDE.finditer(clean)]

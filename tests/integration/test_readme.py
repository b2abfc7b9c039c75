"""The code blocks of README.md, and of the pages beside it, run as they stand.

Every `python` block runs, in order, as one program; then every `sh` block, in order, in the same empty folder. Words
after the language, where readers of the rendered page do not see them, say what is special:

- "python apart: NAME": with the others of that name on its page, a program of its own. Where NAME is in NEEDS, it is
  skipped unless that package is installed, and slow.
- "sh no-run: needs a key": it cannot run in a test, for the reason given.

What the blocks need but readers do not, such as a stand-in for their training code, or that they claim but do not show,
goes into a comment whose first line is "<!-- python" or "<!-- python apart: NAME"; it runs in its place like a block.
"""

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/language-model.md", "docs/store.md", "docs/drop-ins.md"]
NEEDS = {"ray": "ray", "keras": "keras_tuner", "dask": "distributed"}  # name of a program -> what it imports
COMMENT = re.compile(r"<!-- (python.*)\n")


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int  # of its first line of code, counted from 1
    apart: str  # the program it belongs to; "" for that of the whole page
    unless: str  # why it is not run, or ""


def blocks(text):
    for token in MarkdownIt().parse(text):
        line = token.map[0] + 2 if token.map else 0
        if token.type == "fence":
            yield block(token.info, token.content, line)
        elif token.type == "html_block" and (start := COMMENT.match(token.content)):
            yield block(start[1], token.content[start.end() :].rpartition("-->")[0], line)


def block(info, code, line):
    language, _, rest = info.strip().partition(" ")
    return Block(language, code, line, rest.partition("apart:")[2].strip(), rest.partition("no-run:")[2].strip())


def program(found):
    """One script in which each block stands on its own line numbers, so that a traceback points into the page."""
    lines = []
    for one in found:
        lines += [""] * (one.line - 1 - len(lines)) + one.code.splitlines()
    return "\n".join(lines) + "\n"


def run(command, folder, home):
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}  # no live model
    own = Path(sys.executable).parent
    environment = inherited | {"PATH": f"{own}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    # Ray and Keras write into the home folder
    environment |= {"HOME": str(home), "KERAS_HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def run_page(text, folder, home, apart="", name="README.md"):
    """Run one program of a page, and the page's shell blocks after its main one; returns how many blocks there were."""
    chosen = [one for one in blocks(text) if not one.unless and one.apart == apart]
    python = [one for one in chosen if one.language == "python"]
    shell = [one for one in chosen if one.language == "sh"]
    script = folder / f"{name}.py"
    script.write_text(program(python))
    if python:
        run([sys.executable, str(script)], folder, home)
    for one in shell:
        run(["bash", "-euo", "pipefail", "-c", one.code], folder, home)
    return len(python) + len(shell)


def programs():
    """Every page, and every program apart on it."""
    for page in PAGES:
        yield pytest.param(page, "", id=page)
        for apart in dict.fromkeys(one.apart for one in blocks((ROOT / page).read_text()) if one.apart):
            marks = [pytest.mark.slow, pytest.mark.timeout(600)] if apart in NEEDS else []
            yield pytest.param(page, apart, marks=marks, id=f"{page}-{apart}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("page", "apart"), list(programs()))
def test_the_blocks_of_a_page_run(page, apart, tmp_path, tmp_path_factory):
    if apart in NEEDS and not importlib.util.find_spec(NEEDS[apart]):
        pytest.skip(f"{NEEDS[apart]} is not installed")
    home = tmp_path_factory.mktemp("home")
    assert run_page((ROOT / page).read_text(), tmp_path, home, apart, Path(page).name) > 0


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_language_and_every_exception_a_reason(page):
    text = (ROOT / page).read_text()
    for one in blocks(text):
        assert one.language, f"{page}:{one.line}: a block without a language is not run, nor known not to"
    assert text.count("no-run") == sum(bool(one.unless) for one in blocks(text))
    assert text.count("apart:") == sum(bool(one.apart) for one in blocks(text))


@pytest.mark.checkout
@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text, folder = (ROOT / page).read_text(), (ROOT / page).parent
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (folder / target).exists(), f"{page}: {target} is not there"


PAGE = """
```python
first = 1
```
<!-- python
hidden = 2
-->
```python
assert first + hidden == 3
open("made", "w").write("by python")
```
```sh
grep -q python made
```
```sh no-run: it would fail
exit 1
```
```python apart: other
import os
alone = "first" not in globals() and not os.path.exists("made")
```
<!-- python apart: other
assert alone
-->
"""


def test_blocks_share_one_program_and_one_folder(tmp_path):
    assert run_page(PAGE, tmp_path, tmp_path) == 4


def test_blocks_apart_are_a_program_of_their_own(tmp_path):
    assert run_page(PAGE, tmp_path, tmp_path, "other") == 2


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("first = 1", "first = 2", 'README.md.py", line 9'),  # the line of the assert in PAGE
        ("grep -q python", "grep python nowhere", "No such file"),
        ("hidden = 2", "hidden = two", "NameError"),
    ],
)
def test_a_block_that_fails_is_seen(tmp_path, old, new, seen):
    with pytest.raises(AssertionError, match=seen):
        run_page(PAGE.replace(old, new), tmp_path, tmp_path)


def test_a_comment_that_fails_apart_is_seen(tmp_path):
    with pytest.raises(AssertionError, match="NameError"):
        run_page(PAGE.replace("assert alone", "assert nobody"), tmp_path, tmp_path, "other")

"""The code blocks of README.md run as they stand.

Every `python` block runs, in order, as one program; then every `sh` block, in order, in the same empty folder. A block
that cannot run in a test says so after its language, with the reason, where readers of the rendered page do not see it:
"sh no-run: needs a key". What the blocks need but readers do not, such as a stand-in for their training code, goes into
a comment whose first line is "<!-- python"; it runs in its place like a block.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

README = Path(__file__).parents[2] / "README.md"
COMMENT = "<!-- python\n"


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int  # of its first line of code, counted from 1
    unless: str  # why it is not run, or ""


def blocks(text):
    for token in MarkdownIt().parse(text):
        line = token.map[0] + 2 if token.map else 0
        if token.type == "fence":
            language, _, rest = token.info.strip().partition(" ")
            yield Block(language, token.content, line, rest.partition("no-run:")[2].strip())
        elif token.type == "html_block" and token.content.startswith(COMMENT):
            yield Block("python", token.content.removeprefix(COMMENT).rpartition("-->")[0], line, "")


def program(found):
    """One script in which each block stands on its own line numbers, so that a traceback points into the page."""
    lines = []
    for block in found:
        lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
    return "\n".join(lines) + "\n"


def run(command, folder):
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}  # no live model
    own = Path(sys.executable).parent
    environment = inherited | {"PATH": f"{own}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def run_page(text, folder):
    """Run a page's blocks and return how many there were."""
    chosen = [block for block in blocks(text) if not block.unless]
    python = [block for block in chosen if block.language == "python"]
    shell = [block for block in chosen if block.language == "sh"]
    script = folder / "README.md.py"
    script.write_text(program(python))
    if python:
        run([sys.executable, str(script)], folder)
    for block in shell:
        run(["bash", "-euo", "pipefail", "-c", block.code], folder)
    return len(python) + len(shell)


@pytest.mark.timeout(300)
def test_the_blocks_of_the_readme_run(tmp_path):
    assert run_page(README.read_text(), tmp_path) > 0


def test_every_block_has_a_language_and_every_exception_a_reason():
    for block in blocks(README.read_text()):
        assert block.language, f"README.md:{block.line}: a block without a language is not run, nor known not to"
    assert README.read_text().count("no-run") == sum(bool(block.unless) for block in blocks(README.read_text()))


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
"""


def test_blocks_share_one_program_and_one_folder(tmp_path):
    assert run_page(PAGE, tmp_path) == 4


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
        run_page(PAGE.replace(old, new), tmp_path)

"""axe-core in a page of the browser. Its script is fetched as package-lock.json says."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

FOLDER = Path(__file__).parent
# WCAG 2.2, levels A and AA.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """async ({tags, rules}) => {
    const only = rules.length ? {type: "rule", values: rules} : {type: "tag", values: tags};
    const {violations} = await axe.run(document, {runOnly: only, resultTypes: ["violations"]});
    return violations.flatMap(({id, nodes}) => nodes.map(({target, failureSummary, any}) =>
        `${id}: ${target.join(" ")}: ${(any[0]?.message ?? failureSummary).replaceAll("\\n", " ")}`));
}"""


def fetch_script(folder: Path) -> str:
    """The text of axe-core's script, by way of `folder`."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(FOLDER / name, folder)
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=folder, check=True, timeout=120)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def violations(page: Page, script: str, rules: Sequence[str] = ()) -> list[str]:
    """What axe finds on the page as it is now, a line for each element; by some rules, or all of TAGS."""
    if not page.evaluate("'axe' in window"):
        # Not as a script element: the pages' own policy forbids that, and is to stay as it is.
        page.evaluate(f"() => {{{script}}}")
    given: dict[str, Any] = {"tags": TAGS, "rules": list(rules)}
    return page.evaluate(RUN, given)

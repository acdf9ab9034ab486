"""The table of the README: what is counted in it, that it is kept, and that texts say what was measured."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import shield
from shield.bench import app, results
from shield.bench.results import PERSONS, PORTRAITS, SENT, SWAP, Result
from shield.verify.rows import NOISE, ORIGINAL, PROTECTED, SOURCE, Swap


def result(photo: str = "a", preset: str = "balanced", saved: float = 0.5, **settings: object) -> Result:
    shares = {channel: {SWAP: saved} for channel in SENT}
    whole = Result(PORTRAITS, photo, preset, "digest", {SWAP: 1.0}, {SWAP: 1.0}, shares, {"face_lpips": 0.04}, {})
    return replace(whole, **settings)


def row_of(lines: list[str], title: str) -> list[str]:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return next(row for row in rows if row[0] == title)


@pytest.fixture(scope="module")
def report(small, brief) -> shield.Report:
    plan = replace(brief, surrogates=("stargan", "sface"), unseen=True)
    return shield.protect(small, shield.Recipe(steps=1, surrogates=("stargan",)), plan=plan).report


def test_only_what_works_on_the_original_is_counted(report: shield.Report) -> None:
    effects = [replace(row, usable=None, usable_clean=None) for row in report.effects]
    edits = [number for number, row in enumerate(effects) if row.surrogate == "stargan"]
    for row in edits:
        first = effects[row].edit == effects[edits[0]].edit
        effects[row] = replace(effects[row], usable_clean=1.0 if first else 0.0, usable=1.0)
    original, _, protected = results.of(replace(report, effects=tuple(effects)))
    title = results.EDITED.format("stargan")
    count = len({effects[row].edit for row in edits})
    assert original[title] == protected["none"][title] == pytest.approx(1 / count)  # one of them, and it still works
    none = tuple(replace(row, usable_clean=0.0) if row.usable is not None else row for row in effects)
    assert title not in results.of(replace(report, effects=none))[0]


def test_of_several_kinds_of_frames_the_worst_counts(report: shield.Report) -> None:
    shares = {"held": 0.75, "found:yunet": 0.25, "exact": 0.0}
    rows = [replace(row, share=shares.get(row.frame, 1.0)) for row in report.effects]
    _, _, protected = results.of(replace(report, effects=tuple(rows)))
    least = min(shares.get(frame, 1.0) for frame in report.frames() if frame != "exact")
    assert protected["none"][results.KNOWN.format("sface")] == pytest.approx(1 - least)


def test_a_swap_counts_on_the_donors_on_whom_the_originals_works(report: shield.Report) -> None:
    def swap(donor: str, picture: str, works: bool, channel: str = "none") -> Swap:
        return Swap(0, donor, SOURCE, picture, channel, {}, (), works)

    clean = swap("a", ORIGINAL, True), swap("b", ORIGINAL, False)
    after = [swap(donor, PROTECTED, donor == "b", channel) for donor in "ab" for channel in SENT]
    original, noise, protected = results.of(replace(report, swaps=(*clean, *after, swap("a", NOISE, True))))
    assert (original[SWAP], noise[SWAP], protected["social"][SWAP]) == (0.5, 0.5, 0.0)


def test_a_photo_that_could_not_be_protected_counts_as_it_was() -> None:
    failed = result("b", original={}, noise={}, protected={}, seen={}, error="No change fits the bound.")
    lines = list(results.table([result(saved=0.0), failed]))
    assert row_of(lines, SWAP)[3].startswith("0.50")
    assert "1 could not be protected" in results.words({it.key: it for it in (result(), failed)}, PORTRAITS)


def test_presets_stand_side_by_side_in_their_order() -> None:
    lines = list(results.table([result(preset="strong", saved=0.0), result(preset="subtle", saved=1.0)]))
    assert row_of(lines, "") == ["", "original", "noise, held frames", "subtle", "strong"]
    assert [cell[:4] for cell in row_of(lines, SWAP)[3:]] == ["1.00", "0.00"]


def test_what_is_stored_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def measured(photo: Path, photos: str, preset: str) -> Result:
        asked.append((photo.stem, preset))
        digest = results.digest_of(shield.Recipe(format="png").with_preset(preset))
        return result(photo.name, preset, digest=digest)

    monkeypatch.setattr(results, "measured", measured)
    for name in "ab":
        (tmp_path / f"{name}.png").touch()
    store = tmp_path / "kept" / "results.jsonl"
    command = ["results", str(tmp_path), "--every", "1", "--store", str(store), "--preset", "balanced"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert asked == [("a", "balanced"), ("b", "balanced")]
    lines = store.read_text().splitlines()
    other = json.loads(lines[1]) | {"digest": "of another search"}
    store.write_text(f"{lines[0]}\n{json.dumps(other)}\n{lines[1][:40]}")  # as a full disk leaves it
    assert CliRunner().invoke(app, command).exit_code == 0
    assert CliRunner().invoke(app, command).exit_code == 0
    assert asked[2:] == [("b", "balanced")]


def test_blocks_of_a_text_are_written_anew_and_nothing_else() -> None:
    marks = [results.BLOCK.format(name) for name in (PORTRAITS, PERSONS)]
    text = f"before\n{marks[0]}\nold\n{marks[0]}\nbetween\n{marks[1]}\nkept\n{marks[1]}\n"
    kept = {it.key: it for it in (result(saved=0.25),)}
    after = results.placed(text, kept)
    assert "old" not in after and "0.25" in after
    assert after.startswith("before\n") and after.endswith(f"between\n{marks[1]}\nkept\n{marks[1]}\n")
    assert results.placed(after, kept) == after


def test_the_texts_say_what_was_measured(checkout: Path) -> None:
    kept = results.load(checkout / "docs" / "results.jsonl")
    assert kept
    for name in ("README.md", "docs/results.md"):
        text = (checkout / name).read_text(encoding="utf-8")
        assert results.BLOCK.format(PORTRAITS) in text
        assert results.placed(text, kept) == text, "shield bench results --into"


def test_a_result_is_a_line_of_json() -> None:
    assert Result(**json.loads(json.dumps(asdict(result())))) == result()


def test_weights_that_no_result_depends_on_leave_it_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, shipped = shield.Recipe(), results.weights_in_use()
    digest = results.digest_of(recipe)

    def changed(name: str) -> str:
        monkeypatch.setattr(results, "weights_in_use", lambda: shipped | {name: "0" * 64})
        return results.digest_of(recipe)

    assert changed("biggan") == digest
    assert digest not in {changed(name) for name in (*recipe.surrogates, "sface", "swap")}


def test_a_judge_without_a_file_has_a_digest_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "judges", {"sface": None, "one's own": None})
    assert len(results.digest_of(shield.Recipe())) == 12

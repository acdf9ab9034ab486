"""What the doctor finds: that all is well here, and what is not where something was broken."""

import json

import pytest
import torch
from typer.testing import CliRunner

import shield
from shield import cli, doctor
from shield.errors import WeightsError
from shield.privacy import TELEMETRY_OFF


def about(name: str) -> shield.Finding:
    return doctor.LOOKS[name](name)


def test_a_whole_installation_is_well() -> None:
    findings = list(shield.examine())
    assert [finding.about for finding in findings] == list(doctor.LOOKS)
    assert all(finding.well for finding in findings), findings
    assert torch.__version__.split("+")[0] in findings[0].says
    assert "a default search takes about" in findings[-1].says


def test_weights_that_are_not_whole_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "check_weights", lambda name: "SFace is gone." if name == "sface" else None)
    finding = about("models")
    assert not finding.well and finding.says == "SFace is gone."


def test_telemetry_that_was_turned_on_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(iter(TELEMETRY_OFF))
    monkeypatch.setenv(name, "yes, please")
    finding = about("privacy")
    assert not finding.well and name in finding.says


def test_a_judge_that_takes_everybody_for_one_person_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert about("recognition").well
    monkeypatch.setattr(doctor, "cut", lambda *_: torch.full((1, 3, 112, 112), 0.5))
    assert not about("recognition").well


def test_what_fails_is_a_finding_and_the_next_one_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(about: str) -> shield.Finding:
        raise WeightsError("The models are gone; install shield again.")

    monkeypatch.setattr(doctor, "LOOKS", {"models": broken, "privacy": doctor.LOOKS["privacy"]})
    result = CliRunner().invoke(cli.app, ["doctor"])
    assert result.exit_code == cli.BAD_INPUT
    first, second = result.output.splitlines()[:2]
    assert first == "BAD models: The models are gone; install shield again." and second.startswith("ok  privacy")


def test_findings_come_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOOKS", {"privacy": doctor.LOOKS["privacy"]})
    result = CliRunner().invoke(cli.app, ["doctor", "--json"])
    assert result.exit_code == cli.DONE
    assert [entry["about"] for entry in json.loads(result.output)] == ["privacy"]

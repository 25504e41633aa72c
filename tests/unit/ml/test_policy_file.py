"""Thresholds put into a policy file: everything else stays, and what would break it is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from config.errors import SettingInvalid
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_POLICY, DEFAULT_SCHEMA
from config.settings import Settings
from ml.policy import load_policy
from ml.policy_file import staged_thresholds, with_thresholds
from ml.policy_in_force import policy_path
from ml.thresholds import Thresholds

SCHEMA = load_schema(DEFAULT_SCHEMA)
NEW = Thresholds(0.0125, 0.4)


def test_a_file_without_thresholds_gets_them_and_keeps_its_comments() -> None:
    text = DEFAULT_POLICY.read_text()

    new = with_thresholds(text, NEW)

    assert new.startswith(text)
    assert tomllib.loads(new)["thresholds"] == {"review": 0.0125, "decline": 0.4}


def test_thresholds_that_are_there_are_replaced_and_nothing_else() -> None:
    text = (
        "version = 1\n[ thresholds ] # ours\n# why\nreview = 0.2 # x\n  decline=0.6\n\n[rules]\notherwise = 'review'\n"
    )

    new = with_thresholds(text, NEW)

    assert new == (
        "version = 1\n[thresholds]\nreview = 0.0125\ndecline = 0.4\n# why\n\n[rules]\notherwise = 'review'\n"
    )
    assert with_thresholds(new, NEW) == new


@pytest.mark.parametrize("text", ["thresholds = {review = 0.1, decline = 0.2}\n", "thresholds.review = 0.1\n", "["])
def test_what_is_written_another_way_is_left_to_a_person(text: str) -> None:
    with pytest.raises(SettingInvalid, match="write them yourself"):
        with_thresholds(text, NEW)


def test_the_file_changes_only_when_what_comes_with_it_went_well(tmp_path: Path) -> None:
    target = tmp_path / "new" / "policy.toml"

    def change(*, fails: bool) -> None:
        with staged_thresholds(DEFAULT_POLICY, target, SCHEMA, NEW):
            if fails:
                raise ValueError("not recorded")

    with pytest.raises(ValueError, match="not recorded"):
        change(fails=True)
    assert list(target.parent.iterdir()) == []
    change(fails=False)
    assert [path.name for path in target.parent.iterdir()] == ["policy.toml"]
    policy = load_policy(target, SCHEMA)
    assert (policy.review, policy.decline) == (0.0125, 0.4)


def test_a_file_with_other_mistakes_is_not_written(tmp_path: Path) -> None:
    source = tmp_path / "policy.toml"
    source.write_text("[costs]\nmargin = 3\n")

    with pytest.raises(SettingInvalid, match="costs/margin"), staged_thresholds(source, source, SCHEMA, NEW):
        pytest.fail("must not come so far")

    assert source.read_text() == "[costs]\nmargin = 3\n"
    assert [path.name for path in tmp_path.iterdir()] == ["policy.toml"]


def test_a_file_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(SettingInvalid, match="put the thresholds in yourself"),
        staged_thresholds(DEFAULT_POLICY, tmp_path / "file" / "policy.toml", SCHEMA, NEW),
    ):
        pytest.fail("must not come so far")


def test_the_data_directorys_policy_holds_once_it_is_there_unless_one_is_set(tmp_path: Path) -> None:
    default, own = Settings(data_dir=tmp_path), tmp_path / "policy.toml"
    named = Settings(data_dir=tmp_path, policy_file=tmp_path / "named.toml")

    assert policy_path(default) == DEFAULT_POLICY
    own.write_text("")
    assert policy_path(default) == own
    assert policy_path(named) == tmp_path / "named.toml"

"""What `bus validate` says of principals that would have another one's rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bus.testing.guarded import starter_with_more

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.catalogue.conftest import Bus

TAX = "metadata: {name: tax}\nspec: {department: scjg}"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return starter_with_more(tmp_path / "workspace")


@pytest.mark.parametrize(
    ("old", "new", "message", "fix"),
    [
        (TAX, "metadata: {name: tax}\nspec: {}", "'spec.department' is missing", ""),
        (TAX, "metadata: {name: tax}\nspec: {department: sccjg}", "there is no Department 'sccjg'", "mean 'scjg'"),
        (
            TAX,
            "metadata: {name: tax}\nspec: {department: scjg, principal: bus}",
            "the principal 'bus' is the bus's own",
            "give the subscriber another `principal`",
        ),
        (
            TAX,
            "metadata: {name: tax}\nspec: {department: scjg, principal: adapter.scjg}",
            "the principal 'adapter.scjg' is the bus's own",
            "give the subscriber another `principal`",
        ),
        (
            TAX,
            "metadata: {name: tax}\nspec: {department: scjg, principal: portal}",
            "have the same principal 'portal'",
            "give each its own `principal`",
        ),
        (
            TAX,
            'metadata: {name: tax}\nspec: {department: scjg, principal: "../../etc/cron"}',
            "spec.principal: string should match pattern",
            "",
        ),
        (TAX, 'metadata: {name: tax}\nspec: {department: scjg, principal: "*"}', "string should match pattern", ""),
        (
            "config: zwfw-front",
            "config: scjg",
            "the adapter 'scjg' would publish for two departments, scjg and zwfw",
            "name another `config`",
        ),
        (
            "adapter: postgres, config: zwfw-front",
            "adapter: postgress, config: scjg",
            "the adapter 'scjg' would be of two kinds, 'postgres' and 'postgress'",
            "mend it, or name another `config`",
        ),
    ],
)
def test_a_principal_that_is_not_one_ones_own_is_refused(  # noqa: PLR0913, PLR0917  (one row of the table)
    bus: Bus, workspace: Path, old: str, new: str, message: str, fix: str
) -> None:
    file = workspace / "more.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    ended = bus("validate", workspace)
    assert ended.code == 1
    assert message in ended.out
    assert fix in ended.out
    assert "more.yaml:" in ended.out or "companies.yaml:" in ended.out

"""The dumps that the bench drops: what one changes of the other, and that they are the ones the adapter looks for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from adapters.files.config import FilesConfig
from bus.bench import dumps

if TYPE_CHECKING:
    from pathlib import Path


def test_the_second_dump_differs_in_as_many_rows_as_were_asked_for(tmp_path: Path) -> None:
    first = dumps.drop(tmp_path, 1, 500, 0).read_text(encoding="utf-8").splitlines()
    second = dumps.drop(tmp_path, 2, 500, 120).read_text(encoding="utf-8").splitlines()
    assert len(first) == len(second) == 501
    assert sum(one != other for one, other in zip(first, second, strict=True)) == 120
    assert len({line.partition(",")[0] for line in second}) == 501


def test_the_adapter_takes_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "dumps.json"
    dumps.write_configuration(file, tmp_path)
    config = FilesConfig.model_validate(json.loads(file.read_text(encoding="utf-8")))
    assert config.datasets["people"].key == ("id",)

"""One part after the other; each is kept as soon as it is there, so that a run that breaks off loses one part."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from config.setting_groups.places import DEFAULT_SCHEMA
from deploy.bench.machine import describe_machine
from deploy.bench.report import machine_line
from deploy.quality.over_http import measure_over_http
from deploy.quality.page import write_page
from deploy.quality.results import Part, Run, read_results, write_results
from ml.measured import handbook, sparkov
from ml.measured.published import Protocol, best_of_all, choose_kind, measure_folds, read_card_data
from ml.measured.streams import replay_as_it_is, replay_new_fraud
from ml.training.dataset import Dataset
from ml.training.selection import Say

TRAINING_DAYS = (7, 60)
CHOOSING_WEEKS = 4


@dataclass
class Measuring:
    """`data`: where handbook.parquet and sparkov.parquet are; `work_dir`: emptied before and after each part."""

    data: Path
    work_dir: Path
    repository: Path
    say: Say

    @cached_property
    def dataset(self) -> Dataset:
        """The handbook's data with every column of the card schema."""
        self.say("computing the columns of the handbook's data")
        return read_card_data(self._handbook, self._card.read_text(encoding="utf-8"))

    @property
    def _handbook(self) -> Path:
        return self.data / "handbook.parquet"

    @property
    def _card(self) -> Path:
        return DEFAULT_SCHEMA.with_name(handbook.SCHEMA)

    def measure(self, part: Part) -> Any:
        """The part's results. Raises DataInvalid, ProtocolBroken, ModelRefused, click.ClickException."""
        parts: dict[Part, Callable[[], Any]] = {
            "protocol": self._protocol,
            "sparkov": self._sparkov,
            "http": self._http,
            "stationary": lambda: replay_as_it_is(self.dataset, self._card, self.work_dir, self.say),
            "drift": lambda: replay_new_fraud(self._handbook, self._card, self.work_dir, self.say),
        }
        shutil.rmtree(self.work_dir, ignore_errors=True)
        self.work_dir.mkdir(parents=True)
        found = parts[part]()
        shutil.rmtree(self.work_dir)
        return found

    def _protocol(self) -> Any:
        choice = choose_kind(self.dataset, weeks=CHOOSING_WEEKS, say=self.say)
        chosen = [measure_folds(self.dataset, choice, training_days=days, say=self.say) for days in TRAINING_DAYS]
        best = best_of_all(self.dataset, choice, training_days=TRAINING_DAYS[0], say=self.say)
        return Protocol(chosen, best)

    def _sparkov(self) -> Any:
        schema_text = DEFAULT_SCHEMA.with_name(sparkov.SCHEMA).read_text(encoding="utf-8")
        return sparkov.measure_sparkov(self.data / "sparkov.parquet", schema_text, say=self.say)

    def _http(self) -> Any:
        return measure_over_http(
            self._handbook, self._card, repository=self.repository, work_dir=self.work_dir, say=self.say
        )


def measure_parts(measuring: Measuring, parts: Sequence[Part], output: Path) -> None:
    """Measure and write page, JSON and pictures into `output` after each part."""
    for part in parts:
        started = time.perf_counter()
        measuring.say(f"== {part}")
        measuring.work_dir.mkdir(parents=True, exist_ok=True)
        machine = machine_line(describe_machine(measuring.work_dir))
        found = measuring.measure(part)
        results = read_results(output)
        setattr(results, part, found)
        at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        # Where the data is on this machine is nobody's business.
        command = f"tollgate quality-report --data DIR --part {part}"
        results.runs[part] = Run(at, command, machine, time.perf_counter() - started)
        write_results(results, output)
        write_page(results, output)

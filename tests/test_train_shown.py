"""What a training shows: numbers on the axis of its curves, and a bar with the loss on a terminal."""

from __future__ import annotations

import csv
import os
import pty
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from made_entries import an_entry, config
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from chgtools.cli import main
from chgtools.errors import ChgtoolsError
from chgtools.stores.store import writable, write_entry
from chgtools.training.boards import Board
from chgtools.training.curves import draw_curves, ticks_between
from chgtools.training.trainer import Progress


@pytest.mark.parametrize(("low", "high"), [(1.02, 1.31), (0.04, 60), (3.2, 4.9), (0.0011, 0.0013), (9, 11)])
def test_an_axis_has_three_round_numbers_or_more(low, high):
    ticks = ticks_between(low, high)
    assert len(ticks) >= 3
    assert low <= min(ticks)
    assert max(ticks) <= high
    assert all(len(f"{tick:g}".strip("0.")) <= 5 for tick in ticks)


@pytest.mark.parametrize("errors", [(1.30, 1.21, 1.07), (40.0, 5.0, 0.6)])
def test_curves_have_numbers_on_their_axis_and_keep_their_limits(errors):
    axes = Figure().subplots()
    draw_curves(axes, [[Progress(10 * i, e, {"all": 1.1 * e}, 1e-3) for i, e in enumerate(errors, 1)]])
    low, high = axes.get_ylim()
    assert low > 0.8 * min(errors)
    assert high < 1.4 * max(errors)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len([label for label in labels if re.fullmatch(r"[\d.]+", label)]) >= 3
    assert axes.get_yscale() == "log"


def test_a_bar_with_the_loss_is_on_a_terminal_alone(tmp_path):
    with writable(tmp_path / "made.h5") as file:
        for index in range(10):
            write_entry(file, an_entry(index))
    (tmp_path / "c.yaml").write_text(config(tmp_path / "made.h5", members=1, share=0.6))
    command = [sys.executable, "-m", "chgtools", "train", str(tmp_path / "c.yaml"), "-o"]
    screen, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    subprocess.run(
        [*command, str(tmp_path / "a")], stderr=terminal, stdout=subprocess.PIPE, env=environment, check=True
    )
    os.close(terminal)
    shown = os.read(screen, 100_000).decode()
    line = re.search(r"member 0  \[[#-]{12}\]  6/6.*?([\d.]+) %, kept aside [\d.]+ %", shown)
    assert line, shown
    assert len(line[0]) <= 80
    piped = subprocess.run([*command, str(tmp_path / "b")], capture_output=True, text=True, check=True)
    assert "[#" not in piped.stderr
    assert "member 0, step 6 of 6" in piped.stderr


def scalars(folder):
    """Tag to {step: value} of a folder of event files."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: {e.step: e.value for e in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


def test_tensorboard_has_the_loss_of_each_step_and_what_the_table_has(tmp_path):
    with writable(tmp_path / "made.h5") as file:
        for index in range(10):
            write_entry(file, an_entry(index))
    (tmp_path / "c.yaml").write_text(config(tmp_path / "made.h5", members=2, share=0.6))
    done = CliRunner().invoke(main, ["train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out"), "--tensorboard"])
    assert done.exit_code == 0, done.output
    with open(tmp_path / "out/curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for member in (0, 1):
        told = scalars(tmp_path / f"out/tensorboard/member-{member}")
        assert sorted(told["loss"]) == [1, 2, 3, 4, 5, 6]
        for row in [row for row in rows if row["member"] == str(member)]:
            step = int(row["step"])
            for tag, column in [("error/training", "train_percent"), ("error/all", "validation_all"),
                                ("learning_rate", "learning_rate"), ("gradient", "gradient")]:  # fmt: skip
                assert told[tag][step] == pytest.approx(float(row[column]), rel=1e-4)


def test_a_member_that_goes_on_hides_what_was_written_beyond_its_checkpoint(tmp_path):
    for steps, loss in [(range(1, 6), 2.0), (range(4, 8), 1.0)]:
        board = Board(tmp_path)
        for step in steps:
            board.steps(0, step, loss)
        board.close()
    found = EventAccumulator(str(tmp_path / "tensorboard/member-0"), size_guidance={"scalars": 0}).Reload()
    told = [(event.step, event.value) for event in found.Scalars("loss")]  # each step once, in order
    assert told == [(1, 2), (2, 2), (3, 2), (4, 1), (5, 1), (6, 1), (7, 1)]


def test_without_tensorboard_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ChgtoolsError, match=r"pip install 'chgtools\[tensorboard\]'"):
        Board(tmp_path)
    assert not list(tmp_path.iterdir())

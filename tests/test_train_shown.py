"""What a training shows: numbers on the axis of its curves, and a bar with the loss on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from made_entries import an_entry, config
from matplotlib.figure import Figure

from chgtools.stores.store import writable, write_entry
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

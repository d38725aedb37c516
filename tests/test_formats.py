"""One reader and one writer for all formats, by name."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_chgcar import charge

import chgtools
from chgtools.errors import SettingsError


@pytest.mark.parametrize("name", ["CHGCAR", "CHGCAR.gz", "x.cube", "CHGCAR.cube.gz", "AECCAR2.xsf", "x.xsf.zst"])
def test_what_is_written_by_a_name_is_read_by_it(name, tmp_path):
    data = charge()
    chgtools.write(data, tmp_path / name)
    again = chgtools.read(tmp_path / name)
    np.testing.assert_allclose(again.total, data.total, rtol=2e-10, atol=0)
    assert again.structure.elements == data.structure.elements
    assert again.total.flags.f_contiguous
    half = chgtools.read(tmp_path / name, dtype=np.float32)
    assert half.total.dtype == np.float32


def test_a_block_is_chosen_only_where_one_fits(tmp_path):
    data = charge(blocks=2)
    chgtools.write(data, tmp_path / "m.cube", block=1)
    np.testing.assert_allclose(chgtools.read(tmp_path / "m.cube").total, data.blocks[1], rtol=2e-10)
    with pytest.raises(SettingsError, match="--block goes with cube and XSF"):
        chgtools.write(data, tmp_path / "CHGCAR", block=1)
    with pytest.raises(SettingsError, match="cannot be written as LOCPOT"):
        chgtools.write(data, tmp_path / "LOCPOT")


def test_compare_takes_paths(tmp_path):
    data = charge()
    chgtools.write(data, tmp_path / "CHGCAR")
    result = chgtools.compare(tmp_path / "CHGCAR", data)
    assert result.eps_mae_percent < 1e-8

"""Packing and turning of records, on every real CHGCAR that has any.

The corpus keeps no POTCAR. Where a file's labels are known, chgtools' facts on labels give the channels. Elsewhere the
record's length gives the channels but for their order, and the order is told by the crystal: in the right one the
site symmetry turns each record into that of the atom it leads to, and occupancies are positive.
"""

from __future__ import annotations

import itertools
import json
import warnings
from functools import cache

import numpy as np
import pytest
from conftest import shared_path

from chgtools.atoms.labels import UnknownLabelError, label_facts
from chgtools.formats import chgcar
from chgtools.paw.records import (
    matrix_from_record,
    occupancies_of_record,
    record_entries,
    record_from_matrix,
    record_length,
    rotate_record,
    zero_above,
)

KINDS = {15: "001", 33: "0011", 78: "00112", 100: "00122", 138: "001122", 390: "00112233", 630: "00011122233"}
SYMMETRY = 6e-4  # of a record's largest number: what the least converged files keep of their symmetry
# The order found in each file, by group of atoms; it must be the only one that fits
ORDERS = {
    "nomad-oqmd__Ac1Ag1-2/CHGCAR.gz": ["ssppddff", "ddsspp"],
    "baderkit__Ag4-4/CHGCAR.gz": ["ssspppdddff"],
    "mp_workshop__Al1Cr2-3/CHGCAR.gz": ["sspp", "ppddss"],
    "mp_workshop__Cr1-1/CHGCAR.gz": ["ppddss"],
    "atomate2__Si2-2_G0W0/CHGCAR.gz": ["ssppdd"],
    "aiida-vasp__GaAs-2/CHGCAR.gz": ["ssppd", "ssppd"],
    "GaN-pydefect-tutorial__Ga2N2-4_scf/CHGCAR.gz": ["ddsspp", "sspp"],
    "bud-tools__Li2Co2O4-8/CHGCAR.gz": ["ssp", "ddsspp", "sspp"],
    "pyiron__Fe2-2/CHGCAR.gz": ["ddsspp"],
}


def index():
    return json.loads(shared_path("corpus", "index.json").read_text())


def files(blocks=(1, 2, 4)):
    """The facts on every CHGCAR of the corpus with records; none where there is no corpus."""
    try:
        listed = index()
    except pytest.skip.Exception:
        return [pytest.param(None, marks=pytest.mark.skip(reason="needs the real data corpus"))]
    wanted = [x for x in listed if x["kind"] == "CHGCAR" and x["has_augmentation"]]
    return [
        pytest.param(x, id=x["path"])
        for x in wanted
        if 0 not in x["augmentation_record_lengths"] and x["blocks"] in blocks
    ]


@cache
def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return chgcar.read(shared_path("corpus", path), dtype=np.float32)


def groups_of(data):
    start = 0
    for count in data.structure.counts:
        yield range(start, start + count)
        start += count


def candidates(facts, group, length):
    """Channel orders to try: the known one, else all orders of the shells (which channel of an l is first is moot)."""
    if facts["labels"]:
        try:
            known = label_facts(facts["labels"][group].split()[1]).channels
        except UnknownLabelError:
            known = None
        if known and record_length(known) == length:
            return [known]
    shells = ["".join(part) for _, part in itertools.groupby(KINDS[length])]
    return [tuple(map(int, "".join(order))) for order in itertools.permutations(shells)]


def symmetry_of(structure):
    """Cartesian rotation, and the atom that each atom is led to, of every operation of the crystal."""
    import spglib

    cell = (structure.lattice, structure.frac, structure.group_of_atom)
    found = spglib.get_symmetry(cell, symprec=1e-4)
    columns = structure.lattice.T
    for rotation, shift in zip(found["rotations"], found["translations"], strict=True):
        apart = (structure.frac @ rotation.T + shift)[:, None] - structure.frac
        apart -= np.round(apart)
        yield columns @ rotation @ np.linalg.inv(columns), np.abs(apart @ structure.lattice).sum(-1).argmin(1)


def unlike(channels, records, ions, operations):
    """Largest difference between a turned record and that of the atom it leads to, relative to the largest number."""
    worst = max(
        np.abs(rotate_record(channels, records[ion], rotation) - records[to[ion]]).max()
        for rotation, to in operations
        for ion in ions
    )
    return worst / max(np.abs(records[ion]).max() for ion in ions)


def settled(facts, data):
    """The channels of each group: the only candidate that keeps the symmetry and has positive occupancies."""
    records, operations = data.augmentation[0].real, list(symmetry_of(data.structure))
    for group, ions in enumerate(groups_of(data)):
        fitting = [
            channels
            for channels in candidates(facts, group, len(records[ions[0]]))
            if unlike(channels, records, ions, operations) < SYMMETRY
            and all(np.linalg.eigvalsh(matrix_from_record(channels, records[ion]))[0] > 0 for ion in ions)
        ]
        assert len(fitting) == 1, (facts["path"], group, fitting)
        yield fitting[0]


@pytest.mark.parametrize("facts", files())
def test_every_record_of_a_real_file(facts):
    """One order of the channels fits; lengths agree; records and matrices pass into each other both ways."""
    data = read(facts["path"])
    channels = list(settled(facts, data))
    if facts["path"] in ORDERS:
        assert ["".join("spdf"[ell] for ell in each) for each in channels] == ORDERS[facts["path"]]
    for block in data.augmentation:
        for each, ions in zip(channels, groups_of(data), strict=True):
            for ion in ions:
                record = block.real[ion]
                assert len(record) == record_length(each)
                again = record_from_matrix(each, matrix_from_record(each, record))
                np.testing.assert_allclose(again, record, atol=1e-13 * max(np.abs(record).max(), 1))
                if facts["lmaxmix"]:
                    np.testing.assert_array_equal(zero_above(each, record, facts["lmaxmix"]), record)


@pytest.mark.parametrize("facts", files(blocks=(2,)))
def test_spin_up_and_spin_down_are_positive(facts):
    data = read(facts["path"])
    for channels, ions in zip(settled(facts, data), groups_of(data), strict=True):
        for ion in ions:
            total, spin = (matrix_from_record(channels, block.real[ion]) for block in data.augmentation)
            for half in ((total + spin) / 2, (total - spin) / 2):
                assert np.linalg.eigvalsh(half)[0] > -5e-4 * np.trace(half)


@pytest.mark.parametrize(
    ("path", "ion", "channels", "channel", "electrons"),
    [
        ("baderkit__Ag4-4/CHGCAR.gz", 0, "00011122233", 0, 2),  # 4s of Ag with its semicore
        ("baderkit__Ag4-4/CHGCAR.gz", 0, "00011122233", 3, 6),  # 4p
        ("mp_workshop__Cr1-1/CHGCAR.gz", 0, "112200", 0, 6),  # 3p of Cr_pv
        ("nomad-oqmd__Ac1Ag1-2/CHGCAR.gz", 0, "00112233", 2, 6),  # 6p of Ac
        ("GaN-pydefect-tutorial__Ga2N2-4_scf/CHGCAR.gz", 0, "220011", 0, 10),  # 3d of Ga_d
    ],
)
def test_a_closed_shell_deep_in_the_atom_has_its_electrons(path, ion, channels, channel, electrons):
    """The scale of L = 0 for s, p and d: such a shell is one of the reference states, so its trace is its electrons."""
    record = read(path).augmentation[0].real[ion]
    traces = np.diag(occupancies_of_record([int(ell) for ell in channels], record))
    assert traces[channel] == pytest.approx(electrons, rel=0.03)


def test_the_right_order_is_told_from_the_wrong_ones():
    """Gallium of GaN in the order s p d or with another scale of L = 0: not symmetric, not positive."""
    data = read("GaN-pydefect-tutorial__Ga2N2-4_scf/CHGCAR.gz")
    records, operations = data.augmentation[0].real, list(symmetry_of(data.structure))
    assert len(operations) == 12
    assert unlike((2, 2, 0, 0, 1, 1), records, [0, 1], operations) < 1e-9
    assert unlike((0, 0, 1, 1, 2, 2), records, [0, 1], operations) > 0.1
    doubled = np.array(records[0])
    pairs = [(a, b) for a, b, big_l in record_entries((2, 2, 0, 0, 1, 1)) for _ in range(2 * big_l + 1)]
    doubled[[a != b for a, b in pairs]] *= 2  # the weight 1 in place of 2 for a < b
    assert np.linalg.eigvalsh(matrix_from_record((2, 2, 0, 0, 1, 1), doubled))[0] < -0.001


def test_a_rewritten_file_has_the_same_records_to_the_letter(tmp_path):
    """Records taken to matrices and back, printed: the bytes of the file."""
    import gzip

    path = shared_path("corpus", "GaN-pydefect-tutorial__Ga2N2-4_scf", "CHGCAR.gz")
    data = chgcar.read(path)
    channels = [(2, 2, 0, 0, 1, 1)] * 2 + [(0, 0, 1, 1)] * 2
    block = data.augmentation[0]
    # noise of 1e-17 beside numbers of 1 is printed with seven digits, which no arithmetic gives back
    again = [
        np.where(np.abs(r) > 1e-9, record_from_matrix(c, matrix_from_record(c, r)), r)
        for c, r in zip(channels, block.real, strict=True)
    ]
    block.real[:] = again
    chgcar.write(data, tmp_path / "CHGCAR")
    assert (tmp_path / "CHGCAR").read_bytes() == gzip.decompress(path.read_bytes())

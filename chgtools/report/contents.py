"""What is on the page of a file: a view that can be turned, VASP's judgement, facts, planes and averages.

Fields come first by what they tell: the difference density where it can be made, then what the file holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.formats import difference_density, read
from chgtools.formats.facts import describe, describe_difference
from chgtools.formats.hdf5 import name_of
from chgtools.pictures.fields import Field, draw_plane, fields_of, title
from chgtools.pictures.planes import plane_of_axis
from chgtools.report.page import Table, image, section, write_page

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.check.findings import Finding, Report
    from chgtools.libraries.choice import Source
    from chgtools.volumetric import DifferenceDensity, VolumetricData

MOST_POINTS = 250_000  # that a surface is drawn from: a page holds several of them, and should open quickly
ON_A_PLANE_ANGSTROM = 0.3  # atoms as near are counted for it


def write_report(
    path: str | Path,
    output: str | Path,
    *,
    poscar: Path | None = None,
    incar: Path | None = None,
    source: Source | None = None,
    tables: Sequence[Table] = (),
) -> tuple[str, ...]:
    """Write one self-contained page on a volumetric file or a difference density.

    path : as :func:`chgtools.read` takes it, or a file of ``chgtools make-dcd``; output : name that ends in .html
    poscar, incar : of the run that is to read it; by default those beside the file
    source : where the densities of the atoms come from; by default the POTCAR beside the file, else the built-in ones
    tables : more of them, such as charges of the atoms; they stand behind the facts
    Returns sentences on what is not on the page, and why. Raises ChgtoolsError as the reader does, and without plotly
    and scikit-image.
    """
    output = Path(output)
    if output.suffix.lower() != ".html":
        raise SettingsError(f"{output}: a report's name ends in .html")
    notes: list[str] = []
    data: VolumetricData | DifferenceDensity
    if name_of(path):
        data = difference_density.read(path)
        facts = describe_difference(data, path)
        fields = list(fields_of(data, str(path)).values())
        notes.append("not checked: a difference density is no file that VASP starts from")
        judged = ""
    else:
        data = read(path)
        facts = describe(data)
        fields = [*_difference_of(data, source, notes), *fields_of(data, str(path)).values()]
        potcar = None if source is None or source.potcar is None or source.potcar.is_dir() else source.potcar
        judged = _judgement(data, {"poscar": poscar, "potcar": potcar, "incar": incar}, notes)
    fields = [field for field in fields if np.abs(field.values).max() > 0]
    parts = [_view(fields, notes), judged, _facts(facts, data.structure), _blocks(facts)]
    parts += [table.html() for table in tables]
    parts.append(_pictures(fields))
    if notes:
        parts.append(section("Notes", "".join(f"<p>{escape(note)}</p>" for note in notes)))
    kind = "difference density" if facts["kind"] == "DCD" else facts["kind"]
    write_page(output, title(fields[0], kind) if fields else kind, str(path), parts)
    return tuple(notes)


def _difference_of(data: VolumetricData, source: Source | None, notes: list[str]) -> list[Field]:
    """The difference density of a CHGCAR as a field; [] with a note where it has none."""
    if data.kind not in ("CHGCAR", "CHG"):
        return []
    from chgtools.dcd.difference import difference_density as make

    try:
        target = make(data, source=source)
    except ChgtoolsError as error:
        notes.append(f"no difference density: {error}")
        return []
    notes += [f"difference density: {sentence}" for sentence in target.assumptions]
    return [fields_of(target, data.source)["dcd"]]


def _judgement(data: VolumetricData, inputs: dict[str, Path | None], notes: list[str]) -> str:
    """What `chgtools check` finds, as a section; "" with a note for a file that VASP does not start from."""
    from chgtools.check import check_file

    if data.layout is None or data.kind not in ("CHGCAR", "CHG"):
        notes.append(f"not checked: {data.source} is no CHGCAR that VASP starts from")
        return ""
    report: Report = check_file(data.source, **inputs)
    notes += [f"not checked: {sentence}" for sentence in report.not_checked]
    serious = [finding for finding in report.findings if finding.severity != "note"]
    count = f"{len(serious)} finding{'s' * (len(serious) != 1)}"
    verdict = f"{count}: VASP will not take this file as it was meant." if serious else "In order."
    against = f" Held against {'; '.join(report.inputs)}." if report.inputs else " No inputs of a run are beside it."
    box = f'<p class="verdict{" bad" * bool(serious)}"><strong>{verdict}</strong>{escape(against)}</p>'
    return section("Can VASP start from it?", box + "".join(map(_finding, report.findings)))


def _finding(finding: Finding) -> str:
    """A finding as a paragraph for each of what is there, what VASP does and what to do."""
    place = finding.place.rsplit("/", 1)[-1]
    pieces = (("found", finding.found), ("VASP", finding.effect), ("mend", finding.mend))
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in pieces if text)
    return f'<div class="finding"><strong>{escape(finding.severity)}</strong> {escape(place)}<dl>{rows}</dl></div>'


def _view(fields: Sequence[Field], notes: list[str]) -> str:
    from chgtools.pictures.scene import scene_of
    from chgtools.pictures.turnable import CONFIG, figure_of

    scenes = []
    for field in fields:
        try:
            scenes.append((field.quantity, scene_of(field, most=MOST_POINTS)))
        except SettingsError as error:
            notes.append(f"no surface of the {field.quantity}: {error}")
    if not scenes:
        return ""
    figure = figure_of(scenes).to_html(
        full_html=False, include_plotlyjs=True, include_mathjax=False, config=CONFIG, default_height="100%",
        div_id="view",
    )  # fmt: skip
    said = "".join(f"<br>{escape(scene.said[:1].upper() + scene.said[1:])}." for _, scene in scenes)
    help_text = "Turn it with the mouse or a finger. A click on a name shows or hides it."
    return section("View", f'<div class="view">{figure}</div><p class="under">{help_text}{said}</p>')


def _facts(facts: dict[str, Any], structure: Structure) -> str:
    lengths = np.linalg.norm(structure.lattice, axis=1)
    unit = structure.lattice / lengths[:, None]
    angles = np.degrees(np.arccos(np.clip([unit[1] @ unit[2], unit[2] @ unit[0], unit[0] @ unit[1]], -1, 1)))
    rows = [
        ("atoms", f"{' '.join(f'{s or chr(63)}{n}' for s, n in zip(structure.species, structure.counts, strict=True))}"
         f" ({structure.n_atoms})"),
        ("a, b, c", ", ".join(f"{length:.4f}" for length in lengths) + " Å"),
        ("α, β, γ", ", ".join(f"{angle:.2f}" for angle in angles) + " °"),
        ("volume", f"{facts['volume']:.4f} Å³"),
        ("grid", " x ".join(map(str, facts["grid"]))),
    ]  # fmt: skip
    if facts["electrons"] is not None:
        rows.append(("electrons", f"{facts['electrons']:.5f}"))
    if any(facts["labels"]):
        rows.append(("POTCAR", " ".join(facts["labels"])))
    return Table("Facts", (), rows).html()


def _blocks(facts: dict[str, Any]) -> str:
    columns = ("block", "integral", "mean", "lowest", "highest")
    rows = [
        (name, mean * facts["volume"], mean, low, high)
        for name, mean, low, high in zip(
            facts["block_names"], facts["mean"], facts["minimum"], facts["maximum"], strict=True
        )
    ]
    unit = {"LOCPOT": "eV", "ELFCAR": "a number"}.get(facts["kind"], "electrons/Å³, μ_B/Å³ of a magnetisation")
    return Table("Blocks", columns, rows, f"{unit}; integrals over the cell").html()


def _pictures(fields: Sequence[Field]) -> str:
    """Of each field three planes and three averages; those of the first are open."""
    from chgtools.pictures.averages import draw_averages

    parts = []
    with TemporaryDirectory() as folder:
        for number, field in enumerate(fields):
            images = []
            for axis, name in enumerate("abc"):
                where = Path(folder) / f"{number}{name}.png"
                plane = plane_of_axis(field.structure, axis, fullest_plane(field.structure, axis))
                draw_plane(field, plane, where, contours=True)
                images.append(image(where, f"{field.quantity} on the plane {plane.name}"))
            for axis, name in enumerate("abc"):
                where = Path(folder) / f"{number}{name}-mean.png"
                draw_averages([field], axis, where)
                images.append(image(where, f"{field.quantity}, mean over planes along {name}"))
            first = " open" if number == 0 else ""
            heading = f"<summary>{escape(field.quantity)}</summary>"
            parts.append(f'<details{first}>{heading}<div class="pictures">{"".join(images)}</div></details>')
    return section("Planes and averages", "".join(parts))


def fullest_plane(structure: Structure, axis: int) -> float:
    """The fraction along a lattice vector at which the most atoms lie, the lowest of several such."""
    from chgtools.pictures.planes import height

    frac = structure.frac[:, axis] % 1.0
    apart = np.abs((frac[:, None] - frac[None] + 0.5) % 1.0 - 0.5) * height(structure, axis)
    counts = (apart < ON_A_PLANE_ANGSTROM).sum(axis=1)
    best = frac[counts == counts.max()].round(4) % 1.0
    return float(best.min())

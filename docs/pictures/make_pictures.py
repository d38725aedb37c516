"""Make the pictures of docs/how-to/pictures.md: python docs/pictures/make_pictures.py"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from chgtools.dcd.difference import difference_density
from chgtools.pictures.fields import draw_plane, fields_of
from chgtools.pictures.planes import plane_of_miller
from chgtools.pictures.still import draw_isosurface

HERE = Path(__file__).resolve().parent
SILICON = HERE.parents[1] / "examples" / "si"
MOST_DOTS, COLOURS = 720, 96  # pictures of the documentation are small files


def main(folder: Path = HERE) -> None:
    """Write si-isosurface.png and si-contours.png."""
    field = fields_of(difference_density(SILICON / "CHGCAR", SILICON / "POSCAR"), "si.h5")["dcd"]
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "picture.png"
        draw_isosurface(field, path, repeats=(2, 2, 1))
        _shrink(path, folder / "si-isosurface.png")
        draw_plane(field, plane_of_miller(field.structure, (1, -1, 0)), path, contours=True)
        _shrink(path, folder / "si-contours.png")


def _shrink(path: Path, target: Path) -> None:
    with Image.open(path) as picture:
        smaller = picture.convert("RGB")
    smaller.thumbnail((MOST_DOTS, MOST_DOTS))
    smaller.quantize(COLOURS).save(target, "PNG", optimize=True)


if __name__ == "__main__":
    main()

"""Spheres and rods as triangles: how atoms and bonds are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chgtools.pictures.isosurface import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def sphere(halvings: int) -> Surface:
    """The unit sphere as an icosahedron whose edges are halved so many times: 20 · 4**halvings triangles."""
    golden = (1 + np.sqrt(5)) / 2
    corners = [(0, s, t * golden) for s in (1, -1) for t in (1, -1)]
    vertices = np.array([np.roll(corner, turn) for corner in corners for turn in range(3)], dtype=float)
    edge = np.linalg.norm(vertices[:, None] - vertices[None], axis=2) < 2.1  # edges are 2 long
    triangles = [
        (i, j, k) for i in range(12) for j in range(i + 1, 12) for k in range(j + 1, 12)
        if edge[i, j] and edge[j, k] and edge[i, k]
    ]  # fmt: skip
    faces = vertices[np.array(triangles)]
    for _ in range(halvings):
        a, b, c = faces[:, 0], faces[:, 1], faces[:, 2]
        ab, bc, ca = a + b, b + c, c + a
        faces = np.concatenate(
            [np.stack(each, axis=1) for each in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
        )
        faces *= np.sqrt(1 + golden**2) / np.linalg.norm(faces, axis=2, keepdims=True)
    faces = faces / np.linalg.norm(faces, axis=2, keepdims=True)
    inward = np.einsum("ni,ni->n", np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0]), faces[:, 0]) < 0
    faces[inward] = faces[inward][:, ::-1]
    vertices, index = np.unique(faces.reshape(-1, 3).round(9), axis=0, return_inverse=True)
    return Surface(vertices, index.reshape(-1, 3))


def rod(
    begin: NDArray[np.float64], end: NDArray[np.float64], radius: float, sides: int = 10, rings: int = 4
) -> Surface:
    """The wall of a round rod between two points (Å), in rings so that no triangle is long."""
    along = end - begin
    length = np.linalg.norm(along)
    axis = along / length
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across /= np.linalg.norm(across)
    angle = 2 * np.pi * np.arange(sides) / sides
    circle = radius * (np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * np.cross(axis, across))
    vertices = (begin + np.linspace(0, 1, rings + 1)[:, None, None] * along + circle[None]).reshape(-1, 3)
    ring, side = (each.ravel() for each in np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij"))
    a, b = ring * sides + side, ring * sides + (side + 1) % sides
    triangles = np.concatenate([np.stack([a, b, b + sides], 1), np.stack([a, b + sides, a + sides], 1)])
    return Surface(vertices, triangles)


def joined(surfaces: Sequence[Surface]) -> Surface:
    """All triangles in one."""
    first = np.cumsum([0, *(len(surface.vertices) for surface in surfaces[:-1])])
    return Surface(
        np.concatenate([surface.vertices for surface in surfaces]),
        np.concatenate([surface.triangles + start for surface, start in zip(surfaces, first, strict=True)]),
    )

"""Triangles painted with the nearest before the others, each dot by the light on it: solid ones, then clear ones."""

from __future__ import annotations

import math
from typing import Any

from chgtools.kernels import kernel


# deep: triangles, rows and dots; a call for each row would cost more than the row
@kernel
def paint(
    picture: Any, nearness: Any, points: Any, normals: Any, triangles: Any, colours: Any, opacity: float, light: Any
) -> None:
    """Paint triangles over ``picture`` where they are nearer than what ``nearness`` holds of the solid ones.

    picture : (rows, columns, 3) float32, 0 to 1; nearness : (rows, columns), -inf where nothing solid is yet
    points : (n, 3) column, row, nearness; normals : (n, 3) of any length and either side, towards right, up and the eye
    triangles : (m, 3) indices of points, the farthest first where opacity < 1; colours : (m, 3)
    opacity : 1 writes to ``nearness`` too
    light : (6,) direction to the light, ambient share, shine and its exponent (B. T. Phong, Commun. ACM 18 (1975) 311)
    """
    rows, columns = nearness.shape
    half = math.sqrt(light[0] ** 2 + light[1] ** 2 + (light[2] + 1) ** 2)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t]
        xi, yi, xj, yj, xk, yk = points[i, 0], points[i, 1], points[j, 0], points[j, 1], points[k, 0], points[k, 1]
        area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
        if area == 0.0:
            continue
        for row in range(max(0, math.ceil(min(yi, yj, yk))), min(rows - 1, math.floor(max(yi, yj, yk))) + 1):
            for column in range(max(0, math.ceil(min(xi, xj, xk))), min(columns - 1, math.floor(max(xi, xj, xk))) + 1):
                v = ((column - xi) * (yk - yi) - (xk - xi) * (row - yi)) / area
                w = ((xj - xi) * (row - yi) - (column - xi) * (yj - yi)) / area
                u = 1.0 - v - w
                if u < 0.0 or v < 0.0 or w < 0.0:
                    continue
                near = u * points[i, 2] + v * points[j, 2] + w * points[k, 2]
                if near <= nearness[row, column]:
                    continue
                nx = u * normals[i, 0] + v * normals[j, 0] + w * normals[k, 0]
                ny = u * normals[i, 1] + v * normals[j, 1] + w * normals[k, 1]
                nz = u * normals[i, 2] + v * normals[j, 2] + w * normals[k, 2]
                length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-30
                if nz < 0.0:  # an open surface shows its inside
                    length = -length
                facing = max(0.0, (nx * light[0] + ny * light[1] + nz * light[2]) / length)
                mirror = max(0.0, (nx * light[0] + ny * light[1] + nz * (light[2] + 1)) / length / half)
                bright = light[3] + (1 - light[3]) * facing
                shine = light[4] * mirror ** light[5]
                for channel in range(3):
                    value = min(1.0, colours[t, channel] * bright + shine)
                    picture[row, column, channel] += opacity * (value - picture[row, column, channel])
                if opacity == 1.0:
                    nearness[row, column] = near

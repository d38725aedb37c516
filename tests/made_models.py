"""Models of random weights and a triclinic cell for them, and rotations with what they do to harmonics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from chgtools.cell import Structure
from chgtools.fourier.basis import RadialBasis
from chgtools.kernels.harmonics import harmonics
from chgtools.models.descriptors import properties
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.model import DensityModel, Trust
from chgtools.training.torch_network.conversion import network_of
from chgtools.training.torch_network.encoder import Encoder

BASIS = RadialBasis(n_max=5)
ELEMENTS = ("Na", "O", "Si")
LATTICE = np.array([[4.9, 0.2, 0.0], [-0.7, 5.3, 0.4], [0.3, 0.6, 6.1]])
FRAC = np.array([[0.02, 0.11, 0.9], [0.45, 0.52, 0.33], [0.71, 0.15, 0.4], [0.1, 0.75, 0.6]])


def small(members=2, seed=3, **changes):
    """changes : of the network's settings"""
    torch.manual_seed(seed)
    few = EncoderSettings(cutoff=4.5, radial=6, channels=6, hidden=16, state=8, readings=3)
    settings = replace(few, **changes)
    known = torch.as_tensor(properties(ELEMENTS), dtype=torch.float32)
    networks = [network_of(Encoder(settings, BASIS.n_max, known)) for _ in range(members)]
    basis = replace(BASIS, l_max=settings.l_max)
    return DensityModel("test", ELEMENTS, np.array([9.0, 6.0, 4.0]), basis, "dcd", networks, Trust(0.1, 0.9, 0.5, 1.0))


def cell(lattice=LATTICE, frac=FRAC):
    return Structure(lattice, ("Na", "Si", "O"), (1, 1, 2), frac)


def rotation(seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q if np.linalg.det(q) > 0 else -q


def wigner(turn, l_max=4):
    """(n_lm, n_lm) D with Y(turn r) = D Y(r), by least squares over many directions."""
    points = np.random.default_rng(5).normal(size=(200, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    before, after = (harmonics(l_max, np.ascontiguousarray(p)) for p in (points, points @ turn.T))
    return np.linalg.lstsq(before.T, after.T, rcond=None)[0].T

"""Constants. CODATA 2018 (NIST SP 961, 2019) unless the name says VASP.

VASP works with its own rounded constants; where a number must come out as VASP's does (the FFT grid), those are
used. They are printed in every OUTCAR-reading code and in the VASP wiki's page on NGX.
"""

BOHR_ANGSTROM = 0.529177210903
HARTREE_EV = 27.211386245988
COULOMB_EV_ANGSTROM = HARTREE_EV * BOHR_ANGSTROM  # e^2 / (4 pi eps0)
ALPHA = 7.2973525693e-3  # fine-structure constant; the speed of light is 1/ALPHA in atomic units

VASP_RYDBERG_EV = 13.605826
VASP_BOHR_ANGSTROM = 0.529177249

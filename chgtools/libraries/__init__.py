"""Where atomic densities come from: library files, POTCARs, UPF files, and which one each atom gets."""

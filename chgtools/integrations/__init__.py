"""What other programs' frameworks load: pymatgen's input sets, custodian (extra ``custodian``), jobflow and atomate2
(extra ``jobflow``)."""

"""What other programs' frameworks load: custodian (extra ``custodian``), jobflow and atomate2 (extra ``jobflow``)."""

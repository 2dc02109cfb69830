"""Where images come from and what they are. No pickles are read, and nothing is extracted to a path an archive chooses.

editions    what is known of each data set's editions (editions.yaml)
sources     a folder, the upstream mirrors, Debian's package, tried in turn
contents    find an edition's files in any packing, verify them, write their canonical form to data/raw
formats     files to arrays
split       the validation split
statistics  normalisation constants, class balance, duplicates
"""

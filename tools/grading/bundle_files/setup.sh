#!/bin/bash
# Makes the container in which Gradescope grades lab @LAB@: run once, as root, when the autograder is built.
# SPDX-License-Identifier: MIT
set -eu
ringstep=${AUTOGRADER:-/autograder}/source/ringstep     # the tests have another place for it

export DEBIAN_FRONTEND=noninteractive
apt-get update
"$ringstep/tools/setup" @GROUPS@
apt-get clean

# The lab's kernel with the starter's files, built once: a submission then builds its own files alone. With the flags
# of a challenge it is another one.
PYTHONPATH=$ringstep/tools /usr/bin/python3 - <<'END'
from grading.lab import load_lab
from grading.tree import ready_tree
lab = load_lab("@LAB@")
for flags in dict.fromkeys([(), *(tuple(challenge.flags) for challenge in lab.challenges)]):
    print("ready:", ready_tree(lab, flags))
END

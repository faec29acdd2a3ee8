#!/bin/sh
# The device's half of `make demo`: everything runs in .venv-device.
set -eu
model=$1
bin=.venv-device/bin

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

printf '\nOn the device (%s packages):\n' "$("$bin/python" benchmarks/footprint.py edge-runtime --packages)"
run "$bin/python" tools/prove_bare.py
run "$bin/edge-runtime" check "$model"
run "$bin/edge-runtime" predict "$model" tools/demo/unseen.csv
run "$bin/python" tools/demo/predict_one.py "$model"

printf '\nTraining against inference, measured on this machine:\n\n'

#!/bin/sh
# The gate on the digits: a pass; a fail whose layer is named and repaired; too few samples; another runtime's outputs.
#     examples/gate.sh [TOOL [FOLDER]]        from the repository's root; build/precinfer and build/gate without
# Each command is printed with what it is expected to exit with; anything else ends the script with 1. MIN_SET=0 leaves the
# search for the layers out.
set -u
tool=${1:-build/precinfer} out=${2:-build/gate}
digits=examples/digits policy=examples/policies/digits.json
mkdir -p "$out" || exit 1

# expect CODE COMMAND...
expect() {
    want=$1
    shift
    printf '\n$ precinfer'
    printf ' %s' "$@"
    echo
    "$tool" "$@"
    got=$?
    [ $got = "$want" ] || { echo "gate.sh: exit $got, not $want" >&2; exit 1; }
    echo "[exit $got]"
}
data="--data $digits/evaluation.npy --labels $digits/evaluation_labels.npy"

echo "---- A pass: int8, calibrated on 128 images, judged on 899 others"
expect 0 convert $digits/digits.onnx -o "$out/int8.precinfer" --precision int8 --calibrate $digits/calibration.npy --divide 16 \
    --recipe-out "$out/int8.json" --quiet
expect 0 verify "$out/int8.precinfer" --reference $digits/digits.onnx $data --policy $policy --html "$out/pass.html" --quiet

echo "---- Not enough samples: half a point cannot be shown on 899 images, even though none was lost"
expect 3 verify "$out/int8.precinfer" --reference $digits/digits.onnx $data --policy examples/policies/half-point.json --quiet

echo "---- A fail: in one layer's weight scales the largest weight was divided by 255, the range of u8, instead of 127"
awk '/"\/pw\/pw.0\/Conv"/ {
         from = index($0, "[")
         to = index($0, "]")
         n = split(substr($0, from + 1, to - from - 1), scale, ", ")
         line = substr($0, 1, from)
         for (i = 1; i <= n; i++) line = line (i > 1 ? ", " : "") sprintf("%.9g", scale[i] * 127 / 255)
         $0 = line substr($0, to)
     }
     { print }' "$out/int8.json" > "$out/slip.json"
expect 0 convert $digits/digits.onnx -o "$out/slip.precinfer" --recipe "$out/slip.json" --quiet
expect 1 verify "$out/slip.precinfer" --reference $digits/digits.onnx $data --policy $policy --html "$out/fail.html" --quiet

if [ "${MIN_SET:-1}" = 1 ]; then
    echo "---- Which layer? Half of the images say so; the other half judges what was repaired"
    expect 1 diff "$out/slip.precinfer" $digits/digits.onnx $data --split 0,50,50 --policy $policy --minimal-set \
        --recipe-out "$out/repaired.json" --quiet
    expect 0 convert $digits/digits.onnx -o "$out/repaired.precinfer" --recipe "$out/repaired.json" --quiet
    expect 0 verify "$out/repaired.precinfer" --reference $digits/digits.onnx $data --split 0,50,50 --policy $policy --quiet
fi

echo "---- Another runtime: what ONNX Runtime answered in FP32 and in its own INT8 (weights of 7 bits, then of 8, which saturate)"
labels="--labels $digits/evaluation_labels.npy"
expect 0 verify --candidate $digits/ort_int8.npz --reference $digits/ort_f32.npz $labels --policy $policy
for p in int8 fixed-n; do
    expect 0 verify --candidate $digits/ort_int8.npz --reference $digits/ort_f32.npz $labels --policy examples/policies/$p.json
done
expect 3 verify --candidate $digits/ort_int8_full.npz --reference $digits/ort_f32.npz $labels --policy examples/policies/strict.json

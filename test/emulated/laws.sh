#!/bin/bash
# test/emulated/laws.sh RUN-LAWS HEAD [models]: the committed hashes of test/golden on an emulated CPU with AVX-512 and VNNI,
# f32 and int8, 8 samples. `models`: the real models of PI_DATA too. EMU_SECONDS=N (900; 7200) for a slow host.
set -eu
run=$1 head=$2 what=${3-}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cp "$run" "$place/run-laws"
strip "$place/run-laws" 2> /dev/null || :
files=(--file "$place/run-laws" --file test/golden/outputs.tsv)
for f in digits.onnx calibration.npy evaluation.npy evaluation_labels.npy; do files+=(--file "examples/digits/$f"); done
models=1 seconds=${EMU_SECONDS:-900}
if [ "$what" = models ]; then
    data=${PI_DATA:-../shared/data} models=5 seconds=${EMU_SECONDS:-7200}
    [ -d "$data" ] || { echo "laws: no models in $data; set PI_DATA"; exit 0; }
    for f in "$data"/models/{resnet8_cifar10_jpegft_bn,resnet20_cifar10_bn,mbv2_cifar10_bn,mnist_cntk}.onnx; do files+=(--file "$f"); done
    for f in "$data"/datasets/cifar10/cifar10_{calib,test_dev}_*.npy; do "$head" "$f" "$place/${f##*/}" 8; files+=(--file "$place/${f##*/}"); done
    for f in "$data"/datasets/mnist_test/*.npy; do "$head" "$f" "$place/${f##*/}" 264; files+=(--file "$place/${f##*/}"); done
fi
cat > "$place/guest" << 'EOS'
#!/bin/sh
mkdir -p examples/digits test/golden data/models data/datasets/cifar10 data/datasets/mnist_test
mv digits.onnx calibration.npy evaluation.npy evaluation_labels.npy examples/digits/
mv outputs.tsv test/golden/
mv *.onnx data/models/ 2> /dev/null
mv cifar10_*.npy data/datasets/cifar10/ 2> /dev/null
mv mnist_*.npy data/datasets/mnist_test/ 2> /dev/null
./run-laws
EOS
test/emulate-x86 --cpu sapphire_rapids --timeout "$seconds" "${files[@]}" --env PI_DATA=data --env PI_MODELS=$models --env PI_QUICK=1 \
    --env PI_ROWS=avx512,avx512vnni --env CK_FORK=no "$place/guest" | tee "$place/out"
for isa in avx512 avx512vnni; do
    [ "$(grep -c "the committed bits under .*,$isa\$" "$place/out")" = $models ] || { echo "laws: not all of $models models ran under $isa"; exit 1; }
done

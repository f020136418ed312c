#!/usr/bin/env bash
# All that wants a GPU, in one call: tests, times beside diffusers, and a training to its end.
#
#   tools/gpu.sh [--cpu] [OUT]     results below OUT (else $OUT, else build/gpu)
#
# A machine without CUDA, or --cpu, runs the same parts in sizes for trying the script.
#
#   PARTS="doctor tests bench train"  which parts
#   DATA=data          where the archives of Fashion-MNIST are (Debian's package needs none of it)
#   PICTURES=          a folder of pictures, to train the paper's CIFAR-10 network on
#   STEPS=6000         of each training; MINUTES=8 after which it is stopped and saved
#   RUNS=build/gpu-runs  where the runs are; called again, it goes on with them
#   PYTHON=.venv/bin/python
#
# Each command has a log of its own, and a line in summary.md: status, seconds, what it was.
# Exit status 1 if one of them failed.
set -uo pipefail
# Before the folder is changed, so that a path means what it meant to the caller
cpu=''
[ "${1:-}" = --cpu ] && { cpu=yes; shift; }
OUT=$(realpath -m "${1:-${OUT:-build/gpu}}")
DATA=$(realpath -m "${DATA:-data}")
PICTURES=${PICTURES:+$(realpath -m "$PICTURES")}
cd "$(dirname "$0")/.." || exit 2
RUNS=$(realpath -m "${RUNS:-build/gpu-runs}")
PYTHON=${PYTHON:-.venv/bin/python}
[ -x "$PYTHON" ] || PYTHON=python3
"$PYTHON" -c 'import torch' || { echo "error: $PYTHON has no torch: give another as PYTHON" >&2; exit 2; }
if [ -z "$cpu" ] && ! "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo 'no CUDA here: small sizes on the CPU, and nothing is said of a GPU'
    cpu=yes
fi
export PYTHONPATH=$PWD GPU_TESTS_ON=cuda
device=cuda batch=128 repeats=5 precisions='fp32 bf16 fp16' steps=${STEPS:-6000} n=1000
small=() contest='labml_nn, bf16;labml_nn, bf16, channels last;labml_nn, bf16, compiled'
contest+=';labml_nn, bf16, channels last, compiled;diffusers, bf16;diffusers, bf16, compiled'
contest+=';diffusers, bf16, channels last, compiled;labml_nn, fp32;diffusers, fp32'
if [ -n "$cpu" ]; then
    export GPU_TESTS_ON=cpu CUDA_VISIBLE_DEVICES=''
    device=cpu batch=1 repeats=1 precisions=fp32 steps=${STEPS:-4} n=800
    contest='labml_nn, fp32;diffusers, fp32'
    small=(--n_channels 16 --n_groups 8 --n_blocks 1 --batch_size 8 --warmup 1 --cooldown 2
        --preview_every 2 --preview_sampler ddim --preview_steps 2 --n_samples 4 --n_previews 4)
fi
mkdir -p "$OUT" "$RUNS"
failed=0 ddpm=labml_nn.diffusion.ddpm
echo "| status | seconds | $(date -u +%F\ %T) on $device |" > "$OUT/summary.md"
echo '|---:|---:|---|' >> "$OUT/summary.md"

# part NAME SECONDS COMMAND …: what is too slow is asked to end, then made to
part() {
    local name=$1 limit=$2 began=$SECONDS status
    shift 2
    printf '%-24s' "$name"
    timeout --signal INT --kill-after 60 "$limit" "$@" > "$OUT/$name.log" 2>&1 < /dev/null
    status=$?
    # A training that was stopped by its limit has saved what it did
    [ "$name" != "${name#train}" ] && case $status in 124 | 130) status=0 ;; esac
    [ $status = 0 ] || failed=1
    echo "$status, $((SECONDS - began)) s"
    echo "| $status | $((SECONDS - began)) | \`$*\` |" >> "$OUT/summary.md"
}
wanted() { [[ " ${PARTS:-doctor tests bench train} " == *" $1 "* ]]; }

if wanted doctor; then
    [ -n "$cpu" ] || part nvidia-smi 60 nvidia-smi
    part doctor 120 "$PYTHON" -m labml_nn.doctor
fi

# The smallest run first, in each precision: what fails here fails everywhere
if wanted tests; then
    part tests-cuda 400 "$PYTHON" -m pytest -p no:cacheprovider -q --durations 5 -rs \
        tests/test_cuda.py tests/compute/test_precision.py
    for precision in $precisions; do
        rm -rf "$RUNS/tests-$precision"
        part "tests-$precision" 120 "$PYTHON" -m $ddpm.experiment --preset tests --track none \
            --device $device --precision "$precision" --out "$RUNS/tests-$precision"
    done
    if [ -z "$cpu" ]; then
        rm -rf "$RUNS/tests-compiled" "$RUNS/tests-digits"
        part tests-compiled 240 "$PYTHON" -m $ddpm.experiment --preset tests --track none \
            --device cuda --compile yes --out "$RUNS/tests-compiled"
        part tests-digits 240 "$PYTHON" -m $ddpm.experiment --preset digits --track none \
            --device cuda --out "$RUNS/tests-digits"
    fi
fi

if wanted bench; then
    part bench-peers 400 "$PYTHON" docs/bench/peers.py --device $device --batch $batch \
        --repeats $repeats --only "$contest" -v
    if [ -z "$cpu" ]; then
        part bench-machine 240 "$PYTHON" docs/bench/report.py --short --device cuda \
            --out "$OUT/benchmarks.md"
    fi
    part bench-sampling 240 "$PYTHON" docs/bench/sampling.py --repeats $repeats
fi

# train NAME OPTION …: to its end or its limit; then samples, numbers and what is to be seen of it
train() {
    local run=$RUNS/$1
    local new=(--device $device --steps "$steps" --track none "${@:2}" "${small[@]}")
    [ -e "$run/checkpoint.pt" ] && new=(--resume)
    part "train-$1" $((60 * ${MINUTES:-8})) "$PYTHON" -m $ddpm.experiment --out "$run" "${new[@]}"
    local evaluate=("$PYTHON" -m $ddpm.evaluate)
    local by=(--device $device --sampler ddim --steps $((steps < 50 ? 2 : 50)))
    part "samples-$1" 240 "${evaluate[@]}" sample "$run" --n 64 "${by[@]}"
    part "metrics-$1" 240 "${evaluate[@]}" metrics "$run" --features pixels --n $n "${by[@]}"
    part "report-$1" 60 "${evaluate[@]}" report "$run"
    mkdir -p "$OUT/$1"
    find "$run" -maxdepth 1 -size -4M \( -name '*.png' -o -name '*.csv' -o -name '*.json' \
        -o -name '*.html' -o -name '*.yaml' \) -exec cp -t "$OUT/$1" {} +
}
if wanted train; then
    train fashion --preset mnist --dataset fashion_mnist --data_root "$DATA" --image_size 28 \
        --flip yes --schedule cosine --learning_rate 1e-3 --cooldown $((steps / 3)) \
        --preview_every $((steps > 8 ? steps / 8 : 2))
    [ -z "$PICTURES" ] || train pictures --preset cifar10 --dataset folder \
        --data_root "$PICTURES" --learning_rate 4e-4 --warmup 500 --cooldown $((steps / 3)) \
        --preview_every $((steps > 8 ? steps / 8 : 2))
fi

echo "results in $OUT"
exit $failed

#!/usr/bin/env bash
# Measures everything that docs/performance.md asks of a GPU, in one call of less than ten minutes.
#
#     benches/peer/measure-gpu.sh OUT [--lora PROGRAM] [--layers BENCH] [--python PYTHON] [--device cuda] [--seconds 570]
#
# PROGRAM is a `lora` built with the device's feature (cargo build --release --features cuda), BENCH the benchmark of layers
# (cargo bench -p lora-bench --features cuda --bench layers --no-run prints where it is), PYTHON one with torch and diffusers. What is not
# given or not there is left out. Each case is a process of its own: one that runs out of memory or of time takes nothing else along.
# OUT gets a JSON document for each case (docs/bench-format.md), what went wrong in the .log beside it, and summary.md.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?the folder for the results}; shift
lora=lora layers='' python='' device=cuda seconds=570
while [ $# -gt 1 ]; do
    case $1 in
        --lora) lora=$2 ;;
        --layers) layers=$2 ;;
        --python) python=$2 ;;
        --device) device=$2 ;;
        --seconds) seconds=$2 ;;
        *) echo "$1: no such option" >&2; exit 2 ;;
    esac
    shift 2
done
mkdir -p "$out"
out=$(cd "$out" && pwd)

left() { echo $((seconds - SECONDS)); }

# measure NAME MOST COMMAND...: at most so many seconds, and no more than are left.
measure() {
    local name=$1 most=$2 start=$SECONDS
    shift 2
    [ "$(left)" -gt 15 ] || { echo "no time left for $name" | tee "$out/$name.log" >&2; return; }
    [ "$most" -lt "$(left)" ] || most=$(left)
    timeout "$most" "$@" > "$out/$name.json" 2> "$out/$name.log"
    echo "$name: exit $? after $((SECONDS - start)) s" | tee -a "$out/$name.log" >&2
}

step() {
    local name=$1 most=$2
    shift 2
    measure "lora-$name" "$most" "$lora" bench step --device "$device" --json "$@"
    if [ -n "$python" ]; then
        measure "torch-$name" 60 "$python" "$here/step.py" --device "$device" --json "$@"
    fi
}

"$lora" devices > "$out/devices.txt" 2>&1
nvidia-smi > "$out/nvidia-smi.txt" 2>&1

# Ordered by what would be missed most. Three steps of warm-up make and choose the kernels.
step sd1-512-b1 90 --family sd1 --size 512 --batch 1 --precision bf16 --warm-up 3 --steps 20
step sdxl-1024-b1 120 --family sdxl --size 1024 --batch 1 --precision bf16 --warm-up 3 --steps 10
step sd1-512-b8 60 --family sd1 --size 512 --batch 8 --precision bf16 --warm-up 3 --steps 10
step sdxl-1024-b4-block 60 --family sdxl --size 1024 --batch 4 --precision bf16 --checkpointing block --warm-up 2 --steps 5
step sd1-512-b1-f32 60 --family sd1 --size 512 --batch 1 --precision f32 --warm-up 3 --steps 10
if [ -n "$layers" ]; then
    LORA_BENCH_DEVICE=$device LORA_BENCH_PRECISION=bf16 CRITERION_HOME=$out/criterion \
        measure layers 100 "$layers" --bench --warm-up-time 0.5 --measurement-time 1
    if [ -n "$python" ]; then
        measure torch-layers 60 "$python" "$here/layers.py" --device "$device" --precision bf16 --ours "$out/criterion"
    fi
fi
step sd1-512-b32-block 60 --family sd1 --size 512 --batch 32 --precision bf16 --checkpointing block --warm-up 2 --steps 5
step sd1-512-b1-block 60 --family sd1 --size 512 --batch 1 --precision bf16 --checkpointing block --warm-up 3 --steps 10
step sdxl-1024-b1-block 60 --family sdxl --size 1024 --batch 1 --precision bf16 --checkpointing block --warm-up 2 --steps 5
measure lora-sdxl-1024-b1-eight 60 "$lora" bench step --device "$device" --json --family sdxl --size 1024 --precision bf16 --eight-bit \
    --checkpointing block --warm-up 2 --steps 5
step sd1-512-b32 60 --family sd1 --size 512 --batch 32 --precision bf16 --warm-up 2 --steps 5
step sdxl-1024-b4 60 --family sdxl --size 1024 --batch 4 --precision bf16 --warm-up 2 --steps 5

{
    echo "| program | case | s a step | spread | TFLOP/s | reserved, GB |"
    echo "|---|---|---|---|---|---|"
    for file in "$out"/*.json; do
        python3 - "$file" <<'PY' || true
import json, sys
try:
    document = json.load(open(sys.argv[1]))
except ValueError:
    sys.exit()
for row in document.get("steps", []):
    case = " ".join(str(row[key]) for key in ("family", "size", "batch", "precision", "checkpointing"))
    case += ", eight bits" if row["eight_bit"] else ""
    work = f"{row['tflops']:.1f}" if row.get("tflops") else ""
    memory = f"{row['device_reserved'] / 1e9:.2f}" if row["device_reserved"] else ""
    print(f"| {document['program']} | {case} | {row['median']:.4f} | {row['spread']:.1%} | {work} | {memory} |")
PY
    done
} > "$out/summary.md"
cat "$out/summary.md"

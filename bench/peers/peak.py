"""The fastest matrix products of this machine by torch: float32 and bfloat16, FLOP/s (2 a multiply-add), the best over some shapes."""
import time

import torch
from serve import serve

# Rows, inner, columns: squares, and what a transformer of this size multiplies.
SHAPES = [(1024, 1024, 1024), (2048, 2048, 2048), (1024, 576, 1536), (1536, 768, 3072)]


def rate(work, flops, seconds):
    work()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return flops / best


def peak_of(dtype, seconds):
    rates = []
    for m, k, n in SHAPES:
        a, b = torch.randn(m, k).to(dtype), torch.randn(n, k).to(dtype)
        flops, share = 2 * m * k * n, seconds / len(SHAPES)
        rates.append(rate(lambda: torch.mm(a, b.t()), flops, share))
        rates.append(rate(lambda: torch.nn.functional.linear(a, b), flops, share))
    return max(rates)


def peak(request):
    with torch.inference_mode():
        return {
            "sgemm": peak_of(torch.float32, request["seconds"]),
            "bf16": peak_of(torch.bfloat16, request["seconds"]),
        }


if __name__ == "__main__":
    serve({"peak": peak})

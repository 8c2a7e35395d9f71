/** What the figures were measured on: the CPU, and how fast it multiplies matrices at best. */
import { availableParallelism, cpus } from 'node:os';
import { native } from '../../dist/native/load.js';

/**
 * The machine of the JSON. The peaks are those of torch's own GEMMs in the rivals' Python (bench/peers/peak.py; the same libtorch), the best
 * over some shapes; `null` where torch has no fast path.
 */
export async function describeMachine(bench) {
  const info = native().info();
  const peer = bench.peer('peak.py');
  const { sgemm, bf16 } = await peer.ask({ op: 'peak', seconds: 0.4 });
  peer.stop();
  return {
    cpu: cpus()[0].model.trim(),
    cores: availableParallelism(),
    threads: bench.threads,
    simd: info.cpuCapability,
    bf16Units: info.amx ? 'AMX' : info.bf16 ? 'AVX512-BF16' : 'none',
    libtorch: info.libtorch,
    sgemmPeak: sgemm,
    bf16GemmPeak: bf16,
    peaksMeasuredBy: 'torch.mm and torch.nn.functional.linear of the same libtorch in the peer process, FLOP/s',
  };
}

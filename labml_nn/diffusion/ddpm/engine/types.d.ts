// What the scripts of the engine know of each other; read by the type checker alone.
declare namespace DDPM {
  interface Config {
    image_size: number; image_channels: number; n_channels: number;
    ch_mults: number[]; is_attn: boolean[]; n_blocks: number; n_groups: number;
    n_classes: number; n_steps: number; schedule: string; variance: string; p_uncond: number;
  }
  interface Packed {
    name: string; config: Config; classes: string[]; precision: 'int8' | 'float16' | 'float32';
    tensors: [string, number[]][]; data: string;
    how: {
      weights: string; sampler: string; steps: number; seed: number;
      labels: number[] | null; guidance: number; options: Record<string, string | number>;
    };
  }
  type Rest<T> = Generator<null, T, any>;
  interface Maps { data: Float32Array; channels: number; height: number; width: number }
  type Seen = (name: string, maps: Maps) => void;
  type Network = (x: Float32Array, t: number, label?: number, seen?: Seen) => Rest<Float32Array>;
  type Model = (x: Float32Array, t: number) => Rest<Float32Array>;
  type Noise = (n: number) => Float32Array;
  interface Process { beta: number[]; model: Model; variance?: string }
  interface How {
    steps: number; from?: number; spacing?: string; clip?: boolean; eta?: number; variance?: string;
  }
  interface Host {
    root: HTMLElement;
    say: (text: string) => string;
    announce: (text: string) => void;
    failed: (error: unknown) => void;
    load?: (name: string) => Promise<void>;
  }
  interface Step { t: number; x: Float32Array; x0: Float32Array }
  interface StepBack extends Step { mean: Float32Array; weights: [number, number]; sigma: number }
  type Chain = (process: Process, x: Float32Array, noise: Noise, how: How)
    => Generator<Step | null, void, any>;
}
declare var ddpm: any;
declare var pylit: any;

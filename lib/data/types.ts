/** What a data set is once read: stimuli in order, responses, and what each response column measures. */

import type { Space } from './space.js';

/** Row-major float32 [rows, columns]. */
export interface Matrix {
  data: Float32Array;
  rows: number;
  columns: number;
}

/** One spoken word; times in seconds from the start of the recording. */
export interface Word {
  text: string;
  onset: number;
  offset: number;
}

/** Trial-wise stimuli (one response row each), or a stream of words against volumes (TRs). */
export type Stimuli =
  | {
      kind: 'trials';
      texts: string[] /** Passage of each text, for cumulative context and grouped folds. */;
      passages?: string[];
      /** Paths of pictures, where they are the stimuli; `texts` are then their names. */
      pictures?: string[];
    }
  | {
      kind: 'words';
      words: Word[] /** Seconds per volume. */;
      tr: number /** Time of volume 0 in the recording, s. */;
      start: number;
    };

/** What one response column measures. `subject` is 'mean' for the mean over subjects. */
export interface Target {
  name: string;
  subject: string;
  roi: string;
}

export interface Dataset {
  name: string;
  /** Real measurements, or made by the simulated subject. */
  simulated: boolean;
  citation: string;
  licence: string;
  /** SHA-256 of the description and of every file read. */
  hash: string;
  stimuli: Stimuli;
  /** `[n, t]`: a row per text or per volume. */
  responses: Matrix;
  targets: Target[];
  /** Per target: the highest Pearson r a perfect model could reach (NaN where it cannot be estimated), and how it was got. */
  ceilings: { values: Float64Array; method: string };
  /** Run or story of each row, for grouped folds. */
  groups?: string[];
  /** Where the columns lie, if their responses came from images. */
  spaces?: Space[];
  /** What the reader should know: subjects dropped and why. */
  notes: string[];
}

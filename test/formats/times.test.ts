/** Times of words in captions: WebVTT and SubRip. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseCaptions } from '../../lib/data/formats/captions.js';
import { kMakingTime, madeFiles } from './made-files.js';

let folder = '';
beforeAll(async () => {
  folder = await madeFiles();
}, kMakingTime);

const words = (content: string) =>
  parseCaptions(content, 'x.vtt').map(({ text, onset, offset }) => [text, onset, offset]);

describe('captions', () => {
  it.each(['words.srt', 'words.vtt'])('%s as pysubs2 and webvtt-py write them', (name) => {
    const found = parseCaptions(readFileSync(join(folder, name), 'utf8'), name);
    expect(found.map(({ text }) => text)).toEqual(['Alice', 'was', 'tired', '&', 'bored']);
    expect(found[0]).toEqual({ text: 'Alice', onset: 0.25, offset: 0.5 });
    expect(found[2]!.onset).toBe(62);
    expect(found[4]!.offset).toBeCloseTo(63.5, 9);
  });

  it('one word a cue, with numbers, notes, styles and settings around', () => {
    const content = [
      '\ufeffWEBVTT - a story',
      'Kind: captions',
      '',
      'NOTE',
      'made --> by hand',
      '',
      'STYLE',
      '::cue { color: red }',
      '',
      'first',
      '00:00:01.000 --> 00:00:01.250 position:10% align:start',
      'Alice',
      '',
      '01:00:02.5 --> 01:00:03.000',
      '<v Anna><i>was</i> &amp;c.',
      '',
    ].join('\r\n');
    expect(words(content)).toEqual([
      ['Alice', 1, 1.25],
      ['was', 3602.5, expect.closeTo(3602.5 + (0.5 * 3) / 6)],
      ['&c.', expect.closeTo(3602.75), 3603],
    ]);
  });

  it('words between marks, as speech recognition writes them', () => {
    expect(
      words('WEBVTT\n\n00:00.000 --> 00:02.000\none<00:00:00.500><c> two</c><00:00:01.500><c> three four</c>\n'),
    ).toEqual([
      ['one', 0, 0.5],
      ['two', 0.5, 1.5],
      ['three', 1.5, expect.closeTo(1.5 + (0.5 * 5) / 9)],
      ['four', expect.closeTo(1.5 + (0.5 * 5) / 9), 2],
    ]);
  });

  it('SubRip, several lines a cue, dashes of speakers', () => {
    expect(
      words('1\n00:00:01,000 --> 00:00:03,000\n- ab\n- cd\n\n2\n00:00:04,000 --> 00:00:04,000\n{\\an8}x\n'),
    ).toEqual([
      ['ab', 1, 2],
      ['cd', 2, 3],
      ['x', 4, 4],
    ]);
  });

  it.each([
    ['WEBVTT\n\n00:00:xx --> 00:00:02.000\nw\n', /times like .* in line 3, got `00:00:xx -->/],
    ['WEBVTT\n\n00:00:03.000 --> 00:00:02.000\nw\n', /the cue in line 3 at or after its start 3 s, got 2 s/],
    ['no captions here\n', /Expected captions with times like/],
  ])('refuses %j', (content, sentence) => {
    expect(() => parseCaptions(content, 'x.vtt')).toThrow(sentence);
  });
});

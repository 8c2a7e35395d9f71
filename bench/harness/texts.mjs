/** The text of the benchmarks: the words of the Alice story where its data are found, else of the story in lib/data. */
import { kStory } from '../../dist/data/story.js';
import { loadDataset } from '../../dist/index.js';

/** Words of a short sentence each: the lengths of sentences in stories, about 12 tokens in the mean. */
const kLengths = [10, 16, 7, 12, 9, 19, 6, 11, 13, 8, 18, 5, 14, 10, 12, 9];

async function wordsOfStory() {
  try {
    const { stimuli } = await loadDataset('alice');
    return stimuli.words.map(({ text }) => text);
  } catch (error) {
    if (error.code !== 'ERR_NOT_FOUND') throw error;
    return kStory.flat().join(' ').split(' ');
  }
}

/** The first `count` words of the story, which begins again where it ends. */
export async function storyWords(count) {
  const words = await wordsOfStory();
  return Array.from({ length: count }, (_, i) => words[i % words.length]);
}

/** `count` stretches of the story as long as short sentences, no two alike while the story lasts. */
export async function sentences(count) {
  const lengths = Array.from({ length: count }, (_, i) => kLengths[i % kLengths.length]);
  const words = await storyWords(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return words.slice(at - length, at).join(' ');
  });
}

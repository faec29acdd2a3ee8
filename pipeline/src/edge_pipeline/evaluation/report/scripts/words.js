// Count the words or characters of a text, as edge_runtime's vectorizers do.
"use strict";

const edgeWords = (() => {
  const MOST_CHARACTERS = 1000000;
  // Python's str.isspace; \s of JavaScript has other members.
  const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
  const SPACES = new RegExp(`${SPACE}${SPACE}+`, "gu"), SPLIT = new RegExp(`${SPACE}+`, "u");

  // Each run of `size` neighbours, joined, for the sizes of the range.
  function runs(items, [low, high], join) {
    const results = [];
    for (let size = low; size <= Math.min(high, items.length); size++)
      for (let start = 0; start + size <= items.length; start++)
        results.push(items.slice(start, start + size).join(join));
    return results;
  }

  function wordSplitter({pattern, stop_words, ngram_range}) {
    const regex = new RegExp(pattern, "gu"), stopWords = new Set(stop_words);
    return text => runs(
      (text.match(regex) || []).filter(token => !stopWords.has(token)), ngram_range, " ");
  }

  function characterSplitter({within_words, ngram_range}) {
    const [low, high] = ngram_range;
    const ofWord = word => {
      const padded = Array.from(` ${word} `);
      // A word that is shorter than a run counts once.
      const longest = Math.min(high, padded.length - 1);
      const results = runs(padded, [low, longest], "");
      return high >= padded.length ? [...results, padded.join("")] : results;
    };
    return text => {
      const plain = text.replace(SPACES, " ");
      return within_words ? plain.split(SPLIT).filter(word => word).flatMap(ofWord)
        : runs(Array.from(plain), ngram_range, "");
    };
  }

  function cleaner({lowercase, accents}) {
    const lower = lowercase ? text => text.toLowerCase() : text => text;
    return accents === "ascii"
      ? text => lower(text).normalize("NFKD").replace(/[^\x00-\x7f]/gu, "") : lower;
  }

  const SIZES = {
    none: () => 0,
    l1: values => values.reduce((total, value) => total + Math.abs(value), 0),
    l2: values => Math.sqrt(values.reduce((total, value) => total + value * value, 0)),
  };

  // A function from a text to its [column, count] pairs.
  function counter({reading, terms, binary, norm}) {
    const columnOf = new Map(terms.map((term, column) => [term, column]));
    const clean = cleaner(reading);
    const split = reading.kind === "words" ? wordSplitter(reading) : characterSplitter(reading);
    return text => {
      if (text.length > MOST_CHARACTERS && Array.from(text).length > MOST_CHARACTERS)
        throw new Error(`a text has at most ${MOST_CHARACTERS} characters`);
      const counts = new Map();
      for (const feature of split(clean(text))) {
        const column = columnOf.get(feature);
        if (column !== undefined) counts.set(column, binary ? 1 : (counts.get(column) || 0) + 1);
      }
      const size = SIZES[norm]([...counts.values()]);
      return Array.from(counts, ([column, value]) => [column, size ? value / size : value]);
    };
  }

  return {counter};
})();

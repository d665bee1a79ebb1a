// The exam: blanks of paragraphs that nobody plays, answered by the network as it stands.

import { sliced } from "./slices.js";
import { exampleOf, guess, suspect, withWrongWord } from "./tinynet/round.js";

/** @returns {Promise<{n: number, right: number}>} */
export async function exam({ net, vocabulary, dealt, round, contextOn }) {
  const found = { n: 0, right: 0 };
  await sliced(answers(net, { vocabulary, papers: dealt.exam, mode: round.mode, contextOn }), (right) => {
    found.n += 1;
    found.right += Number(right);
  });
  return found;
}

function* answers(net, { vocabulary, papers, mode, contextOn }) {
  for (const paper of papers) {
    for (const item of paper.items) {
      const whole = exampleOf(paper, item, vocabulary, mode);
      const example = contextOn ? whole : { ...whole, context: [] };
      const { choice } = guess(net, example, [item.gold, ...item.distractors.slice(0, 3)]);
      const suspected = mode === "correction" ? suspect(net, withWrongWord(paper, item), item.choices, example.context) : item.position;
      yield choice === item.gold && suspected === item.position;
    }
  }
}

/** Half the width of the 95 % interval, as a share. @param {{n: number, right: number}} result */
export const halfWidth = ({ n, right }) => 1.96 * Math.sqrt(((right / n) * (1 - right / n)) / n);

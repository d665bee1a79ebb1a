// The exam: blanks of paragraphs that nobody plays, answered by the network as it stands.

import { percent } from "./build.js";
import { sliced } from "./slices.js";
import { guess, suspect } from "./tinynet/guess.js";
import { exampleOf, withWrongWord } from "./tinynet/round.js";
import { fill } from "./words.js";

export class Exam {
  constructor(trainer) {
    this.trainer = trainer;
  }

  /** Before the network has learnt anything of this person; once a mode. */
  async begin() {
    const { player } = this.trainer;
    if (!player.net || this.first?.mode === player.round.mode) return;
    this.first = { mode: player.round.mode, ...(await exam({ ...seat(player), net: player.first })) };
    this.grade(this.first);
  }

  /** Once more, after it has learnt. */
  async again() {
    const now = await exam(seat(this.trainer.player));
    if (this.first) this.grade(now);
  }

  grade(now) {
    const { first, trainer } = this;
    if (!now.n) return;
    const share = ({ n, right }) => percent(right / n);
    const said = { n: now.n, first: share(first), now: share(now), e: Math.round(100 * halfWidth(now)) };
    trainer.part("exam").textContent = fill(now === first ? trainer.words.tExamFirst : trainer.words.tExam, said);
  }
}

const seat = ({ net, vocabulary, dealt, round, contextOn }) => ({ net, vocabulary, dealt, round, contextOn });

/** @returns {Promise<{n: number, right: number}>} */
async function exam({ net, vocabulary, dealt, round, contextOn }) {
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
const halfWidth = ({ n, right }) => 1.96 * Math.sqrt(((right / n) * (1 - right / n)) / n);

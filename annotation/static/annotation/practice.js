// Practice before real questions: examples whose answer is known, judged here and sent nowhere.

export const partOf = (question) => (question.kind === "value" && !question.values.length ? "years" : question.kind);

// expected: { verdicts, marks: { face: [marks that are right] }, values, years: [from, to] }; content: as an answer is.
// Returns whether it is right, and which faces were passed over, marked without need, or marked as something else.
export function judge(expected, content) {
  const said = content.marks ?? {};
  const missed = Object.keys(expected.marks ?? {}).filter((face) => !said[face]).map(Number);
  const needless = Object.keys(said).filter((face) => !expected.marks?.[face]).map(Number);
  const otherwise = Object.entries(expected.marks ?? {}).filter(([face, right]) => said[face] && !right.includes(said[face])).map(([face]) => Number(face));
  const verdict = expected.verdicts.includes(content.verdict);
  const value = content.verdict !== "value" || ((!expected.values?.length || expected.values.includes(content.value)) && within(expected.years, content.value));
  return { right: verdict && value && !missed.length && !needless.length && !otherwise.length, missed, needless, otherwise };
}

const within = (years, value) => !years || (Number(value) >= years[0] && Number(value) <= years[1]);

// The way through the examples of one part.
export class Round {
  constructor(part, examples) {
    Object.assign(this, { part, examples, place: 0, right: 0 });
  }

  get current() {
    return this.examples[this.place] ?? null;
  }

  // Judges the answer to the current example.
  answer(content) {
    const verdict = judge(this.current.expected, content);
    this.right += verdict.right;
    return verdict;
  }

  // The next example, or null at the end.
  next() {
    this.place += 1;
    return this.current;
  }
}

// Some at a time: starts `work` on each item, never more than `width` at once. Resolves when all have ended.

export async function someAtATime(items, width, work) {
  const rest = items[Symbol.iterator]();
  const lane = async () => {
    for (let step = rest.next(); !step.done; step = rest.next()) await work(step.value);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

// Tries again after a lost line or a busy server; a refusal is final at once.
export async function persistently(work, isFinal, { times = 4, wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms)) } = {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === times || isFinal(error)) throw error;
      await wait(1_000 * 2 ** attempt);
    }
  }
}

// How the whole lot stands, in words that `say` has.
export function summary(counts, total, say) {
  const ended = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const outcomes = ["taken", "copy", "known", "delivery", "refused", "failed"].filter((name) => counts[name]);
  const parts = outcomes.map((name) => say(`files_${name}`, { count: counts[name] })).join(", ");
  return say(parts ? "files_of_which" : "files_of", { ended, total, parts });
}

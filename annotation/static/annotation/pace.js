// How fast somebody answers, how long what is left will take at that pace, and when it is time to look up.

const MINUTE = 60_000;
export const WINDOW = 15 * MINUTE; // what pace is measured over
export const GAP = 5 * MINUTE; // without an answer for so long, somebody had a break
export const SITTING = 50 * MINUTE; // after which a break is suggested
const ENOUGH = 5; // answers, before a pace means anything

export class Pace {
  constructor() {
    this.times = []; // of the answers of this sitting, in ms
    this.since = null;
  }

  answered(at) {
    if (!this.times.length || at - this.times.at(-1) > GAP) {
      this.times = [];
      this.since = at;
    }
    this.times.push(at);
    while (at - this.times[0] > WINDOW) this.times.shift();
  }

  takenBack() {
    if (this.times.length > 1) this.times.pop();
  }

  // Answers a minute, or null while there are too few.
  perMinute(now) {
    const recent = this.times.filter((at) => now - at <= WINDOW);
    if (recent.length < ENOUGH || now - recent.at(-1) > GAP) return null;
    return ((recent.length - 1) * MINUTE) / Math.max(recent.at(-1) - recent[0], 1);
  }

  minutesLeft(open, now) {
    const pace = this.perMinute(now);
    return pace === null || open === 0 ? null : open / pace;
  }

  wantsBreak(now) {
    return this.since !== null && this.times.length > 0 && now - this.times.at(-1) <= GAP && now - this.since >= SITTING;
  }
}

// The name of a text, and what belongs into it.
export function inWords(minutes) {
  if (minutes < 1) return ["less_than_a_minute", {}];
  if (minutes < 90) return ["minutes", { count: Math.round(minutes) }];
  const hours = minutes / 60;
  return ["hours", { count: hours < 10 ? Math.round(hours * 2) / 2 : Math.round(hours) }];
}

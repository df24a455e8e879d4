// The texts of the page and those of all pages, as the server has them in the reader's language: one place, `annotation/words.py`.

const read = (id) => JSON.parse(globalThis.document?.getElementById(id)?.textContent ?? "{}");
const texts = () => ({ ...read("words-of-all"), ...read("words") });
let known = null;

// A text with its values filled in; of one that has forms, the form that the language wants for `count`.
export function say(name, values = {}) {
  known ??= texts();
  return fill(known[name] ?? name, values, globalThis.document?.documentElement.lang || "en-GB");
}

export function fill(text, values, language) {
  const chosen = typeof text === "string" ? text : text[new Intl.PluralRules(language).select(Number(values.count))] ?? text.other;
  const number = new Intl.NumberFormat(language);
  return chosen.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number.format(value) : value;
  });
}

// What values and attributes are called.
export const called = (name) => {
  known ??= texts();
  return known.names?.[name] ?? name;
};

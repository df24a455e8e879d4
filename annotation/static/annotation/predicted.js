// A prediction as the page shows it: what to draw, without drawing it.

// The values of a distribution, the likeliest first, in whole percent that add up to what was believed.
export function shares(distribution) {
  return Object.entries(distribution)
    .map(([value, share]) => ({ value, share, percent: Math.round(100 * share) }))
    .sort((one, other) => other.share - one.share);
}

// Where an interval of years begins and how wide it is, and where its mean is, as percent of all years.
export function span({ mean, low, high }, oldest) {
  const place = (years) => (100 * Math.min(Math.max(years, 0), oldest)) / oldest;
  return { start: place(low), width: place(high) - place(low), mean: place(mean) };
}

// The names of the models that spoke, each once.
export const speakers = (models) => [...new Set(Object.values(models).map((model) => model.name))].sort();

// The first picture among files that were dropped, pasted or chosen.
export const pictureOf = (files) => [...(files ?? [])].find((file) => file.type.startsWith("image/")) ?? null;

// The name that a command line can take as it is.
export const plainName = (name) => (/^[\w.-]+$/.test(name ?? "") ? name : "photo.jpg");

// How large letters and lines are, in pixels of a photo that is shown at about the same size whatever its own.
export const scaleOf = (width, height) => Math.max(width, height) / 500;
